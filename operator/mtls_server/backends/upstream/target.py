"""Where the server behind this one listens."""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from mtls_server.backends.errors import BackendError

EXAMPLE = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class Target:
    """The address of an HTTP/1.1 server over plain TCP."""

    host: str
    port: int

    @property
    def authority(self) -> str:
        """As a Host field writes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_target(url: str, *, insecure_acknowledged: bool) -> Target:
    """Read the URL of the server behind this one.

    Args:
        url: such as ``http://127.0.0.1:8080``.
        insecure_acknowledged: whoever runs this server knows that who reaches the address directly passes
            mutual TLS by.

    Raises:
        BackendError: it is no such URL, or not loopback and not acknowledged.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, 80 if parts.port is None else parts.port
    except ValueError as error:
        raise BackendError(f"{url!r} is no URL ({error}); write one such as {EXAMPLE}") from error
    if parts.scheme != "http" or not host or not port:
        raise BackendError(f"{url!r} is no http URL; write one such as {EXAMPLE}")
    if parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username is not None:
        raise BackendError(
            f"{url!r} says more than where the server listens, but requests are passed on with the path that"
            f" they have; write {EXAMPLE}"
        )
    if not (insecure_acknowledged or _is_loopback(host)):
        raise BackendError(
            f"{host} is not loopback, so whoever reaches it passes mutual TLS by; listen on 127.0.0.1, or"
            " restrict who reaches it and add --insecure-acknowledged"
        )
    return Target(host, port)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
