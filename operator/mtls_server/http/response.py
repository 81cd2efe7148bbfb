"""How a response is written down: its head, and what delimits its body; pure."""

import re
from collections.abc import Iterable
from http.client import responses
from typing import Final, NamedTuple

Field = tuple[bytes, bytes]
"""Name and value."""

LAST_CHUNK: Final = b"0\r\n\r\n"
_NOT_IN_A_NAME: Final = re.compile(rb"[^!#$%&'*+.^_`|~0-9A-Za-z-]")
"""RFC 9110 §5.6.2."""
_NOT_IN_A_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def _status_line(status: int) -> bytes:
    phrase = responses.get(status, "")
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


STATUS_LINES: Final = {status: _status_line(status) for status in range(100, 600)}


class Head(NamedTuple):
    """A status line and the fields, with the empty line that ends them."""

    encoded: bytes
    length: int | None
    """What the fields say of the body's length."""
    keep_alive: bool
    """Whether the connection goes on."""


def encode_head(
    status: int, fields: Iterable[Field], defaults: bytes, *, keep_alive: bool, chunked: bool
) -> Head:
    """Write a head down.

    Args:
        status: 100 to 599.
        fields: of the application; how a body of unknown length is delimited is not its to say.
        defaults: further fields, encoded.
        keep_alive: whether the client wants the connection to go on.
        chunked: whether a body of unknown length comes in chunks, rather than until the connection ends,
            or not at all.

    Raises:
        ValueError: a field cannot be sent, or the length is no number.
    """
    length = None
    closing = False
    names, values, lines = [], [], [STATUS_LINES[status], defaults]
    for given, value in fields:
        name = given.lower()
        if name == b"content-length":
            if not value.isdigit():
                raise ValueError("the response's Content-Length is a field that is no number")
            length = int(value)
        elif name == b"transfer-encoding":
            continue
        elif name == b"connection" and has_token(value, b"close"):
            closing = True
        names.append(name)
        values.append(value)
        lines += (name, b": ", value, b"\r\n")
    if b"" in names or _NOT_IN_A_NAME.search(b"".join(names)) or _NOT_IN_A_VALUE.search(b"".join(values)):
        raise ValueError("a field of the response has a name or a value that HTTP does not allow")
    if not (keep_alive or closing):
        lines.append(b"connection: close\r\n")
    if chunked and length is None:
        lines.append(b"transfer-encoding: chunked\r\n")
    lines.append(b"\r\n")
    return Head(b"".join(lines), length, keep_alive and not closing)


def encode_chunk(piece: bytes) -> bytes:
    """Write a piece of a body down (RFC 9112 §7.1); nothing for an empty one, which would end the body."""
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""


def has_token(value: bytes, token: bytes) -> bool:
    """Tell whether a field's value, a list, has a token (in lower case)."""
    return any(one.strip() == token for one in value.lower().split(b","))
