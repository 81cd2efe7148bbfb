"""Who may send which requests, seen from the outside."""

from collections.abc import Iterator

import msgspec
import pytest

from mtls_server.contract import Client, Policy, Route, Rule
from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.kubelet import deliver
from tests.unit.server.program import Program, running

PARTNER = pki.authority("client authority")
RULES = (
    Rule("partner", cn="guest", roles=("guest",), tenant="partner"),
    Rule("partner", cn="trouble", deny=True),
)
ROUTES = (
    Route("/orders/**", methods=("GET", "POST"), roles=("reader",)),
    Route("/slow", roles=("reader",)),
    Route("/admin/**", roles=("admin",)),
)


def policy(world: World, **changes: object) -> Policy:
    granted = pki.policy(world.client_authority, partner=PARTNER)
    return msgspec.structs.replace(granted, **{"rules": RULES, "routes": ROUTES, **changes})


def give(program: Program, granted: Policy) -> None:
    number = len(program.logs.matching(event="generation_published")) + 1
    world = program.world
    served = pki.server(world.server_authority)
    deliver(program.directory, pki.files(served, world.client_authority, PARTNER, granted=granted))
    program.logs.expect(event="generation_published", generation=number)


@pytest.fixture(scope="module")
def program(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    arguments = "asgi", "tests.unit.server.apps:mirror"
    with running(world, tmp_path_factory.mktemp("program"), *arguments) as program:
        program.logs.expect(event="generation_published", generation=1)
        give(program, policy(world))
        yield program


def test_a_foreign_authority_cannot_speak_for_our_callers(program: Program) -> None:
    with program.connect(pki.client(PARTNER)) as impostor:
        answer = impostor.get("/orders")
        assert (answer.status, answer.reason) == (403, "unknown_client")
        assert impostor.ends_with_close_notify()
    with program.connect() as ours:
        assert ours.get("/orders").json["client"] == "billing"


def test_a_caller_known_by_a_rule_is_told_with_source_roles_and_tenant(program: Program) -> None:
    give(program, policy(program.world, routes=()))
    caller = pki.client(PARTNER, uri="https://guest.example", common_name="guest")
    with program.connect(caller) as guest:
        seen = guest.get().json["identity"]
    give(program, policy(program.world))
    assert (seen["client"], seen["source"]) == (None, "partner")
    assert (seen["roles"], seen["tenant"]) == (["guest"], "partner")


def test_a_caller_that_a_rule_denies_is_refused(program: Program) -> None:
    with program.connect(pki.client(PARTNER, common_name="trouble")) as trouble:
        answer = trouble.get()
        assert (answer.status, answer.reason) == (403, "denied")
    metrics = program.ask_admin("/metrics")[1]
    assert 'mtls_server_decisions_total{by="rules[1]",result="refused"} 1.0' in metrics


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/orders/1", 200),
        ("/orders/", 200),
        ("/%6frders/1", 200),
        ("/orders/1?next=/../admin", 200),
        ("/admin", 403),
        ("/%61dmin", 403),
        ("/other", 403),
        ("/", 403),
        ("/orders/../admin", 400),
        ("/orders/%2e%2e/admin", 400),
        ("/orders/..%2fadmin", 400),
        ("/orders/..%5cadmin", 400),
        ("//orders", 400),
        ("/orders%00", 400),
        ("/orders?\u00e9", 400),
        ("https://orders/orders/1", 200),
        ("https://orders/admin", 403),
        ("https://elsewhere/orders/1", 400),
    ],
)
def test_a_request_is_judged_by_its_one_path(program: Program, path: str, status: int) -> None:
    with program.connect() as billing:
        assert billing.get(path).status == status


def test_a_forbidden_request_costs_nobody_the_connection(program: Program) -> None:
    with program.connect() as billing:
        forbidden, head, allowed = billing.get("/admin"), send_head(program, "/other"), billing.get("/orders")
    assert (forbidden.status, forbidden.reason) == (403, "missing_role")
    assert head == 403
    assert (allowed.status, allowed.json["path"]) == (200, "/orders")
    metrics = program.ask_admin("/metrics")[1]
    assert 'mtls_server_refused_requests_total{reason="missing_role",route="routes[2]"}' in metrics
    assert 'mtls_server_refused_requests_total{reason="no_route",route="none"}' in metrics


def send_head(program: Program, path: str) -> int:
    with program.connect() as connection:
        connection.send(f"HEAD {path} HTTP/1.1\r\nHost: orders\r\n\r\n".encode())
        return connection.answer("HEAD").status


def test_a_forbidden_request_with_a_body_ends_the_connection(program: Program) -> None:
    with program.connect() as billing:
        billing.send(
            b"POST /admin HTTP/1.1\r\nHost: orders\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        answer = billing.answer()
        assert (answer.status, answer.headers["connection"]) == (403, "close")
        assert billing.ends_with_close_notify()


def test_a_forbidden_request_waits_for_its_turn(program: Program) -> None:
    with program.connect() as billing:
        for path in (b"/slow", b"/admin", b"/orders"):
            billing.send(b"GET %b HTTP/1.1\r\nHost: orders\r\n\r\n" % path)
        assert [billing.answer().status for _ in range(3)] == [200, 403, 200]


def test_a_forbidden_upgrade_is_refused(program: Program) -> None:
    with program.connect() as billing:
        billing.send(
            b"GET /admin HTTP/1.1\r\nHost: orders\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        assert billing.answer().status in {403, 501}
        assert billing.ends_with_close_notify()


def test_a_role_that_is_taken_away_is_missing_at_the_next_request(program: Program) -> None:
    with program.connect() as billing:
        assert billing.get("/orders").status == 200
        give(program, policy(program.world, clients={pki.BILLING_URI: Client("billing")}))
        assert billing.get("/orders").reason == "missing_role"
        give(program, policy(program.world, routes=(Route("/orders"),)))
        assert billing.get("/orders").status == 200
        give(program, policy(program.world))


def test_a_request_that_waits_behind_another_is_not_served_by_routes_of_yesterday(program: Program) -> None:
    kept = Route("/held"), Route("/release")
    give(program, policy(program.world, routes=(*kept, Route("/late"))))
    with program.connect() as billing:
        billing.send(b"GET /held HTTP/1.1\r\nHost: orders\r\n\r\n")
        billing.send(b"GET /late HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n")
        give(program, policy(program.world, routes=kept))
        program.get("/release")
        assert billing.answer().json["path"] == "/held"
        assert b" 200 " not in billing.tls.recv(1 << 14)
    give(program, policy(program.world))


def test_what_follows_an_answer_that_ends_the_connection_is_not_done(program: Program) -> None:
    before = program.get("/orders").json["calls"]
    with program.connect() as billing:
        billing.send(
            b"POST /nowhere HTTP/1.1\r\nHost: orders\r\nContent-Length: 1\r\n\r\nx"
            b"POST /orders HTTP/1.1\r\nHost: orders\r\nContent-Length: 0\r\n\r\n"
        )
        assert billing.answer("POST").headers["connection"] == "close"
        assert billing.ends_with_close_notify()
    assert program.get("/orders").json["calls"] == before + 1


def test_a_policy_that_cannot_mean_what_it_says_changes_nothing(program: Program) -> None:
    bad = policy(program.world, routes=(Route("/orders", methods=("get",)),))
    served = pki.server(program.world.server_authority)
    deliver(program.directory, pki.files(served, program.world.client_authority, granted=bad))
    line = program.logs.expect(event="delivery_refused", reason="policy")
    assert "routes[0]: write methods in upper case" in line["message"]
    with program.connect() as billing:
        assert billing.get("/orders").status == 200
