"""Connections to the server behind this one, kept between requests."""

import asyncio
from typing import Final

from mtls_server.backends.upstream.connection import Connection, Timeouts
from mtls_server.backends.upstream.failures import CONNECT_TIMEOUT, UNREACHABLE, ExchangeError
from mtls_server.backends.upstream.target import Target
from mtls_server.backends.upstream.telemetry import UpstreamTelemetry

MAX_IDLE: Final = 128
IDLE_SECONDS: Final = 4.0
"""Less than the 5 s after which Node.js closes, so that a request seldom meets a connection that ends."""


class Pool:
    """Lends connections, the one used last first; how many are lent the listener's limit bounds."""

    def __init__(self, target: Target, timeouts: Timeouts, telemetry: UpstreamTelemetry) -> None:
        self.target = target
        self.timeouts = timeouts
        self.telemetry = telemetry
        self._idle: list[Connection] = []
        self._sweep: asyncio.TimerHandle | None = None

    def take(self) -> Connection | None:
        """Return a connection that waits for a request, if there is one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
        return None

    async def connect(self) -> Connection:
        """Return a new connection.

        Raises:
            ExchangeError: the server cannot be reached, or not in time.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.timeouts.connect):
                _, connection = await loop.create_connection(
                    lambda: Connection(self.timeouts, self.telemetry), self.target.host, self.target.port
                )
        except TimeoutError as error:
            raise ExchangeError(CONNECT_TIMEOUT) from error
        except OSError as error:
            self.telemetry.unreachable(self.target.authority, error)
            raise ExchangeError(UNREACHABLE) from error
        return connection

    def give_back(self, connection: Connection) -> None:
        """End the exchange, and keep the connection if it is good for another."""
        if not connection.finish():
            return
        if len(self._idle) == MAX_IDLE:
            connection.abort(None)
            return
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._close_idle)

    def _close_idle(self) -> None:
        """Close what nobody has used for so long; those used last are at the end."""
        loop = asyncio.get_running_loop()
        limit = loop.time() - IDLE_SECONDS
        kept = [one for one in self._idle if one.is_usable and one.idle_since > limit]
        for connection in self._idle:
            if connection.idle_since <= limit:
                connection.abort(None)
        self._idle = kept
        self._sweep = loop.call_later(IDLE_SECONDS / 4, self._close_idle) if kept else None
