"""Given a CA of the user's own, or further ones to trust, expect these bundles and conditions."""

import base64
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from mtls_operator.api import names
from mtls_operator.pki.authority import spki_digest
from mtls_operator.pki.bundle import encode_bundle
from mtls_operator.pki.keys import encode_key
from mtls_operator.reconcile.ports import CONFIG_MAP, SECRET, Object, Ref
from mtls_operator.reconcile.status.service import build_status, notices
from mtls_server.contract import decode_policy
from tests.unit.policies.cas import Made, make_ca

from .api import ORDERS, Operator
from .universe import START, Universe, service_object

BEFORE = START - timedelta(days=1)
ROOT = make_ca("root", begins=BEFORE)
SIGNER = make_ca("orders CA", issuer=ROOT, begins=BEFORE)
SUCCESSOR = make_ca("orders CA 2", issuer=ROOT, begins=BEFORE)
PARTNER = make_ca("partner", begins=BEFORE)


def put_ca(universe: Universe, *chain: Made, use: str = names.USE_AUTHORITY) -> None:
    files = {
        "tls.crt": encode_bundle([made.certificate for made in chain]),
        "tls.key": encode_key(chain[0].key),
    }
    put(universe, Ref(SECRET, "shop", "own-ca"), use, {name: _base64(value) for name, value in files.items()})


def put_trust(universe: Universe, pem: str) -> None:
    put(universe, Ref(CONFIG_MAP, "shop", "partner"), names.USE_TRUST, {"ca.crt": pem})


def put(universe: Universe, ref: Ref, use: str, data: Mapping[str, str]) -> None:
    metadata = {"namespace": ref.namespace, "name": ref.name, "uid": "theirs", "resourceVersion": "1"}
    labels = {"labels": {names.LABEL_USE: use}}
    universe.objects[ref] = {"kind": ref.resource.kind, "metadata": metadata | labels, "data": dict(data)}


def owning(*roles: str, **spec: Any) -> Universe:
    authority = {role: {"secretRef": {"name": "own-ca"}} for role in roles}
    clients = {"clients": [{"name": "billing", "roles": ["reader"]}]}
    return Universe(service=service_object({"authority": authority, **clients, **spec}))


def bundle(universe: Universe, secret: str, file: str = "ca.crt") -> tuple[x509.Certificate, ...]:
    return tuple(x509.load_pem_x509_certificates(universe.file(secret, file)))


def condition(universe: Universe, kind: str) -> Object:
    return next(each for each in universe.service["status"]["conditions"] if each["type"] == kind)


def reasons(universe: Universe) -> list[str]:
    return [problem.reason for problem in universe.problems]


def _base64(contents: bytes) -> str:
    return base64.b64encode(contents).decode()


@pytest.fixture
def owned() -> Universe:
    """Settled, with one CA below a root for both roles."""
    universe = owning("server", "client")
    put_ca(universe, SIGNER, ROOT)
    universe.settle()
    return universe


def test_callers_get_the_root_and_the_server_exactly_the_signing_ca(owned: Universe) -> None:
    assert owned.problems == ()
    assert bundle(owned, "orders-client-billing") == (ROOT.certificate,)
    assert bundle(owned, "orders-server") == (SIGNER.certificate,)
    for secret in ("orders-server", "orders-client-billing"):
        leaf, *above = bundle(owned, secret, "tls.crt")
        leaf.verify_directly_issued_by(SIGNER.certificate)
        assert above == [SIGNER.certificate]


def test_the_policy_knows_the_signing_ca_as_own(owned: Universe) -> None:
    policy = decode_policy(owned.file("orders-server", "policy.json"))
    assert policy.sources == {"own": (spki_digest(SIGNER.certificate),)}


def test_the_secret_with_the_ca_is_never_written_to(owned: Universe) -> None:
    assert not any("own-ca" in write for write in owned.writes)
    assert "ownerReferences" not in owned.secret("own-ca")["metadata"]


@pytest.mark.parametrize("use", [names.USE_TRUST, names.USE_OWNED])
def test_without_consent_nothing_is_signed_and_with_it_everything_is(use: str) -> None:
    universe = owning("client")
    put_ca(universe, SIGNER, ROOT, use=use)
    universe.settle()
    assert "AuthorityMissing" in reasons(universe)
    assert condition(universe, "Ready")["status"] == "False"
    assert not any("orders-client" in ref.name for ref in universe.objects)
    put_ca(universe, SIGNER, ROOT)
    universe.settle()
    assert reasons(universe) == []
    assert bundle(universe, "orders-server") == (SIGNER.certificate,)


