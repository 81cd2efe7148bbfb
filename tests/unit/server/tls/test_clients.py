"""Public clients see the alerts too: openssl and Node."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.program import PATIENCE
from tests.unit.server.tls.conftest import Serve
from tests.unit.server.tls.harness import Echo, TlsServer, eventually

NODE_CLIENT = """
const {readFileSync} = require("node:fs");
const [port, authority, client] = process.argv.slice(1);
const pem = client ? readFileSync(client) : undefined;
const trust = {host: "127.0.0.1", port, servername: "orders", ca: readFileSync(authority)};
const socket = require("node:tls").connect({...trust, cert: pem, key: pem}, () => socket.write("hello"));
socket.on("data", (data) => { console.log(String(data)); });
socket.on("error", (error) => { console.log(error.code); process.exit(1); });
"""


def openssl(server: TlsServer, folder: Path, *arguments: str) -> str:
    """Say hello with ``openssl s_client`` and return all that it prints."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-servername", "orders"]
    command += ["-CAfile", str(folder / "authority.pem"), "-verify_return_error", "-quiet", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdin is not None
        process.stdin.write("hello\n")
        process.stdin.flush()
        eventually(lambda: server.log.failures or any(one.received for one in server.protocols))
        return process.communicate(timeout=PATIENCE)[0]


def node(server: TlsServer, folder: Path, *client: str) -> str:
    command = ["node", "-e", NODE_CLIENT, str(server.port), str(folder / "authority.pem"), *client]
    return subprocess.run(
        command, stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=False
    ).stdout.strip()


@pytest.fixture
def folder(tmp_path: Path, world: World) -> Path:
    """Holds the server's authority, a good client, and one of another authority."""
    (tmp_path / "authority.pem").write_bytes(world.server_authority.pem)
    for name, client in {
        "good.pem": pki.client(world.client_authority),
        "stranger.pem": pki.client(pki.authority("stranger")),
    }.items():
        (tmp_path / name).write_bytes(client.pem + client.key_pem)
    return tmp_path


class EchoOnce(Echo):
    suite: str

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        tls = self.transport.get_extra_info("ssl_object")
        assert isinstance(tls, ssl.SSLSocket)
        self.suite, _, _ = tls.cipher() or ("", "", 0)
        self.transport.close()


needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="needs the openssl command")
needs_node = pytest.mark.skipif(not shutil.which("node"), reason="needs Node")


@needs_openssl
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "alert certificate required"),
        (["-cert", "stranger.pem", "-key", "stranger.pem"], "alert unknown ca"),
        (["-cert", "good.pem", "-key", "good.pem", "-tls1_2"], "alert protocol version"),
        (["-cert", "good.pem", "-key", "good.pem"], "hello"),
    ],
)
def test_openssl(serve: Serve, folder: Path, arguments: list[str], words: str) -> None:
    server = serve(EchoOnce)
    located = [str(folder / one) if one.endswith(".pem") else one for one in arguments]
    assert words in openssl(server, folder, *located)


@needs_openssl
@pytest.mark.parametrize(
    "suites",
    [
        "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256",
        "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384",
    ],
)
def test_the_client_chooses_among_the_suites(serve: Serve, folder: Path, suites: str) -> None:
    server = serve(EchoOnce)
    good = str(folder / "good.pem")
    openssl(server, folder, "-cert", good, "-key", good, "-ciphersuites", suites)
    (served,) = server.protocols
    assert isinstance(served, EchoOnce)
    assert served.suite == suites.partition(":")[0]


@needs_node
@pytest.mark.parametrize(
    ("client", "words"),
    [
        ([], "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED"),
        (["stranger.pem"], "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA"),
        (["good.pem"], "hello"),
    ],
)
def test_node(serve: Serve, folder: Path, client: list[str], words: str) -> None:
    server = serve(EchoOnce)
    assert node(server, folder, *(str(folder / one) for one in client)) == words
