"""Certificate, key, trust anchors and policy of one delivery, made into what the listener uses."""

import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Final

from mtls_server.contract import Policy
from mtls_server.identity import Identity, Reason, Refusal, RefusedError, parse
from mtls_server.policy import authorise, source_of

MAX_JUDGED_PEERS: Final = 1024


@dataclass(frozen=True)
class Peer:
    """A peer that passed the handshake: its identity, or why it is not served."""

    identity: Identity | None
    refusal: Refusal | None
    chain: tuple[bytes, ...]
    """The verified chain (DER), leaf first."""
    server_certificate: str
    """The certificate (PEM) that the peer saw."""

    @cached_property
    def pem_chain(self) -> tuple[str, ...]:
        """The chain (PEM), leaf first, without the trust anchor that ends it."""
        return tuple(ssl.DER_cert_to_PEM_cert(der) for der in self.chain[:-1] or self.chain)


@dataclass(frozen=True)
class Generation:
    """Everything that one delivery of the mounted files decides; never changed, only replaced."""

    number: int
    context: ssl.SSLContext
    policy: Policy
    digest: str
    policy_digest: str
    certificate: str
    """The served certificate (PEM, leaf only)."""
    serial: str
    not_before: datetime
    not_after: datetime
    anchors: tuple[str, ...]
    """Subject key identifiers (lower-case hex) of the trust anchors."""
    clock: Callable[[], float] = time.time
    _judged: OrderedDict[bytes, Peer] = field(default_factory=OrderedDict, repr=False, compare=False)

    def judge(self, leaf: bytes, verified_chain: Sequence[bytes]) -> Peer:
        """Decide about a peer whose handshake succeeded under this generation's context.

        Args:
            leaf: the peer's certificate, DER.
            verified_chain: DER, leaf first, as OpenSSL verified it; empty on a resumed session, whose
                peer is then served only if this generation has judged its certificate before.
        """
        chain = tuple(verified_chain)
        peer = self._judged.get(leaf)
        if peer is None or chain not in ((), peer.chain):
            peer = self._judge_anew(leaf, chain)
        if peer.identity is not None and peer.identity.valid_to.timestamp() < self.clock():
            return self._refused(Refusal(Reason.EXPIRED, "the certificate has expired"), peer.chain)
        return peer

    def _judge_anew(self, leaf: bytes, chain: tuple[bytes, ...]) -> Peer:
        if not chain:
            return self._refused(
                Refusal(
                    Reason.NOT_VERIFIED, "the session is resumed and its certificate unknown; connect anew"
                ),
                (),
            )
        try:
            identity = authorise(self.policy, parse(leaf), source_of(self.policy, chain[1:]))
            peer = Peer(identity, None, chain, self.certificate)
        except RefusedError as error:
            peer = self._refused(error.refusal, chain)
        except Exception:  # noqa: BLE001 - whatever a hostile certificate raises in the parser is a refusal
            peer = self._refused(Refusal(Reason.UNPARSABLE, "the certificate cannot be parsed"), chain)
        self._remember(leaf, peer)
        return peer

    def _refused(self, refusal: Refusal, chain: tuple[bytes, ...]) -> Peer:
        return Peer(None, refusal, chain, self.certificate)

    def _remember(self, leaf: bytes, peer: Peer) -> None:
        self._judged[leaf] = peer
        self._judged.move_to_end(leaf)
        if len(self._judged) > MAX_JUDGED_PEERS:
            self._judged.popitem(last=False)
