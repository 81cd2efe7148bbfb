"""The TLS context of one generation, and the handshake in memory that proves it."""

import os
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from mtls_server.files.faults import Fault, MaterialError


@dataclass(frozen=True)
class TlsSettings:
    """What the user may choose of the protocol; a client certificate is always required."""

    minimum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    x509_strict: bool = True


def server_context(
    certificate: bytes,
    private_key: bytes,
    anchors: bytes,
    settings: TlsSettings,
    pause: Callable[[], None] = lambda: None,
) -> ssl.SSLContext:
    """Make a fresh context: a changed one would keep dropped anchors, and a failed change would break it.

    PARTIAL_CHAIN makes the listed certificates, and nothing else, the anchors. Without tickets no TLS 1.3
    session is resumed; the session-id cache of TLS 1.2 cannot be turned off from Python, so a resumed
    peer is judged by `Generation.judge`. All suites of TLS 1.3 are strong, so the client, who knows what its
    hardware is good at, chooses.

    Args:
        certificate: PEM, leaf first.
        private_key: PEM.
        anchors: DER of the only certificates that may end a client's chain.
        settings: of the protocol.
        pause: called between the steps.

    Raises:
        MaterialError: OpenSSL refuses them, or they cannot be given to it now.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = settings.minimum_version
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    if settings.x509_strict:
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.num_tickets = 0
    if settings.minimum_version is ssl.TLSVersion.TLSv1_3:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    pause()
    try:
        _load_key_pair(context, certificate + b"\n" + private_key)
        pause()
        context.load_verify_locations(cadata=anchors)
    except ssl.SSLError as error:
        raise MaterialError(Fault.TLS, f"OpenSSL refuses the files: {_words(error)}") from None
    except OSError as error:  # such as no descriptor left: what serves goes on, and this is tried again
        raise MaterialError(
            Fault.UNREADABLE, f"the files cannot be given to OpenSSL: {error.strerror}"
        ) from None
    return context


def _load_key_pair(context: ssl.SSLContext, pem: bytes) -> None:
    """Load the very bytes that were checked: OpenSSL wants a path, and the mounted one may be swapped."""
    descriptor = os.memfd_create("key-pair", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as memory:
        memory.write(pem)
        memory.flush()
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")


def prove(context: ssl.SSLContext, pause: Callable[[], None] = lambda: None) -> None:
    """Shake hands in memory with a client that has no certificate.

    The handshake is right when the client is done and the server ends by asking for the certificate.

    Args:
        context: of the server.
        pause: called between the steps of the handshake.

    Raises:
        MaterialError: it ended otherwise.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = _test_client().wrap_bio(to_client, to_server)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    try:
        _step(client)
        pause()
        _step(server)
        pause()
        client.do_handshake()
        pause()
        server.do_handshake()
    except ssl.SSLError as error:
        if error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
            return
        raise MaterialError(Fault.TLS, f"a handshake in memory failed: {_words(error)}") from None
    raise MaterialError(Fault.TLS, "a handshake in memory succeeded without a client certificate")


@cache
def _test_client() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ecdh_curve("prime256v1")  # every server has it
    return context


def _step(side: ssl.SSLObject) -> None:
    with suppress(ssl.SSLWantReadError):
        side.do_handshake()


def _words(error: ssl.SSLError) -> str:
    return (error.reason or "unknown error").replace("_", " ").lower()
