"""The kernel's news about one directory (inotify(7)); the standard library has no binding."""

import ctypes
import os
from pathlib import Path
from typing import Final

_ATTRIB, _CLOSE_WRITE, _MOVED_TO, _CREATE, _DELETE, _ONLYDIR = 0x4, 0x8, 0x80, 0x100, 0x200, 0x01000000
_EVENTS: Final = _ATTRIB | _CLOSE_WRITE | _MOVED_TO | _CREATE | _DELETE | _ONLYDIR


def watch(directory: Path) -> int:
    """Return a non-blocking descriptor, owned by the caller, that becomes readable on a change in it.

    Raises:
        OSError: no such directory, or no watch is left to this user.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor >= 0 and libc.inotify_add_watch(descriptor, os.fsencode(directory), _EVENTS) >= 0:
        return descriptor
    error = ctypes.get_errno()
    if descriptor >= 0:
        os.close(descriptor)
    raise OSError(error, os.strerror(error), str(directory))


def drain(descriptor: int) -> None:
    """Read and forget the events that are queued."""
    try:
        while os.read(descriptor, 1 << 14):
            pass
    except BlockingIOError:
        return
