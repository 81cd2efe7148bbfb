"""What kubelet, Prometheus and the operator read."""

import contextlib
import socket
from pathlib import Path

import msgspec
import pytest

from mtls_server.admin import MAX_CONNECTIONS
from mtls_server.contract import State, digest
from tests.unit.server.conftest import World
from tests.unit.server.kubelet import deliver
from tests.unit.server.program import PATIENCE, running


def test_the_admin_port_of_a_serving_server(world: World, tmp_path: Path) -> None:
    files = world.files()
    deliver(tmp_path / "certs", files)
    with running(world, tmp_path, "identity", deliver_first=False) as program:
        assert program.port
        assert program.ask_admin("/livez") == (200, "alive\n")
        assert program.ask_admin("/readyz") == (200, "ready\n")
        status, document = program.ask_admin("/state")
        state = msgspec.json.decode(document, type=State)
        assert (status, state.generation, state.digest) == (200, 1, digest(files))
        assert state.last_reload.result == "ok"
        status, metrics = program.ask_admin("/metrics")
        assert status == 200
        assert 'mtls_server_reloads_total{reason="",result="ok"} 1.0' in metrics
        assert "process_resident_memory_bytes" in metrics
        assert program.ask_admin("/") == (404, "not here; ask for /livez, /readyz, /metrics, /state\n")
        assert program.ask_admin("/state", "POST") == (405, "use GET or HEAD\n")
        assert program.ask_admin("/state", "HEAD") == (200, "")


def test_a_server_without_files_lives_but_is_not_ready(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "identity", deliver_first=False) as program:
        reason = program.logs.expect(event="delivery_refused")["message"]
        assert reason.endswith("tls.crt, tls.key, ca.crt, policy.json: missing or empty")
        assert program.ask_admin("/livez")[0] == 200
        status, obstacles = program.ask_admin("/readyz")
        assert status == 503
        assert "waiting for files that can serve: tls.crt, tls.key, ca.crt, policy.json: missing" in obstacles
        assert "the listener is not up" in obstacles
        status, document = program.ask_admin("/state")
        assert status == 503
        assert msgspec.json.decode(document)["lastReload"]["result"] == "refused"

        deliver(program.directory, world.files())
        assert program.get().status == 200
        assert program.ask_admin("/readyz") == (200, "ready\n")


def test_every_answer_ends_its_connection(world: World, tmp_path: Path) -> None:
    with (
        running(world, tmp_path, "identity") as program,
        socket.create_connection(("127.0.0.1", program.admin_port), PATIENCE) as connection,
        connection.makefile("rb") as answers,
    ):
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"\r\nconnection: close\r\n" in answers.read()


def test_idle_connections_do_not_shut_the_probes_out(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "identity") as program, contextlib.ExitStack() as held:
        address = "127.0.0.1", program.admin_port
        oldest, *others = (
            held.enter_context(socket.create_connection(address, PATIENCE)) for _ in range(MAX_CONNECTIONS)
        )
        assert program.ask_admin("/livez") == (200, "alive\n")
        oldest.settimeout(PATIENCE)
        assert oldest.recv(1) == b""
        others[0].settimeout(0.1)
        with pytest.raises(TimeoutError):
            others[0].recv(1)
