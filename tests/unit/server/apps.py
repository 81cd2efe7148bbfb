"""ASGI applications, without a framework, that tests serve."""

import asyncio
import json
from typing import Any

import msgspec

calls = 0
released = asyncio.Event()


async def answer(send: Any, status: int, document: object) -> None:
    body = json.dumps(document).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def read_body(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


async def mirror(scope: Any, receive: Any, send: Any) -> None:
    """Answers what the scope says, how often it was called, and the body.

    `/slow` takes a second, `/stuck` a minute, and `/held` until somebody asks for `/release`.
    """
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["started"] = True
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("the application has shut down", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    global calls  # noqa: PLW0603 - the proof that a refused request never arrives
    calls += 1
    body = await read_body(receive)
    if scope["path"] == "/slow":
        await asyncio.sleep(1)
    if scope["path"] == "/held":
        await released.wait()
    if scope["path"] == "/release":
        released.set()
    if scope["path"] == "/stuck":
        await asyncio.sleep(60)
    identity = scope["state"]["mtls"]
    await answer(
        send,
        200,
        {
            "calls": calls,
            "body": body.decode(),
            "method": scope["method"],
            "path": scope["path"],
            "scheme": scope["scheme"],
            "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
            "tls": scope["extensions"]["tls"],
            "client": identity.client,
            "identity": msgspec.to_builtins(identity),
            "started": scope["state"]["started"],
        },
    )


async def scribbler(scope: Any, _receive: Any, send: Any) -> None:
    """Answers what stands in its scope, and then writes into all of it."""
    told = [scope["state"], scope["extensions"], scope["extensions"]["tls"]]
    names = [sorted(names) for names in told]
    for one in told:
        one["scribbled"] = True
    scope["headers"].append((b"x-scribbled", b"true"))
    await answer(send, 200, [*names, len(scope["headers"])])


async def refuses_to_start(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "lifespan"
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the database is away"})


not_an_application = 42


async def chat(scope: Any, receive: Any, send: Any) -> None:
    """A WebSocket that says what its scope says, then echoes; `/refuse` opens none. Otherwise 404."""
    if scope["type"] != "websocket":
        if scope["path"] == "/slow":
            await asyncio.sleep(1)
        await answer(send, 404, {})
        return
    assert (await receive())["type"] == "websocket.connect"
    if scope["path"] == "/refuse":
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept"})
    identity = msgspec.to_builtins(scope["state"]["mtls"])
    await send({"type": "websocket.send", "text": str(scope | {"state": identity})})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


async def busy(scope: Any, receive: Any, send: Any) -> None:
    """Talks on WebSockets as `chat`, sends `/download` until its caller leaves, and else is `mirror`."""
    if scope["type"] == "websocket":
        await chat(scope, receive, send)
    elif scope["type"] == "http" and scope["path"] == "/download":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await read_body(receive)
        leaving = asyncio.create_task(receive())
        while not leaving.done():
            await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
            await asyncio.sleep(0.01)
    else:
        await mirror(scope, receive, send)
