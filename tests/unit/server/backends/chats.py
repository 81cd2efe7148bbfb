"""WebSockets of the tests, over connections that shake hands as our callers do."""

import contextlib
from collections.abc import Iterator

from websockets.sync.client import ClientConnection, connect

from tests.unit.server.program import Program


@contextlib.contextmanager
def opened(program: Program, path: str = "/chat", **fields: str) -> Iterator[ClientConnection]:
    # Our socket speaks TLS already; `websockets` need not know.
    with (
        program.connect() as connection,
        connect(
            f"ws://orders{path}", sock=connection.tls, additional_headers=fields, compression=None
        ) as websocket,
    ):
        yield websocket
