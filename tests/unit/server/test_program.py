"""The server from its command line to its end."""

import re
import signal
import socket
import ssl
import time
import tomllib
from pathlib import Path

import pytest

import mtls_server
from mtls_server.main import command_line, main
from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.kubelet import deliver
from tests.unit.server.program import PATIENCE, ROOT, Program, running

MIRROR = "tests.unit.server.apps:mirror"


def served_serial(program: Program) -> int:
    with program.connect() as connection:
        return pki.serial(connection.tls.getpeercert(binary_form=True) or b"")


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert mtls_server.__version__ == project["version"]


def test_the_identity_backend_says_who_calls(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "identity") as program, program.connect() as connection:
        answer = connection.get("/any/path")
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        seen = answer.json
        certificate = connection.caller.certificate
        assert seen["subject"] == {"cn": "billing", "dn": "CN=billing"}
        assert seen["issuer"] == {"cn": "client authority", "dn": "CN=client authority"}
        assert seen["serial"] == f"{certificate.serial_number:x}"
        assert seen["valid_from"] == f"{certificate.not_valid_before_utc:%FT%TZ}"
        assert seen["valid_to"] == f"{certificate.not_valid_after_utc:%FT%TZ}"
        assert seen["spiffe_id"] == seen["uri"] == pki.BILLING_URI
        assert (seen["client"], seen["source"]) == ("billing", "own")
        assert (seen["roles"], seen["tenant"]) == (["reader"], "acme")
        assert seen["tls"]["version"] == "TLSv1.3"
        connection.send(b"HEAD / HTTP/1.1\r\nHost: orders\r\n\r\n")
        assert connection.answer("HEAD").body == b""
        connection.send(b"POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 2\r\n\r\nhi")
        refused = connection.answer()
        assert (refused.status, refused.reason, refused.headers["allow"]) == (
            405,
            "method_not_allowed",
            "GET, HEAD",
        )
        assert connection.ends_with_close_notify()  # as nobody wants the body


def test_a_rotation_serves_new_connections_and_keeps_the_old_ones(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "asgi", MIRROR) as program, program.connect() as old:
        first = served_serial(program)
        old_certificate = old.get().json["tls"]["server_cert"]
        for number in range(2, 5):
            deliver(program.directory, world.files())
            program.logs.expect(event="generation_published", generation=number)
        assert served_serial(program) != first
        assert old.get().json["tls"]["server_cert"] == old_certificate


def test_tls_1_2_is_served_only_by_choice(world: World, tmp_path: Path) -> None:
    for choice, admitted in (((), False), (("--min-version", "1.2"), True)):
        with running(world, tmp_path, *choice, "identity") as program:
            caller = pki.client(world.client_authority)
            context = pki.client_context(world.server_authority, caller, tmp_path)
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            with socket.create_connection(("127.0.0.1", program.port), timeout=PATIENCE) as raw:
                if admitted:
                    with context.wrap_socket(raw, server_hostname="orders") as tls:
                        assert tls.version() == "TLSv1.2"
                else:
                    with pytest.raises(ssl.SSLError, match="protocol version"):
                        context.wrap_socket(raw, server_hostname="orders")


def test_sigterm_ends_an_idle_server_and_its_application(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "asgi", MIRROR) as program:
        with program.connect() as idle:
            assert idle.get().status == 200
            assert program.stop() == 0
            assert idle.ends_with_close_notify()
        assert program.process.stdout is not None
        assert program.process.stdout.read() == "the application has shut down\n"


def test_sigterm_lets_a_request_finish_and_closes_its_connection(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "asgi", MIRROR) as program, program.connect() as busy:
        busy.send(b"GET /slow HTTP/1.1\r\nHost: orders\r\n\r\n")
        time.sleep(0.2)
        program.process.send_signal(signal.SIGTERM)
        answer = busy.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert program.process.wait(PATIENCE) == 0


def test_the_grace_ends_what_is_stuck(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "--grace", "0.5", "asgi", MIRROR) as program, program.connect() as stuck:
        stuck.send(b"GET /stuck HTTP/1.1\r\nHost: orders\r\n\r\n")
        time.sleep(0.2)
        assert program.stop() == 0


def test_sigterm_while_waiting_for_files(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "identity", deliver_first=False) as program:
        program.logs.expect(event="delivery_refused")
        assert program.stop() == 0


def test_an_application_that_cannot_be_loaded_is_explained(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "asgi", "shop") as program:
        assert program.process.wait(PATIENCE) == 1
    assert program.logs.all[-1]["message"] == (
        "cannot start: 'shop' names no application; write module:attribute, such as shop.main:app"
    )


def test_an_application_that_refuses_to_start_is_explained(world: World, tmp_path: Path) -> None:
    with running(world, tmp_path, "asgi", "tests.unit.server.apps:refuses_to_start") as program:
        assert program.process.wait(PATIENCE) == 1
    reason, last = program.logs.matching(level="error")[0], program.logs.all[-1]
    assert reason["message"] == "the database is away"
    assert last["message"] == "cannot start: the application did not start; its error is logged above"


def test_a_taken_port_is_explained(world: World, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with running(world, tmp_path, "--port", port, "identity") as program:
            assert program.process.wait(PATIENCE) == 1
    assert program.logs.all[-1]["message"] == (
        f"cannot start: cannot listen on 127.0.0.1, port {port}: Address already in use"
    )


DOCUMENTED = re.findall(
    r"^\| `(MTLS_SERVER_\w+)` \| `(--[a-z-]+)`", (ROOT / "docs" / "server.md").read_text(), re.MULTILINE
)


@pytest.mark.parametrize(("variable", "option"), DOCUMENTED)
def test_a_variable_sets_an_option_that_is_not_given(
    monkeypatch: pytest.MonkeyPatch, variable: str, option: str
) -> None:
    monkeypatch.setenv(variable, "true" if option in {"--access-log", "--client-cert-chain"} else "7")
    name = option.removeprefix("--").replace("-", "_")
    assert name in variable.lower()
    values = {
        vars(command_line().parse_args(["--dir", "x", *backend])).get(name)
        for backend in (["identity"], ["wsgi", "a:b"], ["upstream", "http://localhost"])
    }
    assert values - {None} in ({True}, {7})


def test_an_option_wins_over_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLS_SERVER_CALLER_CONNECTIONS", "7")
    given = command_line().parse_args(["--dir", "x", "--caller-connections", "9", "identity"])
    assert given.caller_connections == 9


def test_a_variable_is_judged_as_an_option_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MTLS_SERVER_THREADS", "many")
    with pytest.raises(SystemExit):
        main(["--dir", "x", "wsgi", "a:b"])
    assert "argument --threads: 'many' is no count; write a number" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["identity"], "--dir"),
        (["asgi", "--dir", "x", "a:b"], "usage: mtls-server --dir DIR [OPTION ...] BACKEND"),
        (["--dir", "x"], "BACKEND"),
        (["--dir", "x", "--port", "65536", "identity"], "write a number from 0 (any free one) to 65535"),
        (["--dir", "x", "--grace", "-1", "identity"], "write a number of seconds, such as 2.5"),
        (["--dir", "x", "--min-version", "1.1", "identity"], "1.2"),
        (["--dir", "x", "asgi"], "app"),
        (["--dir", "x", "wsgi", "--threads", "0", "a:b"], "write a number from 1 to 10000"),
        (["--dir", "x", "upstream"], "url"),
        (["--dir", "x", "upstream", "--idle-timeout", "0", "http://localhost"], "lets no request pass"),
    ],
)
def test_a_misused_command_line_is_explained(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err
