"""Every kind of caller that a server must tell apart by its certificate, and what becomes of it."""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, ObjectIdentifier

from mtls_server.contract import OWN_SOURCE, Client, Policy, Rule
from mtls_server.identity import Reason
from tests.unit.server import pki
from tests.unit.server.conftest import World

HOUR = timedelta(hours=1)
REVOKED_URI = pki.BILLING_URI.replace("billing", "revoked")
RULES = (Rule(cn="reporting", roles=("reader",)), Rule(cn="trouble", deny=True))

RSA_AUTHORITY = pki.authority("RSA authority", key=rsa.generate_private_key(65537, 2048))
UNLISTED = pki.authority("unlisted")
"""An anchor that no source of the policy lists."""
ANCHORS = RSA_AUTHORITY, UNLISTED


def policy(world: World) -> Policy:
    """Grant `billing` by its URI and `reporting` by its common name."""
    granted = pki.policy(world.client_authority)
    return msgspec.structs.replace(
        granted,
        sources={OWN_SOURCE: (world.client_authority.spki, RSA_AUTHORITY.spki)},
        clients={**granted.clients, REVOKED_URI: Client("revoked")},
        revoked={REVOKED_URI: pki.NOW},
        rules=RULES,
    )


@dataclass(frozen=True)
class Alert:
    """The handshake fails."""

    seen: str
    """The alert, as openssl spells it."""
    reason: str
    """Why, in the words of log and metric."""
    seen_in_tls_1_2: str = ""
    """Where TLS 1.2 has another alert for it."""
    presented: bool = True
    """Whether a certificate was received."""


@dataclass(frozen=True)
class Refused:
    """The handshake succeeds, the first request is answered 403, and the connection ends."""

    reason: Reason
    words: str
    by: str = "default"


@dataclass(frozen=True)
class Served:
    by: str


Outcome = Alert | Refused | Served


@dataclass(frozen=True)
class Row:
    """A kind of caller."""

    name: str
    make: Callable[[World], pki.Issued | None]
    outcome: Outcome


def _client(**bent: object) -> Callable[[World], pki.Issued]:
    return lambda world: pki.client(world.client_authority, **bent)  # type: ignore[arg-type]


def _of(authority: pki.Issued) -> Callable[[World], pki.Issued]:
    return lambda _: pki.client(authority)


def _through(*links: dict[str, object]) -> Callable[[World], pki.Issued]:
    """Issue by intermediates, each bent in its way, the highest first."""

    def make(world: World) -> pki.Issued:
        issuer = world.client_authority
        for bent in links:
            issuer = pki.authority(issuer=issuer, **bent)  # type: ignore[arg-type]
        return pki.client(issuer)

    return make


def _alone(make: Callable[[World], pki.Issued]) -> Callable[[World], pki.Issued]:
    """Leave out the intermediates."""
    return lambda world: replace(make(world), intermediates=())


def _reordered(make: Callable[[World], pki.Issued]) -> Callable[[World], pki.Issued]:
    def turn(world: World) -> pki.Issued:
        issued = make(world)
        return replace(issued, intermediates=issued.intermediates[::-1])

    return turn


def _with_strangers(number: int) -> Callable[[World], pki.Issued]:
    """Come with certificates that have nothing to do with the caller's."""

    def make(world: World) -> pki.Issued:
        stranger = pki.authority("stranger").certificate
        return replace(pki.client(world.client_authority), intermediates=(stranger,) * number)

    return make


def _with_uris(*uris: str, subject: x509.Name | None = None) -> Callable[[World], pki.Issued]:
    names = [x509.UniformResourceIdentifier(uri) for uri in uris]
    return lambda world: pki.leaf(world.client_authority, subject=subject, names=names)


def _named(*common_names: str) -> Callable[[World], pki.Issued]:
    return lambda world: pki.leaf(world.client_authority, subject=pki.name(*common_names))


def _of_the_server_authority(world: World) -> pki.Issued:
    """Come with the root, too, as Python's callers do of themselves when they trust it."""
    authority = world.server_authority
    return replace(pki.client(authority), intermediates=(authority.certificate,))


def _issued_by_a_leaf(world: World) -> pki.Issued:
    return pki.client(pki.client(world.client_authority))


def _with_a_wrong_signature(world: World) -> pki.Issued:
    issued = pki.client(world.client_authority)
    der = issued.der[:-1] + bytes([issued.der[-1] ^ 1])
    return replace(issued, certificate=x509.load_der_x509_certificate(der))


