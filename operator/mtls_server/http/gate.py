"""What is answered to requests that must not reach the application; pure."""

import re
from collections.abc import Sequence
from typing import Final

import httptools

from mtls_server.authorization.paths import readings
from mtls_server.authorization.routes import Routes
from mtls_server.http.reply import Reply, refusal
from mtls_server.identity import Identity

MAX_HEAD_BYTES: Final = (1 << 16) - 1
"""Also the longest target that httptools takes apart."""
MAX_HEADERS: Final = 128
_is_host: Final = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(?::[0-9]{0,5})?"
).fullmatch
"""RFC 3986 §3.2.2: what frameworks put into links, and servers behind this one into their logs."""

MALFORMED: Final = refusal(400, "malformed_request", "the request is not well-formed HTTP/1.1")
HEAD_TOO_LARGE: Final = refusal(
    431, "head_too_large", f"a request's head is limited to {MAX_HEAD_BYTES} bytes and {MAX_HEADERS} fields"
)
ONE_HOST: Final = refusal(400, "not_one_host", "a request carries exactly one Host field")
BAD_HOST: Final = refusal(400, "bad_host", "Host is a name or an address, perhaps with a port")
ENCODED_BODY_IN_1_0: Final = refusal(
    400, "transfer_encoding_in_http_1_0", "HTTP/1.0 knows no Transfer-Encoding; send Content-Length"
)
BAD_TARGET: Final = refusal(
    400,
    "bad_target",
    "the target is a path that begins with /, or https:// with the very Host and such a path",
)
AMBIGUOUS_PATH: Final = refusal(
    400,
    "ambiguous_path",
    "a path is UTF-8 without . and .. segments, //, \\, %2F, control characters, broken escapes and #",
)
NO_ROUTE: Final = refusal(403, "no_route", "no route of the policy is about such requests")
MISSING_ROLE: Final = refusal(403, "missing_role", "such requests need a role that the caller does not have")
NO_UPGRADE: Final = refusal(
    501, "upgrade_not_supported", "no protocol but WebSocket can be changed to, and that not everywhere"
)


def judge_head(version: str, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Reply | None:
    """Say what is wrong with a request's head, beside what httptools refuses itself.

    Args:
        version: ``1.1`` or ``1.0``.
        target: as the request line has it.
        headers: names in lower case, in the order received.
    """
    size = len(target)
    hosts = []
    encoded = False
    for name, value in headers:
        size += len(name) + len(value)
        if name == b"host":
            hosts.append(value)
        elif name == b"transfer-encoding":
            encoded = True
    if size > MAX_HEAD_BYTES or len(headers) > MAX_HEADERS:
        return HEAD_TOO_LARGE
    if version not in {"1.0", "1.1"}:
        return MALFORMED
    if len(hosts) > 1 or (version == "1.1" and not hosts):
        return ONE_HOST
    if version == "1.0" and encoded:
        return ENCODED_BODY_IN_1_0
    if not target.startswith(b"/") and not _names_host(target, b"".join(hosts)):
        return BAD_TARGET
    return BAD_HOST if hosts and not _is_host(hosts[0]) else None


def opens_websocket(target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Tell whether a GET that asks for an upgrade asks for a WebSocket and nothing else (RFC 6455 §4.1)."""
    upgrades = [value.lower() for name, value in headers if name == b"upgrade"]
    return upgrades == [b"websocket"] and target.startswith(b"/") and not has_body(headers)


def _names_host(target: bytes, host: bytes) -> bool:
    """Tell whether the target is a URL with that very host, and one that httptools can take apart."""
    try:
        return target.startswith(b"https://%b/" % host) and httptools.parse_url(target).path is not None
    except httptools.HttpParserInvalidURLError:
        return False


def judge_route(routes: Routes, identity: Identity, method: str, path: str) -> tuple[Reply, str] | None:
    """Say why a caller may not send such a request, and which route decides; None: it may.

    Args:
        routes: of the policy in service; if there are none, everybody who is known may send every request.
        identity: of the caller.
        method: as received.
        path: canonical; must pass as each program reads it.
    """
    if not routes:
        return None
    for reading in readings(path):
        route = routes.first(method, reading)
        if route is None:
            return NO_ROUTE, "none"
        if not route.permits(identity.roles):
            return MISSING_ROLE, str(route)
    return None


def has_body(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Tell whether a request comes with a body, perhaps an empty one."""
    return any(name in {b"content-length", b"transfer-encoding"} for name, _ in headers)
