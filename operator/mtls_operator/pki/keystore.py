"""Key, chain and trust anchors as PKCS#12 (RFC 7292), for programs that read no PEM, above all in Java.

Encryption is PBES2 with PBKDF2-SHA256 and AES-256-CBC, integrity HMAC-SHA256: what Java and OpenSSL write by
themselves today, and what Java reads since 8u301 and 11.0.12.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    KeySerializationEncryption,
    PrivateFormat,
    pkcs12,
)

from .keys import PrivateKey

_ROUNDS: Final = 10_000
"""Java's own choice. The same key lies beside the keystore in PEM, so more would protect nothing."""
_PASSWORD: Final = re.compile(rb"[\x20-\x7e]{6,128}")


def check_password(password: bytes) -> None:
    """Refuse a password that some reader of keystores refuses: Java reads ASCII only, keytool from 6 on.

    Raises:
        ValueError: says what a password must be, without repeating any of it.
    """
    if not _PASSWORD.fullmatch(password):
        msg = "a password has 6 to 128 printable ASCII characters, and no line break at its end"
        raise ValueError(msg)


def encode_keystore(key: PrivateKey, chain: Sequence[x509.Certificate], alias: str, password: bytes) -> bytes:
    """Write a key with its chain, leaf first; salted, so never twice the same."""
    leaf, *above = chain
    return pkcs12.serialize_key_and_certificates(
        alias.encode(), key, leaf, above or None, _encryption(password)
    )


def encode_truststore(anchors: Sequence[x509.Certificate], password: bytes) -> bytes:
    """Write trust anchors as ``ca-1``, ``ca-2`` and so on; salted, so never twice the same.

    Each is marked as trusted for any purpose, without which Java sees no entry at all.
    """
    entries = [
        pkcs12.PKCS12Certificate(anchor, f"ca-{number}".encode())
        for number, anchor in enumerate(anchors, start=1)
    ]
    return pkcs12.serialize_java_truststore(entries, _encryption(password))


def keystore_seal(key_pem: bytes, *parts: bytes) -> str:
    """Return a digest of what stores hold and are protected by, which tells nobody anything without the key.

    Stores are salted and slow to open, so this, kept beside them, says whether they are as wanted. It is
    keyed with the private key, so that it is no help in guessing the password.
    """
    seal = hmac.new(key_pem, digestmod=hashlib.sha256)
    for part in parts:
        seal.update(hashlib.sha256(part).digest())
    return seal.hexdigest()


def _encryption(password: bytes) -> KeySerializationEncryption:
    return (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(_ROUNDS)
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(SHA256())
        .build(password)
    )
