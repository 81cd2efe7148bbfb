"""What uvicorn and we serve: the five facts that the hand-written Node server answers."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

NOBODY = SimpleNamespace(
    subject=SimpleNamespace(cn="billing"),
    issuer=SimpleNamespace(cn="client authority"),
    valid_from=datetime(2026, 1, 1, tzinfo=UTC),
    valid_to=datetime(2027, 1, 1, tzinfo=UTC),
    fingerprint_sha256=":".join(["FF"] * 32),
)


async def app(scope: dict[str, Any], receive: object, send: Any) -> None:  # noqa: ARG001 - ASGI's signature
    """Answer who calls; where the server does not tell, the same about nobody."""
    peer = scope.get("state", {}).get("mtls", NOBODY)
    body = json.dumps(
        {
            "subject": peer.subject.cn,
            "issuer": peer.issuer.cn,
            "valid_from": str(peer.valid_from),
            "valid_to": str(peer.valid_to),
            "fingerprint_sha256": peer.fingerprint_sha256,
        }
    ).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
