import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def root() -> Path:
    """Where everything that is built or kept for clusters lives, outside the source tree."""
    if configured := os.environ.get("MTLS_CACHE"):
        return Path(configured).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "mtls-operator"


def key(*parts: bytes | str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def tree_key(root: Path, paths: Iterable[str]) -> str:
    """Return the key of the names, modes and contents of these files and of all files below these folders."""
    files = sorted(file for path in paths for file in _files(root / path))
    return key(*(part for file in files for part in _identity(root, file)))


def _identity(root: Path, file: Path) -> tuple[bytes | str, ...]:
    return str(file.relative_to(root)), oct(file.stat().st_mode), file.read_bytes()


def _files(path: Path) -> list[Path]:
    found = [path, *path.rglob("*")]
    return [file for file in found if file.is_file() and file.parent.name != "__pycache__"]


@contextmanager
def locked(lock: Path) -> Iterator[None]:
    """Hold an exclusive lock between processes; it goes with the process that holds it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def built(kind: str, version: str, build: Callable[[Path], None], *, keep: int | None = None) -> Path:
    """Return the directory of this kind and version, filled once by `build`, whole or not at all.

    Of earlier versions only the latest stay, where `keep` says how many there may be.
    """
    target = root() / kind / version
    if target.exists():
        return target
    with locked(root() / kind / ".lock"):
        if target.exists():
            return target
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
        try:
            build(partial)
            partial.chmod(0o755)
            partial.rename(target)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        if keep:
            _remove_older(target.parent, keep)
    return target


def _remove_older(folder: Path, keep: int) -> None:
    versions = [path for path in folder.iterdir() if path.is_dir()]
    versions.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for old in versions[keep:]:
        shutil.rmtree(old)
