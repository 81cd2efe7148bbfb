"""The backend that answers, to every request, who the caller is."""

from typing import Final, cast

import msgspec
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

_ENCODER: Final = msgspec.json.Encoder()
_HEADERS: Final = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]


async def app(scope: Scope, _receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Answer GET and HEAD on any path with the caller's `Identity` as JSON, other methods with 405."""
    scope = cast("HTTPScope", scope)  # this backend runs no lifespan and upgrades nothing
    headers = _HEADERS
    if scope["method"] in {"GET", "HEAD"}:
        status, body = 200, _ENCODER.encode(scope["state"]["mtls"])
    else:
        status, body = 405, b'{"error":{"reason":"method_not_allowed","message":"use GET or HEAD"}}'
        headers = [*_HEADERS, (b"allow", b"GET, HEAD")]
    headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
