"""What passes between the operator and the server: mounted files, policy, acknowledgement.

The operator writes the files and the policy, the server answers with its state. Both import
this module, and nothing else of each other, so that a field has one name and one meaning.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

CERTIFICATE: Final = "tls.crt"
PRIVATE_KEY: Final = "tls.key"
TRUST_ANCHORS: Final = "ca.crt"
POLICY: Final = "policy.json"

OWN_SOURCE: Final = "own"
"""The source of a peer whose certificate our own client authority signed."""

POLICY_VERSION: Final = 1
MAX_POLICY_BYTES: Final = 1 << 20
"""The API server's limit for a whole Secret, so never exceeded by a policy that is mounted."""

SERVER_PORT: Final = 8443
ADMIN_PORT: Final = 8081


class Client(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A caller known by its exact URI SAN: its name, unique in the service, and what the user granted it.

    Of an MTLSClient the name is ``<namespace>/<name>``, which no client of a spec can have.
    """

    name: str
    roles: tuple[str, ...] = ()
    tenant: str | None = None


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """Whom a certificate stands for: exactly one of spiffe_id, uri, dns, cn and fingerprint is given."""

    source: str = OWN_SOURCE
    """Whose authority must have signed."""
    spiffe_id: str | None = None
    """`*` stands for one segment."""
    uri: str | None = None
    dns: str | None = None
    cn: str | None = None
    fingerprint: str | None = None
    """SHA-256 of the certificate (DER), lower-case hex."""
    roles: tuple[str, ...] = ()
    tenant: str | None = None
    deny: bool = False


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """Who may send which requests."""

    path: str
    """`*` stands for one segment, `**` for any number of them at the end."""
    methods: tuple[str, ...] = ()
    """Empty: all."""
    roles: tuple[str, ...] = ()
    """Of which the caller must have one; empty: whoever is known."""


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """The contents of ``policy.json``: who is served, and as whom. What is not listed is denied."""

    version: int
    server_names: tuple[str, ...]
    """DNS names that the served certificate must carry."""
    sources: dict[str, tuple[str, ...]]
    """Source name to the SHA-256 (lower-case hex) of the public keys (SPKI, DER) of its CAs."""
    clients: dict[str, Client] = {}
    """URI SAN to client; holds only for peers whose source is ``own``."""
    revoked: dict[str, Annotated[datetime, msgspec.Meta(tz=True)]] = {}
    """URI SAN to the moment before which its certificates of source ``own`` must not have begun.

    Judged before anything else, so no rule can let a revoked caller in.
    """
    rules: tuple[Rule, ...] = ()
    routes: tuple[Route, ...] = ()
    """Empty: every caller that is known may send every request."""


class LeafState(msgspec.Struct, frozen=True, rename="camel"):
    """The certificate in service: serial as lower-case hex, end of validity in RFC 3339 UTC."""

    serial: str
    not_after: str


class ReloadState(msgspec.Struct, frozen=True, rename="camel"):
    """The outcome of the latest reload: ``ok``, or ``refused`` with the reason in words."""

    result: str
    reason: str = ""


class State(msgspec.Struct, frozen=True, rename="camel"):
    """What ``GET /state`` on the admin port answers: the acknowledgement of a delivery."""

    version: str
    generation: int
    digest: str
    policy_digest: str
    leaf: LeafState
    anchors: tuple[str, ...]
    """Subject key identifiers (lower-case hex) of the trust anchors in service."""
    last_reload: ReloadState


def digest(files: Mapping[str, bytes]) -> str:
    """Name one delivery of the mounted files, the private key left out.

    Args:
        files: file name to contents; a missing file counts as empty.

    Returns:
        Lower-case hex SHA-256 over name, length and contents of certificate, anchors and policy.
    """
    total = hashlib.sha256()
    for name in (CERTIFICATE, TRUST_ANCHORS, POLICY):
        contents = files.get(name, b"")
        total.update(f"{name}\0{len(contents)}\0".encode())
        total.update(contents)
    return total.hexdigest()


def encode_policy(policy: Policy) -> bytes:
    """Serialise with sorted keys, so that equal policies are equal bytes."""
    return msgspec.json.encode(policy, order="sorted")


def decode_policy(document: bytes) -> Policy:
    """Parse ``policy.json``.

    Raises:
        ValueError: too large, not JSON, an unknown field, a wrong type, a time that UTC does not know, or a
            version we do not speak.
    """
    if len(document) > MAX_POLICY_BYTES:
        msg = f"{POLICY} is {len(document)} bytes; at most {MAX_POLICY_BYTES} are read"
        raise ValueError(msg)
    try:
        policy = msgspec.json.decode(document, type=Policy)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        msg = f"{POLICY}: {error}"
        raise ValueError(msg) from error
    if policy.version != POLICY_VERSION:
        msg = f"{POLICY} has version {policy.version}; this server reads version {POLICY_VERSION}"
        raise ValueError(msg)
    try:
        for moment in policy.revoked.values():
            moment.astimezone(UTC)
    except OverflowError as error:
        msg = f"{POLICY}: revoked lists a time that is not of the years 1 to 9999 in UTC"
        raise ValueError(msg) from error
    return policy
