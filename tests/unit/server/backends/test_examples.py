"""The examples, each behind the server: they know who calls, and nobody passes for somebody else."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.unit.server.conftest import World
from tests.unit.server.program import ROOT, Program, running

EXAMPLES = ROOT / "tests/unit/server/examples"
PACKAGE = "tests.unit.server.examples"
SPELLINGS = [
    "Client-Cert",
    "client_cert",
    "Client.Cert",
    "Client-Cert-Chain",
    "X-Forwarded-Client-Cert",
    "X_Forwarded_Client_Cert",
    "X-Mtls-Client",
    "x_mtls_client",
    "X-Mtls-Roles",
    "X_MTLS_ROLES",
    "Mtls-Client",
    "MTLS_ROLES",
    "SSL-Client-S-Dn",
    "SSL_CLIENT_S_DN",
]


@contextlib.contextmanager
def express(directory: Path) -> Iterator[str]:
    """Install and run the Express application, and yield its URL."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("the Express example needs node and npm, which are not installed")
    application = directory / "express"
    shutil.copytree(EXAMPLES / "express", application)
    install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(install, cwd=application, check=True, timeout=120)
    with subprocess.Popen(
        ["node", "server.mjs"],
        cwd=application,
        env=os.environ | {"PORT": "0"},
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.kill()


@pytest.fixture(scope="module", params=["fastapi", "flask", "django by wsgi", "django by asgi", "express"])
def program(
    world: World, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Program]:
    directory = tmp_path_factory.mktemp("program")
    with contextlib.ExitStack() as stack:
        match request.param:
            case "fastapi":
                backend = ("asgi", f"{PACKAGE}.fastapi_app:app")
            case "flask":
                backend = ("wsgi", f"{PACKAGE}.flask_app:app")
            case "django by wsgi":
                backend = ("wsgi", f"{PACKAGE}.django_app:application")
            case "django by asgi":
                backend = ("asgi", f"{PACKAGE}.django_app:asgi")
            case _:
                backend = ("upstream", stack.enter_context(express(directory)))
        yield stack.enter_context(running(world, directory, *backend))


def test_it_knows_who_calls_and_with_which_roles(program: Program) -> None:
    with program.connect() as connection:
        for _ in range(3):
            seen = connection.get().json
            assert (seen["client"], seen["roles"], seen["subject"]) == ("billing", ["reader"], "CN=billing")


def test_it_refuses_who_lacks_a_role(program: Program) -> None:
    assert program.get("/admin").status == 403


@pytest.mark.parametrize("name", SPELLINGS)
def test_no_field_makes_a_caller_somebody_else(program: Program, name: str) -> None:
    forged = f"{name}: admin\r\n".encode()
    request = b"GET %b HTTP/1.1\r\nHost: orders\r\nConnection: %b\r\n%b\r\n"
    with program.connect() as connection:
        connection.send(request % (b"/", name.encode(), forged))
        assert connection.answer().json["client"] == "billing"
        connection.send(request % (b"/admin", name.encode(), forged))
        assert connection.answer().status == 403


@pytest.mark.parametrize("chunked", [False, True])
def test_it_reads_uploads(program: Program, request: pytest.FixtureRequest, chunked: bool) -> None:  # noqa: FBT001 - a parameter
    body = bytes(1 << 20)
    if chunked:
        if "django by wsgi" in request.node.name:
            pytest.skip("Django reads no WSGI body whose CONTENT_LENGTH it is not told")
        framed = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\nX-Mtls-Client: forged\r\n\r\n" % (
            len(body),
            body,
        )
    else:
        framed = b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    with program.connect() as connection:
        connection.send(b"POST /upload HTTP/1.1\r\nHost: orders\r\n" + framed)
        assert connection.answer().json == {"bytes": len(body)}


def test_a_websocket_knows_who_calls(world: World, tmp_path: Path) -> None:
    arguments = ("asgi", f"{PACKAGE}.fastapi_app:app")
    with (
        running(world, tmp_path, *arguments) as program,
        program.connect() as connection,
        connect("ws://orders/chat", sock=connection.tls, compression=None) as websocket,
    ):
        assert websocket.recv() == "hello billing"
