"""Flask: serve it by ``mtls-server --dir certs wsgi flask_app:app``."""

from flask import Flask, abort, request

app = Flask(__name__)


@app.get("/")
def who() -> dict[str, object]:
    identity = request.environ["mtls.identity"]
    return {"client": identity.client, "roles": identity.roles, "subject": request.environ["SSL_CLIENT_S_DN"]}


@app.get("/admin")
def hello_admin() -> dict[str, object]:
    identity = request.environ["mtls.identity"]
    if "admin" not in identity.roles:
        abort(403)
    return {"admin": identity.client}


@app.post("/upload")
def upload() -> dict[str, int]:
    return {"bytes": sum(len(piece) for piece in iter(lambda: request.stream.read(65536), b""))}
