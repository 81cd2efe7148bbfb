"""What becomes of an application's response on the way to its client."""

import asyncio
import contextlib
from collections.abc import Sequence

import pytest
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from mtls_server.http.response import Field, Head, encode_chunk, encode_head
from tests.unit.server.test_strict_protocol import REQUEST, empty, reset, serving

HEAD = b"HTTP/1.1 200 OK\r\ndate: today\r\n"


def encoded(*fields: Field, keep_alive: bool = True, chunked: bool = True) -> Head:
    return encode_head(200, fields, b"date: today\r\n", keep_alive=keep_alive, chunked=chunked)


def test_a_body_of_unknown_length_comes_in_chunks() -> None:
    head = encoded((b"X-A", b"b"))
    assert head == Head(HEAD + b"x-a: b\r\ntransfer-encoding: chunked\r\n\r\n", None, keep_alive=True)
    assert (encode_chunk(b"hello"), encode_chunk(b"")) == (b"5\r\nhello\r\n", b"")


def test_how_a_body_is_delimited_is_not_the_applications_to_say() -> None:
    head = encoded((b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"5"))
    assert head == Head(HEAD + b"content-length: 5\r\n\r\n", 5, keep_alive=True)


def test_an_end_of_the_connection_is_told_once_whoever_wants_it() -> None:
    closing = Head(HEAD + b"connection: close\r\n\r\n", None, keep_alive=False)
    assert encoded(keep_alive=False, chunked=False) == closing
    assert encoded((b"connection", b"close"), chunked=False) == closing
    assert encoded((b"connection", b"close"), keep_alive=False, chunked=False) == closing


@pytest.mark.parametrize(
    "field",
    [
        (b"a", b"b\r\nc: d"),
        (b"a", b"\0"),
        (b"a\r\nb", b"c"),
        (b"a b", b"c"),
        (b"", b"c"),
        (b"content-length", b"five"),
        (b"content-length", b"1_0"),
    ],
)
def test_what_would_be_another_field_or_none_is_not_sent(field: Field) -> None:
    with pytest.raises(ValueError, match="field"):
        encoded(field)


def test_a_length_is_told_once() -> None:
    with pytest.raises(ValueError, match="more than one Content-Length"):
        encoded((b"content-length", b"5"), (b"Content-Length", b"5"))


@pytest.mark.parametrize("status", [0, 100, 101, 199, 600])
def test_a_status_that_is_not_final_ends_no_request(status: int) -> None:
    with pytest.raises(ValueError, match="200 to 599"):
        encode_head(status, (), b"", keep_alive=True, chunked=True)


