"""What uvicorn and we serve: the five facts that the hand-written Node server answers."""

import json
from collections.abc import Callable, Iterable
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
    assert scope["type"] == "http"
    body = _facts(scope.get("state", {}).get("mtls", NOBODY))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer the same to WSGI."""
    body = _facts(environ["mtls.identity"])
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _facts(peer: Any) -> bytes:
    return json.dumps(
        {
            "subject": peer.subject.cn,
            "issuer": peer.issuer.cn,
            "valid_from": str(peer.valid_from),
            "valid_to": str(peer.valid_to),
            "fingerprint_sha256": peer.fingerprint_sha256,
        }
    ).encode()
