"""Certificates as the operator issues them, and what is made wrong of them, for verifiers to judge."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509

from mtls_operator.pki.authority import Authority, Role, issue_authority
from mtls_operator.pki.bundle import encode_bundle
from mtls_operator.pki.entropy import SYSTEM_ENTROPY
from mtls_operator.pki.keys import KeyProfile, encode_key
from mtls_operator.pki.leaf import Leaf, LeafProfile, client_profile, issue_leaf, server_profile
from tests.unit.policies.cas import make_ca

HOST = "orders.shop.svc"
LONG_HOST = "x" * 63 + ".example"
URI = "spiffe://cluster.local/ns/shop/mtlsservice/orders/client/billing"
DAY = timedelta(days=1)
KEYS = {
    "ecdsa-256": KeyProfile("ECDSA", 256),
    "ecdsa-384": KeyProfile("ECDSA", 384),
    "rsa-2048": KeyProfile("RSA", 2048),
    "ed25519": KeyProfile("Ed25519", 256),
}


@dataclass(frozen=True)
class Case:
    """One certificate and whether it may be accepted in its role."""

    name: str
    role: Role
    """As what it is presented."""
    host: str
    """Name that a server is called by."""
    trust: str
    """File of the trust anchors."""
    certificate: str
    """File of the certificate; intermediates follow it."""
    key: str
    accepted: bool

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def cases(folder: Path) -> Iterator[Case]:
    """Write the files of every case."""
    now = datetime.now(UTC)
    writer = _Writer(folder)
    for name, key in KEYS.items():
        servers, clients = _authority("server", now), _authority("client", now)
        server = issue_leaf(servers, server_profile([HOST], ["10.0.0.7"], key), DAY, now, SYSTEM_ENTROPY)
        client = issue_leaf(clients, client_profile("billing", URI, key), DAY, now, SYSTEM_ENTROPY)
        yield writer.case(f"{name} server", "server", servers, server, accepted=True)
        yield writer.case(f"{name} client", "client", clients, client, accepted=True)
        yield writer.case(f"{name} server as client", "client", servers, server, accepted=False)
        yield writer.case(f"{name} client as server", "server", clients, client, accepted=False)
        yield writer.case(f"{name} of another authority", "client", servers, client, accepted=False)
        yield from _wrong(writer, name, key, now)
    yield from _rotated(writer, now)
    yield from _unnamed(writer, now)
    for name, key in KEYS.items():
        yield from _below_a_root(writer, name, key, now)


def _below_a_root(writer: "_Writer", name: str, key: KeyProfile, now: datetime) -> Iterator[Case]:
    """A CA of the user's own, with its chain and the constraints that it may have; callers know the root."""
    kinds: dict[Role, tuple[LeafProfile, type[x509.DNSName | x509.UniformResourceIdentifier], str]] = {
        "server": (server_profile([HOST], [], key), x509.DNSName, "svc"),
        "client": (client_profile("billing", URI, key), x509.UniformResourceIdentifier, "cluster.local"),
    }
    for role, (profile, kind, within) in kinds.items():
        for title, permitted, accepted in (
            ("", "", True),
            (" within", within, True),
            (" beyond", "b.c", False),
        ):
            further = [x509.NameConstraints([kind(permitted)], None)] if permitted else []
            root = make_ca(f"root of {name}", begins=now - DAY, key=SYSTEM_ENTROPY.key(key))
            made = make_ca(issuer=root, begins=now - DAY, key=SYSTEM_ENTROPY.key(key), further=further)
            authority = made.authority(role, root)
            leaf = issue_leaf(authority, profile, DAY, now, SYSTEM_ENTROPY)
            case = f"{name} {role} below a root{title}"
            trusted = root.authority(role)
            yield writer.case(case, role, trusted, leaf, accepted=accepted, above=[authority])


def _wrong(writer: "_Writer", name: str, key: KeyProfile, now: datetime) -> Iterator[Case]:
    servers = _authority("server", now - 2 * DAY)
    profile = server_profile([HOST], [], key)
    expired = issue_leaf(servers, profile, timedelta(hours=1), now - DAY, SYSTEM_ENTROPY)
    yield writer.case(f"{name} expired", "server", servers, expired, accepted=False)
    early = issue_leaf(servers, profile, timedelta(hours=1), now + DAY, SYSTEM_ENTROPY)
    yield writer.case(f"{name} not yet valid", "server", servers, early, accepted=False)
    named = issue_leaf(servers, server_profile(["other.shop.svc"], [], key), DAY, now, SYSTEM_ENTROPY)
    yield writer.case(f"{name} of another name", "server", servers, named, accepted=False)
    leaf = issue_leaf(servers, profile, DAY, now, SYSTEM_ENTROPY)
    posing = Authority("server", leaf.certificate, leaf.key)
    below = issue_leaf(posing, profile, timedelta(hours=1), now, SYSTEM_ENTROPY)
    yield writer.case(f"{name} signed by a leaf", "server", servers, below, accepted=False, above=[leaf])


def _rotated(writer: "_Writer", now: datetime) -> Iterator[Case]:
    """While an authority is rotated, bundles hold two; both sign what is accepted."""
    former, current = _authority("client", now), _authority("client", now)
    profile: LeafProfile = client_profile("billing", URI, KEYS["ecdsa-256"])
    for name, authority in (("former", former), ("current", current)):
        leaf = issue_leaf(authority, profile, DAY, now, SYSTEM_ENTROPY)
        yield writer.case(
            f"client of the {name} of two", "client", former, leaf, accepted=True, also=[current]
        )


def _unnamed(writer: "_Writer", now: datetime) -> Iterator[Case]:
    """Where a name is too long for a subject, there is none, and the alternative names are critical."""
    key, servers, clients = KEYS["ecdsa-256"], _authority("server", now), _authority("client", now)
    server = issue_leaf(servers, server_profile([LONG_HOST], [], key), DAY, now, SYSTEM_ENTROPY)
    yield writer.case("server without subject", "server", servers, server, accepted=True, host=LONG_HOST)
    client = issue_leaf(clients, client_profile("c" * 65, URI, key), DAY, now, SYSTEM_ENTROPY)
    yield writer.case("client without subject", "client", clients, client, accepted=True)


def _authority(role: Role, now: datetime) -> Authority:
    return issue_authority(role, "shop/orders", 30 * DAY, now, SYSTEM_ENTROPY)


@dataclass(frozen=True)
class _Writer:
    folder: Path

    def case(
        self,
        name: str,
        role: Role,
        trusted: Authority,
        leaf: Leaf,
        *,
        accepted: bool,
        host: str = HOST,
        above: Sequence[Leaf | Authority] = (),
        also: list[Authority] | None = None,
    ) -> Case:
        chain = [leaf.certificate, *(intermediate.certificate for intermediate in above)]
        anchors = [trusted.certificate, *(authority.certificate for authority in also or ())]
        return Case(
            name=name,
            role=role,
            host=host,
            trust=self._write(f"{name}.ca.pem", encode_bundle(anchors)),
            certificate=self._write(f"{name}.crt.pem", encode_bundle(chain)),
            key=self._write(f"{name}.key.pem", encode_key(leaf.key)),
            accepted=accepted,
        )

    def _write(self, name: str, contents: bytes) -> str:
        path = self.folder / name.replace(" ", "-")
        path.write_bytes(contents)
        return str(path)
