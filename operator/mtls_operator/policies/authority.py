"""Can this CA of the user's own be an authority? An ordered chain of pure checks gives the one answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, TypeAlias

from cryptography import x509

from mtls_operator.api import durations
from mtls_operator.pki.authority import MAX_CHAIN, Authority, is_issued_by
from mtls_operator.pki.extensions import extension
from mtls_operator.pki.keys import profile_of
from mtls_operator.pki.leaf import LeafProfile
from mtls_operator.pki.validity import rfc3339

from . import foreign
from .name_constraints import forbidden, names_of

MAKE: Final = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365"
    " -subj '/CN=orders CA' -addext basicConstraints=critical,CA:TRUE,pathlen:0"
    " -addext keyUsage=critical,keyCertSign,cRLSign -keyout tls.key -out tls.crt"
)
"""Makes a self-signed CA."""
MAKE_BELOW: Final = f"{MAKE.removesuffix('tls.crt')}ca.crt -CA root.crt -CAkey root.key"
"""Makes a CA below `root.crt`."""
CHAIN: Final = "cat ca.crt root.crt > tls.crt"
"""Puts such a CA and those above it into the one file."""
LEAVES_LEFT: Final = 2
"""For how many of its longest leaves an authority must still hold when it is taken, or kept without alarm."""
MAX_QUOTED: Final = 128
"""Most characters of a name in a message."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A CA of the user's own, and what it shall sign."""

    authority: Authority
    profiles: Sequence[LeafProfile]
    longest_leaf: timedelta
    now: datetime

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """Return its certificate and those above it, nearest first."""
        return (self.authority.certificate, *self.authority.issuers)

    @property
    def remedy(self) -> str:
        """Return the commands that make a good one of this kind."""
        return f"{MAKE_BELOW} && {CHAIN}" if self.authority.issuers else MAKE


Check: TypeAlias = Callable[[Candidate], str | None]
"""Says in a sentence which rule is broken, and what makes it good; None: it is kept."""


def assemble(
    chain: Sequence[x509.Certificate], further: Sequence[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    """Bring a chain to its self-signed root, as far as the further certificates lead there.

    Args:
        chain: as it is stored, the signing CA first.
        further: where what is missing at its end may be, in any order.
    """
    complete = list(dict.fromkeys(chain))
    while len(complete) < MAX_CHAIN and not foreign.is_self_signed(complete[-1]):
        above = next((one for one in further if is_issued_by(complete[-1], one)), None)
        if above is None or above in complete:
            break
        complete.append(above)
    return tuple(complete)


def key_mismatch(candidate: Candidate) -> str | None:
    """The private key is that of the first certificate."""
    authority = candidate.authority
    if authority.key.public_key() == authority.certificate.public_key():
        return None
    return (
        "tls.key is not the private key of the first certificate in tls.crt; put that of the CA that signs "
        f"first, or make both anew: {candidate.remedy}"
    )


def unsupported_key(candidate: Candidate) -> str | None:
    """Every verifier that we support knows what it signs."""
    if profile_of(candidate.authority.key):
        return None
    return (
        "tls.key is neither ECDSA on P-256, P-384 or P-521, nor RSA of 2048 to 4096 bits, nor Ed25519; "
        f"make it anew: {candidate.remedy}"
    )


def broken_chain(candidate: Candidate) -> str | None:
    """Each certificate signed the one before it, up to a self-signed root."""
    for position, (below, above) in enumerate(pairwise(candidate.chain), 1):
        if not is_issued_by(below, above):
            return (
                f"certificate {position + 1} did not sign certificate {position}; store the CA that signs "
                f"first, then each issuer: {CHAIN}"
            )
    if foreign.is_self_signed(candidate.chain[-1]):
        return None
    missing = candidate.chain[-1].issuer.rfc4514_string()[:MAX_QUOTED]
    return f"the chain ends before a self-signed root; add the certificate of {missing!r}: {CHAIN}"


def flawed(candidate: Candidate) -> str | None:
    """Each certificate of the chain is one of a CA for this role, as strict verifiers demand it."""
    for position, certificate in enumerate(candidate.chain, 1):
        flaw = foreign.flaw(certificate, candidate.authority.role, strict=True)
        if flaw:
            return f"certificate {position} {flaw}; make it anew: {candidate.remedy}"
    return None


def path_too_long(candidate: Candidate) -> str | None:
    """No certificate above allows fewer CAs below it than there are (RFC 5280, 4.2.1.9)."""
    below = 0
    for position, certificate in enumerate(candidate.chain, 1):
        constraints = extension(certificate, x509.BasicConstraints)
        if constraints and constraints.path_length is not None and constraints.path_length < below:
            return (
                f"certificate {position} has pathlen:{constraints.path_length}, yet there are {below} CAs"
                f" below it; make it anew without pathlen, or a CA of its own: {MAKE}"
            )
        below += certificate.subject != certificate.issuer
    return None


def not_yet_valid(candidate: Candidate) -> str | None:
    """All of the chain holds already."""
    begins = candidate.authority.validity.not_before
    if begins <= candidate.now:
        return None
    return f"it does not hold before {rfc3339(begins)}; it is taken then, or make it anew: {candidate.remedy}"


def ending(candidate: Candidate) -> str | None:
    """All of the chain holds for at least twice as long as the longest leaf."""
    least = LEAVES_LEFT * candidate.longest_leaf
    ends = candidate.authority.not_after
    if candidate.now + least <= ends:
        return None
    return (
        f"it, or one above it, ends at {rfc3339(ends)}, and it must hold for {durations.spell(least)} more,"
        f" twice its longest certificate; make one that does: {candidate.remedy}"
    )


def forbidden_name(candidate: Candidate) -> str | None:
    """No constraint forbids what it shall sign, or what is between."""
    names = [name for profile in candidate.profiles for name in names_of(profile)]
    for position, certificate in enumerate(candidate.chain, 1):
        constraints = extension(certificate, x509.NameConstraints)
        found = forbidden(constraints, names) if constraints else None
        if found is not None:
            return (
                f"nameConstraints of certificate {position} do not allow {_spell(found)}; make it anew with"
                f" that name permitted, or without nameConstraints: {candidate.remedy}"
            )
        if certificate.subject != certificate.issuer:
            names.append(x509.DirectoryName(certificate.subject))
    return None


CHECKS: Final[tuple[Check, ...]] = (
    key_mismatch,
    unsupported_key,
    flawed,
    broken_chain,
    path_too_long,
    not_yet_valid,
    ending,
    forbidden_name,
)
"""In the order in which violations are told."""


def evaluate(candidate: Candidate, checks: Sequence[Check] = CHECKS) -> str | None:
    """Say why a CA can not be an authority; None: it can."""
    return next(filter(None, (check(candidate) for check in checks)), None)


def _spell(name: x509.GeneralName) -> str:
    value = name.value
    text = value.rfc4514_string() if isinstance(value, x509.Name) else str(value)
    return repr(text[:MAX_QUOTED])
