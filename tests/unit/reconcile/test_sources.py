"""Given a Secret with a CA of the user's own, expect it to sign, or this sentence."""

import base64
from dataclasses import replace
from datetime import timedelta
from math import lcm
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from mtls_operator.api import names
from mtls_operator.pki.authority import Authority, Role
from mtls_operator.pki.bundle import encode_bundle
from mtls_operator.pki.generations import Generations
from mtls_operator.pki.keys import encode_key
from mtls_operator.reconcile.decide.sources import ending, wanted_authority
from mtls_operator.reconcile.plan import Problem
from mtls_operator.reconcile.ports import SECRET, Object, Ref
from mtls_operator.reconcile.world import World
from tests.unit.policies.cas import Made, make_ca

from .universe import START, Universe, service_object

OWN = Ref(SECRET, "shop", "own-ca")
BEFORE = START - timedelta(days=1)
YEAR = timedelta(days=365)
ROOT = make_ca("root", begins=BEFORE)
SIGNER = make_ca("orders CA", issuer=ROOT, begins=BEFORE)


def files(*chain: Made, key: Made | None = None, beside: tuple[Made, ...] = ()) -> dict[str, bytes]:
    certificate = encode_bundle([made.certificate for made in chain])
    ca = {"ca.crt": encode_bundle([made.certificate for made in beside])} if beside else {}
    return {"tls.crt": certificate, "tls.key": encode_key((key or chain[0]).key), **ca}


def secret(data: dict[str, bytes], use: str = names.USE_AUTHORITY) -> Object:
    return {
        "metadata": {"namespace": "shop", "name": "own-ca", "labels": {names.LABEL_USE: use}},
        "data": {name: base64.b64encode(contents).decode() for name, contents in data.items()},
    }


def world(role: Role, found: Object | None, **spec: Any) -> World:
    service = service_object({"authority": {role: {"secretRef": {"name": "own-ca"}}}, **spec})
    return replace(Universe(service=service).world(), references={OWN: found} if found else {})


def taken(role: Role, data: dict[str, bytes]) -> Authority:
    authority = wanted_authority(world(role, secret(data)), role)
    assert isinstance(authority, Authority), authority
    return authority


def refused(role: Role, found: Object | None, **spec: Any) -> Problem:
    problem = wanted_authority(world(role, found, **spec), role)
    assert isinstance(problem, Problem)
    assert "-----" not in problem.message
    return problem


def test_a_spec_that_names_no_secret_wants_no_authority_of_the_users() -> None:
    assert wanted_authority(world("client", secret(files(SIGNER, ROOT))), "server") is None


@pytest.mark.parametrize("role", ["server", "client"])
@pytest.mark.parametrize(
    "data",
    [files(SIGNER, ROOT), files(SIGNER, beside=(ROOT,)), files(SIGNER, ROOT, beside=(ROOT,))],
    ids=["chain in tls.crt", "root in ca.crt", "root in both"],
)
def test_an_intermediate_comes_with_its_chain(role: Role, data: dict[str, bytes]) -> None:
    authority = taken(role, data)
    assert authority.certificates == (SIGNER.certificate, ROOT.certificate)
    assert authority.role == role
    assert authority.anchor == (ROOT if role == "server" else SIGNER).certificate


def test_a_root_may_sign_itself_whatever_lies_beside() -> None:
    assert taken("client", files(ROOT, beside=(SIGNER,))).certificates == (ROOT.certificate,)


def test_both_roles_may_use_one_secret() -> None:
    both = {role: {"secretRef": {"name": "own-ca"}} for role in ("server", "client")}
    seen = world("server", secret(files(ROOT)), authority=both)
    assert {type(wanted_authority(seen, role)) for role in ("server", "client")} == {Authority}


@pytest.mark.parametrize("use", [names.USE_OWNED, names.USE_TRUST, names.USE_PASSWORD])
def test_without_consent_a_secret_is_as_good_as_missing(use: str) -> None:
    for found in (None, secret(files(ROOT), use)):
        problem = refused("client", found)
        assert problem.reason == "AuthorityMissing"
        assert problem.message == (
            "authority.client.secretRef: no Secret own-ca has the label mtls-operator.io/use: authority;"
            " create or label it"
        )


