"""kubectl as the independent witness of what the code under test did to the API server."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mtls_operator.reconcile.ports import Object


@dataclass(frozen=True)
class Kubectl:
    program: Path
    kubeconfig: Path

    @property
    def cache(self) -> Path:
        """What kubectl remembers of the kinds, kept apart: a later cluster may have the same address."""
        return self.kubeconfig.parent / "kubectl"

    def run(
        self, *arguments: str, stdin: Object | str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.program, *arguments],
            input=stdin if isinstance(stdin, str) else json.dumps(stdin),
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.cache)},
            capture_output=True,
            text=True,
            check=check,
            timeout=60,
        )

    def get(self, *arguments: str) -> Object | None:
        """Return the object, or None where there is none."""
        found = self.run("get", *arguments, "--output=json", "--ignore-not-found").stdout
        return json.loads(found) if found else None
