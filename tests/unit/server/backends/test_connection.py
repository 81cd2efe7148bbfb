"""How long a connection to the server behind waits, seen without a server."""

import asyncio

from mtls_server.backends.upstream.connection import Connection, Timeouts
from mtls_server.backends.upstream.heads import Body, Request
from mtls_server.backends.upstream.telemetry import UpstreamTelemetry
from tests.unit.server.program import PATIENCE

UPLOAD = Request(b"", Body.CHUNKED, is_head=False, repeatable=False, opens_websocket=False)


class Transport(asyncio.Transport):
    """Takes everything."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False

    def write(self, _data: object) -> None:
        pass

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


async def test_a_server_that_reads_again_is_not_given_up_while_the_caller_is_slow() -> None:
    connection, transport = Connection(Timeouts(idle=1), UpstreamTelemetry()), Transport()
    connection.connection_made(transport)
    connection.begin(UPLOAD)
    connection.data_received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
    assert await connection.read() == (b"ok", True)
    connection.pause_writing()
    sending = asyncio.create_task(connection.send(b"more", more=True))
    await asyncio.sleep(0.01)
    connection.resume_writing()
    await sending
    await asyncio.sleep(1.5)
    assert not transport.aborted


async def test_a_server_that_reads_again_but_says_nothing_more_is_given_up() -> None:
    connection, transport = Connection(Timeouts(idle=0.1), UpstreamTelemetry()), Transport()
    connection.connection_made(transport)
    connection.begin(UPLOAD)
    connection.data_received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    reading = asyncio.create_task(connection.read())
    connection.pause_writing()
    sending = asyncio.create_task(connection.send(b"more", more=True))
    await asyncio.sleep(0.01)
    connection.resume_writing()
    await asyncio.wait([sending, reading], timeout=PATIENCE)
    assert transport.aborted
    assert isinstance(reading.exception(), Exception)
