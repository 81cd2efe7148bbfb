"""Listening sockets, with the options that their connections inherit, and the limits that hold for them."""

import errno
import socket
from dataclasses import dataclass
from typing import Final

NO_IPV6: Final = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}
BACKLOG: Final = 2048
PROBES: Final = 3
"""Of a client that may be gone, before it is given up."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one listener admits."""

    connections: int = 10_000
    """Clients in any state, each a descriptor."""
    handshakes: int = 1_000
    """Clients that have not authenticated themselves yet."""
    handshake_seconds: float = 10.0
    first_byte_seconds: float = 3.0
    """How long a client may be silent before its handshake."""
    crowded_hello_seconds: float = 0.2
    """How long a client's first message may take to be whole while others wait; it comes in one piece."""
    crowded_handshake_seconds: float = 1.0
    """How long a handshake may take while others wait."""
    stalled_seconds: float = 60.0
    """How long a client may leave sent data unacknowledged, its window shut, or probes unanswered."""


def bind(host: str | None, port: int, limits: Limits) -> list[socket.socket]:
    """Listen on the address `host`, or on every address of IPv4 and, where there is one, of IPv6.

    Connections inherit the options set here: TCP_NODELAY, and TCP_USER_TIMEOUT (RFC 5482) against
    clients that stop reading. Probes (SO_KEEPALIVE) find out who is gone while nothing is sent to it, be it
    without a word, or after a half-close, which looks the same as an end.

    Raises:
        OSError: the port is taken, or the address is not ours.
    """
    if host is not None:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return [_listen(family, address, limits)]
    ipv4 = _listen(socket.AF_INET, ("0.0.0.0", port), limits)  # noqa: S104 - every address is asked for
    try:
        return [ipv4, _listen(socket.AF_INET6, ("::", ipv4.getsockname()[1]), limits)]
    except OSError as error:
        if error.errno in NO_IPV6:
            return [ipv4]
        ipv4.close()
        raise


def _listen(family: int, address: tuple[str | int, ...] | tuple[int, bytes], limits: Limits) -> socket.socket:
    stalled = round(limits.stalled_seconds * 1000)
    silent = max(1, round(limits.stalled_seconds / 2))
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, stalled)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, silent)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, silent // PROBES))
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.settimeout(0)
        one.bind(address)
        one.listen(BACKLOG)
    except BaseException:
        one.close()
        raise
    return one
