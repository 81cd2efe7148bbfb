"""What the authority Secret holds: both authorities over time, what was asked of them, who is revoked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated, Final, TypeAlias, get_args

import msgspec
from cryptography import x509

from mtls_operator.pki.authority import MAX_CHAIN, Authority, Role, decode_authority, encode_authority
from mtls_operator.pki.bundle import decode_bundle, encode_bundle, fingerprint
from mtls_operator.pki.generations import Generations, Retiring

STATE: Final = "state.json"
STATE_VERSION: Final = 1
MAX_STATE_BYTES: Final = 512 * 1024
MAX_LONGEST_SECONDS: Final = 100 * 366 * 24 * 60 * 60
"""More than any leaf lasts; a longer time is none that was written here."""
MARGIN: Final = timedelta(minutes=5)
"""How much longer than the last leaf of an authority its certificate is trusted."""
ROLES: Final[tuple[Role, ...]] = get_args(Role)


Moment: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]


@dataclass(frozen=True, slots=True)
class Keyring:
    """Both authorities of a service, and what must not be forgotten with them."""

    server: Generations
    client: Generations
    reissued_for: str = ""
    """The request for re-issue that was followed last, or was there when the service was first seen."""
    revoked: Mapping[str, datetime] = field(default_factory=dict)
    """URI of an identity to the moment before which its certificates must not have begun."""

    def of(self, role: Role) -> Generations:
        """Return the authority that signs leaves of this role."""
        return self.server if role == "server" else self.client

    def with_(self, generations: Generations) -> "Keyring":
        """Put another state of one authority in place of the former."""
        if generations.role == "server":
            return replace(self, server=generations)
        return replace(self, client=generations)


@dataclass(frozen=True, slots=True)
class Assumed:
    """What holds where the Secret does not say it: it is older than the saying, or damaged."""

    longest: Mapping[Role, timedelta]
    """The longest leaf that can be known of."""
    rotated_for: str
    reissued_for: str
    revoked: Mapping[str, datetime]
    now: datetime


class _Retiring(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    until: Moment
    certificates: tuple[str, ...]
    """Fingerprints, its own first."""


class _Role(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    longest: Annotated[int, msgspec.Meta(ge=0, le=MAX_LONGEST_SECONDS)]
    since: Moment
    prepared_at: Moment | None = None
    retiring: tuple[_Retiring, ...] = ()
    foreign: tuple[str, ...] = ()
    rotated_for: str = ""


class _State(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    version: int
    server: _Role
    client: _Role
    reissued_for: str = ""
    revoked: dict[str, Moment] = {}


class _Version(msgspec.Struct, frozen=True):
    version: int


def encode_keyring(keyring: Keyring) -> dict[str, bytes]:
    """Write the contents of the authority Secret; equal keyrings are equal bytes."""
    data: dict[str, bytes] = {}
    for role in ROLES:
        generations = keyring.of(role)
        for prefix, authority in ((role, generations.signing), (f"{role}-next", generations.next)):
            if authority is not None:
                data[f"{prefix}.crt"], data[f"{prefix}.key"] = encode_authority(authority)
        kept = {fingerprint(each): each for former in generations.retiring for each in former.certificates}
        if kept:
            data[f"{role}-retiring.crt"] = encode_bundle(kept.values())
    state = _State(
        version=STATE_VERSION,
        server=_state(keyring.server),
        client=_state(keyring.client),
        reissued_for=keyring.reissued_for,
        revoked=dict(keyring.revoked),
    )
    return {**data, STATE: msgspec.json.encode(state, order="sorted")}


def decode_keyring(data: Mapping[str, bytes], assumed: Assumed) -> Keyring:
    """Read the authority Secret, as far as it can be read.

    An authority whose key is damaged signs no more: its certificate, if that can be read, is trusted for as
    long as a leaf of it may hold. A Secret without state was written before there was any: nothing is
    prepared.

    Raises:
        ValueError: a later version of the operator wrote it.
    """
    state = _decode_state(data, assumed)
    server, client = (_generations(role, data, state, assumed) for role in ROLES)
    return Keyring(server, client, state.reissued_for, state.revoked)


def _state(generations: Generations) -> _Role:
    return _Role(
        longest=int(generations.longest.total_seconds()),
        since=generations.since,
        prepared_at=generations.prepared_at,
        retiring=tuple(
            _Retiring(each.until, tuple(map(fingerprint, each.certificates))) for each in generations.retiring
        ),
        foreign=tuple(sorted(generations.foreign)),
        rotated_for=generations.rotated_for,
    )


def _decode_state(data: Mapping[str, bytes], assumed: Assumed) -> _State:
    document = data.get(STATE, b"")[: MAX_STATE_BYTES + 1]
    try:
        version = msgspec.json.decode(document, type=_Version).version
        if version > STATE_VERSION:
            msg = f"{STATE} is of version {version}, and this operator reads {STATE_VERSION}: upgrade it"
            raise ValueError(msg)
        return msgspec.json.decode(document, type=_State)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _assumed_state(assumed)


def _assumed_state(assumed: Assumed) -> _State:
    server, client = (
        _Role(int(assumed.longest[role].total_seconds()), assumed.now, rotated_for=assumed.rotated_for)
        for role in ROLES
    )
    return _State(STATE_VERSION, server, client, assumed.reissued_for, dict(assumed.revoked))


def _generations(role: Role, data: Mapping[str, bytes], state: _State, assumed: Assumed) -> Generations:
    known: _Role = getattr(state, role)
    longest = timedelta(seconds=known.longest)
    signing = _authority(role, role, data)
    prepared = _authority(role, f"{role}-next", data)
    retiring = tuple(_retiring(role, data, known, assumed.now))
    if signing is None:
        lost = _certificates(data.get(f"{role}.crt", b""), MAX_CHAIN)
        retiring += (lose(role, lost, longest, assumed.now),) if lost else ()
    return Generations(
        role=role,
        signing=signing,
        longest=longest,
        since=known.since,
        next=prepared,
        prepared_at=known.prepared_at if prepared else None,
        retiring=retiring,
        foreign=frozenset(known.foreign),
        rotated_for=known.rotated_for,
    )


def lose(
    role: Role, certificates: tuple[x509.Certificate, ...], longest: timedelta | None, now: datetime
) -> Retiring:
    """Return how a generation is kept whose key is lost: trusted while a leaf of it may hold.

    Args:
        role: what its leaves are for.
        certificates: its own, and those above it.
        longest: its longest leaf; None: nobody knows.
        now: the time.
    """
    end = certificates[0].not_valid_after_utc
    return Retiring(role, certificates, end if longest is None else min(end, now + longest + MARGIN))


def _authority(role: Role, prefix: str, data: Mapping[str, bytes]) -> Authority | None:
    try:
        return decode_authority(role, data.get(f"{prefix}.crt", b""), data.get(f"{prefix}.key", b""))
    except ValueError:
        return None


def _retiring(role: Role, data: Mapping[str, bytes], known: _Role, now: datetime) -> Iterator[Retiring]:
    """Return what the state names of the bundle; without state, all of it."""
    kept = {fingerprint(each): each for each in _certificates(data.get(f"{role}-retiring.crt", b""))}
    for former in known.retiring:
        certificates = tuple(kept[each] for each in former.certificates if each in kept)
        if certificates:
            yield Retiring(role, certificates, former.until)
    named = {each for former in known.retiring for each in former.certificates}
    for unknown in kept.keys() - named:
        yield lose(role, (kept[unknown],), None, now)


def _certificates(pem: bytes, limit: int = 64) -> tuple[x509.Certificate, ...]:
    try:
        return decode_bundle(pem, limit)
    except ValueError:
        return ()
