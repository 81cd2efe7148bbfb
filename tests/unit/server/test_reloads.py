"""New files while the server serves: what is good serves at once, what is not changes nothing and is told."""

import contextlib
import hashlib
import http.client
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from mtls_server.contract import CERTIFICATE, POLICY, PRIVATE_KEY, TRUST_ANCHORS, State, digest
from mtls_server.files.checks import FILES
from mtls_server.files.delivery import DATA_LINK, MAX_FILE_BYTES
from mtls_server.files.faults import Fault
from tests.unit.server import downloads, pki
from tests.unit.server.conftest import World
from tests.unit.server.kubelet import deliver
from tests.unit.server.program import Program, running

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Row:
    """Files that must not serve."""

    name: str
    spoil: Callable[[World, Files], Files]
    fault: Fault
    words: str


def _without(file: str) -> Callable[[World, Files], Files]:
    return lambda _, good: {name: contents for name, contents in good.items() if name != file}


def _with(file: str, change: Callable[[bytes], bytes]) -> Callable[[World, Files], Files]:
    return lambda _, good: {**good, file: change(good[file])}


def _half(contents: bytes) -> bytes:
    return contents[: len(contents) // 2]


def _served(**bent: object) -> Callable[[World, Files], Files]:
    return lambda world, _: world.files(**bent)


def _trusting(anchor: Callable[[], pki.Issued]) -> Callable[[World, Files], Files]:
    """Trust something else besides the authority of the clients."""
    return lambda world, _: pki.files(pki.server(world.server_authority), world.client_authority, anchor())


def _with_a_stranger_in_the_chain(world: World, _: Files) -> Files:
    served = pki.server(world.server_authority)
    stranger = pki.authority("stranger").certificate
    return pki.files(replace(served, intermediates=(stranger,)), world.client_authority)


def _with_the_key_of_the_next(world: World, good: Files) -> Files:
    return {**good, PRIVATE_KEY: world.files()[PRIVATE_KEY]}


def _weak() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused


ROWS = [
    *[Row(f"{file} missing", _without(file), Fault.MISSING, f"{file}: missing or empty") for file in FILES],
    *[
        Row(f"{file} empty", _with(file, lambda _: b""), Fault.MISSING, f"{file}: missing or empty")
        for file in FILES
    ],
    *[
        Row(f"{file} half-written", _with(file, _half), Fault.UNREADABLE, f"{file} does not hold")
        for file in (CERTIFICATE, PRIVATE_KEY, TRUST_ANCHORS)
    ],
    Row(
        f"{POLICY} half-written", _with(POLICY, _half), Fault.POLICY, "policy.json: Input data was truncated"
    ),
    Row("garbage", _with(CERTIFICATE, lambda _: b"garbage"), Fault.UNREADABLE, "tls.crt does not hold PEM"),
    Row(
        "more than a megabyte",
        _with(TRUST_ANCHORS, lambda _: bytes(MAX_FILE_BYTES + 1)),
        Fault.UNREADABLE,
        "ca.crt is larger than 1048576 bytes",
    ),
    Row(
        "mismatched pair",
        _with_the_key_of_the_next,
        Fault.KEY_MISMATCH,
        "tls.key is not the key of the first certificate in tls.crt",
    ),
    Row(
        "stranger in the chain",
        _with_a_stranger_in_the_chain,
        Fault.BROKEN_CHAIN,
        "tls.crt: certificate 2 did not issue certificate 1",
    ),
    Row(
        "not for servers",
        _served(usages=(ExtendedKeyUsageOID.CLIENT_AUTH,)),
        Fault.NO_SERVER_AUTH,
        "lacks the extended key usage serverAuth",
    ),
    Row(
        "name not covered",
        _served(dns_names=("orders",)),
        Fault.NAMES_NOT_COVERED,
        "lacks names that policy.json lists: orders.shop.svc",
    ),
    Row(
        "not yet valid",
        _served(not_before=pki.NOW + timedelta(minutes=30)),
        Fault.NOT_YET_VALID,
        f"not valid before {pki.NOW + timedelta(minutes=30):%FT%TZ}",
    ),
    Row(
        "expired",
        _served(not_after=pki.NOW - timedelta(seconds=1)),
        Fault.EXPIRED,
        f"expired at {pki.NOW - timedelta(seconds=1):%FT%TZ}",
    ),
    Row(
        "leaf among the anchors",
        _trusting(lambda: pki.leaf(None)),
        Fault.NOT_AN_AUTHORITY,
        "ca.crt: certificate 2 is not an authority",
    ),
    Row(
        "anchor for servers only",
        _trusting(lambda: pki.authority(usages=(ExtendedKeyUsageOID.SERVER_AUTH,))),
        Fault.NOT_AN_AUTHORITY,
        "ca.crt: certificate 2 is not an authority for clients",
    ),
    Row(
        "anchor with a small key",
        _trusting(lambda: pki.authority(key=_weak())),
        Fault.WEAK_AUTHORITY,
        "ca.crt: certificate 2 has a key of 1024 bits (RSA)",
    ),
    Row(
        "anchor without key usage",
        _trusting(lambda: pki.authority(key_usage=False)),
        Fault.NOT_STRICT,
        "ca.crt: certificate 2 lacks keyUsage",
    ),
    Row(
        "anchor with uncritical basic constraints",
        _trusting(lambda: pki.authority(critical=False)),
        Fault.NOT_STRICT,
        "ca.crt: certificate 2 has basicConstraints that are not critical",
    ),
    Row(
        "policy of the future",
        _with(POLICY, lambda good: good.replace(b'"version":1', b'"version":2')),
        Fault.POLICY,
        "policy.json has version 2; this server reads version 1",
    ),
    Row(
        "small key", lambda world, _: world.files(key=_weak()), Fault.TLS, "OpenSSL refuses the files: ee key"
    ),
]


@pytest.fixture(scope="module")
def good(world: World) -> Files:
    return world.files()


@pytest.fixture(scope="module")
def program(world: World, good: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    folder = tmp_path_factory.mktemp("program")
    deliver(folder / "certs", good)
    with running(world, folder, "identity", deliver_first=False) as program:
        assert program.get().status == 200
        yield program
        assert "BEGIN" not in str(program.logs.all)


def state(program: Program) -> State:
    status, document = program.ask_admin("/state")
    assert status == 200
    return msgspec.json.decode(document, type=State)


def reloads(program: Program, result: str, reason: str = "") -> int:
    return program.counts()[f'mtls_server_reloads_total{{reason="{reason}",result="{result}"}}']


def test_every_fault_has_its_row() -> None:
    assert {row.fault for row in ROWS} == set(Fault) - {Fault.UNEXPECTED}  # which no files are known to make


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_files_that_must_not_serve_change_nothing_and_are_told(
    program: Program, world: World, good: Files, row: Row
) -> None:
    before, counted, lines = state(program), reloads(program, "refused", row.fault), len(program.logs.all)
    deliver(program.directory, row.spoil(world, good))
    line = program.logs.expect(event="delivery_refused", reason=row.fault, after=lines)
    assert row.words in line["message"]
    assert reloads(program, "refused", row.fault) == counted + 1
    during = state(program)
    assert (during.last_reload.result, row.words in during.last_reload.reason) == ("refused", True)
    assert msgspec.structs.replace(during, last_reload=before.last_reload) == before
    assert program.ask_admin("/readyz") == (200, "ready\n")
    assert program.get().status == 200

    deliver(program.directory, good)
    program.logs.expect(event="generation_confirmed", after=lines)
    assert state(program) == before
    assert program.get().status == 200


def published(program: Program) -> int:
    """Return the number of generations so far."""
    return len(program.logs.matching(event="generation_published"))


def await_digest(program: Program, files: Files) -> None:
    program.logs.expect(event="generation_published", digest=digest(files))
    now = state(program)
    assert (now.digest, now.last_reload.result) == (digest(files), "ok")


def test_of_two_swaps_back_to_back_the_last_one_serves(program: Program, world: World) -> None:
    before, refused = reloads(program, "ok"), program.logs.matching(event="delivery_refused")
    first, second = world.files(), world.files()
    deliver(program.directory, first)
    deliver(program.directory, second)
    await_digest(program, second)
    assert 1 <= reloads(program, "ok") - before <= 2
    assert program.logs.matching(event="delivery_refused") == refused
    assert program.ask_admin("/readyz") == (200, "ready\n")


def test_swaps_while_the_files_are_read_never_mix_two_deliveries(program: Program, world: World) -> None:
    lines, deliveries = len(program.logs.all), [world.files() for _ in range(40)]
    for files in deliveries:
        deliver(program.directory, files)
    await_digest(program, deliveries[-1])
    refused = [line for line in program.logs.all[lines:] if line.get("event") == "delivery_refused"]
    assert all("while it was read" in line["message"] for line in refused)
    assert program.get().status == 200


# The start


def test_plain_files_serve_until_the_link_appears(world: World, tmp_path: Path) -> None:
    plain, mounted = world.files(), world.files()
    certs = tmp_path / "certs"
    certs.mkdir()
    for name, contents in plain.items():
        (certs / name).write_bytes(contents)
    with running(world, tmp_path, "identity", deliver_first=False) as program:
        await_digest(program, plain)
        for name in plain:
            (certs / name).unlink()
        deliver(certs, mounted)
        await_digest(program, mounted)
        assert (program.get().status, reloads(program, "ok")) == (200, 2)


def test_a_link_that_leads_nowhere_is_waited_for(world: World, tmp_path: Path) -> None:
    files, certs = world.files(), tmp_path / "certs"
    certs.mkdir()
    (certs / DATA_LINK).symlink_to("..not_yet")
    with running(world, tmp_path, "identity", deliver_first=False) as program:
        program.logs.expect(event="delivery_refused", reason=Fault.MISSING)
        assert reloads(program, "refused", Fault.MISSING) == 1
        assert program.ask_admin("/readyz")[0] == program.ask_admin("/state")[0] == 503
        (certs / DATA_LINK).unlink()
        deliver(certs, files)
        await_digest(program, files)
        assert (program.get().status, program.ask_admin("/readyz")) == (200, (200, "ready\n"))


# Under load


def test_a_long_download_spans_rotations(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "asgi", "tests.unit.server.downloads:app") as program:
        with program.connect() as downloading:
            downloading.send(b"GET / HTTP/1.1\r\nHost: orders\r\n\r\n")
            response = http.client.HTTPResponse(downloading.tls)
            response.begin()
            received = hashlib.sha256()
            for _ in range(3):
                deliver(program.directory, files := world.files())
                await_digest(program, files)
                received.update(response.read(1 << 20))
            while piece := response.read(1 << 20):
                received.update(piece)
            assert downloading.get("/again").status == 200
        assert received.digest() == hashlib.sha256(downloads.PIECE * downloads.PIECES).digest()
        assert reloads(program, "ok") == 4


@dataclass
class Load:
    """Callers that ask one time after the other, until told to stop."""

    program: Program
    answers: int = 0
    problems: list[object] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def on_one_connection(self) -> None:
        with self.program.connect() as connection:
            self._ask(lambda: connection.get().status)

    def on_new_connections(self) -> None:
        self._ask(lambda: self.program.get().status)

    def _ask(self, once: Callable[[], int]) -> None:
        try:
            while not self.stopped.is_set():
                status = once()
                self.answers += 1
                if status != 200:
                    self.problems.append(status)
        except Exception as error:  # noqa: BLE001 - whatever a caller meets is a failure of the server
            self.problems.append(error)


@contextlib.contextmanager
def loaded(program: Program) -> Iterator[Load]:
    load = Load(program)
    callers = [load.on_one_connection, load.on_one_connection, load.on_new_connections]
    threads = [threading.Thread(target=caller) for caller in callers]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stopped.set()
        for thread in threads:
            thread.join()


def test_a_hundred_rotations_under_load_fail_nobody_and_leave_nothing(world: World, tmp_path: Path) -> None:
    deliveries = [world.files() for _ in range(20)]
    with running(world, tmp_path, "identity") as program, loaded(program) as load:
        program.logs.expect(message="serving")
        for number in range(110):
            if number == 10:
                memory, descriptors = program.resident(), program.descriptors()
            deliver(program.directory, deliveries[number % len(deliveries)])
            program.logs.expect(event="generation_published", generation=number + 2)
        assert program.resident() - memory < 6
        assert program.descriptors() - descriptors < 4
        assert load.problems == []
        assert load.answers > 110
        assert (reloads(program, "ok"), state(program).generation) == (111, 111)
        assert program.ask_admin("/readyz") == (200, "ready\n")
