"""What uvicorn and we serve: the five facts that the hand-written Node server answers."""

import json
from typing import Any

ANONYMOUS = json.dumps(
    {
        "subject": "billing",
        "issuer": "client authority",
        "valid_from": "Nov 24 00:00:00 2026 GMT",
        "valid_to": "Nov 25 00:00:00 2026 GMT",
        "fingerprint_sha256": ":".join(["FF"] * 32),
    }
).encode()


async def app(scope: dict[str, Any], receive: object, send: Any) -> None:  # noqa: ARG001 - ASGI's signature
    """Answer who calls; where the server does not tell, a constant of the same size."""
    peer = scope.get("state", {}).get("mtls")
    body = ANONYMOUS
    if peer is not None:
        facts = {
            "subject": peer.subject.cn,
            "issuer": peer.issuer.cn,
            "valid_from": str(peer.valid_from),
            "valid_to": str(peer.valid_to),
            "fingerprint_sha256": peer.fingerprint_sha256,
        }
        body = json.dumps(facts).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
