"""Who fails in the handshake: the client sees the alert, we log a line, the application is never called."""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.unit.server import pki
from tests.unit.server.conftest import World
from tests.unit.server.program import Program, running


@pytest.fixture(scope="module")
def program(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    arguments = "asgi", "tests.unit.server.apps:mirror"
    with running(world, tmp_path_factory.mktemp("program"), *arguments) as program:
        yield program
        assert "BEGIN" not in str(program.logs.all)


def expired(world: World) -> pki.Issued:
    return pki.client(world.client_authority, not_after=pki.NOW - timedelta(seconds=1))


def not_yet_valid(world: World) -> pki.Issued:
    return pki.client(world.client_authority, not_before=pki.NOW + timedelta(minutes=30))


def of_another_authority(_world: World) -> pki.Issued:
    return pki.client(pki.authority("stranger"))


def of_an_impostor(_world: World) -> pki.Issued:
    return pki.client(pki.authority("client authority"))


def of_the_server_authority(world: World) -> pki.Issued:
    return pki.client(world.server_authority)


def self_signed(_world: World) -> pki.Issued:
    return pki.leaf(None)


def without_its_intermediate(world: World) -> pki.Issued:
    intermediate = pki.authority("intermediate", issuer=world.client_authority, path_length=0)
    return replace(pki.client(intermediate), intermediates=())


def beyond_the_path_length(world: World) -> pki.Issued:
    first = pki.authority("first", issuer=world.client_authority, path_length=0)
    return pki.client(pki.authority("second", issuer=first))


def issued_by_a_leaf(world: World) -> pki.Issued:
    return pki.client(pki.client(world.client_authority))


def for_servers(world: World) -> pki.Issued:
    return pki.client(world.client_authority, usages=(ExtendedKeyUsageOID.SERVER_AUTH,))


def with_a_small_key(world: World) -> pki.Issued:
    return pki.client(world.client_authority, key=rsa.generate_private_key(65537, 1024))  # noqa: S505 - to be refused


def without_authority_key(world: World) -> pki.Issued:
    return pki.client(world.client_authority, authority_key=False)


@pytest.mark.parametrize(
    ("caller", "alert", "reason"),
    [
        (expired, "certificate expired", "certificate has expired"),
        (not_yet_valid, "bad certificate", "certificate is not yet valid"),
        (of_another_authority, "unknown ca", "unable to get local issuer certificate"),
        (of_an_impostor, "unknown ca", "unable to get local issuer certificate"),
        (of_the_server_authority, "unknown ca", "self-signed certificate in certificate chain"),
        (self_signed, "unknown ca", "self-signed certificate"),
        (without_its_intermediate, "unknown ca", "unable to get local issuer certificate"),
        (beyond_the_path_length, "unknown ca", "path length constraint exceeded"),
        (issued_by_a_leaf, "unknown ca", "invalid CA certificate"),
        (for_servers, "unsupported certificate", "unsuitable certificate purpose"),
        (with_a_small_key, "bad certificate", "EE certificate key too weak"),
        (without_authority_key, "certificate unknown", "Missing Authority Key Identifier"),
    ],
)
def test_a_client_that_must_not_pass_learns_why(
    world: World, program: Program, caller: Callable[[World], pki.Issued], alert: str, reason: str
) -> None:
    before = int(program.get().json["calls"])
    stranger = caller(world)
    with program.connect(stranger) as connection, pytest.raises(ssl.SSLError, match=alert):
        connection.get()
    presented = {
        "subject": stranger.certificate.subject.rfc4514_string(),
        "serial": f"{stranger.certificate.serial_number:x}",
        "not_after": f"{stranger.certificate.not_valid_after_utc:%FT%TZ}",
        "note": "as presented, possession unproven",
    }
    line = program.logs.expect(event="handshake_failed", presented=presented)
    assert line["reason"] == reason
    assert program.logs.matching(event="handshake_failed", presented=presented) == [line]
    assert f'reason="{line["reason"]}",result="failed"' in program.ask_admin("/metrics")[1]
    assert program.get().json["calls"] == before + 1
