"""Callers that are served, written in Python: good for counting and for few requests, not for rates."""

import contextlib
import socket
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from mtls_server.contract import Client, Policy
from tests.bench.contenders import Place, ours
from tests.bench.processes import Process, free_port, running
from tests.unit.server import kubelet, pki

PATIENCE_SECONDS: Final = 60.0
GET: Final = b"GET / HTTP/1.1\r\nHost: orders\r\n\r\n"


@dataclass(frozen=True)
class Mounted:
    """The files of a server, and whom it serves."""

    directory: Path
    """Holds the files, and beside them those of callers."""
    server_authority: pki.Issued
    client_authority: pki.Issued
    served: pki.Issued
    policy: Policy

    @property
    def certs(self) -> Path:
        """Where the files are."""
        return self.directory / "certs"

    def context(self, uri: str = pki.BILLING_URI) -> ssl.SSLContext:
        """Return the context of a caller."""
        caller = pki.client(self.client_authority, uri=uri)
        return pki.client_context(self.server_authority, caller, self.directory)

    def files(self, policy: Policy) -> Mapping[str, bytes]:
        """Return a delivery with the same certificate and this policy."""
        return pki.files(self.served, self.client_authority, granted=policy)


def mount(directory: Path, *uris: str) -> Mounted:
    """Deliver the files of a server that serves `billing`, and whoever else has one of these URIs."""
    server_authority, client_authority = pki.authority(), pki.authority()
    policy = pki.policy(client_authority)
    clients = policy.clients | {uri: Client(uri.rpartition("/")[2]) for uri in uris}
    policy = msgspec.structs.replace(policy, clients=clients)
    mounted = Mounted(directory, server_authority, client_authority, pki.server(server_authority), policy)
    kubelet.deliver(mounted.certs, mounted.files(policy))
    return mounted


@contextlib.contextmanager
def serving(python: str, *uris: str) -> Iterator[tuple[Process, Mounted]]:
    """Run a server with the backend `identity` for callers with these URIs, and for `billing`."""
    with tempfile.TemporaryDirectory() as folder:
        mounted, port = mount(Path(folder), *uris), free_port()
        entrant = ours(Place(mounted.certs, python, ""), "identity")
        with running(entrant.name, entrant.command(port), port) as server:
            yield server, mounted


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
