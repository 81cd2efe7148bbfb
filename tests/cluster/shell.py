import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from tests.cluster.errors import ClusterError


def run(
    *command: str | Path,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a command to its end and return what it printed; a failure is told in its own words."""
    words = [str(word) for word in command]
    variables = os.environ | (environment or {})
    result = subprocess.run(words, stdin=stdin, env=variables, capture_output=True, check=False)
    if result.returncode:
        last = result.stderr.decode(errors="replace").strip().splitlines()[-20:]
        raise ClusterError("\n".join([f"`{' '.join(words)}` failed:", *last]))
    return result.stdout.decode()
