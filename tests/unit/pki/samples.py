"""Authorities and leaves to test with; nothing in here depends on the clock or on chance, keys apart."""

import itertools
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509

from mtls_operator.pki.authority import Authority, Role, issue_authority
from mtls_operator.pki.entropy import Entropy
from mtls_operator.pki.keys import KeyProfile, PrivateKey, generate_key, signing_hash
from mtls_operator.pki.leaf import Leaf, LeafProfile, client_profile, issue_leaf, server_profile

NOW = datetime(2026, 3, 14, 9, 26, 53, 589793, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MONTH = 30 * DAY

ECDSA = KeyProfile()
P384 = KeyProfile("ECDSA", 384)
RSA = KeyProfile("RSA", 2048)
ED25519 = KeyProfile("Ed25519", 256)
KEY_KINDS = (ECDSA, P384, RSA, ED25519)

SERVER_NAMES = ("orders", "orders.shop", "orders.shop.svc", "orders.shop.svc.cluster.local")
BILLING_URI = "spiffe://cluster.local/ns/shop/mtlsservice/orders/client/billing"

_serials = itertools.count(0x5EED << 64)


def key_source(profile: KeyProfile) -> PrivateKey:
    """Make a new key, but the same RSA key each time: making one takes long."""
    return _rsa_key(profile) if profile.algorithm == "RSA" else generate_key(profile)


ENTROPY = Entropy(key=key_source, serial=lambda: next(_serials))


def entropy(key: KeyProfile = ECDSA) -> Entropy:
    """Make keys of this kind, whatever is asked for."""
    return Entropy(key=lambda _: key_source(key), serial=ENTROPY.serial)


def authority(
    role: Role = "server", duration: timedelta = MONTH, now: datetime = NOW, key: KeyProfile = ECDSA
) -> Authority:
    return issue_authority(role, "shop/orders", duration, now, entropy(key))


def profile(role: Role = "server", key: KeyProfile = ECDSA) -> LeafProfile:
    if role == "server":
        return server_profile(SERVER_NAMES, ["10.96.0.7", "fd00::7"], key)
    return client_profile("billing", BILLING_URI, key)


def leaf(issuer: Authority, duration: timedelta = DAY, now: datetime = NOW, key: KeyProfile = ECDSA) -> Leaf:
    return issue_leaf(issuer, profile(issuer.role, key), duration, now, ENTROPY)


def signed_by(root: Authority, below: Authority) -> x509.Certificate:
    """Return the certificate that `below` would have, had `root` signed it."""
    identifier = x509.AuthorityKeyIdentifier(bytes.fromhex(root.key_id), None, None)
    own = below.certificate
    builder = x509.CertificateBuilder(
        root.certificate.subject,
        own.subject,
        own.public_key(),
        ENTROPY.serial(),
        own.not_valid_before_utc,
        own.not_valid_after_utc,
        list(own.extensions),
    )
    return builder.add_extension(identifier, critical=False).sign(root.key, signing_hash(root.key))


@cache
def _rsa_key(profile: KeyProfile) -> PrivateKey:
    return generate_key(profile)
