"""Whole responses that are known at once, so that no application is asked for them."""

from collections.abc import Sequence
from typing import Final

import msgspec
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from mtls_server.http.response import CLOSE_LINE, STATUS_LINES, Field

CLOSE: Final[Field] = (b"connection", b"close")
_JSON: Final[Sequence[Field]] = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))


class Reply(msgspec.Struct, frozen=True):
    """A response that a JSON document makes, and the ASGI application that gives it to everybody."""

    status: int
    body: bytes
    """The document, encoded."""
    fields: tuple[Field, ...] = ()
    """What the head says beside type and length."""
    reason: str = ""
    """Why a request is refused, in a word and, as `message`, in a sentence; empty: it is not."""
    message: str = ""

    def encode(self, defaults: bytes = b"", *, with_body: bool = True, close: bool) -> bytes:
        """Return the whole response.

        Args:
            defaults: further fields, encoded.
            with_body: not for HEAD.
            close: whether the connection ends with it.
        """
        further = b"".join(b"%b: %b\r\n" % field for field in self.fields) if self.fields else b""
        return (
            b"%b%bcontent-type: application/json\r\ncache-control: no-store\r\n"
            b"%b%bcontent-length: %d\r\n\r\n%b"
        ) % (
            STATUS_LINES[self.status],
            defaults,
            further,
            CLOSE_LINE if close else b"",
            len(self.body),
            self.body if with_body else b"",
        )

    async def __call__(self, _scope: Scope, _receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer a request, whatever it is."""
        headers = [*_JSON, *self.fields, (b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def refusal(status: int, reason: str, message: str, *fields: Field) -> Reply:
    """Return the reply that says why a request is refused, in the one form that all refusals have."""
    body = msgspec.json.encode({"error": {"reason": reason, "message": message}})
    return Reply(status, body, fields, reason, message)
