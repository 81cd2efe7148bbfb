import os
import shutil
import subprocess

from tests.cluster import cache
from tests.cluster.errors import ClusterError
from tests.cluster.progress import step
from tests.cluster.shell import run


def require(*names: str) -> None:
    """Install those Debian packages that are missing, or say how; apt does not wait for itself."""
    with cache.locked(cache.root() / ".packages.lock"):
        _require(*names)


def _require(*names: str) -> None:
    missing = [name for name in names if not _installed(name)]
    if not missing:
        return
    wanted = " ".join(missing)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ClusterError(
            f"Missing: {wanted}. Run as root: apt-get update && apt-get install --yes {wanted}"
        )
    with step(f"Installing {wanted}"):
        _apt("update")
        _apt("install", "--yes", "--no-install-recommends", *missing)


def _installed(name: str) -> bool:
    if not shutil.which("dpkg-query"):
        return False
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", name]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout == "installed"


def _apt(*arguments: str) -> None:
    run("apt-get", "--quiet", *arguments, environment={"DEBIAN_FRONTEND": "noninteractive"})