def test_a_ca_that_goes_bad_or_goes_away_changes_nothing_but_the_condition(owned: Universe) -> None:
    before = {name: owned.secret(name)["data"] for name in ("orders-server", "orders-client-billing")}
    put_ca(owned, SIGNER)
    assert owned.settle() == []
    assert reasons(owned) == ["AuthorityInvalid", "AuthorityInvalid"]
    del owned.objects[Ref(SECRET, "shop", "own-ca")]
    assert owned.settle() == []
    assert reasons(owned) == ["AuthorityMissing", "AuthorityMissing"]
    assert {name: owned.secret(name)["data"] for name in before} == before


def test_it_goes_on_signing_while_its_secret_is_bad(owned: Universe) -> None:
    del owned.objects[Ref(SECRET, "shop", "own-ca")]
    assert owned.after(hours=13.5).settle() == [
        "Replace Secret orders-server",
        "Replace Secret orders-client-billing",
    ]
    bundle(owned, "orders-server", "tls.crt")[0].verify_directly_issued_by(SIGNER.certificate)


def test_another_ca_in_the_secret_is_trusted_before_it_signs(owned: Universe) -> None:
    put_ca(owned, SUCCESSOR, ROOT)
    owned.settle()
    assert set(bundle(owned, "orders-server")) == {SIGNER.certificate, SUCCESSOR.certificate}
    assert bundle(owned, "orders-client-billing") == (ROOT.certificate,)
    leaf = bundle(owned, "orders-client-billing", "tls.crt")[0]
    leaf.verify_directly_issued_by(SIGNER.certificate)
    assert condition(owned, "AuthorityRotating")["status"] == "True"


def test_a_new_certificate_of_the_same_key_and_name_is_handed_out_at_once(owned: Universe) -> None:
    renewed = make_ca("orders CA", issuer=ROOT, key=SIGNER.key, begins=BEFORE, lasts=timedelta(days=400))
    put_ca(owned, renewed, ROOT)
    owned.settle()
    assert bundle(owned, "orders-server") == (renewed.certificate,)
    assert condition(owned, "AuthorityRotating")["status"] == "False"
    leaf, *above = bundle(owned, "orders-server", "tls.crt")
    leaf.verify_directly_issued_by(renewed.certificate)
    assert above == [renewed.certificate]


def test_leaves_end_with_the_ca_and_its_user_is_warned_in_time() -> None:
    universe = owning("client")
    put_ca(universe, make_ca("ending", begins=BEFORE, lasts=timedelta(days=11)))
    universe.settle()
    assert condition(universe, "CertificatesIssued")["message"] == "server and 1 of 1 clients"
    universe.after(days=6, seconds=1)
    report, plan = universe.decide()
    status = build_status(universe.world(), report, plan.problems)
    (notice,) = notices(universe.world(), report, status)
    assert (notice.severity, notice.reason) == ("Warning", "AuthorityEnding")
    universe.settle()
    assert condition(universe, "Stalled")["status"] == "False"
    assert condition(universe, "CertificatesIssued")["message"].endswith(notice.message)
    assert list(notices(universe.world(), report, universe.service["status"])) == []
    universe.after(days=3, hours=12).settle()
    assert reasons(universe) == ["AuthorityInvalid"]
    leaf = bundle(universe, "orders-client-billing", "tls.crt")[0]
    assert leaf.not_valid_after_utc == BEFORE + timedelta(days=11)


@pytest.fixture
def trusting() -> Universe:
    reference = {"configMapRef": {"name": "partner", "key": "ca.crt"}}
    universe = Universe(service=service_object({"trust": [{"name": "partner", **reference}]}))
    put_trust(universe, encode_bundle([PARTNER.certificate]).decode())
    universe.settle()
    return universe


def test_a_trusted_ca_joins_our_own_in_bundle_and_policy(trusting: Universe) -> None:
    own, partner = bundle(trusting, "orders-server")
    assert partner == PARTNER.certificate
    policy = decode_policy(trusting.file("orders-server", "policy.json"))
    assert policy.sources == {"own": (spki_digest(own),), "partner": (spki_digest(partner),)}
    assert trusting.problems == ()


def test_a_bad_source_leaves_what_it_had_and_writes_nothing(trusting: Universe) -> None:
    for bad in ("nothing", encode_key(PARTNER.key).decode()):
        put_trust(trusting, bad)
        assert trusting.settle() == []
        assert reasons(trusting) == ["TrustInvalid"]
        assert "PRIVATE" not in condition(trusting, "Stalled")["message"]
    assert PARTNER.certificate in bundle(trusting, "orders-server")