async def response(method: bytes, status: int, fields: Sequence[Field], *pieces: bytes) -> bytes:
    """Return all that a client sees of a response until its connection ends."""

    async def app(_scope: Scope, _receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await send({"type": "http.response.start", "status": status, "headers": fields})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async with serving(keep_alive=60, app=app) as served:
        reader, writer = await served.connect()
        writer.write(method + b" / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        seen = await asyncio.wait_for(reader.read(), 60)
        writer.close()
    return seen


async def test_a_body_in_pieces_is_one_body() -> None:
    seen = await response(b"GET", 200, [], b"hel", b"", b"lo")
    assert seen.endswith(b"\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)])
async def test_where_there_is_no_body_none_is_sent(method: bytes, status: int) -> None:
    seen = await response(method, status, [(b"content-length", b"5")], b"hello")
    assert seen.endswith(b"content-length: 5\r\nconnection: close\r\n\r\n")


@pytest.mark.parametrize("pieces", [[b"four"], [b"four", b"more"]])
async def test_a_body_that_is_not_as_long_as_announced_ends_the_connection(pieces: list[bytes]) -> None:
    seen = await response(b"GET", 200, [(b"content-length", b"5")], *pieces)
    head, _, body = seen.partition(b"\r\n\r\n")
    assert b"content-length: 5" in head
    assert len(body) < 5


async def test_a_body_that_is_too_long_from_the_beginning_is_a_failure_that_can_be_told() -> None:
    seen = await response(b"GET", 200, [(b"content-length", b"5")], b"seven__")
    assert seen.startswith(b"HTTP/1.1 500 ")
    assert b"seven" not in seen


async def test_a_head_that_waited_tells_that_the_connection_is_about_to_end() -> None:
    async def app(_scope: Scope, _receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        started.set()
        await ending.wait()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    started, ending = asyncio.Event(), asyncio.Event()
    async with serving(keep_alive=60, app=app) as served:
        reader, writer = await served.connect()
        with contextlib.closing(writer):
            writer.write(REQUEST)
            await asyncio.wait_for(started.wait(), 60)
            served.protocols[0].shutdown()
            ending.set()
            seen = await asyncio.wait_for(reader.read(), 60)
    assert seen.endswith(b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n0\r\n\r\n")


async def test_a_head_waits_for_something_of_the_body_if_only_for_an_empty_piece() -> None:
    async def app(_scope: Scope, _receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await begun.wait()
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await seen.wait()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    begun, seen = asyncio.Event(), asyncio.Event()
    async with serving(keep_alive=60, app=app) as served:
        reader, writer = await served.connect()
        with contextlib.closing(writer):
            writer.write(REQUEST)
            head = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
            await asyncio.sleep(0.2)
            assert not head.done()
            begun.set()
            assert (await asyncio.wait_for(head, 60)).startswith(b"HTTP/1.1 200 ")
            seen.set()


@pytest.mark.parametrize("failing", ["at once", "with its head", "never"])
async def test_an_application_that_fails_before_its_response_is_answered_for(failing: str) -> None:
    async def app(_scope: Scope, _receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if failing == "with its head":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"x-order", b"7")]})
        if failing != "never":
            raise LookupError("no such order")

    async with serving(keep_alive=60, app=app) as served:
        reader, writer = await served.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        seen = await asyncio.wait_for(reader.read(), 60)
        writer.close()
    assert seen.startswith(b"HTTP/1.1 500 ")
    assert b'"reason":"application_failed"' in seen
    assert b"order" not in seen


async def test_an_application_that_sends_for_ever_to_nobody_lets_others_run() -> None:
    passes = 0

    async def count() -> None:
        nonlocal passes
        while True:
            await asyncio.sleep(0)
            passes += 1

    async def app(_scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        asked.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        before = passes
        for _ in range(100):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        seen.set_result(passes - before)

    asked, seen = asyncio.Event(), asyncio.get_running_loop().create_future()
    others = asyncio.create_task(count())
    async with serving(keep_alive=60, app=app) as served:
        _, writer = await served.connect()
        writer.write(REQUEST)
        await asked.wait()
        reset(writer)
        assert await asyncio.wait_for(seen, 60) >= 99
    others.cancel()


async def test_an_application_that_fails_after_its_response_harms_no_other() -> None:
    failed = asyncio.Event()

    async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        first = scope["type"] == "http" and scope["path"] == "/first"
        if not first:
            await failed.wait()
            await asyncio.sleep(0)
        await empty(scope, receive, send)
        if first:
            asyncio.get_running_loop().call_later(0.1, failed.set)
            raise ValueError

    async with serving(keep_alive=60, app=app) as served:
        reader, writer = await served.connect()
        with contextlib.closing(writer):
            writer.write(b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n" + REQUEST)
            for _ in range(2):
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
                assert head.startswith(b"HTTP/1.1 204")


async def test_of_a_request_that_waits_no_more_than_some_is_taken_whatever_the_one_before_it_does() -> None:
    polled = asyncio.Event()

    async def app(_scope: Scope, receive: ASGIReceiveCallable, _send: ASGISendCallable) -> None:
        for _ in range(300):  # whether the client has left
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(receive(), 0.001)
        polled.set()
        await asyncio.Event().wait()

    async with serving(keep_alive=60, app=app) as served:
        _, writer = await served.connect()
        with contextlib.closing(writer):
            size = 1 << 24
            upload = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size
            writer.write(REQUEST + upload + bytes(size))
            await asyncio.wait_for(polled.wait(), 60)
            (waiting,) = served.protocols[0].pipeline
            held = len(waiting._body)
            served.protocols[0].transport.abort()
        assert held < 1 << 20
