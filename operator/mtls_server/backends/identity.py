"""The backend that answers, to every request, who the caller is."""

from typing import Final, cast

import msgspec
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from mtls_server.backends.answers import answer_json, refuse

_ENCODER: Final = msgspec.json.Encoder()


async def app(scope: Scope, _receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Answer GET and HEAD on any path with the caller's `Identity` as JSON, other methods with 405."""
    scope = cast("HTTPScope", scope)  # this backend runs no lifespan and upgrades nothing
    if scope["method"] in {"GET", "HEAD"}:
        await answer_json(send, 200, _ENCODER.encode(scope["state"]["mtls"]))
    else:
        await refuse(send, 405, "method_not_allowed", "use GET or HEAD", (b"allow", b"GET, HEAD"))
