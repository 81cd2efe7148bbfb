"""Given a CA of the user's own, expect this sentence or none; and OpenSSL to accept what a good one signs."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mtls_operator.pki.authority import Authority, Role, decode_authority
from mtls_operator.pki.bundle import decode_bundle
from mtls_operator.pki.leaf import issue_leaf
from mtls_operator.policies.authority import CHAIN, MAKE, MAKE_BELOW, Candidate, assemble, evaluate
from tests.unit.pki.samples import DAY, ENTROPY, HOUR, KEY_KINDS, NOW, SECOND, key_source, profile

from .cas import CLIENT_AUTH, SERVER_AUTH, SIGNS_NOT, Made, accepts, make_ca, sign_leaf

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"
ROOT_CA = MAKE.replace("tls.", "root.").replace(",pathlen:0", "")
ROLES: tuple[Role, ...] = ("server", "client")
Options = Mapping[str, Any]


def line(*options: Options) -> tuple[Made, ...]:
    """Make a root and CAs below it, each with these options; return the lowest first."""
    made: tuple[Made, ...] = ()
    for level, chosen in enumerate(options):
        made = (make_ca(f"CA {level}", issuer=made[0] if made else None, **chosen), *made)
    return made


def candidate(role: Role, chain: tuple[Made, ...]) -> Candidate:
    return Candidate(chain[0].authority(role, *chain[1:]), [profile(role)], DAY, NOW)


def path_length(length: int) -> Options:
    return {"constraints": x509.BasicConstraints(ca=True, path_length=length)}


def permitting(*names: x509.GeneralName) -> Options:
    return {"further": [x509.NameConstraints(list(names), None)]}


def excluding(*names: x509.GeneralName) -> Options:
    return {"further": [x509.NameConstraints(None, list(names))]}


def common_name(name: str) -> x509.DirectoryName:
    return x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))


def dns(name: str) -> x509.DNSName:
    return x509.DNSName(name)


def uri(name: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(name)


def network(text: str) -> x509.IPAddress:
    return x509.IPAddress(ip_network(text))


GOOD = {
    "self-signed": line({}),
    "below a root": line({}, {}),
    "two below a root": line({}, {}, {}),
    "with path lengths": line(path_length(1), path_length(0)),
    "with both usages": line({"usages": [CLIENT_AUTH, SERVER_AUTH]}, {"usages": [SERVER_AUTH, CLIENT_AUTH]}),
} | {f"of {kind}": line({"key": key_source(kind)}) for kind in KEY_KINDS}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("chain", GOOD.values(), ids=GOOD)
def test_a_good_ca_is_taken_and_verifiers_accept_what_it_signs(
    chain: tuple[Made, ...], role: Role, tmp_path: Path
) -> None:
    taken = candidate(role, chain)
    assert evaluate(taken) is None
    authority = taken.authority
    leaf = issue_leaf(authority, profile(role), DAY, NOW, ENTROPY).certificate
    assert accepts(role, leaf, [authority.root], tmp_path, shown=authority.intermediates, partial=False)
    assert accepts(role, leaf, [authority.certificate], tmp_path, partial=True)


def test_with_exactly_the_signing_ca_as_anchor_its_siblings_are_strangers(tmp_path: Path) -> None:
    signer, root = line({}, {})
    sibling = make_ca("sibling", issuer=root)
    leaf = sign_leaf(sibling, "client")
    shown = [sibling.certificate]
    assert accepts("client", leaf, [root.certificate], tmp_path, shown=shown)
    assert not accepts("client", leaf, [signer.certificate], tmp_path, shown=shown)


WITHIN = {
    "permitted names": permitting(
        *map(dns, ["orders", "shop", "svc", "Cluster.local"]), network("10.96.0.0/12"), network("fd00::/8")
    ),
    "every DNS name": permitting(dns("")),
    "another kind of name": permitting(x509.RFC822Name("example.com")),
    "excluded neighbours": excluding(dns("example.com"), dns("ders"), network("192.0.2.0/24")),
    "excluded subdomains only": excluding(dns(".orders")),
}


@pytest.mark.parametrize("options", WITHIN.values(), ids=WITHIN)
@pytest.mark.parametrize("level", [0, 1], ids=["root", "signer"])
def test_constraints_that_allow_our_names_are_no_obstacle(
    options: Options, level: int, tmp_path: Path
) -> None:
    chain = line(*[options if level == at else {} for at in range(2)])
    assert evaluate(candidate("server", chain)) is None
    shown = [chain[0].certificate]
    assert accepts("server", sign_leaf(chain[0], "server"), [chain[1].certificate], tmp_path, shown=shown)


FORBIDDEN: Mapping[str, tuple[Role, Options, str]] = {
    "no short name": ("server", permitting(dns("svc"), dns("cluster.local")), "'orders'"),
    "not the namespace": ("server", permitting(dns("orders"), dns("svc"), dns("local")), "'orders.shop'"),
    "excluded name": ("server", excluding(dns("CLUSTER.local")), "'orders.shop.svc.cluster.local'"),
    "subdomains only": ("server", permitting(*map(dns, [".orders", "shop", "svc", "local"])), "'orders'"),
    "other addresses": ("server", permitting(network("10.0.0.0/16"), network("fd00::/8")), "'10.96.0.7'"),
    "only IPv4": ("server", permitting(network("10.0.0.0/8")), "'fd00::7'"),
    "excluded address": ("server", excluding(network("fd00::/8")), "'fd00::7'"),
    "another subject": ("server", permitting(common_name("payments")), "'CN=orders'"),
    "excluded subject": ("client", excluding(common_name("Billing")), "'CN=billing'"),
    "another trust domain": (
        "client",
        permitting(uri("example.com")),
        "'spiffe://cluster.local/ns/shop/mtlsservice/orders/client/billing'",
    ),
    "subdomains of the trust domain": (
        "client",
        permitting(uri(".cluster.local")),
        "'spiffe://cluster.local/ns/shop/mtlsservice/orders/client/billing'",
    ),
    "excluded trust domain": (
        "client",
        excluding(uri("cluster.local")),
        "'spiffe://cluster.local/ns/shop/mtlsservice/orders/client/billing'",
    ),
}


@pytest.mark.parametrize(("role", "options", "name"), FORBIDDEN.values(), ids=FORBIDDEN)
@pytest.mark.parametrize("level", [0, 1], ids=["root", "signer"])
def test_constraints_that_forbid_our_names_are_told_and_openssl_heeds_them(
    role: Role, options: Options, name: str, level: int, tmp_path: Path
) -> None:
    chain = line(*[options if level == at else {} for at in range(2)])
    told = evaluate(candidate(role, chain))
    assert told is not None
    assert told.startswith(f"nameConstraints of certificate {2 - level} do not allow ")
    if "payments" not in str(options):  # there, the CA below is forbidden as well
        assert name in told
    shown = [chain[0].certificate]
    assert not accepts(role, sign_leaf(chain[0], role), [chain[1].certificate], tmp_path, shown=shown)


@pytest.mark.parametrize("name", ["cluster.local", ".local"])
def test_a_client_authority_may_be_held_to_its_trust_domain(name: str, tmp_path: Path) -> None:
    chain = line(permitting(uri(name)))
    assert evaluate(candidate("client", chain)) is None
    assert accepts("client", sign_leaf(chain[0], "client"), [chain[0].certificate], tmp_path)


BROKEN = {
    "a leaf": (line({"usage": SIGNS_NOT}), "certificate 1 may not sign certificates"),
    "a root that is none": (line({"usage": None}, {}), "certificate 2 has no keyUsage"),
    "for servers": (line({}, {"usages": [SERVER_AUTH]}), "certificate 1 is not meant for clients"),
    "below a root for servers": (
        line({"usages": [SERVER_AUTH]}, {}),
        "certificate 2 is not meant for clients",
    ),
    "without its root": (
        line({}, {})[:1],
        "the chain ends before a self-signed root; add the certificate of",
    ),
    "the wrong way round": (line({}, {})[::-1], "certificate 2 did not sign certificate 1"),
    "below a stranger": ((line({}, {})[0], *line({})), "certificate 2 did not sign certificate 1"),
    "path too long": (line(path_length(0), {}), "certificate 2 has pathlen:0, yet there are 1 CAs below it"),
    "ended": (line({"lasts": 30 * DAY}), "it, or one above it, ends at 2026-03-14T09:26:53Z"),
    "its root ends": (line({"lasts": 30 * DAY}, {}), "it, or one above it, ends at 2026-03-14T09:26:53Z"),
    "too soon": (line({"lasts": 32 * DAY - SECOND}), "it, or one above it, ends at 2026-03-16T09:26:52Z"),
    "not yet": (line({"begins": NOW + HOUR}), "it does not hold before 2026-03-14T10:26:53Z"),
    "of an odd key": (
        line({"key": ec.generate_private_key(ec.SECP256K1())}),
        "tls.key is neither ECDSA on P-256, P-384 or P-521, nor RSA",
    ),
}


@pytest.mark.parametrize(("chain", "told"), BROKEN.values(), ids=BROKEN)
def test_a_broken_rule_is_named_with_the_command_that_makes_it_good(
    chain: tuple[Made, ...], told: str
) -> None:
    sentence = evaluate(candidate("client", chain)) or ""
    assert sentence.startswith(told)
    assert any(command in sentence for command in (MAKE, MAKE_BELOW, CHAIN))
    assert "BEGIN" not in sentence


def test_the_key_must_be_that_of_the_first_certificate() -> None:
    signer, root = line({}, {})
    swapped = candidate("client", (Made(signer.certificate, root.key), root))
    assert (evaluate(swapped) or "").startswith("tls.key is not the private key of the first certificate")


def test_it_holds_long_enough_to_the_second() -> None:
    chain = line({"lasts": 32 * DAY + SECOND})
    assert evaluate(candidate("client", chain)) is None
    assert evaluate(replace(candidate("client", chain), longest_leaf=2 * DAY)) is not None


def test_a_chain_is_completed_from_what_lies_beside_it() -> None:
    signer, middle, root = (made.certificate for made in line({}, {}, {}))
    other = make_ca("other").certificate
    assert assemble([signer], [other, root, middle]) == (signer, middle, root)
    assert assemble([signer, middle, root], [root]) == (signer, middle, root)
    assert assemble([root], [root, other]) == (root,)
    assert assemble([root, root], []) == (root,)
    assert assemble([signer], [other]) == (signer,)


def test_the_commands_of_the_messages_make_good_authorities(tmp_path: Path) -> None:
    assert _made_by([MAKE], tmp_path).issuers == ()
    _run(ROOT_CA, tmp_path)
    _made_by([MAKE_BELOW, CHAIN], tmp_path)


def test_the_commands_of_the_documentation_make_good_authorities(tmp_path: Path) -> None:
    section = OPERATIONS.read_text().partition("## Your own CA")[2].partition("\n## ")[0]
    alone, below, _ = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    assert _made_by([alone], tmp_path).issuers == ()
    _run(ROOT_CA, tmp_path)
    assert _made_by([below], tmp_path).issuers == decode_bundle((tmp_path / "root.crt").read_bytes())


def _made_by(commands: Sequence[str], directory: Path) -> Authority:
    """Return what the commands leave in tls.crt and tls.key, once it is found good."""
    for command in commands:
        _run(command, directory)
    authority = decode_authority(
        "client", *((directory / name).read_bytes() for name in ("tls.crt", "tls.key"))
    )
    now = datetime.now(UTC) + timedelta(minutes=1)
    assert evaluate(Candidate(authority, [profile("client")], DAY, now)) is None
    return authority


def _run(command: str, directory: Path) -> None:
    subprocess.run(["sh", "-ec", command], cwd=directory, check=True, capture_output=True, timeout=60)
