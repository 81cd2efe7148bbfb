"""Callers that are served, written in Python: good for counting and for few requests, not for rates."""

import contextlib
import socket
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.bench.contenders import Place, ours
from tests.bench.processes import Process, free_port, pinned, running
from tests.bench.server import ENVIRONMENT, SERVER_CORE
from tests.unit.server import kubelet, pki

PATIENCE_SECONDS: Final = 60.0
GET: Final = b"GET / HTTP/1.1\r\nHost: orders\r\n\r\n"


@contextlib.contextmanager
def serving(python: str) -> Iterator[tuple[Process, ssl.SSLContext]]:
    """Run a server with the backend `identity`; it comes with the context of a caller that it serves."""
    with tempfile.TemporaryDirectory() as folder:
        certs, port = Path(folder) / "certs", free_port()
        server_authority, client_authority = pki.authority(), pki.authority()
        kubelet.deliver(certs, pki.files(pki.server(server_authority), client_authority))
        context = pki.client_context(server_authority, pki.client(client_authority), certs.parent)
        entrant = ours(Place(certs, python, ""), "identity")
        with running(entrant.name, entrant.command(port), port, pinned(SERVER_CORE), ENVIRONMENT) as server:
            yield server, context


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
