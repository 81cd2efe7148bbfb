"""Says in words what the server would answer to a caller, and which part of the policy decides; pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from mtls_server.authorization.paths import canonical_path
from mtls_server.authorization.policy import trusted_part
from mtls_server.authorization.routes import Routes
from mtls_server.contract import TRUST_ANCHORS
from mtls_server.files.checks import Material
from mtls_server.http.gate import AMBIGUOUS_PATH, judge_route
from mtls_server.identity import Identity, RefusedError, parse

MAX_CHAIN: Final = 16

Say = Callable[[str, str], None]
"""Takes what was looked at, and what was found there."""


@dataclass(frozen=True)
class Question:
    """A caller, and what it asks for."""

    certificates: Sequence[x509.Certificate]
    """Leaf first, then the others that the caller presents."""
    method: str
    target: str


def explain(material: Material, question: Question, now: datetime, say: Say) -> str | None:
    """Follow a request through all decisions.

    Of the chain, signatures, names and dates are checked; the finer points of RFC 5280 only show in a
    handshake.

    Returns:
        Why the request is refused; None: it reaches the application.
    """
    leaf = question.certificates[0]
    say("certificate", f"{leaf.subject.rfc4514_string()}, serial {leaf.serial_number:x}, {_dates(leaf)}")
    chain = build_chain(question.certificates, material.anchors.certificates)
    say("chain", " < ".join(one.subject.rfc4514_string() for one in chain))
    if not any(one in material.anchors.certificates for one in chain[1:]):
        return f"the handshake fails: no authority in {TRUST_ANCHORS} vouches for the certificate"
    if not all(one.not_valid_before_utc <= now <= one.not_valid_after_utc for one in chain):
        return "the handshake fails: a certificate of the chain has expired or is not yet valid"
    try:
        identity = _identify(material, chain, say)
    except RefusedError as error:
        return f"403 {error.refusal.reason}, by {error.refusal.by}: {error.refusal.message}"
    return _judge_request(material.authorisation.routes, identity, question, say)


def build_chain(
    presented: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]
) -> Sequence[x509.Certificate]:
    """Return the leaf and the certificates above it, as far as they are known."""
    chain = [presented[0]]
    candidates = [*anchors, *presented[1:]]
    while len(chain) < MAX_CHAIN:
        issuer = next((one for one in candidates if one not in chain and _issued(chain[-1], one)), None)
        if issuer is None:
            break
        chain.append(issuer)
    return chain


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _identify(material: Material, chain: Sequence[x509.Certificate], say: Say) -> Identity:
    ders = [one.public_bytes(Encoding.DER) for one in chain]
    verified = trusted_part(ders, material.anchors.authorities)
    authorisation = material.authorisation
    identity = parse(ders[0])
    say("identity", identity.uri or "no URI name")
    source = authorisation.source_of(verified[1:])
    say("source", source)
    granted, by = authorisation.authorise(identity, source)
    client = f"client {granted.client}, " if granted.client is not None else ""
    roles = ", ".join(granted.roles) or "none"
    say("granted by", f"{by}: {client}roles {roles}, tenant {granted.tenant or 'none'}")
    return granted


def _judge_request(routes: Routes, identity: Identity, question: Question, say: Say) -> str | None:
    path = canonical_path(question.target.encode())
    if path is None:
        return f"400 {AMBIGUOUS_PATH.reason}: {AMBIGUOUS_PATH.message}"
    if not routes:
        say("route", "the policy has none, so whoever is known may send every request")
        return None
    route = routes.first(question.method, path)
    if route is not None:
        roles = f"one of the roles {', '.join(route.route.roles)}" if route.roles else "nothing"
        say("route", f"{route}: {route.route.path} demands {roles}")
    refused = judge_route(routes, identity, question.method, path)
    return f"403 {refused[0].reason}: {refused[0].message}" if refused else None


def _dates(certificate: x509.Certificate) -> str:
    return f"valid {certificate.not_valid_before_utc:%FT%TZ} to {certificate.not_valid_after_utc:%FT%TZ}"
