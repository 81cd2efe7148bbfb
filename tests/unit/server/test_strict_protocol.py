"""Time and memory that a client can claim of the HTTP protocol; TLS plays no part here."""

import asyncio
import contextlib
import socket
import struct
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.config import Config

from mtls_server.http.graceful import DrainState
from mtls_server.http.reply import Reply
from mtls_server.http.strict import MAX_PIPELINED, StrictProtocol
from tests.unit.server.program import PATIENCE

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def empty(_scope: Scope, _receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@dataclass
class Served:
    port: int
    protocols: list[StrictProtocol] = field(default_factory=list)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@asynccontextmanager
async def serving(
    keep_alive: int, app: ASGI3Application = empty, made: type[StrictProtocol] = StrictProtocol
) -> AsyncIterator[Served]:
    config = Config(app, http=made, ws="none", lifespan="off", log_config=None, timeout_keep_alive=keep_alive)
    config.load()
    served = Served(0)

    def protocol() -> StrictProtocol:
        served.protocols.append(made(config, DrainState(), {}))
        return served.protocols[-1]

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    async with server:
        yield served


def reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def test_a_silent_connection_is_closed() -> None:
    async with serving(keep_alive=1) as served:
        reader, writer = await served.connect()
        assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        writer.close()


async def test_a_head_that_drips_is_closed_though_bytes_keep_coming() -> None:
    async with serving(keep_alive=1) as served:
        reader, writer = await served.connect()
        end = asyncio.create_task(reader.read())
        async with asyncio.timeout(PATIENCE):
            for byte in REQUEST * 10:
                if end.done():
                    break
                writer.write(bytes([byte]))
                await asyncio.sleep(0.1)
            assert await end == b""
        writer.close()


async def test_a_reset_connection_leaves_no_timer() -> None:
    async with serving(keep_alive=60) as served:
        reader, writer = await served.connect()
        writer.write(REQUEST)
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 204")
        (protocol,) = served.protocols
        assert protocol.idle_timer is not None
        reset(writer)
        await asyncio.sleep(0.1)
        assert protocol.idle_timer is None


class Seen:
    """Reached from the scope of a request only."""


async def test_an_idle_connection_keeps_nothing_of_its_last_request() -> None:
    forgotten = asyncio.Queue[None]()

    async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        scope["state"]["seen"] = seen = Seen()
        weakref.finalize(seen, forgotten.put_nowait, None)
        await empty(scope, receive, send)

    async with serving(keep_alive=30, app=app) as served:
        reader, writer = await served.connect()
        for _ in range(2):
            writer.write(REQUEST)
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.wait_for(forgotten.get(), 20)
        writer.close()


async def test_a_client_may_send_some_requests_ahead() -> None:
    async with serving(keep_alive=1) as served:
        reader, writer = await served.connect()
        writer.write(REQUEST * (1 + MAX_PIPELINED))
        assert (await asyncio.wait_for(reader.read(), PATIENCE)).count(b"HTTP/1.1 204") == 1 + MAX_PIPELINED
        writer.close()


async def test_a_client_that_sends_too_many_requests_ahead_is_dropped() -> None:
    async with serving(keep_alive=60) as served:
        reader, writer = await served.connect()
        writer.write(REQUEST * 1000)
        with contextlib.suppress(ConnectionResetError):
            await asyncio.wait_for(reader.read(), PATIENCE)
        (protocol,) = served.protocols
        assert len(protocol.pipeline) <= MAX_PIPELINED
        assert protocol.transport.is_closing()
        writer.close()


UPLOAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"


async def slow(_scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Reads the body, then takes its time."""
    while (message := await receive())["type"] == "http.request" and message["more_body"]:
        pass
    await asyncio.sleep(2.5)
    await empty(_scope, receive, send)


async def test_a_body_that_stops_coming_ends_its_connection() -> None:
    async with serving(keep_alive=1, app=slow) as served:
        reader, writer = await served.connect()
        writer.write(UPLOAD + b"he")
        assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        writer.close()


async def test_a_body_that_awaits_the_applications_leave_is_not_missed() -> None:
    async def hesitating(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await asyncio.sleep(2.5)
        await receive()
        await empty(scope, receive, send)

    async with serving(keep_alive=1, app=hesitating) as served:
        reader, writer = await served.connect()
        writer.write(UPLOAD.replace(b"Host", b"Expect: 100-continue\r\nHost"))
        assert (await asyncio.wait_for(reader.readline(), PATIENCE)).startswith(b"HTTP/1.1 100")
        writer.write(b"hello")
        assert (await asyncio.wait_for(reader.read(), PATIENCE)).startswith(b"\r\nHTTP/1.1 204")
        writer.close()


async def test_a_client_of_http_1_0_gets_no_interim_response() -> None:
    async with serving(keep_alive=60, app=slow) as served:
        reader, writer = await served.connect()
        writer.write(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx")
        with contextlib.closing(writer):
            assert (await asyncio.wait_for(reader.readline(), 30)).startswith(b"HTTP/1.1 204")


async def test_a_body_may_come_slowly_and_its_answer_too() -> None:
    async with serving(keep_alive=1, app=slow) as served:
        reader, writer = await served.connect()
        for piece in (UPLOAD, b"h", b"e", b"l", b"l", b"o"):
            writer.write(piece)
            await asyncio.sleep(0.6)
        assert (await asyncio.wait_for(reader.readline(), PATIENCE)).startswith(b"HTTP/1.1 204")
        writer.close()


@pytest.mark.parametrize("rest", [b"nonsense\r\n", b"0\r\n" + b"A: b\r\n" * 20_000])
async def test_a_request_that_is_answered_before_it_goes_wrong_gets_no_other_answer(rest: bytes) -> None:
    async with serving(keep_alive=60) as served:
        reader, writer = await served.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        writer.write(rest)
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()


async def test_of_a_request_that_goes_wrong_in_the_piece_with_its_head_no_application_hears() -> None:
    """It is run all the same, so that the access log has one place from which it learns what became of it."""
    heard = asyncio.Queue[str]()

    async def app(_scope: Scope, receive: ASGIReceiveCallable, _send: ASGISendCallable) -> None:
        heard.put_nowait((await receive())["type"])

    async with serving(keep_alive=60, app=app) as served:
        reader, writer = await served.connect()
        writer.write(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n"
        )
        assert (await asyncio.wait_for(reader.read(), PATIENCE)).startswith(b"HTTP/1.1 400 ")
        writer.close()
        assert await asyncio.wait_for(heard.get(), PATIENCE) == "http.disconnect"


async def test_an_application_learns_that_a_client_left_which_had_sent_another_request_ahead() -> None:
    left = asyncio.Event()

    async def waiting(_scope: Scope, receive: ASGIReceiveCallable, _send: ASGISendCallable) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        left.set()

    async with serving(keep_alive=60, app=waiting) as served:
        _, writer = await served.connect()
        writer.write(REQUEST * 2)
        await asyncio.sleep(0.1)
        reset(writer)
        await asyncio.wait_for(left.wait(), PATIENCE)


class Replying(StrictProtocol):
    """Asks no application."""

    held_back = asyncio.Event()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.held_back.set()

    def reply_at_once(self) -> Reply:
        return LONG


LONG_REQUEST = REQUEST[:-2] + b"X-Long: " + b"x" * 1000 + b"\r\n\r\n"
LONG = Reply(200, b"x" * 10_000)


async def test_of_a_client_that_takes_no_answers_no_more_requests_are_taken() -> None:
    answers = LONG.encode(close=False) * 3000
    async with serving(keep_alive=60, made=Replying) as served:
        reader, writer = await served.connect()
        writer.write(LONG_REQUEST * 3000)
        with contextlib.closing(writer):
            async with asyncio.timeout(PATIENCE):
                await Replying.held_back.wait()
                await asyncio.sleep(0.5)
                assert served.protocols[0].transport.get_write_buffer_size() < len(answers) / 2
                assert await reader.readexactly(len(answers)) == answers
