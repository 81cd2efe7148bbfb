"""The backend that answers, to every request, who the caller is."""

from typing import Final

import msgspec

from mtls_server.http.reply import Reply, refusal
from mtls_server.identity import Identity

_ENCODER: Final = msgspec.json.Encoder()
_ALLOWED: Final = ("GET", "HEAD")
_NOT_ALLOWED: Final = refusal(405, "method_not_allowed", "use GET or HEAD", (b"allow", b"GET, HEAD"))


def respond(caller: Identity, method: str) -> Reply:
    """Answer GET and HEAD on any path with the caller's `Identity` as JSON, other methods with 405."""
    return Reply(200, _ENCODER.encode(caller)) if method in _ALLOWED else _NOT_ALLOWED
