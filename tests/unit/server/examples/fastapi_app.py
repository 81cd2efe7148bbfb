"""FastAPI: serve it by ``mtls-server --dir certs asgi fastapi_app:app``."""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, WebSocket

from mtls_server.identity import Identity

app = FastAPI()


def caller(request: Request) -> Identity:
    identity: Identity = request.state.mtls
    return identity


def admin(identity: Annotated[Identity, Depends(caller)]) -> Identity:
    if "admin" not in identity.roles:
        raise HTTPException(403, "admins only")
    return identity


@app.get("/")
def who(identity: Annotated[Identity, Depends(caller)]) -> dict[str, object]:
    return {"client": identity.client, "roles": identity.roles, "subject": identity.subject.dn}


@app.get("/admin")
def hello_admin(identity: Annotated[Identity, Depends(admin)]) -> dict[str, object]:
    return {"admin": identity.client}


@app.post("/upload")
async def upload(request: Request) -> dict[str, int]:
    return {"bytes": sum([len(piece) async for piece in request.stream()])}


@app.websocket("/chat")
async def chat(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(f"hello {websocket.state.mtls.client}")
    await websocket.close()
