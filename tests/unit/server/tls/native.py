"""What OpenSSL can do to a connection, and Python's `ssl` offers no call for."""

import ctypes
import ssl

_UPDATE_REQUESTED = 1


def _native(tls: ssl.SSLSocket) -> ctypes.c_void_p:
    """Return the `SSL *` behind a socket; it follows the object's head and a weak reference."""
    wrapper = id(tls._sslobj)  # type: ignore[attr-defined]
    return ctypes.c_void_p.from_address(wrapper + 3 * ctypes.sizeof(ctypes.c_void_p))


def request_key_update(tls: ssl.SSLSocket) -> bool:
    """Send KeyUpdate with update_requested (RFC 8446 §4.6.3); tell whether that was possible."""
    library, native = ctypes.CDLL("libssl.so.3"), _native(tls)
    return bool(
        library.SSL_key_update(native, _UPDATE_REQUESTED) == 1 and library.SSL_do_handshake(native) == 1
    )


def renegotiate(tls: ssl.SSLSocket) -> bool:
    """Begin a new handshake on a connection of TLS 1.2; tell whether the server took part."""
    library, native = ctypes.CDLL("libssl.so.3"), _native(tls)
    return bool(library.SSL_renegotiate(native) == 1 and library.SSL_do_handshake(native) == 1)
