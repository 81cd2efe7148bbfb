"""What a further CA of `trust` can do, and what it can not, on the wire."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from mtls_server.contract import Policy, Rule
from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.kubelet import deliver
from tests.unit.server.program import Program, running

PARTNER = pki.authority("client authority")
"""With the name of our own authority."""
WAREHOUSE = "spiffe://partner.example/warehouse"


def trusting(world: World, *rules: Rule) -> Policy:
    policy = pki.policy(world.client_authority, partner=PARTNER)
    return msgspec.structs.replace(policy, rules=rules)


@pytest.fixture
def program(world: World, tmp_path: Path) -> Iterator[Program]:
    with running(world, tmp_path, "asgi", "tests.unit.server.apps:mirror") as program:
        change(program, trusting(world, Rule(source="partner", uri=WAREHOUSE, roles=("stock",))), PARTNER)
        yield program


def change(program: Program, policy: Policy, *others: pki.Issued) -> None:
    """Deliver another policy and further anchors, and wait until they serve."""
    world, number = program.world, len(program.logs.matching(event="generation_published")) + 1
    served = pki.server(world.server_authority)
    deliver(program.directory, pki.files(served, world.client_authority, *others, granted=policy))
    program.logs.expect(event="generation_published", generation=number)


def test_it_can_not_speak_for_our_callers_whatever_it_writes_into_a_certificate(
    program: Program, world: World
) -> None:
    ours, forged = pki.client(world.client_authority), pki.client(PARTNER)
    for read in ("subject", "issuer"):
        assert getattr(forged.certificate, read) == getattr(ours.certificate, read)
    with program.connect(forged) as connection:
        answer = connection.get()
        assert (answer.status, answer.reason) == (403, "unknown_client")
    with program.connect(ours) as connection:
        assert connection.get().status == 200


def test_it_speaks_for_its_own_callers_where_a_rule_says_so(program: Program) -> None:
    with program.connect(pki.client(PARTNER, uri=WAREHOUSE, common_name="warehouse")) as connection:
        assert connection.get().status == 200


def test_what_a_rule_says_of_it_is_not_said_of_ours(program: Program, world: World) -> None:
    with program.connect(pki.client(world.client_authority, uri=WAREHOUSE)) as connection:
        assert connection.get().status == 403


def test_its_end_cuts_the_connections_that_it_vouched_for(program: Program, world: World) -> None:
    with (
        program.connect(pki.client(PARTNER, uri=WAREHOUSE)) as theirs,
        program.connect(pki.client(world.client_authority)) as ours,
    ):
        assert (theirs.get().status, ours.get().status) == (200, 200)
        change(program, pki.policy(world.client_authority))
        assert ours.get().status == 200
        with pytest.raises((ssl.SSLError, ConnectionError)):
            theirs.get()
