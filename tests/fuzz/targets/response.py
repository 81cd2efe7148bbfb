"""What the server behind `upstream` answers: malformed, or read as others read it, however it arrives."""

from collections.abc import Iterator
from typing import NamedTuple

import h11

from mtls_server.backends.upstream.frames import Frames
from mtls_server.backends.upstream.heads import response_fields
from mtls_server.backends.upstream.response import MalformedError, Response
from mtls_server.http.fields import HOP_BY_HOP
from tests.fuzz.choices import Choices, cut
from tests.fuzz.fields import Fields, as_h11_tells
from tests.fuzz.target import Target


class Read(NamedTuple):
    """A response as somebody reads it."""

    status: int
    fields: Fields
    body: bytes
    complete: bool


def check(data: bytes) -> None:
    choices = Choices(data)
    method = choices.one_of((b"GET", b"HEAD"))
    may_switch = choices.number() % 2 == 1
    lengths = [choices.number() for _ in choices.some(5)]
    stream = choices.rest()
    follows_frames(stream, lengths)
    whole = read([stream], to_head=method == b"HEAD", may_switch=may_switch)
    octets = read([bytes([octet]) for octet in stream], to_head=method == b"HEAD", may_switch=may_switch)
    pieces = read(cut(stream, lengths), to_head=method == b"HEAD", may_switch=may_switch)
    assert whole == pieces == octets
    if whole is None:
        return
    assert not HOP_BY_HOP & {name for name, _ in response_fields(whole.status, whole.fields)}
    other = read_by_h11(method, stream)
    if other is not None and other.status != 101:
        assert whole == other


def read(pieces: list[bytes] | Iterator[bytes], *, to_head: bool, may_switch: bool) -> Read | None:
    """Return None for what is malformed."""
    response = Response(to_head=to_head, may_switch=may_switch)
    body, received = b"", 0
    try:
        for piece in pieces:
            response.feed(piece)
            received += len(piece)
            assert response.waiting <= received
            body += response.take()
    except MalformedError:
        return None
    if response.head is None:
        return None
    return Read(response.head.status, as_h11_tells(response.head.fields), body, response.complete)


def read_by_h11(method: bytes, stream: bytes) -> Read | None:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(h11.Request(method=method, target=b"/", headers=[(b"host", b"a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(stream)
    try:
        while isinstance(event := connection.next_event(), h11.InformationalResponse):
            pass
        if not isinstance(event, h11.Response):
            return None
        body = b""
        while isinstance(more := connection.next_event(), h11.Data):
            body += more.data
    except h11.RemoteProtocolError:
        return None
    return Read(event.status_code, list(event.headers), body, isinstance(more, h11.EndOfMessage))


def follows_frames(stream: bytes, lengths: list[int]) -> None:
    frames = Frames()
    for piece in cut(stream, lengths):
        frames.feed(piece)
    assert frames.between == ends_with_a_frame(stream)


def ends_with_a_frame(stream: bytes) -> bool:
    while len(stream) >= 2:
        masked, length = stream[1] & 0x80, stream[1] & 0x7F
        head = 2 + {126: 2, 127: 8}.get(length, 0)
        if length > 125:
            length = int.from_bytes(stream[2:head])
        end = head + (4 if masked else 0) + length
        if len(stream) < end:
            return False
        stream = stream[end:]
    return not stream


OK = b"HTTP/1.1 200 OK\r\n"
TARGET = Target(
    check,
    seeds=[
        bytes([head, switch, 0]) + stream
        for head, switch in ((0, 0), (1, 0), (0, 1))
        for stream in (
            OK + b"Content-Length: 5\r\n\r\nhello",
            OK + b"Content-Length: 5\r\n\r\nhello" * 2,
            OK + b"\r\nuntil the end",
            OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
            OK + b"Connection: close, x-a\r\nX-A: b\r\nKeep-Alive: 5\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 None\r\n\r\n",
            b"HTTP/1.1 101 Switch\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello",
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 999 Odd\r\n\r\n",
            b"\x81\x7e\x01\x00"
            + bytes(256)
            + b"\x81\x85\x01\x02\x03\x04hello\x8a\x00\x82\x7f"
            + bytes(7)
            + b"\x01a",
        )
    ],
    words=[
        *(
            b"HTTP/1.1 ",
            b"HTTP/1.0 ",
            b"200 OK\r\n",
            b"101 ",
            b"100 ",
            b"204 ",
            b"304 ",
            b"\r\n",
            b"\r\n\r\n",
            b"\n",
        ),
        *(
            b"Content-Length: ",
            b"Transfer-Encoding: chunked\r\n",
            b"Connection: close\r\n",
            b"Upgrade: websocket\r\n",
        ),
        *(
            b"5\r\nhello\r\n",
            b"0\r\n\r\n",
            b"gzip, chunked",
            b"identity",
            b"\x81\x05",
            b"\x7e\x00\x05",
            b"\x7f",
        ),
    ],
    max_bytes=2048,
)
