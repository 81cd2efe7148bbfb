import re
from base64 import encodebytes
from math import lcm

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPrivateNumbers, RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from mtls_operator.pki.entropy import SYSTEM_ENTROPY
from mtls_operator.pki.keys import (
    MAX_KEY_BYTES,
    KeyAlgorithm,
    KeyProfile,
    PrivateKey,
    decode_key,
    encode_key,
    generate_key,
    profile_of,
    signing_hash,
)
from tests.unit.pki.samples import ECDSA, ED25519, KEY_KINDS, P384, RSA, key_source

P521 = KeyProfile("ECDSA", 521)


@pytest.mark.parametrize("profile", [*KEY_KINDS, P521], ids=str)
def test_a_key_is_of_the_kind_that_was_asked_for_and_survives_writing_and_reading(
    profile: KeyProfile,
) -> None:
    pem = encode_key(key_source(profile))
    assert pem.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert profile_of(decode_key(pem)) == profile
    assert encode_key(decode_key(pem)) == pem


def test_every_key_is_a_new_one() -> None:
    assert generate_key(ECDSA).public_key() != generate_key(ECDSA).public_key()


def test_system_serials_are_positive_random_and_at_most_20_octets() -> None:
    serials = {SYSTEM_ENTROPY.serial() for _ in range(1000)}
    assert len(serials) == 1000
    assert all(0 < serial < 1 << 159 for serial in serials)
    assert max(serials).bit_length() > 64


@pytest.mark.parametrize(
    ("algorithm", "size", "sentence"),
    [
        ("ECDSA", 255, "ECDSA keys have 256, 384 or 521 bits, not 255"),
        ("RSA", 256, "RSA keys have 2048 to 4096 bits, not 256"),
        ("RSA", 1024, "RSA keys have 2048 to 4096 bits, not 1024"),
        ("RSA", 8192, "RSA keys have 2048 to 4096 bits, not 8192"),
        ("Ed25519", 448, "Ed25519 keys have 256 bits, not 448"),
    ],
)
def test_a_size_without_keys_is_refused(algorithm: KeyAlgorithm, size: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        KeyProfile(algorithm, size)


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 1024),  # noqa: S505 -- weak, hence never made
        ec.generate_private_key(ec.SECP224R1()),
        ec.generate_private_key(ec.SECP256K1()),
        ec.generate_private_key(ec.BrainpoolP384R1()),
    ],
    ids=["RSA 1024", "P-224", "secp256k1", "brainpoolP384r1"],
)
def test_a_key_that_we_never_make_has_no_profile(key: PrivateKey) -> None:
    assert profile_of(key) is None


@pytest.mark.parametrize(
    ("profile", "name"),
    [(ECDSA, "sha256"), (P384, "sha384"), (P521, "sha512"), (RSA, "sha256"), (ED25519, None)],
    ids=str,
)
def test_signatures_use_a_hash_as_strong_as_the_key(profile: KeyProfile, name: str | None) -> None:
    chosen = signing_hash(key_source(profile))
    assert (chosen.name if chosen else None) == name


def test_keys_in_the_formats_of_openssl_are_read_too() -> None:
    for profile in (ECDSA, RSA):
        key = key_source(profile)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        assert decode_key(pem).public_key() == key.public_key()


def _pem(key: PrivateKeyTypes, encryption: KeySerializationEncryption = NoEncryption()) -> bytes:  # noqa: B008
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


UNREADABLE = "there is no readable private key; store one in PEM, best as PKCS#8"
UNSUPPORTED = "the private key is of an algorithm that is not supported; use ECDSA, RSA or Ed25519"


@pytest.mark.parametrize(
    ("pem", "sentence"),
    [
        (b"", UNREADABLE),
        (b"\xff\x00" * 100, UNREADABLE),
        (b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n", UNREADABLE),
        (encode_key(key_source(ECDSA)).replace(b"PRIVATE", b"PUBLIC"), UNREADABLE),
        (encode_key(key_source(RSA))[:-200], UNREADABLE),
        (encode_key(key_source(RSA)).replace(b"\n", b"\nAAAA", 9), UNREADABLE),
        (
            _pem(key_source(ECDSA), BestAvailableEncryption(b"hush")),
            "the private key is encrypted; store it without a passphrase",
        ),
        (_pem(x25519.X25519PrivateKey.generate()), UNSUPPORTED),
        (_pem(ed448.Ed448PrivateKey.generate()), UNSUPPORTED),
        (b"k" * (MAX_KEY_BYTES + 1), f"the private key is 4097 bytes long; at most {MAX_KEY_BYTES} are read"),
    ],
    ids=[
        "empty",
        "binary",
        "not a key",
        "wrong label",
        "truncated",
        "garbled",
        "encrypted",
        "X25519",
        "Ed448",
        "too large",
    ],
)
@pytest.mark.parametrize("prove_primes", [True, False])
def test_what_is_not_a_usable_private_key_is_refused_without_repeating_it(
    pem: bytes, sentence: str, *, prove_primes: bool
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$") as refusal:
        decode_key(pem, prove_primes=prove_primes)
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


def test_the_largest_key_that_we_make_is_read() -> None:
    assert len(encode_key(generate_key(KeyProfile("RSA", 4096)))) <= MAX_KEY_BYTES


@pytest.mark.parametrize("part", ["p", "q", "d", "dmp1", "dmq1", "iqmp"])
def test_an_rsa_key_whose_numbers_do_not_belong_together_is_refused_without_proof_of_its_primes(
    part: str,
) -> None:
    key = key_source(RSA)
    assert isinstance(key, RSAPrivateKey)
    numbers = key.private_numbers()
    number: int = getattr(numbers, part)
    length = (number.bit_length() + 7) // 8
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    bent = der.replace(number.to_bytes(length), (number + 2).to_bytes(length))
    assert bent != der
    pem = b"-----BEGIN PRIVATE KEY-----\n" + encodebytes(bent) + b"-----END PRIVATE KEY-----\n"
    with pytest.raises(ValueError, match=r"^there is no readable private key"):
        decode_key(pem, prove_primes=False)


def test_an_rsa_key_of_composite_numbers_passes_only_without_proof_of_its_primes() -> None:
    """Its modulus is then no one's but its maker's, so no certificate of ours belongs to it."""
    first, second = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)
    p, q = first.public_key().public_numbers().n, second.public_key().public_numbers().n
    d = pow(65537, -1, lcm(p - 1, q - 1))
    public = RSAPublicNumbers(65537, p * q)
    numbers = RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    pem = _pem(numbers.private_key(unsafe_skip_rsa_key_validation=True))
    assert isinstance(decode_key(pem, prove_primes=False), RSAPrivateKey)
    with pytest.raises(ValueError, match=r"^there is no readable private key"):
        decode_key(pem)
