"""The one path that a request names. What two programs could read differently names none, and is refused."""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

_PLAIN: Final = re.compile(rb"(?=/)(?:/[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9_~!$&'()*+,=:@.-]*)*/?")
"""Only what RFC 3986 §3.3 allows and nobody interprets."""
_BROKEN_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_HAZARD: Final = re.compile(
    r"[\x00-\x1f\x7f\\]"  # ends strings and lines; a slash, for some
    r"|//"  # collapses, for some
    r"|/\.{1,2}(?:;[^/]*)?(?:/|\Z)"  # goes up; for some also with parameters behind it
)

_PARAMETERS: Final = re.compile(r";[^/]*")
_SLASHES: Final = re.compile(r"/+")
_HASH: Final = ord("#")
"""As a number, since Python looks five times longer for a piece of bytes."""
MAX_REMEMBERED: Final = 256
"""Length up to which paths are remembered."""


def canonical_path(target: bytes) -> str | None:
    """Return the path that a request-target names, percent-decoded, as the application will see it.

    Args:
        target: as the request line has it: ``/path?query`` or ``https://host/path?query``.

    Returns:
        None where readers differ: dot segments, empty segments, an encoded slash, a backslash or a
        control character, encoded or not; a broken escape; what is not UTF-8 in escapes; a fragment.
    """
    if _HASH in target or not target.isascii():
        return None
    path = target.partition(b"?")[0]
    return _recall(path) if len(path) <= MAX_REMEMBERED else _find(path)


def readings(path: str) -> tuple[str, ...]:
    """Return a canonical path, and how Java's servers read it, if otherwise.

    They take ``;`` and what follows it off each segment, and then perhaps a segment of which nothing is left.
    """
    return (path,) if ";" not in path else (path, _SLASHES.sub("/", _PARAMETERS.sub("", path)))


def _find(path: bytes) -> str | None:
    if path.startswith(b"https://"):
        path = b"/" + path.removeprefix(b"https://").partition(b"/")[2]
    if _PLAIN.fullmatch(path):
        return path.decode()
    return _decode(path)


_recall: Final = lru_cache(1024)(_find)


def _decode(path: bytes) -> str | None:
    if _BROKEN_ESCAPE.search(path) or b"%2f" in path.lower():
        return None
    try:
        decoded = unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        return None
    return decoded if decoded.startswith("/") and not _HAZARD.search(decoded) else None
