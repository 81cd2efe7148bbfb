"""A request's body, read on a thread while it arrives on the event loop."""

import asyncio
import io

from uvicorn._types import ASGIReceiveCallable

from mtls_server.backends.wsgi.patience import Patience, SlowCallerError
from mtls_server.backends.wsgi.response import CallerGoneError


class Body(io.RawIOBase):
    """Pieces of the body, each fetched when it is needed."""

    def __init__(self, receive: ASGIReceiveCallable, patience: Patience, *, empty: bool) -> None:
        """Fetch nothing yet.

        Args:
            receive: of the ASGI scope.
            patience: with the caller.
            empty: there is no body.
        """
        self._loop = asyncio.get_running_loop()
        self._receive = receive
        self._patience = patience
        self._piece = memoryview(b"")
        self._more = not empty

    async def begin(self) -> None:
        """Wait, on the event loop, until the body has begun, so that no thread has to.

        Raises:
            CallerGoneError: it never will.
        """
        if self._more:
            self._piece = memoryview(await self._fetch())

    def readable(self) -> bool:
        """Tell that this can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Fill as much of the buffer as one piece does; 0 is the end.

        Raises:
            CallerGoneError: the body will never be whole.
            SlowCallerError: it would take too long.
        """
        while not self._piece and self._more:
            self._piece = memoryview(self._await_piece())
        size = min(len(buffer), len(self._piece))
        buffer[:size] = self._piece[:size]
        self._piece = self._piece[size:]
        return size

    def _await_piece(self) -> bytes:
        with self._patience.waiting() as seconds:
            piece = asyncio.run_coroutine_threadsafe(self._fetch(), self._loop)
            try:
                return piece.result(seconds)
            except TimeoutError:
                piece.cancel()
                raise SlowCallerError from None

    async def _fetch(self) -> bytes:
        message = await self._receive()
        if message["type"] != "http.request":
            raise CallerGoneError("the caller left before its request was whole")
        self._more = message["more_body"]
        self._patience.note(len(message["body"]))
        return message["body"]
