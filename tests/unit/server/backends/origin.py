"""A server behind the one under test: it says byte for byte what it is told, and keeps what it heard."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.unit.server.program import PATIENCE

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Request:
    """A request as it came over the wire."""

    line: bytes
    fields: list[tuple[str, str]]
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for one, value in self.fields if one == name]

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.fields]


@dataclass
class Visit:
    """One connection that was accepted."""

    connection: socket.socket
    _unread: bytearray = field(default_factory=bytearray)

    def until(self, end: bytes) -> bytes:
        while end not in self._unread:
            self._receive()
        return self._take(self._unread.index(end) + len(end))

    def read(self, count: int) -> bytes:
        while len(self._unread) < count:
            self._receive()
        return self._take(count)

    def _receive(self) -> None:
        piece = self.connection.recv(65536)
        if not piece:
            raise EOFError
        self._unread += piece

    def _take(self, count: int) -> bytes:
        taken = bytes(self._unread[:count])
        del self._unread[:count]
        return taken

    def head(self) -> Request:
        line, *lines = self.until(b"\r\n\r\n").decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        pairs = [one.split(": ", 1) for one in lines]
        return Request(line.encode("latin-1"), [(name, value) for name, value in pairs], b"")

    def request(self) -> Request:
        request = self.head()
        if request.values("transfer-encoding"):
            while size := int(self.until(b"\r\n"), 16):
                request.body += self.read(size)
                self.read(2)
            assert self.read(2) == b"\r\n"
        for length in request.values("content-length"):
            request.body = self.read(int(length))
        return request

    def say(self, data: bytes) -> None:
        self.connection.sendall(data)

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.connection.close()


Script = Callable[[Visit], None]


@dataclass
class Origin:
    """Runs, for each connection, what `script` is then."""

    listener: socket.socket
    script: Script | None = None
    visits: int = 0
    requests: list[Request] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _open: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def forget(self) -> None:
        """Close every connection, and forget what came."""
        self.close()
        self.visits = 0
        self.requests.clear()

    def answer(self, response: bytes = OK) -> None:
        """From now on, answer each request of new connections so."""

        def script(visit: Visit) -> None:
            while True:
                self.requests.append(visit.request())
                visit.say(response)

        self.script = script

    @property
    def last(self) -> Request:
        return self.requests[-1]

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                connection.settimeout(PATIENCE)
                self.visits += 1
                self._open.append(connection)
                thread = threading.Thread(target=self._visit, args=(connection,))
                thread.start()
                self._threads.append(thread)

    def _visit(self, connection: socket.socket) -> None:
        assert self.script is not None
        with connection, contextlib.suppress(EOFError, OSError):
            self.script(Visit(connection))

    def close(self) -> None:
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._open.clear()
        self._threads.clear()


@contextlib.contextmanager
def origin() -> Iterator[Origin]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        result = Origin(listener)
        thread = threading.Thread(target=result.serve)
        thread.start()
        try:
            yield result
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            result.close()