def _signed_with_sha1(_: World) -> pki.Issued:
    """Sign again, as `cryptography` does not with SHA-1; the algorithms' names differ in one octet."""
    issued, key = pki.client(RSA_AUTHORITY), RSA_AUTHORITY.key
    assert isinstance(key, rsa.RSAPrivateKey)
    sha256, sha1 = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")
    signed = issued.certificate.tbs_certificate_bytes.replace(sha256, sha1)
    signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - to be refused
    der = issued.der.replace(sha256, sha1)
    der = der.replace(issued.certificate.signature, signature)
    return replace(issued, certificate=x509.load_der_x509_certificate(der))


def _with_broken_names(world: World) -> pki.Issued:
    """Carry an IP address of five octets, which OpenSSL does not look at."""
    broken = x509.UnrecognizedExtension(
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME, bytes.fromhex("3007870501020304 05")
    )
    return pki.leaf(world.client_authority, further=[(broken, False)])


def _with_an_unknown_demand(world: World) -> pki.Issued:
    unknown = x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
    return pki.leaf(world.client_authority, further=[(unknown, True)])


SMALL_KEY = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
NO_ISSUER = "unable to get local issuer certificate"
NOT_LISTED = "the certificate carries no URI name, by which the policy knows clients, and no rule matches"

IN_THE_HANDSHAKE = [
    Row(
        "no certificate",
        lambda _: None,
        Alert("certificate required", "client sent no certificate", "handshake failure", presented=False),
    ),
    Row(
        "expired",
        _client(not_after=pki.NOW - timedelta(seconds=1)),
        Alert("certificate expired", "certificate has expired"),
    ),
    Row(
        "not yet valid",
        _client(not_before=pki.NOW + HOUR / 2),
        Alert("bad certificate", "certificate is not yet valid"),
    ),
    Row(
        "wrong EKU",
        _client(usages=(ExtendedKeyUsageOID.SERVER_AUTH,)),
        Alert("unsupported certificate", "unsuitable certificate purpose"),
    ),
    Row(
        "any EKU",
        _client(usages=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)),
        Alert("unsupported certificate", "unsuitable certificate purpose"),
    ),
    Row("wrong CA", _of(pki.authority("stranger")), Alert("unknown ca", NO_ISSUER)),
    Row(
        "same-name CA with another key",
        _of(pki.authority("client authority")),
        Alert("unknown ca", NO_ISSUER),
    ),
    Row(
        "the server's authority",
        _of_the_server_authority,
        Alert("unknown ca", "self-signed certificate in certificate chain"),
    ),
    Row("self-signed", lambda _: pki.leaf(None), Alert("unknown ca", "self-signed certificate")),
    Row("wrong signature", _with_a_wrong_signature, Alert("decrypt error", "certificate signature failure")),
    Row("RSA-1024", _client(key=SMALL_KEY), Alert("bad certificate", "EE certificate key too weak")),
    Row(
        "intermediate with RSA-1024",
        _through({"key": SMALL_KEY}),
        Alert("bad certificate", "CA certificate key too weak"),
    ),
    Row("SHA-1", _signed_with_sha1, Alert("bad certificate", "CA signature digest algorithm too weak")),
    Row(
        "no AKI",
        _client(authority_key=False),
        Alert("certificate unknown", "Missing Authority Key Identifier"),
    ),
    Row("leaf as CA", _issued_by_a_leaf, Alert("unknown ca", "invalid CA certificate")),
    Row(
        "pathlen exceeded",
        _through({"path_length": 0}, {}),
        Alert("unknown ca", "path length constraint exceeded"),
    ),
    Row("intermediate missing", _alone(_through({})), Alert("unknown ca", NO_ISSUER)),
    Row("first of two intermediates missing", _alone(_through({}, {})), Alert("unknown ca", NO_ISSUER)),
    Row(
        "intermediate expired",
        _through({"not_after": pki.NOW - HOUR}),
        Alert("certificate expired", "certificate has expired"),
    ),
    Row(
        "intermediate without key usage",
        _through({"key_usage": False}),
        Alert("certificate unknown", "CA cert does not include key usage extension"),
    ),
    Row(
        "intermediate with uncritical basic constraints",
        _through({"critical": False}),
        Alert("certificate unknown", "Basic Constraints of CA cert not marked critical"),
    ),
    Row(
        "critical extension that nobody knows",
        _with_an_unknown_demand,
        Alert("certificate unknown", "unhandled critical extension"),
    ),
    Row(
        "chain of 101 intermediates",
        _through(*[{}] * 101),
        Alert("unknown ca", "certificate chain too long"),
    ),
    Row("no name at all", _named(), Alert("certificate unknown", "Subject name empty")),
    Row(
        "no subject, and names that are not critical",
        _with_uris(pki.BILLING_URI, subject=pki.name()),
        Alert("certificate unknown", "Subject empty and Subject Alt Name extension not critical"),
    ),
    Row(
        "more than 100 KiB of certificates",
        _with_strangers(300),
        Alert(
            "illegal parameter" if ssl.OPENSSL_VERSION_INFO < (3, 5) else "bad certificate",
            "client sent a message that is too large",
            "illegal parameter",
            presented=False,
        ),
    ),
]

