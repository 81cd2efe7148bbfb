import subprocess
from pathlib import Path
from typing import IO

from tests.cluster.errors import ClusterError


def run(*command: str | Path, stdin: IO[bytes] | int = subprocess.DEVNULL) -> str:
    """Run a command to its end and return what it printed; a failure is told in its own words."""
    words = [str(word) for word in command]
    result = subprocess.run(words, stdin=stdin, capture_output=True, check=False)
    if result.returncode:
        raise ClusterError(f"`{' '.join(words)}` failed: {result.stderr.decode(errors='replace').strip()}")
    return result.stdout.decode()
