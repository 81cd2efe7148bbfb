"""How a response is written down: its head, and what delimits its body; pure."""

import re
from collections.abc import Iterable
from functools import lru_cache
from http.client import responses
from typing import Final

import msgspec

Field = tuple[bytes, bytes]
"""Name and value."""

CLOSE_LINE: Final = b"connection: close\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"
_NO_FIELD: Final = "a field of the response has a name or a value that HTTP does not allow"
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110 §5.6.2."""
_not_in_a_value: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
_LENGTH: Final = b"content-length: "
_CODING: Final = b"transfer-encoding: "
_FRAMING: Final = frozenset({_LENGTH, _CODING, b"connection: "})


def _status_line(status: int) -> bytes:
    phrase = responses.get(status, "")
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


STATUS_LINES: Final = {status: _status_line(status) for status in range(100, 600)}


class Head(msgspec.Struct, frozen=True, gc=False):
    """A status line and the fields, with the empty line that ends them."""

    encoded: bytes
    length: int | None
    """What the fields say of the body's length."""
    keep_alive: bool
    """Whether the connection goes on."""

    def closing(self) -> bytes:
        """Return it as one after which the connection ends."""
        return self.encoded[:-2] + CLOSE_LINE + b"\r\n" if self.keep_alive else self.encoded


def encode_head(
    status: int, fields: Iterable[Field], defaults: bytes, *, keep_alive: bool, chunked: bool
) -> Head:
    """Write a head down.

    Args:
        status: 200 to 599.
        fields: of the application; how a body of unknown length is delimited is not its to say.
        defaults: further fields, encoded.
        keep_alive: whether the client wants the connection to go on.
        chunked: whether a body of unknown length comes in chunks, rather than until the connection ends,
            or not at all.

    Raises:
        ValueError: the status is not final, a field cannot be sent, or the length is no number or told twice.
    """
    if not 200 <= status <= 599:
        raise ValueError("the status of a response is one of 200 to 599")
    length = None
    closing = False
    lines = [STATUS_LINES[status], defaults]
    for name, value in fields:
        start = _line_start(name)
        if start in _FRAMING:
            if start == _CODING:
                continue
            if start == _LENGTH:
                length = _length(value, length)
            else:
                closing = closing or has_token(value, b"close")
        if _not_in_a_value(value):
            raise ValueError(_NO_FIELD)
        lines += (start, value, b"\r\n")
    if not (keep_alive or closing):
        lines.append(CLOSE_LINE)
    if chunked and length is None:
        lines.append(b"transfer-encoding: chunked\r\n")
    lines.append(b"\r\n")
    return Head(b"".join(lines), length, keep_alive and not closing)


@lru_cache(512)
def _line_start(name: bytes) -> bytes:
    if not _NAME.fullmatch(name):
        raise ValueError(_NO_FIELD)
    return name.lower() + b": "


def _length(value: bytes, known: int | None) -> int:
    if known is not None:
        raise ValueError("the response has more than one Content-Length field")
    if not value.isdigit():
        raise ValueError("the response's Content-Length is a field that is no number")
    return int(value)


def encode_chunk(piece: bytes) -> bytes:
    """Write a piece of a body down (RFC 9112 §7.1); nothing for an empty one, which would end the body."""
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""


def has_token(value: bytes, token: bytes) -> bool:
    """Tell whether a field's value, a list, has a token (in lower case)."""
    return any(one.strip() == token for one in value.lower().split(b","))