AFTER_THE_HANDSHAKE = [
    Row(
        "no EKU",
        _client(usages=None),
        Refused(
            Reason.NO_CLIENT_AUTH,
            "the certificate is not for clients: its extended key usage lacks clientAuth",
        ),
    ),
    Row(
        "two URI SANs",
        _with_uris(pki.BILLING_URI, "https://example.com"),
        Refused(Reason.SEVERAL_URIS, "the certificate carries 2 URI names; an identity is exactly one"),
    ),
    Row(
        "the same URI SAN twice",
        _with_uris(pki.BILLING_URI, pki.BILLING_URI),
        Refused(Reason.SEVERAL_URIS, "the certificate carries 2 URI names; an identity is exactly one"),
    ),
    *[
        Row(
            f"bad SPIFFE path {uri!r}",
            _with_uris(uri),
            Refused(
                Reason.BAD_SPIFFE_ID,
                "the certificate's SPIFFE ID is malformed; write spiffe://<trust domain in lower case>/<path>"
                " without port, query, fragment, '%', or empty, '.' or '..' segments",
            ),
        )
        for uri in (
            "spiffe://cluster.local",
            "spiffe://cluster.local//billing",
            "spiffe://cluster.local/ns/../billing",
            "spiffe://cluster.local/ns/%62illing",
            "spiffe://cluster.local/billing\0",
            pki.BILLING_URI + "/",
            pki.BILLING_URI + "?a",
            pki.BILLING_URI.replace("cluster", "Cluster"),
            pki.BILLING_URI.replace("spiffe", "SPIFFE"),
        )
    ],
    Row(
        "names that cannot be parsed",
        _with_broken_names,
        Refused(Reason.UNPARSABLE, "the certificate cannot be parsed"),
    ),
    Row(
        "revoked",
        _client(uri=REVOKED_URI),
        Refused(
            Reason.REVOKED,
            f"certificates of this client that began before {pki.NOW:%FT%TZ} are revoked",
            "revoked",
        ),
    ),
    Row(
        "denied",
        _client(common_name="trouble"),
        Refused(Reason.DENIED, "a rule of the policy denies this caller", "rules[1]"),
    ),
    Row(
        "CA of no source",
        _of(UNLISTED),
        Refused(Reason.UNKNOWN_SOURCE, "the certificate's issuer belongs to no source of the policy"),
    ),
    Row(
        "URI that is not listed",
        _client(uri=pki.BILLING_URI + "2"),
        Refused(
            Reason.UNKNOWN_CLIENT,
            f"no client and no rule of the policy matches {pki.BILLING_URI}2 of source own",
        ),
    ),
    Row("CN only", _named("billing"), Refused(Reason.UNKNOWN_CLIENT, NOT_LISTED)),
    Row("NUL in the CN", _named("reporting\0.example"), Refused(Reason.UNKNOWN_CLIENT, NOT_LISTED)),
    Row("duplicate CNs", _named("reporting", "reporting"), Refused(Reason.UNKNOWN_CLIENT, NOT_LISTED)),
    Row("two CNs", _named("reporting", "billing"), Refused(Reason.UNKNOWN_CLIENT, NOT_LISTED)),
]

SERVED = [
    Row("URI that is listed", _client(), Served("clients")),
    Row("CN only, as a rule has it", _named("reporting"), Served("rules[0]")),
    Row("NUL in the CN beside a listed URI", _client(common_name="trouble\0"), Served("clients")),
    Row("intermediate present", _through({}), Served("clients")),
    Row("chain of 100 intermediates", _through(*[{}] * 100), Served("clients")),
    Row("intermediates reordered", _reordered(_through({}, {})), Served("clients")),
    Row("100 certificates of strangers", _with_strangers(100), Served("clients")),
]

ROWS: Sequence[Row] = [*IN_THE_HANDSHAKE, *AFTER_THE_HANDSHAKE, *SERVED]
