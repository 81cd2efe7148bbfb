"""Certificate, key, trust anchors and policy of one delivery, made into what the listener uses."""

import hashlib
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding

from mtls_server.authorization.policy import Authorisation, Authority, Grant, trusted_part
from mtls_server.contract import CERTIFICATE, POLICY, PRIVATE_KEY, digest
from mtls_server.files.checks import examine
from mtls_server.files.context import TlsSettings, prove, server_context
from mtls_server.files.sessions import MAX_SESSIONS, VerifiedChains
from mtls_server.identity import Identity, Reason, Refusal, RefusedError, parse

MAX_JUDGED_PEERS: Final = 1024
_EXPIRED: Final = Refusal(Reason.EXPIRED, "the certificate has expired")
_UNPARSABLE: Final = Refusal(Reason.UNPARSABLE, "the certificate cannot be parsed")


@dataclass(frozen=True, eq=False)
class Peer:
    """A peer that passed the handshake: its identity, or why it is not served.

    What one generation decides about one certificate is one object, which many connections share.
    """

    identity: Identity | None
    refusal: Refusal | None
    by: str
    """Which part of the policy decided: ``revoked``, ``clients``, a rule such as ``rules[2]``, or none."""
    leaf: bytes = field(repr=False)
    """The peer's certificate (DER)."""
    chain: tuple[bytes, ...] = field(repr=False)
    """As OpenSSL verified it (DER), leaf first; empty where nobody knows any more."""
    server_certificate: str = field(repr=False)
    """The certificate (PEM) that the peer saw."""

    @cached_property
    def pem_chain(self) -> tuple[str, ...]:
        """The chain (PEM), leaf first, without the trust anchor that ends it."""
        return tuple(ssl.DER_cert_to_PEM_cert(der) for der in (self.leaf, *self.chain[1:-1]))


@dataclass(frozen=True)
class Generation:
    """Everything that one delivery of the mounted files decides; never changed, only replaced."""

    number: int
    context: ssl.SSLContext
    authorisation: Authorisation
    digest: str
    policy_digest: str
    certificate: str = field(repr=False)
    """The served certificate (PEM, leaf only)."""
    serial: str
    not_before: datetime
    not_after: datetime
    anchors: tuple[str, ...]
    """Subject key identifiers (lower-case hex) of the trust anchors."""
    anchors_not_after: tuple[datetime, ...]
    """Of each."""
    trusted: frozenset[Authority] = field(repr=False)
    """The trust anchors."""
    clock: Callable[[], float] = time.time
    verified: VerifiedChains = field(default_factory=lambda: VerifiedChains(0), repr=False, compare=False)
    _judged: OrderedDict[bytes, Peer] = field(default_factory=OrderedDict, repr=False, compare=False)

    def expired(self) -> bool:
        """Tell whether the served certificate's time is over."""
        return self.not_after.timestamp() < self.clock()

    def judge(self, leaf: bytes, verified_chain: Sequence[bytes]) -> Peer:
        """Decide about a peer whose handshake succeeded under this generation's context.

        Args:
            leaf: the peer's certificate, DER.
            verified_chain: DER, leaf first, as OpenSSL verified it; empty on a resumed session, whose
                peer is judged by the chain that this generation has verified before, if it knows that.
        """
        chain = tuple(verified_chain)
        if chain:
            self.verified.remember(chain)
        else:
            chain = self.verified.recall(leaf)
        peer = self._judged.get(leaf)
        if peer is None or chain not in ((), peer.chain):
            peer = self._judge_anew(leaf, chain)
        else:
            self._judged.move_to_end(leaf)
        if peer.identity is not None and peer.identity.valid_to.timestamp() < self.clock():
            return _refuse(peer, _EXPIRED)
        return peer

    def judge_again(self, peer: Peer) -> Peer:
        """Decide about a connected peer that was judged before, perhaps by another generation.

        Returns:
            The very peer if nothing changes for it. Who was refused once stays refused.
        """
        if peer.identity is None:
            return peer
        try:
            issuers = trusted_part(peer.chain, self.trusted)[1:]
            source = self.authorisation.source_of(issuers)
            identity, by = self.authorisation.authorise(peer.identity, source)
        except RefusedError as error:
            return _refuse(peer, error.refusal)
        if identity.valid_to.timestamp() < self.clock():
            return _refuse(peer, _EXPIRED)
        return peer if identity == peer.identity else replace(peer, identity=identity, by=by)

    def _judge_anew(self, leaf: bytes, chain: tuple[bytes, ...]) -> Peer:
        try:
            identity, by = self._identify(leaf, chain)
        except RefusedError as error:
            peer = Peer(None, error.refusal, error.refusal.by, leaf, chain, self.certificate)
        except Exception:  # noqa: BLE001 - whatever a hostile certificate raises in the parser is a refusal
            peer = Peer(None, _UNPARSABLE, _UNPARSABLE.by, leaf, chain, self.certificate)
        else:
            peer = Peer(identity, None, by, leaf, chain, self.certificate)
        self._remember(leaf, peer)
        return peer

    def _identify(self, leaf: bytes, chain: tuple[bytes, ...]) -> Grant:
        if not chain:
            raise RefusedError(Reason.NOT_VERIFIED, "the session is resumed, its certificate unknown here")
        identity = parse(leaf)
        return self.authorisation.authorise(identity, self.authorisation.source_of(chain[1:]))

    def _remember(self, leaf: bytes, peer: Peer) -> None:
        self._judged[leaf] = peer
        if len(self._judged) > MAX_JUDGED_PEERS:
            self._judged.popitem(last=False)


def _refuse(peer: Peer, refusal: Refusal) -> Peer:
    return replace(peer, identity=None, refusal=refusal, by=refusal.by)


def build(
    files: Mapping[str, bytes],
    number: int,
    settings: TlsSettings,
    clock: Callable[[], float],
    pause: Callable[[], None] = lambda: None,
) -> Generation:
    """Check the mounted files and make them serve.

    Args:
        files: file name to contents.
        number: counts generations.
        settings: of the protocol.
        clock: seconds since the epoch.
        pause: called between the steps, each of which takes a processor for less than half a millisecond.

    Raises:
        NotYetValidError: good files, too early.
        MaterialError: the files cannot serve, in words.
    """
    material = examine(files, datetime.fromtimestamp(clock(), UTC), x509_strict=settings.x509_strict)
    leaf, anchors = material.leaf, material.anchors
    pause()
    context = server_context(files[CERTIFICATE], files[PRIVATE_KEY], anchors.der, settings, pause)
    pause()
    prove(context, pause)
    return Generation(
        number=number,
        context=context,
        authorisation=material.authorisation,
        digest=digest(files),
        policy_digest=hashlib.sha256(files[POLICY]).hexdigest(),
        certificate=leaf.public_bytes(Encoding.PEM).decode(),
        serial=f"{leaf.serial_number:x}",
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        anchors=anchors.key_ids,
        anchors_not_after=tuple(one.not_valid_after_utc for one in anchors.certificates),
        trusted=anchors.authorities,
        verified=VerifiedChains(MAX_SESSIONS if settings.minimum_version < ssl.TLSVersion.TLSv1_3 else 0),
        clock=clock,
    )
