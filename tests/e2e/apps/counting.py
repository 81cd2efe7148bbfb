"""An ASGI application that counts its requests, and can take long over one."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

Message = dict[str, Any]
CHUNK = b"x" * 1024
CHUNKS_PER_SECOND = 10

handled = 0


async def app(
    scope: Message, _receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer how many requests were handled; `/download?seconds=n` with 10 KiB a second for so long."""
    global handled  # noqa: PLW0603 - counting is what it is for
    handled += 1
    chunks = [json.dumps({"handled": handled}).encode()]
    pause = 0.0
    if scope["path"] == "/download":
        seconds = int(parse_qs(scope["query_string"].decode())["seconds"][0])
        chunks = [CHUNK] * CHUNKS_PER_SECOND * seconds
        pause = 1 / CHUNKS_PER_SECOND
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await asyncio.sleep(pause)
    await send({"type": "http.response.body"})
