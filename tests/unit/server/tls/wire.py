"""TLS as bytes (RFC 8446 §4, §5; RFC 5246 §7): records, handshake messages, ClientHello with any defect."""

import ssl
from contextlib import suppress
from dataclasses import dataclass, field, replace

ALERT, HANDSHAKE, CHANGE_CIPHER_SPEC, APPLICATION_DATA = 21, 22, 20, 23
HELLO_REQUEST, CLIENT_HELLO, SERVER_HELLO = 0, 1, 2
CERTIFICATE, CLIENT_KEY_EXCHANGE, FINISHED, KEY_UPDATE = 11, 16, 20, 24
TLS_1_0, TLS_1_1, TLS_1_2 = 0x0301, 0x0302, 0x0303
MAX_FRAGMENT = 1 << 14
WARNING, FATAL = 1, 2
SERVER_NAME, EARLY_DATA, SUPPORTED_VERSIONS, KEY_SHARE = 0, 42, 43, 51


def vector(size: int, contents: bytes) -> bytes:
    """Put the length, an integer of `size` octets, before the contents."""
    return len(contents).to_bytes(size) + contents


def record(kind: int, contents: bytes, version: int = TLS_1_2) -> bytes:
    return bytes([kind]) + version.to_bytes(2) + vector(2, contents)


def records(kind: int, contents: bytes, size: int = MAX_FRAGMENT) -> bytes:
    """Split the contents over records of so many octets."""
    pieces = (contents[start : start + size] for start in range(0, len(contents), size))
    return b"".join(record(kind, piece) for piece in pieces)


def message(kind: int, contents: bytes) -> bytes:
    """Make a handshake message."""
    return bytes([kind]) + vector(3, contents)


def alert(level: int, description: int) -> bytes:
    return record(ALERT, bytes([level, description]))


@dataclass(frozen=True)
class ClientHello:
    """The parts of a ClientHello; their lengths are written as they are."""

    version: int
    random: bytes
    session: bytes
    suites: bytes
    compressions: bytes
    extensions: tuple[tuple[int, bytes], ...] = field(repr=False)

    @property
    def body(self) -> bytes:
        extensions = b"".join(kind.to_bytes(2) + vector(2, contents) for kind, contents in self.extensions)
        head = self.version.to_bytes(2) + self.random + vector(1, self.session)
        return head + vector(2, self.suites) + vector(1, self.compressions) + vector(2, extensions)

    @property
    def message(self) -> bytes:
        return message(CLIENT_HELLO, self.body)

    @property
    def record(self) -> bytes:
        return records(HANDSHAKE, self.message)

    def with_extension(self, kind: int, contents: bytes = b"") -> "ClientHello":
        return replace(self, extensions=(*self.extensions, (kind, contents)))

    def without_extension(self, kind: int) -> "ClientHello":
        return replace(self, extensions=tuple(one for one in self.extensions if one[0] != kind))


def client_hello(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ClientHello:
    """Take the ClientHello of OpenSSL apart, one that the server would answer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = version
    outgoing = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="orders").do_handshake()
    return _parse(outgoing.read()[9:])


class _Reader:
    def __init__(self, contents: bytes) -> None:
        self.rest = contents

    def take(self, size: int) -> bytes:
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

    def vector(self, size: int) -> bytes:
        return self.take(int.from_bytes(self.take(size)))


def _parse(body: bytes) -> ClientHello:
    reader = _Reader(body)
    version, random = int.from_bytes(reader.take(2)), reader.take(32)
    session, suites, compressions = reader.vector(1), reader.vector(2), reader.vector(1)
    inner, extensions = _Reader(reader.vector(2)), []
    while inner.rest:
        extensions.append((int.from_bytes(inner.take(2)), inner.vector(2)))
    return ClientHello(version, random, session, suites, compressions, tuple(extensions))
