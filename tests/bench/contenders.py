"""The servers that are compared: how each is started, with client certificates required and TLS 1.3."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
APP, WSGI_APP = "tests.bench.apps:app", "tests.bench.apps:wsgi"
OURS = "mtls-server"
UVICORN, HYPERCORN, GRANIAN = "uvicorn", "hypercorn", "granian"
NODE, NGINX, GHOSTUNNEL, BARE = "Node https", "nginx", "ghostunnel", "SSLSocket loop"
RIVALS = (NODE, UVICORN, GRANIAN, NGINX)
"""Whom the aims name."""


@dataclass(frozen=True)
class Contender:
    """A server to measure."""

    name: str
    command: Callable[[int], Sequence[str]]
    """Takes the port to listen on."""


@dataclass(frozen=True)
class Place:
    """What the servers are given."""

    directory: Path
    """Holds certificate, key, trust anchors and policy."""
    python: str
    """Runs the servers written in Python."""
    upstream: str
    """URL of a plain HTTP server, for those that pass requests on."""


def ours(place: Place, *backend: str) -> Contender:
    """Return this server with one backend; its admin port is the next after its own."""
    return Contender(
        f"{OURS} {backend[0]}",
        lambda port: [
            *(place.python, "-m", "mtls_server", f"--dir={place.directory}", "--host=127.0.0.1"),
            *(f"--port={port}", f"--admin-port={port + 1}", "--drain-delay=0", *backend),
        ],
    )


def plain(python: str, port: int) -> list[str]:
    """Return the command of a plain HTTP server for the backend ``upstream``."""
    return [*_uvicorn(python), f"--port={port}", APP]


def contenders(place: Place) -> Iterator[Contender]:
    """Return who takes part; whoever cannot be had is named on standard error."""
    yield ours(place, "identity")
    yield ours(place, "asgi", APP)
    yield ours(place, "wsgi", WSGI_APP)
    yield ours(place, "upstream", place.upstream)
    yield Contender(
        UVICORN, lambda port: [*_uvicorn(place.python), *_uvicorn_tls(place), f"--port={port}", APP]
    )
    if _has(place.python, HYPERCORN):
        yield Contender(HYPERCORN, lambda port: _hypercorn(place, port))
    if _has(place.python, GRANIAN):
        yield Contender(GRANIAN, lambda port: _granian(place, port))
    if node := _program("node", NODE):
        script = str(HERE / "node_server.mjs")
        yield Contender(NODE, lambda port: [node, script, str(place.directory), str(port)])
    if nginx := _program("nginx", NGINX):
        yield Contender(NGINX, lambda port: _nginx(nginx, place, port))
    if ghostunnel := _build_ghostunnel(place.directory / GHOSTUNNEL):
        yield Contender(GHOSTUNNEL, lambda port: _ghostunnel(ghostunnel, place, port))
    yield Contender(
        BARE, lambda port: [place.python, "-m", "tests.bench.bare", str(place.directory), str(port)]
    )


def _has(python: str, module: str) -> bool:
    found = not subprocess.run(
        [python, "-c", f"import {module}"], capture_output=True, check=False
    ).returncode
    if not found:
        print(f"left out: {module}; pip install -r tests/bench/requirements.txt", file=sys.stderr)
    return found


def _program(program: str, name: str) -> str | None:
    path = shutil.which(program)
    if path is None:
        print(f"left out: {name}; no {program} is on the path", file=sys.stderr)
    return path


def _build_ghostunnel(program: Path) -> str | None:
    """Compile it at the version that its module pins; that takes minutes, the first time."""
    build = [
        "go",
        "-C",
        str(HERE / "ghostunnel"),
        "build",
        "-o",
        str(program),
        "github.com/ghostunnel/ghostunnel",
    ]
    if subprocess.run(build, check=False).returncode:
        print(f"left out: {GHOSTUNNEL}; Go could not build it, as it says above", file=sys.stderr)
        return None
    return str(program)


def _uvicorn(python: str) -> list[str]:
    return [
        *(python, "-m", "uvicorn", "--loop=uvloop", "--http=httptools", "--no-access-log", "--lifespan=off"),
        "--backlog=2048",
    ]


def _uvicorn_tls(place: Place) -> list[str]:
    directory = place.directory
    return [
        *("--ssl-cert-reqs=2", f"--ssl-certfile={directory}/tls.crt", f"--ssl-keyfile={directory}/tls.key"),
        f"--ssl-ca-certs={directory}/ca.crt",
    ]


def _hypercorn(place: Place, port: int) -> list[str]:
    directory = place.directory
    return [
        *(place.python, "-m", "hypercorn", f"--bind=127.0.0.1:{port}", "--worker-class=uvloop"),
        *(f"--certfile={directory}/tls.crt", f"--keyfile={directory}/tls.key", "--workers=0"),
        *(f"--ca-certs={directory}/ca.crt", "--verify-mode=CERT_REQUIRED", APP),
    ]


def _granian(place: Place, port: int) -> list[str]:
    directory = place.directory
    return [
        *(place.python, "-m", "granian", "--interface=asgi", "--host=127.0.0.1", f"--port={port}"),
        *(
            "--workers=1",
            "--runtime-threads=1",
            "--loop=uvloop",
            "--http=1",
            "--backlog=4096",
            "--backpressure=4096",
            "--no-ws",
            "--log-level=warning",
        ),
        *(f"--ssl-certificate={directory}/tls.crt", f"--ssl-keyfile={directory}/tls.key"),
        *(f"--ssl-ca={directory}/ca.crt", "--ssl-client-verify", APP),
    ]


def _ghostunnel(program: str, place: Place, port: int) -> list[str]:
    directory = place.directory
    return [
        *(program, "--quiet=all", "server", f"--listen=127.0.0.1:{port}", "--allow-all"),
        *(f"--target={place.upstream.removeprefix('http://')}", f"--cacert={directory}/ca.crt"),
        *(f"--cert={directory}/tls.crt", f"--key={directory}/tls.key"),
    ]


def _nginx(program: str, place: Place, port: int) -> list[str]:
    template = (HERE / "nginx.conf").read_text()
    configuration = place.directory / f"nginx-{port}.conf"
    configuration.write_text(template.replace("DIRECTORY", str(place.directory)).replace("PORT", str(port)))
    return [program, "-p", str(place.directory), "-e", "stderr", "-c", str(configuration)]
