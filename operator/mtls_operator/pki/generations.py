"""The generations of one authority that are in use at a time: what signs, what will, and what did."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from .authority import Authority, Role, is_issued_by
from .bundle import fingerprint


@dataclass(frozen=True, slots=True)
class Retiring:
    """A generation that signs no more, and is trusted until the last leaf that it signed has ended."""

    role: Role
    certificates: tuple[x509.Certificate, ...]
    """Its own, and those above it up to the root."""
    until: datetime

    @property
    def anchor(self) -> x509.Certificate:
        """Return what verifiers trust, as with an `Authority`."""
        return self.certificates[-1] if self.role == "server" else self.certificates[0]


@dataclass(frozen=True, slots=True)
class Generations:
    """One authority of a service over time. Only what signs, and what is about to, still has its key."""

    role: Role
    signing: Authority | None
    """None: its key is lost, and nothing can be signed before `next` is trusted."""
    longest: timedelta
    """The longest duration of any leaf that `signing` signed, or is about to sign."""
    since: datetime
    """Since when it signs."""
    next: Authority | None = None
    """Prepared: trusted by as many as possible before it signs its first leaf."""
    prepared_at: datetime | None = None
    """Since when `next` exists."""
    retiring: tuple[Retiring, ...] = ()
    foreign: frozenset[str] = frozenset()
    """Key ids of those generations that are the user's own, and not made by us."""
    rotated_for: str = ""
    """The request for rotation that was followed last, or was there when the service was first seen."""

    @property
    def anchors(self) -> tuple[x509.Certificate, ...]:
        """Return what belongs into the bundles of those who verify its leaves.

        The order is that of age, whatever each does now, so that a bundle does not change when `next` begins
        to sign.
        """
        held = [each.anchor for each in (self.signing, self.next) if each is not None]
        return _by_age(held + [each.anchor for each in self.retiring])

    @property
    def former(self) -> tuple[x509.Certificate, ...]:
        """Return the certificates of retiring generations that signed leaves."""
        return tuple(each.certificates[0] for each in self.retiring)

    def signed(self, leaf: x509.Certificate) -> bool:
        """Tell whether any of the generations signed this leaf."""
        held = [each.certificate for each in (self.signing, self.next) if each is not None]
        return any(is_issued_by(leaf, certificate) for certificate in (*held, *self.former))

    def was_signed_before(self, leaf: x509.Certificate) -> bool:
        """Tell whether a retiring generation signed this leaf."""
        return any(is_issued_by(leaf, certificate) for certificate in self.former)


def _by_age(certificates: Iterable[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    unique = {fingerprint(certificate): certificate for certificate in certificates}
    return tuple(sorted(unique.values(), key=lambda each: (each.not_valid_before_utc, fingerprint(each))))
