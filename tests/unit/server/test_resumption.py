"""A session that is resumed skips OpenSSL's verification, but never our judgement."""

import http.client
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mtls_server.contract import Client, Rule
from mtls_server.files import material
from mtls_server.files.context import TlsSettings
from mtls_server.files.material import Generation, Peer, build
from mtls_server.identity import Reason
from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.kubelet import deliver
from tests.unit.server.program import PATIENCE, Program, running
from tests.unit.server.tls import harness

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(scope="module")
def program(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with running(world, tmp_path_factory.mktemp("program"), "--min-version", "1.2", "identity") as program:
        program.logs.expect(event="generation_published")
        yield program


@dataclass(frozen=True)
class Caller:
    """Comes again and again, in the session that the server gave it last."""

    context: ssl.SSLContext
    sessions: list[ssl.SSLSession] = field(default_factory=list)

    def ask(self, program: Program) -> tuple[bool, int, Any]:
        """Ask once; return whether the session was resumed, the status and the answer."""
        raw = socket.create_connection(("127.0.0.1", program.port), timeout=PATIENCE)
        session = self.sessions[-1] if self.sessions else None
        with self.context.wrap_socket(raw, server_hostname="orders", session=session) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n")
            response = http.client.HTTPResponse(tls)
            response.begin()
            answer = json.loads(response.read())
            tls.recv(1)  # the server's orderly end, without which OpenSSL forgets the session
            if tls.session is not None and (tls.session.has_ticket or tls.version() == "TLSv1.2"):
                self.sessions.append(tls.session)
            return bool(tls.session_reused), response.status, answer


def caller(program: Program, version: ssl.TLSVersion) -> Caller:
    """Return a caller that has come twice, the second time in the session of the first, if there is one."""
    issued = pki.client(program.world.client_authority)
    context = pki.client_context(program.world.server_authority, issued, program.directory.parent)
    context.maximum_version = version
    caller = Caller(context)
    resumes = version is ssl.TLSVersion.TLSv1_2
    assert [caller.ask(program)[:2] for _ in range(2)] == [(False, 200), (resumes, 200)]
    return caller


def rotate(program: Program, *anchors: pki.Issued, **changes: object) -> None:
    world, number = program.world, len(program.logs.matching(event="generation_published")) + 1
    policy = msgspec.structs.replace(pki.policy(world.client_authority), **changes)
    served = pki.server(world.server_authority)
    deliver(program.directory, pki.files(served, *(anchors or (world.client_authority,)), granted=policy))
    program.logs.expect(event="generation_published", generation=number)


@pytest.fixture(autouse=True)
def _as_before(request: pytest.FixtureRequest) -> None:
    """Let every test begin with the policy that admits `billing`."""
    if "program" in request.fixturenames:
        rotate(request.getfixturevalue("program"))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("changes", "roles"),
    [({}, ["reader"]), ({"clients": {pki.BILLING_URI: Client("billing", ("writer",))}}, ["writer"])],
    ids=["the server's certificate", "the client's roles"],
)
def test_who_is_served_still_is_so_in_a_new_session_and_by_the_new_policy(
    program: Program, version: ssl.TLSVersion, changes: Mapping[str, object], roles: list[str]
) -> None:
    coming = caller(program, version)
    rotate(program, **changes)
    reused, status, answer = coming.ask(program)
    assert (reused, status, answer["roles"]) == (False, 200, roles)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"revoked": {pki.BILLING_URI: pki.NOW}}, Reason.REVOKED),
        ({"rules": (Rule(uri=pki.BILLING_URI, deny=True),)}, Reason.DENIED),
        ({"clients": {}}, Reason.UNKNOWN_CLIENT),
        ({"sources": {}}, Reason.UNKNOWN_SOURCE),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_change_of_policy_holds_for_whoever_comes_with_a_session(
    program: Program, version: ssl.TLSVersion, changes: Mapping[str, object], reason: Reason
) -> None:
    coming = caller(program, version)
    rotate(program, **changes)
    lines, counts = len(program.logs.all), program.counts()
    for _ in range(2):  # the second time in the session that was refused
        _, status, answer = coming.ask(program)
        assert (status, answer["error"]["reason"]) == (403, reason)
        program.logs.expect(event="peer_refused", reason=reason, after=lines)
    refused = program.counts() - counts
    assert refused[f'mtls_server_refused_peers_total{{reason="{reason}"}}'] == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_without_its_authority_a_session_is_worth_nothing(program: Program, version: ssl.TLSVersion) -> None:
    coming = caller(program, version)
    fresh = pki.authority("next")
    rotate(program, fresh, sources={"own": (fresh.spki,)})
    lines = len(program.logs.all)
    with pytest.raises(ssl.SSLError, match="unknown ca"):
        coming.ask(program)
    program.logs.expect(
        event="handshake_failed", reason="unable to get local issuer certificate", after=lines
    )


