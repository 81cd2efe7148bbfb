"""The reverse proxy, as an ASGI application."""

import asyncio
from typing import cast

from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from mtls_server.backends.upstream.connection import Connection
from mtls_server.backends.upstream.failures import (
    CODED_BODY,
    CallerGoneError,
    ExchangeError,
    StaleError,
)
from mtls_server.backends.upstream.heads import Request, is_coded, request_to, response_fields
from mtls_server.backends.upstream.pool import Pool
from mtls_server.backends.upstream.response import ResponseHead


class Upstream:
    """Passes each request on and its response back; no body is ever held whole."""

    def __init__(self, pool: Pool, *, with_chain: bool) -> None:
        """Connect to nobody yet.

        Args:
            pool: of connections to the server behind this one.
            with_chain: whether it is told the caller's intermediate certificates.
        """
        self._pool = pool
        self._with_chain = with_chain

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve one request."""
        scope = cast("HTTPScope", scope)  # this backend runs no lifespan
        if is_coded(scope):
            await CODED_BODY(scope, receive, send)
            return
        request = request_to(self._pool.target, scope, with_chain=self._with_chain)
        try:
            await self._pass_on(request, receive, send)
        except CallerGoneError:
            pass
        except ExchangeError as error:
            self._pool.telemetry.failed(error.failure, "request failed")
            await error.failure(scope, receive, send)

    async def _pass_on(self, request: Request, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Send the request on a connection that was kept, or else on a new one.

        Raises:
            ExchangeError: no response has begun.
            CallerGoneError: nobody awaits one any more.
        """
        kept = self._pool.take()
        if kept is not None:
            try:
                await self._exchange(kept, request, receive, send)
            except StaleError:
                if not request.repeatable:
                    raise
            else:
                return
        await self._exchange(await self._pool.connect(), request, receive, send)

    async def _exchange(
        self, connection: Connection, request: Request, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        connection.begin(request)
        sending = asyncio.create_task(_send_body(connection, receive))
        try:
            await _begin_response(await connection.head(), send)
            await self._send_response_body(connection, send)
        finally:
            sending.cancel()
            self._pool.give_back(connection)

    async def _send_response_body(self, connection: Connection, send: ASGISendCallable) -> None:
        """Pass the body on; where it ends too early it is cut off, as nothing else can be said."""
        more = True
        while more:
            try:
                piece, more = await connection.read()
            except ExchangeError as error:
                self._pool.telemetry.failed(error.failure, "response cut off")
                return
            await send({"type": "http.response.body", "body": piece, "more_body": more})


async def _send_body(connection: Connection, receive: ASGIReceiveCallable) -> None:
    """Pass the caller's body on, then watch for the caller to leave."""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            connection.abort(CallerGoneError())
            return
        await connection.send(message["body"], more=message["more_body"])


async def _begin_response(head: ResponseHead, send: ASGISendCallable) -> None:
    fields = response_fields(head.status, head.fields)
    await send({"type": "http.response.start", "status": head.status, "headers": fields})
    await send({"type": "http.response.body", "body": b"", "more_body": True})  # the head waits for no body
