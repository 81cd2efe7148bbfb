"""``mtls-server explain``: the decision on a request, in words, without a server."""

import io
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from mtls_server.contract import Policy, Route, Rule
from mtls_server.main import main
from tests.unit.server import pki
from tests.unit.server.conftest import World

PARTNER = pki.authority("partner")
ROUTES = Route("/orders/*", roles=("reader",)), Route("/admin", roles=("admin",))


@pytest.fixture
def certs(world: World, tmp_path: Path) -> Path:
    write(tmp_path, world, routes=ROUTES)
    return tmp_path


def write(directory: Path, world: World, **changes: object) -> None:
    policy: Policy = msgspec.structs.replace(pki.policy(world.client_authority, partner=PARTNER), **changes)
    served = pki.server(world.server_authority)
    for name, contents in pki.files(served, world.client_authority, PARTNER, granted=policy).items():
        (directory / name).write_bytes(contents)


def ask(certs: Path, caller: pki.Issued, target: str = "/orders/1", method: str = "GET") -> int:
    presented = certs / "caller.pem"
    presented.write_bytes(caller.pem)
    return main(["explain", "--dir", str(certs), "--cert", str(presented), method, target])


def test_it_says_what_lets_a_caller_pass(
    world: World, certs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    caller = pki.client(world.client_authority)
    assert ask(certs, caller) == 0
    serial = f"{caller.certificate.serial_number:x}"
    dates = f"{pki.NOW - timedelta(minutes=1):%FT%TZ} to {pki.NOW + timedelta(hours=1):%FT%TZ}"
    assert capsys.readouterr().out.splitlines() == [
        f"certificate  CN=billing, serial {serial}, valid {dates}",
        "chain        CN=billing < CN=client authority",
        f"identity     {pki.BILLING_URI}",
        "source       own",
        "granted by   clients: client billing, roles reader, tenant acme",
        "route        routes[0]: /orders/* demands one of the roles reader",
        "answer       the application's",
    ]


def test_the_certificate_may_come_from_standard_input(
    world: World, certs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(pki.client(world.client_authority).pem)))
    assert main(["explain", "--dir", str(certs), "--cert", "-", "GET", "/orders/1"]) == 0


