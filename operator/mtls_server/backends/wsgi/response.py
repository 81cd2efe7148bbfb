"""A response, made on a thread and sent by the event loop."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final

from uvicorn._types import ASGISendCallable, ASGISendEvent

from mtls_server.backends.wsgi.patience import Patience, SlowCallerError
from mtls_server.http.fields import HOP_BY_HOP

MAX_WAITING: Final = 16
"""Pieces that wait to be sent before the application has to."""

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
StartResponse = Callable[..., Callable[[object], None]]


class CallerGoneError(ConnectionError):
    """The caller left before its request was whole, or before its response was."""


class Response:
    """Takes what the application says (PEP 3333), and has it sent piece by piece."""

    def __init__(self, patience: Patience) -> None:
        """Say nothing yet; a thread waits with patience for the caller to take what it was sent."""
        self._loop = asyncio.get_running_loop()
        self._patience = patience
        self._being_sent = 0
        """Bytes of the piece that the caller is taking."""
        self._waiting = asyncio.Queue[ASGISendEvent | None]()
        self._room = threading.Semaphore(MAX_WAITING)
        self.abandoned = False
        """Whether nobody awaits it any more."""
        self.begun = False
        """Whether its head is settled."""
        self._head: tuple[int, list[tuple[bytes, bytes]]] | None = None

    # What the thread calls

    def start(
        self, status: str, headers: Sequence[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[object], None]:
        """Be the ``start_response`` of PEP 3333.

        Raises:
            Exception: that of `exc_info`, if it is too late for another response.
            ValueError: status or headers cannot be sent.
        """
        if exc_info is not None and exc_info[1] is not None:
            if self.begun:
                raise exc_info[1].with_traceback(exc_info[2])
        elif self._head is not None:
            raise ValueError("start_response was called before, and there is no exc_info")
        self._head = _status(status), _fields(headers)
        return self.write

    def write(self, piece: object) -> None:
        """Send a piece of the body, after the head.

        Raises:
            CallerGoneError: nobody reads it any more.
            SlowCallerError: it takes the caller too long.
            TypeError: it is not made of bytes.
        """
        if not isinstance(piece, bytes):
            msg = f"a piece of the body is {type(piece).__name__}; WSGI applications return bytes"
            raise TypeError(msg)
        if piece:
            self._begin()
            if self._has_body():
                self._put({"type": "http.response.body", "body": piece, "more_body": True})

    def finish(self) -> None:
        """End the response."""
        self._begin()
        self._put({"type": "http.response.body", "body": b"", "more_body": False})

    def _begin(self) -> None:
        if self.begun:
            return
        if self._head is None:
            raise ValueError("the application returned without having called start_response")
        self.begun = True
        status, headers = self._head
        if not self._has_body():
            headers = [field for field in headers if field[0] != b"content-length"]
        self._put({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})

    def _has_body(self) -> bool:
        return self._head is not None and self._head[0] not in {204, 304}

    def _put(self, event: ASGISendEvent) -> None:
        has_room = self._room.acquire(blocking=False) or self._await_room()
        if self.abandoned:
            raise CallerGoneError("the caller left before its response was whole")
        if not has_room:
            raise SlowCallerError
        self._loop.call_soon_threadsafe(self._waiting.put_nowait, event)

    def _await_room(self) -> bool:
        with self._patience.waiting(self._being_sent) as seconds:
            return self._room.acquire(timeout=seconds)

    # What the event loop calls

    async def send_to(self, send: ASGISendCallable) -> None:
        """Send what comes, until the end."""
        while (event := await self._waiting.get()) is not None:
            self._being_sent = len(event["body"]) if event["type"] == "http.response.body" else 0
            await send(event)
            self._patience.note(self._being_sent)
            self._room.release()

    def end(self, _: object = None) -> None:
        """Let `send_to` return when everything has been sent."""
        self._waiting.put_nowait(None)

    def abandon(self) -> None:
        """Have the application fail when it says more."""
        self.abandoned = True
        self._room.release(MAX_WAITING)


def _status(line: str) -> int:
    code = line[:3]
    if code.isascii() and code.isdigit() and 200 <= int(code) < 600 and line[3:4] in {"", " "}:
        return int(code)
    msg = f"{line!r} is no status; write one such as '200 OK'"
    raise ValueError(msg)


def _fields(headers: Sequence[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Encode, and leave out what is this server's to say."""
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return [field for field in encoded if field[0] not in HOP_BY_HOP and field[0] != b"date"]
