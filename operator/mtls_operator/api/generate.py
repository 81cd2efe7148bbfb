"""Write CRDs, their copies in the chart, and the reference from the types; ``make generate`` runs this."""

from pathlib import Path
from typing import Final

import yaml

from mtls_operator.api import crd, reference
from mtls_operator.api.schema import Schema

_ROOT: Final = Path(__file__).parents[3]
_NOTE: Final = "# Written by `make generate` from operator/mtls_operator/api; change it there.\n"
_FOLDERS: Final = ("crds", "helm/mtls-operator/files/crds")


def documents() -> dict[str, str]:
    """Return every generated file: path from the root of the repository to contents."""
    definitions = (crd.mtlsservice(), crd.mtlsclient())
    files = {
        f"{folder}/{definition['spec']['names']['plural']}.yaml": _document(definition)
        for folder in _FOLDERS
        for definition in definitions
    }
    return files | {"docs/reference.md": reference.render(definitions)}


def _document(definition: Schema) -> str:
    return _NOTE + yaml.dump(definition, Dumper=_Dumper, sort_keys=False, width=110)


class _Dumper(yaml.SafeDumper):
    """Writes repeated parts out, since the API server's clients do not all read anchors."""

    def ignore_aliases(self, data: Schema) -> bool:
        del data
        return True


def main() -> None:
    """Write the files."""
    for path, contents in documents().items():
        target = _ROOT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(contents)


if __name__ == "__main__":
    main()
