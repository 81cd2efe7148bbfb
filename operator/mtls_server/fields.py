"""Header fields that a caller may not send, in whatever spelling, and those that are not passed on."""

from typing import Final

HOP_BY_HOP: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
"""What concerns one connection only (RFC 9110 §7.6.1)."""
IDENTITY_PREFIXES: Final = (
    b"client-cert",
    b"ssl-",
    b"x-client-cert",
    b"x-forwarded-client-cert",
    b"x-forwarded-tls-client-cert",
    b"x-mtls-",
    b"x-ssl-",
)
"""Our own fields (RFC 9440 and `caller`), and those by which other proxies commonly name a caller."""
_FIRST_LETTERS: Final = (b"c", b"s", b"x")
_FOLDING: Final = bytes(octet if chr(octet).isalnum() and octet < 0x80 else ord("-") for octet in range(256))


def fold(name: bytes) -> bytes:
    """Write a field's name (in lower case) so that all are equal which CGI, WSGI or PHP make one variable.

    ``X_Ssl.Client-Cn`` and ``X-SSL-Client-CN`` are both ``HTTP_X_SSL_CLIENT_CN`` to some application.
    """
    return name.translate(_FOLDING)


def claims_identity(name: bytes) -> bool:
    """Tell whether a field of this name (in lower case) could pass for one that says who calls."""
    return name.startswith(_FIRST_LETTERS) and fold(name).startswith(IDENTITY_PREFIXES)
