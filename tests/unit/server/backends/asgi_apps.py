"""An ASGI application, without a framework, that answers by path."""

from typing import Any

import msgspec


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Says which header fields and which body came, in a response without length; or see `PATHS`."""
    answer = PATHS.get(scope["path"], mirror)
    await answer(scope, receive, send)


async def mirror(scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message["more_body"]
    await begin(send)
    fields = [[name.decode(), value.decode()] for name, value in scope["headers"]]
    document = msgspec.json.encode({"fields": fields, "body": body.decode()})
    await send({"type": "http.response.body", "body": document[:5], "more_body": True})
    await send({"type": "http.response.body", "body": document[5:]})


async def chunked(_scope: Any, _receive: Any, send: Any) -> None:
    """Claims a framing that is the server's to choose."""
    await begin(send, (b"Transfer-Encoding", b"chunked"))
    await send({"type": "http.response.body", "body": b"hello"})


async def endless(_scope: Any, _receive: Any, send: Any) -> None:
    await begin(send)
    while True:
        await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})


async def refusing(_scope: Any, _receive: Any, send: Any) -> None:
    """Answers without asking for the body."""
    await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def breaking(_scope: Any, _receive: Any, send: Any) -> None:
    await begin(send)
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise ValueError("the other half is missing")


async def halting(_scope: Any, receive: Any, send: Any) -> None:
    """Waits amid its response for the caller to leave."""
    await begin(send)
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass


async def begin(send: Any, *fields: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": list(fields)})


PATHS: dict[str, Any] = {
    f"/{function.__name__}": function for function in (breaking, chunked, endless, halting, refusing)
}
