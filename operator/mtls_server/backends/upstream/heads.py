"""Heads of requests and responses as they are passed on (RFC 9110 §7.6, RFC 9112)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from uvicorn._types import HTTPScope

from mtls_server.backends.upstream.caller import caller_fields
from mtls_server.backends.upstream.target import Target
from mtls_server.http.fields import HOP_BY_HOP, fold, misleads
from mtls_server.http.peer import TARGET

Fields = Sequence[tuple[bytes, bytes]]

_NOT_PASSED_ON: Final = HOP_BY_HOP | {b"content-length", b"expect", b"forwarded", b"host", b"x-real-ip"}
"""Hop by hop, or said anew."""
UPGRADE: Final = b"connection: Upgrade\r\nupgrade: websocket\r\n"
IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
"""RFC 9110 §9.2.2."""


class Body(Enum):
    """How a request's body is delimited."""

    NONE = auto()
    LENGTH = auto()
    CHUNKED = auto()


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the server behind this one gets it."""

    head: bytes
    body: Body
    is_head: bool
    """The response has no body, whatever its fields say."""
    repeatable: bool
    """May be sent again where the connection ended without an answer (RFC 9110 §9.2.2)."""
    opens_websocket: bool


def request_to(
    target: Target, scope: HTTPScope, *, with_chain: bool, opens_websocket: bool = False
) -> Request:
    """Return the request of an ASGI scope, told anew for the server behind this one.

    Path and query are those that were judged. What says who calls is ours alone, and comes last.
    """
    received = list(scope["headers"])
    values = dict(received)
    body, framing = _framing(values)
    host = values.get(b"host") or target.authority.encode()
    nominated = _nominated(received)
    lines = [b"%b %b HTTP/1.1\r\nhost: %b\r\n" % (scope["method"].encode(), _origin_form(scope), host)]
    lines += [
        b"%b: %b\r\n" % field for field in received if field[0] not in nominated and _is_passed_on(field[0])
    ]
    if opens_websocket:
        lines.append(UPGRADE)
    lines += [framing, _forwarded(scope, host), _caller(scope, with_chain=with_chain), b"\r\n"]
    return Request(
        head=b"".join(lines),
        body=body,
        is_head=scope["method"] == "HEAD",
        repeatable=body is Body.NONE and scope["method"] in IDEMPOTENT,
        opens_websocket=opens_websocket,
    )


def is_coded(scope: HTTPScope) -> bool:
    """Tell whether the body has a transfer coding beside ``chunked``, which cannot be passed on."""
    return any(
        name == b"transfer-encoding" and value.strip().lower() != b"chunked"
        for name, value in scope["headers"]
    )


def response_fields(status: int, received: Fields) -> list[tuple[bytes, bytes]]:
    """Return the fields of a response that reach the caller; names in lower case.

    ``Date`` is said anew by this server, whose clock differs by what the response took.
    """
    dropped = HOP_BY_HOP | _nominated(received) | {b"date"}
    if status in {204, 304}:
        dropped |= {b"content-length"}
    return [field for field in received if field[0] not in dropped]


def _framing(values: dict[bytes, bytes]) -> tuple[Body, bytes]:
    if b"transfer-encoding" in values:
        return Body.CHUNKED, b"transfer-encoding: chunked\r\n"
    if b"content-length" in values:
        length = int(values[b"content-length"])
        return Body.LENGTH if length else Body.NONE, b"content-length: %d\r\n" % length
    return Body.NONE, b""


def _origin_form(scope: HTTPScope) -> bytes:
    """Return the target as it was received, without the host if that was part of it."""
    target: bytes = scope[TARGET]  # type: ignore[typeddict-item]
    return target if target.startswith(b"/") else b"/" + target.split(b"/", 3)[3]


def _is_passed_on(name: bytes) -> bool:
    folded = fold(name)
    return not (folded in _NOT_PASSED_ON or folded.startswith(b"x-forwarded-") or misleads(name))


def _nominated(received: Fields) -> frozenset[bytes]:
    """Return the names that ``Connection`` lists: fields for one hop (RFC 9110 §7.6.1)."""
    return frozenset(
        token.strip().lower()
        for name, value in received
        if name == b"connection"
        for token in value.split(b",")
    )


def _forwarded(scope: HTTPScope, host: bytes) -> bytes:
    client = scope["client"]
    peer = client[0].encode() if client else b"unknown"
    return b"x-forwarded-for: %b\r\nx-forwarded-proto: https\r\nx-forwarded-host: %b\r\n" % (peer, host)


def _caller(scope: HTTPScope, *, with_chain: bool) -> bytes:
    chain = scope["extensions"]["tls"]["client_cert_chain"]
    return caller_fields(scope["state"]["mtls"], chain, with_chain=with_chain)