BAD = {
    "no certificate": (files(ROOT) | {"tls.crt": b""}, "tls.crt: there is no certificate"),
    "no key": (files(ROOT) | {"tls.key": b""}, "tls.key: there is no readable private key"),
    "key in tls.crt": (
        files(ROOT) | {"tls.crt": encode_key(ROOT.key)},
        "tls.crt: there is something else than certificates",
    ),
    "another key": (files(SIGNER, ROOT, key=ROOT), "tls.key is not the private key of the first certificate"),
    "no root": (files(SIGNER), "the chain ends before a self-signed root; add the certificate of 'CN=root'"),
    "garbage beside": (files(SIGNER) | {"ca.crt": b"none"}, "ca.crt: there is no certificate"),
    "ended": (files(make_ca(lasts=timedelta(days=1), begins=BEFORE)), "it, or one above it, ends at"),
}


@pytest.mark.parametrize(("data", "why"), BAD.values(), ids=BAD)
def test_a_bad_one_is_refused_in_words(data: dict[str, bytes], why: str) -> None:
    problem = refused("client", secret(data))
    assert problem.reason == "AuthorityInvalid"
    assert problem.message.startswith(f"authority.client.secretRef: Secret own-ca is refused: {why}")


def test_it_must_hold_for_twice_the_longest_leaf_of_its_role() -> None:
    short = secret(files(make_ca(begins=BEFORE, lasts=timedelta(days=4))))
    clients = {"clients": [{"name": "billing", "duration": "48h"}]}
    assert isinstance(wanted_authority(world("server", short, **clients), "server"), Authority)
    assert "48h" not in refused("client", short, **clients).message
    assert "must hold for 96h more" in refused("client", short, **clients).message


def test_the_primes_of_a_key_are_proven_until_it_is_taken() -> None:
    made = make_ca(key=_of_composite_numbers(), issuer=ROOT, begins=BEFORE)
    seen = world("client", secret(files(made, ROOT)))
    elsewhere = secret({"server.crt": files(made)["tls.crt"]})
    for unknown in (seen, replace(seen, authority=elsewhere)):
        problem = wanted_authority(unknown, "client")
        assert isinstance(problem, Problem)
        assert "tls.key: there is no readable private key" in problem.message
    stored = secret({"client.crt": files(made)["tls.crt"]})
    assert isinstance(wanted_authority(replace(seen, authority=stored), "client"), Authority)


def _of_composite_numbers() -> RSAPrivateKey:
    """Make a key that only the proof of its primes tells from a sound one."""
    p, q = (rsa.generate_private_key(65537, 2048).private_numbers().public_numbers.n for _ in range(2))
    d = pow(65537, -1, lcm(p - 1, q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


def generations(made: Made, **further: object) -> Generations:
    return replace(
        Generations("client", made.authority("client"), longest=timedelta(hours=24), since=START),
        **further,  # type: ignore[arg-type]
    )


def test_the_end_of_a_users_authority_is_told_in_time() -> None:
    made = make_ca("orders CA", begins=BEFORE, lasts=timedelta(days=10))
    seen = world("client", secret(files(made)))
    assert ending(seen, generations(made)) is None
    late = replace(seen, now=made.certificate.not_valid_after_utc - timedelta(days=4))
    warning = ending(late, generations(made))
    assert warning is not None
    assert warning.reason == "AuthorityEnding"
    assert warning.message.startswith(
        "the client authority of Secret own-ca ends at 2026-01-10T12:00:00Z, and so does what it signs"
    )
    assert ending(late, generations(made, next=ROOT.authority("client"))) is None


def test_the_end_of_a_generated_authority_is_the_operators_business() -> None:
    made = make_ca(begins=BEFORE, lasts=timedelta(days=2))
    assert ending(Universe().world(), generations(made)) is None