# Within one generation


def resumed(generation: Generation, world: World, *, between: Callable[[], object]) -> Peer:
    """Resume a session, and return how its peer is judged after what happens `between`."""
    context = harness.client_context(
        world.server_authority, pki.client(world.client_authority), maximum_version=ssl.TLSVersion.TLSv1_2
    )
    with harness.running("uvloop", generation) as server:
        with harness.connect(server, context) as first:
            first.sendall(b"x")
            assert first.recv(1) == b"x"
            session = first.session
            first.unwrap()
        between()
        with context.wrap_socket(harness.dial(server), server_hostname="orders", session=session) as second:
            second.sendall(b"x")
            assert second.recv(1) == b"x"
            assert second.session_reused
            peer = server.protocol(1).transport.get_extra_info("mtls_peer")
            assert isinstance(peer, Peer)
            return peer


def test_a_session_does_not_outlive_the_certificate(world: World) -> None:
    now = [pki.NOW.timestamp()]

    def wait() -> None:
        now[0] += 7200

    generation = build(world.files(), 1, TlsSettings(ssl.TLSVersion.TLSv1_2), lambda: now[0])
    peer = resumed(generation, world, between=wait)
    assert peer.refusal is not None
    assert peer.refusal.reason is Reason.EXPIRED


def test_a_session_outlives_the_judgement_of_its_certificate(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(material, "MAX_JUDGED_PEERS", 0)
    generation = world.generation(settings=TlsSettings(ssl.TLSVersion.TLSv1_2))
    peer = resumed(generation, world, between=lambda: None)
    assert peer.identity is not None
    assert (peer.identity.client, peer.identity.roles) == ("billing", ("reader",))
    assert peer.chain == (peer.leaf, world.client_authority.der)


def test_a_session_whose_certificate_is_forgotten_is_refused_until_the_next_full_handshake(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(material, "MAX_JUDGED_PEERS", 1)
    monkeypatch.setattr(material, "MAX_SESSIONS", 1)
    generation = world.generation(settings=TlsSettings(ssl.TLSVersion.TLSv1_2))
    other, authority = pki.client(world.client_authority).der, world.client_authority.der
    peer = resumed(generation, world, between=lambda: generation.judge(other, [other, authority]))
    assert peer.refusal is not None
    assert peer.refusal.reason is Reason.NOT_VERIFIED
    assert generation.judge(peer.leaf, [peer.leaf, authority]).refusal is None
    assert generation.judge(peer.leaf, []).refusal is None


# Node's agent keeps a session for the next connection

NODE_CALLER = """
const {readFileSync} = require("node:fs");
const https = require("node:https");
const [port, authority, client, keepAlive] = process.argv.slice(1);
const pem = readFileSync(client);
const agent = keepAlive === "default" ? https.globalAgent : new https.Agent({keepAlive: false});
const options = {host: "127.0.0.1", port, servername: "orders", ca: readFileSync(authority),
                 cert: pem, key: pem, maxVersion: "TLSv1.2", agent};
const ask = () => new Promise((resolve) => {
  const request = https.get(options, (response) => {
    const reused = response.socket.isSessionReused();
    response.on("end", () => resolve({status: response.statusCode, reused})).resume();
  });
  request.on("error", (error) => resolve({error: error.code}));
});
const many = async (number) => { for (let n = 0; n < number; n++) console.log(JSON.stringify(await ask())); };
process.stdin.once("data", () => many(10).then(() => process.exit(0)));
many(10);
"""


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node")
@pytest.mark.parametrize(("agent", "handshakes"), [("default", 1), ("without keep-alive", 20)])
def test_nodes_agent_is_served_twenty_times_across_a_reload(
    program: Program, tmp_path: Path, agent: str, handshakes: int
) -> None:
    issued = pki.client(program.world.client_authority)
    (tmp_path / "authority.pem").write_bytes(program.world.server_authority.pem)
    (tmp_path / "client.pem").write_bytes(issued.pem + issued.key_pem)
    files = [str(tmp_path / "authority.pem"), str(tmp_path / "client.pem")]
    counts = program.counts()
    with subprocess.Popen(
        ["node", "-e", NODE_CALLER, str(program.port), *files, agent],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as node:
        assert node.stdin is not None
        assert node.stdout is not None
        answers = [json.loads(node.stdout.readline()) for _ in range(10)]
        rotate(program)
        node.stdin.write("go on\n")
        node.stdin.flush()
        answers += [json.loads(line) for line in node.stdout]
    assert [answer.get("status") for answer in answers] == [200] * 20
    if handshakes == 20:
        assert [number for number, answer in enumerate(answers) if not answer["reused"]] == [0, 10]
    done = (program.counts() - counts)[
        'mtls_server_handshakes_total{reason="",result="ok",version="TLSv1.2"}'
    ]
    assert done == handshakes
