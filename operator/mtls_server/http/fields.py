"""Header fields that a caller may not send, in whatever spelling, and those that are not passed on."""

from typing import Final

HOP_BY_HOP: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
"""What concerns one connection only (RFC 9110 §7.6.1)."""
MISLEADING_PREFIXES: Final = (
    b"client-cert",
    b"ssl-",
    b"x-client-cert",
    b"x-forwarded-client-cert",
    b"x-forwarded-tls-client-cert",
    b"x-http-method",
    b"x-method-override",
    b"x-mtls-",
    b"x-original-",
    b"x-rewrite-url",
    b"x-ssl-",
)
"""Our own fields (RFC 9440 and `caller`), those by which other proxies commonly name a caller, and those that
frameworks believe rather than the method and the path, by which requests are judged."""
_FIRST_LETTERS: Final = (b"c", b"s", b"x")
_FOLDING: Final = bytes(octet if chr(octet).isalnum() and octet < 0x80 else ord("-") for octet in range(256))


def fold(name: bytes) -> bytes:
    """Write a field's name (in lower case) so that all are equal which CGI, WSGI or PHP make one variable.

    ``X_Ssl.Client-Cn`` and ``X-SSL-Client-CN`` are both ``HTTP_X_SSL_CLIENT_CN`` to some application.
    """
    return name.translate(_FOLDING)


def misleads(name: bytes) -> bool:
    """Tell whether a field named so (in lower case) could say otherwise who calls, or what is asked for."""
    return name.startswith(_FIRST_LETTERS) and fold(name).startswith(MISLEADING_PREFIXES)
