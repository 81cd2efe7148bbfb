"""An ASGI application whose answer is too large to leave at once."""

from typing import Any

PIECE = bytes(range(256)) * 256
PIECES = 512


async def app(scope: Any, _receive: Any, send: Any) -> None:
    """Answer with 32 MiB, as fast as they are taken."""
    assert scope["type"] == "http"
    headers = [(b"content-length", b"%d" % (len(PIECE) * PIECES))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for _ in range(PIECES):
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