def test_what_leaves_a_source_or_the_spec_leaves_the_server(trusting: Universe) -> None:
    other = make_ca("other", begins=BEFORE)
    put_trust(trusting, encode_bundle([other.certificate]).decode())
    assert trusting.settle() == ["Replace Secret orders-server"]
    assert bundle(trusting, "orders-server")[1:] == (other.certificate,)
    trusting.service = {**trusting.service, "spec": {"trust": []}}
    assert trusting.settle() == ["Replace Secret orders-server"]
    assert len(bundle(trusting, "orders-server")) == 1


def test_as_many_cas_as_are_allowed_are_trusted_beside_our_own_and_renewed_with_them() -> None:
    reference = {"configMapRef": {"name": "partner", "key": "ca.crt"}}
    universe = Universe(service=service_object({"trust": [{"name": "partner", **reference}]}))
    cas = [make_ca(f"partner {number}", begins=BEFORE).certificate for number in range(64)]
    put_trust(universe, encode_bundle(cas).decode())
    universe.settle()
    assert len(bundle(universe, "orders-server")) == 65
    put_trust(universe, encode_bundle(cas[1:]).decode())
    assert universe.settle() == ["Replace Secret orders-server"]
    put_trust(universe, "nothing")
    assert universe.after(hours=13.5).settle() == ["Replace Secret orders-server"]
    assert len(bundle(universe, "orders-server")) == 64


async def test_what_a_spec_names_asks_for_a_pass_when_it_changes_and_nothing_else_does() -> None:
    reference = {"configMapRef": {"name": "partner", "key": "ca.crt"}}
    authority = {"server": {"secretRef": {"name": "own-ca"}}}
    operator = Operator(service_object({"trust": [{"name": "partner", **reference}], "authority": authority}))
    await operator.reconcile()
    named = {Ref(CONFIG_MAP, "shop", "partner"), Ref(SECRET, "shop", "own-ca")}
    others = {Ref(SECRET, "shop", "partner"), Ref(CONFIG_MAP, "elsewhere", "partner")}
    for ref in named | others:
        labels = {names.LABEL_USE: names.USE_TRUST}
        body = {"metadata": {"namespace": ref.namespace, "name": ref.name, "labels": labels}}
        expected = {ORDERS} if ref in named else set()
        assert operator.store.put(ref.resource, body) == expected
        assert operator.store.remove(ref.resource, body) == expected


def authority_files(universe: Universe) -> dict[str, bytes]:
    data = universe.secret("authority-uid-1")["data"]
    return {name: base64.b64decode(value) for name, value in data.items()}


def test_the_successor_signs_when_the_pods_trust_it_and_the_former_key_is_gone(owned: Universe) -> None:
    owned.add_pod("orders-1")
    owned.acknowledge("orders-1")
    put_ca(owned, SUCCESSOR, ROOT)
    owned.settle()
    bundle(owned, "orders-client-billing", "tls.crt")[0].verify_directly_issued_by(SIGNER.certificate)
    owned.acknowledge("orders-1")
    owned.settle()
    assert encode_key(SIGNER.key) not in [
        authority_files(owned).get(f"client{part}.key") for part in ("", "-next")
    ]
    assert authority_files(owned)["client.key"] == encode_key(SUCCESSOR.key)
    for _ in range(52):  # the server authority waits for a day, and is then trusted for another
        owned.acknowledge("orders-1")
        owned.after(hours=1, seconds=1).settle()
    assert encode_key(SIGNER.key) not in authority_files(owned).values()
    assert bundle(owned, "orders-server") == (SUCCESSOR.certificate,)
    for secret in ("orders-server", "orders-client-billing"):
        bundle(owned, secret, "tls.crt")[0].verify_directly_issued_by(SUCCESSOR.certificate)
    assert condition(owned, "AuthorityRotating")["status"] == "False"
    assert owned.problems == ()


def test_a_service_may_go_from_generated_authorities_to_its_own_and_back() -> None:
    universe = Universe(service=service_object())
    universe.settle()
    (generated,) = bundle(universe, "orders-server")
    put_ca(universe, SIGNER, ROOT)
    before = universe.service["spec"]
    universe.service["spec"] = owning("client").service["spec"]
    universe.settle()
    assert bundle(universe, "orders-server") == (SIGNER.certificate, generated)
    universe.add_pod("orders-1")
    universe.acknowledge("orders-1")
    universe.settle()
    assert authority_files(universe)["client.key"] == encode_key(SIGNER.key)
    universe.service["spec"] = before
    universe.settle()
    assert len(bundle(universe, "orders-server")) == 3
    universe.acknowledge("orders-1")
    universe.settle()
    assert encode_key(SIGNER.key) not in authority_files(universe).values()
