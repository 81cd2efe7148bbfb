"""Given entries of `trust` and what they refer to, expect these CAs, and these sentences."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from mtls_operator.api import names
from mtls_operator.pki.authority import spki_digest
from mtls_operator.pki.bundle import encode_bundle
from mtls_operator.pki.keys import encode_key
from mtls_operator.reconcile.decide.trust import Trust, decide_trust
from mtls_operator.reconcile.ports import CONFIG_MAP, SECRET, Object, Ref, Resource
from mtls_server.contract import POLICY_VERSION, Policy, encode_policy
from tests.unit.policies.cas import SERVER_AUTH, Made, make_ca

from .universe import START, Universe, service_object

PARTNER = Ref(CONFIG_MAP, "shop", "partner")
OURS = make_ca("client authority of shop/orders").certificate
FIRST, SECOND = make_ca("partner one"), make_ca("partner two")


def pem(*cas: Made) -> bytes:
    return encode_bundle([made.certificate for made in cas])


def labelled(ref: Ref, contents: bytes, use: str | None = names.USE_TRUST, key: str = "ca.crt") -> Object:
    text = contents.decode() if ref.resource == CONFIG_MAP else base64.b64encode(contents).decode()
    labels = {names.LABEL_USE: use} if use else {}
    return {
        "kind": ref.resource.kind,
        "metadata": {"namespace": ref.namespace, "name": ref.name, "labels": labels, "uid": "u"},
        "data": {key: text},
    }


def entry(name: str = "partner", resource: Resource = CONFIG_MAP, **reference: str) -> Object:
    field = "configMapRef" if resource == CONFIG_MAP else "secretRef"
    return {"name": name, field: {"name": name, "key": "ca.crt"} | reference}


def server_secret(sources: Mapping[str, Sequence[Made]]) -> Object:
    """What the server has: these CAs, beside our own."""
    keys = {name: tuple(spki_digest(made.certificate) for made in cas) for name, cas in sources.items()}
    bundle = encode_bundle([OURS, *(made.certificate for cas in sources.values() for made in cas)])
    files = {"ca.crt": bundle, "policy.json": encode_policy(Policy(POLICY_VERSION, ("orders",), keys))}
    return {
        "kind": "Secret",
        "metadata": {
            "namespace": "shop",
            "name": "orders-server",
            "labels": {names.LABEL_SERVICE_UID: "uid-1"},
        },
        "data": {name: base64.b64encode(contents).decode() for name, contents in files.items()},
    }


def decided(
    *found: tuple[Ref, Object],
    entries: Sequence[Object] = (entry(),),
    spec: Mapping[str, Any] = {},
    before: Mapping[str, Sequence[Made]] | None = None,
    after: timedelta = timedelta(),
) -> Trust:
    universe = Universe(service=service_object({**spec, "trust": list(entries)}))
    secrets = {} if before is None else {Ref(SECRET, "shop", "orders-server"): server_secret(before)}
    world = replace(universe.world(), references=dict(found), secrets=secrets, now=START + after)
    return decide_trust(world, [OURS])


def of(trust: Trust) -> list[x509.Certificate]:
    return list(trust.certificates)


def only_problem(trust: Trust) -> tuple[str, str]:
    (problem,) = trust.problems
    assert "-----" not in problem.message
    return problem.reason, problem.message


@pytest.mark.parametrize("resource", [CONFIG_MAP, SECRET], ids=["ConfigMap", "Secret"])
def test_the_cas_of_an_entry_are_trusted_under_its_name(resource: Resource) -> None:
    ref = PARTNER._replace(resource=resource)
    trust = decided((ref, labelled(ref, pem(FIRST, SECOND))), entries=[entry(resource=resource)])
    assert of(trust) == [FIRST.certificate, SECOND.certificate]
    assert trust.sources == {"partner": (spki_digest(FIRST.certificate), spki_digest(SECOND.certificate))}
    assert (trust.problems, trust.warnings) == ((), ())


def test_only_certificates_are_taken_not_what_is_written_around_them() -> None:
    noisy = b"issued for the partner\n" + pem(FIRST) + b"valid until further notice\n"
    assert of(decided((PARTNER, labelled(PARTNER, noisy)))) == [FIRST.certificate]


def test_what_is_not_consented_to_is_not_there() -> None:
    for use in (None, names.USE_OWNED, names.USE_AUTHORITY, names.USE_PASSWORD):
        reason, message = only_problem(decided((PARTNER, labelled(PARTNER, pem(FIRST), use))))
        assert reason == "TrustMissing"
        assert message.startswith(
            "trust source 'partner': no ConfigMap partner has the label mtls-operator.io/use: "
        )
        assert message.endswith("none of its CAs is trusted")


def test_a_missing_key_is_missing() -> None:
    trust = decided((PARTNER, labelled(PARTNER, pem(FIRST), key="other")))
    reason, message = only_problem(trust)
    assert (reason, trust.sources) == ("TrustMissing", {"partner": ()})
    assert "ConfigMap partner has no key ca.crt" in message


BAD = {
    "a key": (pem(FIRST) + encode_key(FIRST.key), "there is something else than certificates"),
    "garbage": (b"MIIB nothing", "there is no certificate"),
    "a damaged block": (pem(FIRST)[:200] + b"\n-----END CERTIFICATE-----\n", "can not be read as an X.509"),
    "a leaf among CAs": (
        pem(FIRST, make_ca("leaf", constraints=x509.BasicConstraints(ca=False, path_length=None))),
        "'CN=leaf' is not that of a CA",
    ),
    "a CA for servers": (pem(make_ca("web", usages=[SERVER_AUTH])), "'CN=web' is not meant for clients"),
    "not strict": (pem(FIRST, make_ca("lax", ski=False)), "'CN=lax' has no subjectKeyIdentifier"),
    "too many": (pem(*[FIRST] * 65), "there are 65 certificates; at most 64 are read"),
    "too long": (b" " * (256 * 1024) + pem(FIRST), "at most 262144 are read"),
    "the double of ours": (
        pem(make_ca(ski=OURS.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest)),
        "has the name or key identifier of a CA of the source 'own', and another key",
    ),
}


@pytest.mark.parametrize(("contents", "why"), BAD.values(), ids=BAD)
def test_a_bad_source_keeps_what_it_had_and_says_why(contents: bytes, why: str) -> None:
    trust = decided((PARTNER, labelled(PARTNER, contents)), before={"partner": [FIRST, SECOND]})
    reason, message = only_problem(trust)
    assert reason == "TrustInvalid"
    assert message.startswith("trust source 'partner': key ca.crt of ConfigMap partner is refused: ")
    assert why in message
    assert message.endswith("the last good CAs stay (2)")
    assert of(trust) == [FIRST.certificate, SECOND.certificate]


def test_a_missing_source_keeps_what_it_had() -> None:
    trust = decided(before={"partner": [FIRST]})
    assert only_problem(trust)[1].endswith("create or label it; the last good CAs stay (1)")
    assert trust.sources == {"partner": (spki_digest(FIRST.certificate),)}


def test_what_is_kept_is_that_of_the_source_and_still_must_hold() -> None:
    ending = make_ca("ending", lasts=timedelta(days=1), begins=START)
    lax = make_ca("lax", ski=False)
    before = {"partner": [ending, lax, FIRST], "other": [SECOND]}
    assert of(decided(before=before)) == [ending.certificate, FIRST.certificate]
    assert of(decided(before=before, after=timedelta(days=1))) == [FIRST.certificate]


def test_an_entry_that_is_removed_takes_its_cas_with_it() -> None:
    trust = decided(entries=[], before={"partner": [FIRST]})
    assert (of(trust), trust.sources) == ([], {})


def test_an_expired_ca_is_left_out_and_named_and_the_rest_is_taken() -> None:
    ended = make_ca("ended", begins=START, lasts=timedelta(days=1))
    found = (PARTNER, labelled(PARTNER, pem(ended, FIRST)))
    assert decided(found).wake == ended.certificate.not_valid_after_utc
    trust = decided(found, after=timedelta(days=1))
    assert of(trust) == [FIRST.certificate]
    (warning,) = trust.warnings
    assert warning.reason == "TrustIncomplete"
    assert warning.message == (
        "trust source 'partner': 'CN=ended' is left out, since it expired at 2026-01-02T12:00:00Z"
    )
    assert trust.problems == ()


def test_a_ca_that_is_our_own_stays_ours() -> None:
    trust = decided((PARTNER, labelled(PARTNER, encode_bundle([OURS]) + pem(FIRST))))
    assert of(trust) == [FIRST.certificate]
    assert trust.sources == {"partner": (spki_digest(FIRST.certificate),)}
    (warning,) = trust.warnings
    assert warning.message.endswith("is left out, since it belongs to the source 'own'")


def test_a_ca_in_two_sources_belongs_to_the_first() -> None:
    other = PARTNER._replace(name="other")
    trust = decided(
        (PARTNER, labelled(PARTNER, pem(FIRST))),
        (other, labelled(other, pem(FIRST, SECOND))),
        entries=[entry(), entry("other")],
    )
    assert of(trust) == [FIRST.certificate, SECOND.certificate]
    assert trust.sources == {
        "partner": (spki_digest(FIRST.certificate),),
        "other": (spki_digest(SECOND.certificate),),
    }
    assert [warning.message.rpartition(" ")[2] for warning in trust.warnings] == ["'partner'"]


def test_the_bounds_are_those_of_all_sources_together() -> None:
    cas = [make_ca(f"ca {number}") for number in range(65)]
    other = PARTNER._replace(name="other")
    trust = decided(
        (PARTNER, labelled(PARTNER, pem(*cas[:60]))),
        (other, labelled(other, pem(*cas[60:]))),
        entries=[entry(), entry("other")],
    )
    assert len(of(trust)) == 60
    reason, message = only_problem(trust)
    assert reason == "TrustInvalid"
    assert "with it, trust has 65 CAs" in message


@pytest.mark.parametrize("spec", [{"tls": {"x509Strict": False}}, {"backend": {"none": {}}}])
def test_a_ca_may_be_lax_where_nobody_of_ours_is_strict(spec: Mapping[str, Any]) -> None:
    lax = make_ca("lax", ski=False, usage=None)
    assert of(decided((PARTNER, labelled(PARTNER, pem(lax))), spec=spec)) == [lax.certificate]


def test_a_lax_ca_must_not_have_the_name_of_ours() -> None:
    double = make_ca("client authority of shop/orders", ski=False)
    trust = decided((PARTNER, labelled(PARTNER, pem(double))), spec={"tls": {"x509Strict": False}})
    assert "has the name or key identifier of a CA of the source 'own'" in only_problem(trust)[1]


def test_a_renewed_ca_of_the_same_key_is_no_double() -> None:
    renewed = make_ca("partner one", key=FIRST.key)
    assert len(of(decided((PARTNER, labelled(PARTNER, pem(FIRST, renewed)))))) == 2


def test_a_server_secret_of_somebody_else_is_no_memory() -> None:
    universe = Universe(service=service_object({"trust": [entry()]}))
    foreign = server_secret({"partner": [FIRST]})
    foreign["metadata"]["labels"] = {}
    world = replace(universe.world(), secrets={Ref(SECRET, "shop", "orders-server"): foreign})
    assert of(decide_trust(world, [OURS])) == []
