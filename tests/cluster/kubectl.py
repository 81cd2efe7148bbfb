import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from tests.cluster import binaries

Object = dict[str, Any]


@dataclass(frozen=True)
class Kubectl:
    """kubectl and helm as a person would run them: the independent witness of what the operator did."""

    kubeconfig: Path

    def __call__(self, *arguments: str, check: bool = True, stdin: Object | str = "") -> str:
        return self.run(*arguments, check=check, stdin=stdin).stdout

    def run(
        self, *arguments: str, stdin: Object | str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        return self._run("kubectl", arguments, check=check, stdin=stdin)

    def helm(self, *arguments: str) -> str:
        return self._run("helm", arguments).stdout

    @contextmanager
    def namespace(self) -> Iterator[str]:
        """Make a namespace of a name that nothing has, and remove it in the end."""
        name = f"test-{uuid4().hex[:8]}"
        self("create", "namespace", name)
        try:
            yield name
        finally:
            self("delete", "namespace", name, "--wait=false", "--ignore-not-found")

    def apply(self, *manifests: Object) -> None:
        self("apply", "--filename=-", stdin=_as_list(manifests))

    def apply_server_side(self, *manifests: Object) -> None:
        """Apply, and leave no copy of the whole in an annotation, as of a Secret would be unwise."""
        self("apply", "--server-side", "--filename=-", stdin=_as_list(manifests))

    def create(self, *manifests: Object) -> None:
        self("create", "--filename=-", stdin=_as_list(manifests))

    def get(self, *arguments: str) -> Object | None:
        """Return the object, or None where there is none."""
        found = self("get", *arguments, "--output=json", "--ignore-not-found")
        return json.loads(found) if found else None

    def wait(self, what: str, condition: str, namespace: str, seconds: float) -> None:
        self("wait", what, f"--for={condition}", f"--namespace={namespace}", f"--timeout={seconds:.0f}s")

    @property
    def cache(self) -> Path:
        """What kubectl remembers of the kinds, kept apart: a later cluster may have the same address."""
        return self.kubeconfig.parent / "kubectl"

    def _run(
        self,
        program: Literal["kubectl", "helm"],
        arguments: tuple[str, ...],
        *,
        check: bool = True,
        stdin: Object | str = "",
    ) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            [binaries.directory() / program, *arguments],
            input=stdin if isinstance(stdin, str) else json.dumps(stdin),
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.cache)},
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        if check:
            assert result.returncode == 0, f"{program} {' '.join(arguments)}: {result.stderr.strip()}"
        return result


def _as_list(manifests: tuple[Object, ...]) -> Object:
    return {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
