"""What becomes of each kind of caller: the alert or answer that it gets, the line in the log, the count."""

import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.unit.server import callers, pki
from tests.unit.server.callers import ROWS, Alert, Outcome, Refused, Row
from tests.unit.server.conftest import World
from tests.unit.server.kubelet import deliver
from tests.unit.server.program import PATIENCE, Connection, Program, running

GET = b"GET / HTTP/1.1\r\nHost: orders\r\n\r\n"
VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
REFUSED_EVENTS = {"handshake_failed", "peer_refused"}


@dataclass(frozen=True)
class Seen:
    """What a caller learns: an alert, or a status and perhaps why."""

    alert: str = ""
    status: int = 0
    reason: str = ""


Ask = Callable[[Program, pki.Issued | None, str], Seen]


def by_python(program: Program, caller: pki.Issued | None, version: str) -> Seen:
    context = pki.client_context(program.world.server_authority, caller, program.directory.parent)
    context.maximum_version = VERSIONS[version]
    raw = socket.create_connection(("127.0.0.1", program.port), PATIENCE)
    try:
        tls = context.wrap_socket(raw, server_hostname="orders", suppress_ragged_eofs=False)
        with Connection(tls, caller or pki.leaf(None)) as connection:
            answer = connection.get()
            if answer.status == 200:
                return Seen(status=200)
            assert answer.headers["connection"] == "close"
            assert connection.ends_with_close_notify()
            return Seen(status=answer.status, reason=answer.reason)
    except ssl.SSLError as error:
        return Seen(alert=error.reason.partition("ALERT_")[2].replace("_", " ").lower())
    finally:
        raw.close()


def by_openssl(program: Program, caller: pki.Issued | None, version: str) -> Seen:
    folder = program.directory.parent
    (folder / "anchors.pem").write_bytes(program.world.server_authority.pem)
    command = ["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{program.port}"]
    command += ["-CAfile", str(folder / "anchors.pem"), "-servername", "orders", "-verify_return_error"]
    command += ["-cipher", "DEFAULT:@SECLEVEL=0", f"-{version.lower().replace('v', '').replace('.', '_')}"]
    if caller is not None:
        (folder / "caller.pem").write_bytes(caller.pem)
        (folder / "caller.key").write_bytes(caller.key_pem)
        for option, name in {"-cert": "pem", "-cert_chain": "pem", "-key": "key"}.items():
            command += [option, str(folder / f"caller.{name}")]
    request = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    result = subprocess.run(command, input=request, capture_output=True, timeout=PATIENCE, check=False)
    alert = re.search(r"alert ([a-z ]+):", result.stderr.decode())
    status = re.match(r"HTTP/1.1 (\d+)", result.stdout.decode())
    reason = re.search(r'"reason":"(\w+)"', result.stdout.decode())
    return Seen(alert[1] if alert else "", int(status[1]) if status else 0, reason[1] if reason else "")


@pytest.fixture(scope="module")
def program(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    folder = tmp_path_factory.mktemp("program")
    served = pki.server(world.server_authority)
    files = pki.files(served, world.client_authority, *callers.ANCHORS, granted=callers.policy(world))
    deliver(folder / "certs", files)
    arguments = "--min-version", "1.2", "asgi", "tests.unit.server.apps:mirror"
    with running(world, folder, *arguments, deliver_first=False) as program:
        yield program
        assert "BEGIN" not in str(program.logs.all)


def calls(program: Program) -> int:
    """Return how often the application has been called, this time included."""
    with program.connect() as connection:
        return int(connection.get().json["calls"])


def seen(outcome: Outcome, version: str) -> Seen:
    match outcome:
        case Alert():
            older = version == "TLSv1.2" and outcome.seen_in_tls_1_2
            return Seen(alert=older or outcome.seen)
        case Refused():
            return Seen(status=403, reason=outcome.reason)
    return Seen(status=200)


def counted(outcome: Outcome, version: str) -> dict[str, int]:
    def handshake(result: str, reason: str, version: str) -> str:
        labels = f'reason="{reason}",result="{result}",version="{version}"'
        return f"mtls_server_handshakes_total{{{labels}}}"

    def decision(result: str, by: str) -> str:
        return f'mtls_server_decisions_total{{by="{by}",result="{result}"}}'

    match outcome:
        case Alert():
            return {handshake("failed", outcome.reason, ""): 1}
        case Refused():
            refusal = f'mtls_server_refused_peers_total{{reason="{outcome.reason}"}}'
            return {handshake("ok", "", version): 1, decision("refused", outcome.by): 1, refusal: 1}
    return {handshake("ok", "", version): 1, decision("served", outcome.by): 1}


def logged(outcome: Outcome, caller: pki.Issued | None) -> list[dict[str, Any]]:
    described = pki.described(caller) if caller else {}
    match outcome:
        case Alert():
            presented = {**described, "note": "as presented, possession unproven"}
            line: dict[str, object] = {"event": "handshake_failed", "reason": outcome.reason}
            line |= {"presented": presented} if outcome.presented else {}
            return [line | {"message": f"handshake failed: {outcome.reason}"}]
        case Refused():
            line = {"event": "peer_refused", "reason": outcome.reason, "certificate": described}
            return [{**line, "message": f"peer refused: {outcome.words}"}]
    return []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "ask",
    [
        by_python,
        pytest.param(
            by_openssl,
            marks=pytest.mark.skipif(not shutil.which("openssl"), reason="needs the openssl command"),
        ),
    ],
)
def test_each_kind_of_caller(program: Program, world: World, row: Row, version: str, ask: Ask) -> None:
    caller = row.make(world)
    called, lines, counts = calls(program), len(program.logs.all), program.counts()

    assert ask(program, caller, version) == seen(row.outcome, version)

    assert program.counts() - counts == counted(row.outcome, version)
    for line in logged(row.outcome, caller):
        program.logs.expect(after=lines, **line)
    events = [line["event"] for line in program.logs.all[lines:] if line.get("event") in REFUSED_EVENTS]
    assert len(events) == len(logged(row.outcome, caller))
    served = not isinstance(row.outcome, Alert | Refused)
    assert calls(program) == called + 1 + served


def test_the_tutorials_authority_serves_who_asks_for_it(world: World, tmp_path: Path) -> None:
    """VERIFY_X509_STRICT refuses a CA without keyUsage; with `--no-x509-strict` its callers are served."""
    tutorial = pki.authority("tutorial", key_usage=False, critical=False)
    deliver(tmp_path / "certs", pki.files(pki.server(world.server_authority), tutorial))
    with running(world, tmp_path, "--no-x509-strict", "identity", deliver_first=False) as program:
        assert by_python(program, pki.client(tutorial), "TLSv1.3") == Seen(status=200)
