"""What OpenSSL and Python cost before anything is a server: ``SSLSocket``s, one selector, a fixed answer."""

import selectors
import socket
import ssl
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

BODY: Final = b"x" * 256
RESPONSE: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)


def main(directory: Path, port: int) -> None:
    """Serve for ever; what comes in one piece is one request."""
    context = _context(directory)
    listening = socket.create_server(("127.0.0.1", port), backlog=2048)
    listening.settimeout(0)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    selector = selectors.DefaultSelector()
    selector.register(listening, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listening:
                accepted, _ = listening.accept()
                accepted.settimeout(0)
                tls = context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
                selector.register(tls, selectors.EVENT_READ, _shake_hands)
            else:
                _step(selector, key)


def _context(directory: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0
    context.load_cert_chain(directory / "tls.crt", directory / "tls.key")
    context.load_verify_locations(directory / "ca.crt")
    return context


def _step(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    tls = key.fileobj
    try:
        done = key.data(tls)
    except ssl.SSLWantReadError:
        return
    except OSError:
        done = _close
    if done is _close:
        selector.unregister(tls)
        _close(tls)
    else:
        selector.modify(tls, selectors.EVENT_READ, done)


def _shake_hands(tls: ssl.SSLSocket) -> object:
    tls.do_handshake()
    tls.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    return _answer


def _answer(tls: ssl.SSLSocket) -> object:
    if not tls.recv(1 << 14):
        return _close
    tls.send(RESPONSE)
    return _answer


def _close(tls: ssl.SSLSocket) -> None:
    with suppress(OSError):
        tls.unwrap()
    tls.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
