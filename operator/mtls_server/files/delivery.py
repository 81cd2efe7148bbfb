"""Reading one delivery of the mounted files, never a mixture of two."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from mtls_server.files.checks import FILES
from mtls_server.files.faults import Fault, MaterialError

DATA_LINK: Final = "..data"
"""The symbolic link that kubelet swaps to the directory of the newest delivery."""
MAX_FILE_BYTES: Final = 1 << 20
PIECE_BYTES: Final = 1 << 16
ATTEMPTS: Final = 10


def load(directory: Path) -> dict[str, bytes]:
    """Read the files of one delivery; those that are missing are absent from the result.

    A directory without ``..data`` is read as it is; there a caller may meet a mixture only while
    its files are being written, and the checks refuse one whose parts do not fit.

    Raises:
        MaterialError: a file cannot be read, is no regular file or too large, or deliveries came
            faster than they could be read.
    """
    for _ in range(ATTEMPTS):
        before = _target(directory)
        files = _read_all(before)
        if _target(directory) == before:
            return files
    raise MaterialError(Fault.UNREADABLE, f"{directory} changed {ATTEMPTS} times while it was read")


def delivered_at(directory: Path) -> float:
    """Tell when the files mounted now were written, in seconds since the epoch; 0: there are none."""
    folder = _target(directory)
    times = [0.0]
    for name in FILES:
        with suppress(OSError):
            times.append((folder / name).stat().st_mtime)
    return max(times)


def _target(directory: Path) -> Path:
    try:
        return directory / (directory / DATA_LINK).readlink()
    except OSError:
        return directory


def _read_all(directory: Path) -> dict[str, bytes]:
    files = {}
    for name in FILES:
        try:
            files[name] = _read(directory / name)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise MaterialError(Fault.UNREADABLE, f"{name} cannot be read: {error.strerror}") from None
    return files


def _read(path: Path) -> bytes:
    contents = b""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise MaterialError(Fault.UNREADABLE, f"{path.name} is not a regular file")
        while len(contents) <= MAX_FILE_BYTES and (piece := os.read(descriptor, PIECE_BYTES)):
            contents += piece
    finally:
        os.close(descriptor)
    if len(contents) > MAX_FILE_BYTES:
        raise MaterialError(Fault.UNREADABLE, f"{path.name} is larger than {MAX_FILE_BYTES} bytes")
    return contents