def test_it_says_which_route_stands_in_the_way(
    world: World, certs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(certs, pki.client(world.client_authority), "/admin?x") == 1
    out = capsys.readouterr().out
    assert "route        routes[1]: /admin demands one of the roles admin\n" in out
    assert "answer       403 missing_role" in out


@pytest.mark.parametrize(
    ("target", "answer"), [("/other", "403 no_route"), ("/orders/../admin", "400 ambiguous_path")]
)
def test_it_says_that_a_request_leads_nowhere(
    world: World, certs: Path, capsys: pytest.CaptureFixture[str], target: str, answer: str
) -> None:
    assert ask(certs, pki.client(world.client_authority), target) == 1
    assert f"answer       {answer}" in capsys.readouterr().out


def test_it_says_which_rule_decides(world: World, certs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = Rule("partner", cn="guest", roles=("guest",)), Rule("partner", cn="trouble", deny=True)
    write(certs, world, rules=rules)
    intermediate = pki.authority("branch", issuer=PARTNER, path_length=0)
    assert ask(certs, pki.client(intermediate, common_name="guest")) == 0
    out = capsys.readouterr().out
    assert "chain        CN=guest < CN=branch < CN=partner\n" in out
    assert "source       partner\ngranted by   rules[0]: roles guest, tenant none\n" in out
    assert "route        the policy has none" in out
    assert ask(certs, pki.client(PARTNER, common_name="trouble")) == 1
    assert "answer       403 denied, by rules[1]" in capsys.readouterr().out


def test_a_rule_that_denies_wins_over_all_that_grants(
    world: World, certs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = Rule(cn="billing", roles=("reader",)), Rule(uri=pki.BILLING_URI, deny=True)
    write(certs, world, rules=rules)
    assert ask(certs, pki.client(world.client_authority)) == 1
    assert "answer       403 denied, by rules[1]" in capsys.readouterr().out


def test_nobody_is_a_client_of_ours_by_the_word_of_another_source(
    world: World, certs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(certs, world, rules=(Rule(cn="billing", roles=("reader",)),))
    assert ask(certs, pki.client(PARTNER)) == 1
    out = capsys.readouterr().out
    assert "source       partner\n" in out
    assert "answer       403 unknown_client, by default" in out


@pytest.mark.parametrize(
    ("request_line", "said"),
    [
        ("GET /a/b/c", "routes[1]: /a/** demands nothing"),
        ("HEAD /a/b", "routes[0]: /a/* demands one of the roles reader"),
        ("POST /a/b", "routes[1]: /a/** demands nothing"),
        ("GET /a", "routes[1]: /a/** demands nothing"),
    ],
)
def test_it_says_which_route_of_several_decides(
    world: World, certs: Path, capsys: pytest.CaptureFixture[str], request_line: str, said: str
) -> None:
    write(certs, world, routes=(Route("/a/*", ("GET",), ("reader",)), Route("/a/**")))
    method, target = request_line.split()
    assert ask(certs, pki.client(world.client_authority), target, method) == 0
    assert f"route        {said}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("request_line", "sentence"),
    [
        ("get /", "write it in upper case"),
        ("GET orders/1", "it begins with /"),
        ("GET /ordérs", "is percent-encoded"),
        ("GET /\udcff", "is percent-encoded"),
    ],
)
def test_what_is_no_request_is_misuse(
    world: World, certs: Path, capsys: pytest.CaptureFixture[str], request_line: str, sentence: str
) -> None:
    method, target = request_line.split()
    with pytest.raises(SystemExit) as ended:
        ask(certs, pki.client(world.client_authority), target, method)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_it_says_that_a_caller_is_revoked(
    world: World, certs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(certs, world, revoked={pki.BILLING_URI: pki.NOW})
    assert ask(certs, pki.client(world.client_authority)) == 1
    assert "answer       403 revoked, by revoked" in capsys.readouterr().out


def test_it_says_that_nobody_vouches(certs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    intermediate = pki.authority("branch", issuer=PARTNER, path_length=0)
    for stranger in (pki.leaf(None), replace(pki.client(intermediate), intermediates=())):
        assert ask(certs, stranger) == 1
        assert "answer       the handshake fails: no authority in ca.crt" in capsys.readouterr().out


def test_it_says_that_a_certificate_has_expired(
    world: World, certs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    caller = pki.client(world.client_authority, not_after=pki.NOW - timedelta(seconds=1))
    assert ask(certs, caller) == 1
    assert "answer       the handshake fails: a certificate of the chain" in capsys.readouterr().out


def test_a_name_cannot_steer_the_terminal(
    world: World, certs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(certs, pki.client(world.client_authority, common_name="\x1b[2J")) == 0
    assert "certificate  CN=\\x1b[2J" in capsys.readouterr().out


def test_files_that_cannot_serve_explain_nothing(
    world: World, certs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (certs / "policy.json").write_text("{}")
    with pytest.raises(SystemExit) as ended:
        ask(certs, pki.client(world.client_authority))
    assert ended.value.code == 2
    assert "cannot serve: policy.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("contents", "sentence"), [(None, "cannot be read"), (b"x", "caller.pem does not hold PEM certificates")]
)
def test_a_certificate_that_cannot_be_read_is_misuse(
    certs: Path, capsys: pytest.CaptureFixture[str], contents: bytes | None, sentence: str
) -> None:
    path = certs / "caller.pem"
    if contents is not None:
        path.write_bytes(contents)
    with pytest.raises(SystemExit) as ended:
        main(["explain", "--dir", str(certs), "--cert", str(path), "GET", "/"])
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_no_key_is_needed_and_none_is_shown(
    world: World, certs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    caller = pki.client(world.client_authority)
    assert caller.certificate.public_bytes(Encoding.PEM) == caller.pem
    ask(certs, caller)
    assert "BEGIN" not in capsys.readouterr().out
