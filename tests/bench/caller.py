"""Callers that are served, written in Python: good for counting and for few requests, not for rates."""

import socket
import ssl
from pathlib import Path
from typing import Final

from tests.unit.server import kubelet, pki

PATIENCE_SECONDS: Final = 60.0
GET: Final = b"GET / HTTP/1.1\r\nHost: orders\r\n\r\n"


def deliver(certs: Path) -> ssl.SSLContext:
    """Give a server its files, and return the context of a caller that it serves."""
    server_authority, client_authority = pki.authority(), pki.authority()
    kubelet.deliver(certs, pki.files(pki.server(server_authority), client_authority))
    return pki.client_context(server_authority, pki.client(client_authority), certs.parent)


def connect(port: int, context: ssl.SSLContext, source: str = "") -> ssl.SSLSocket:
    """Shake hands; `source` is an address of ours, if it matters."""
    raw = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS, (source, 0))
    return context.wrap_socket(raw, server_hostname=pki.SERVER_NAMES[0])


def ask(connection: ssl.SSLSocket) -> None:
    """Send a request, and read its response to the end.

    Raises:
        OSError: it is not answered well.
    """
    connection.sendall(GET)
    answer = connection.recv(1 << 16)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(answer[:64])
    head, _, body = answer.partition(b"\r\n\r\n")
    missing = int(head.lower().partition(b"content-length:")[2].split()[0]) - len(body)
    while missing > 0:
        piece = connection.recv(missing)
        if not piece:
            raise ConnectionError("the response is not whole")
        missing -= len(piece)
