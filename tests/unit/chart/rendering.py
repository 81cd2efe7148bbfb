"""The chart as helm renders it, and the kustomize base that is written from it (`make manifests`)."""

import subprocess
from pathlib import Path
from typing import Any, Final

import yaml

from tests.cluster import binaries

Object = dict[str, Any]

ROOT: Final = Path(__file__).parents[3]
CHART: Final = ROOT / "helm" / "mtls-operator"
BASE: Final = ROOT / "deploy" / "base" / "operator.yaml"
NAMESPACE: Final = "mtls-system"

_NOTE: Final = "# Written by `make manifests` from helm/mtls-operator; change it there.\n"
_OF_HELM: Final = ("app.kubernetes.io/managed-by", "helm.sh/chart")


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [binaries.directory() / "helm", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def render(*values: str, release: str = "mtls-operator", namespace: str = NAMESPACE) -> list[Object]:
    """Return the objects that the chart renders to with these values, each as `--set` takes it."""
    result = _template(values, release, namespace)
    assert result.returncode == 0, result.stderr
    return [document for document in yaml.safe_load_all(result.stdout) if document]


def refusal(*values: str) -> str:
    """Return what helm says against these values."""
    result = _template(values, "mtls-operator", NAMESPACE)
    assert result.returncode != 0
    return result.stderr


def _template(values: tuple[str, ...], release: str, namespace: str) -> subprocess.CompletedProcess[str]:
    settings = [argument for value in values for argument in ("--set", value)]
    return helm("template", release, CHART, "--namespace", namespace, *settings)


def find(objects: list[Object], kind: str, name: str = "mtls-operator") -> Object:
    (found,) = [o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name]
    return found


def base() -> str:
    """Return what `deploy/base/operator.yaml` must be: the default rendering without what is of helm."""
    documents = render("crds.enabled=false")
    for document in documents:
        for label in _OF_HELM:
            del document["metadata"]["labels"][label]
    return _NOTE + yaml.safe_dump_all(documents, sort_keys=False, width=110)


if __name__ == "__main__":
    BASE.write_text(base())
