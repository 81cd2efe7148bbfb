"""Responses of our own, in the form that all of this server's refusals have."""

from collections.abc import Iterable

import msgspec
from uvicorn._types import ASGISendCallable


async def refuse(
    send: ASGISendCallable, status: int, reason: str, message: str, *headers: tuple[bytes, bytes]
) -> None:
    """Answer ``{"error": {"reason": …, "message": …}}``."""
    body = msgspec.json.encode({"error": {"reason": reason, "message": message}})
    await answer_json(send, status, body, headers)


async def answer_json(
    send: ASGISendCallable, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Answer with a JSON document that nobody may keep."""
    described = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        *headers,
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": status, "headers": described})
    await send({"type": "http.response.body", "body": body, "more_body": False})
