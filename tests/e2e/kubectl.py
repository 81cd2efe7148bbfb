import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster import binaries


@dataclass(frozen=True)
class Kubectl:
    """kubectl and helm as a person would run them."""

    kubeconfig: Path

    def __call__(self, *arguments: str, check: bool = True, stdin: str = "") -> str:
        return self._run("kubectl", arguments, check=check, stdin=stdin)

    def helm(self, *arguments: str) -> str:
        return self._run("helm", arguments, check=True)

    def apply(self, *manifests: dict[str, Any]) -> None:
        self("apply", "--filename=-", stdin=as_list(manifests))

    def create(self, *manifests: dict[str, Any]) -> None:
        self("create", "--filename=-", stdin=as_list(manifests))

    def wait(self, what: str, condition: str, namespace: str, seconds: float) -> None:
        self("wait", what, f"--for={condition}", f"--namespace={namespace}", f"--timeout={seconds:.0f}s")

    @property
    def _cache(self) -> Path:
        """What kubectl remembers of the kinds, kept apart: a later cluster may have the same address."""
        return self.kubeconfig.parent / "kubectl"

    def _run(self, program: str, arguments: tuple[str, ...], *, check: bool, stdin: str = "") -> str:
        result = subprocess.run(
            [binaries.directory() / program, *arguments],
            input=stdin,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self._cache)},
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        if check:
            assert result.returncode == 0, f"{program} {' '.join(arguments)}: {result.stderr.strip()}"
        return result.stdout


def as_list(manifests: tuple[dict[str, Any], ...]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
