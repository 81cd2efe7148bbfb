"""Private keys: which kinds there are, how they are made, written and read."""

from dataclasses import dataclass
from math import lcm
from typing import Final, Literal, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePrivateKey,
)
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ecdsa_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPrivateNumbers
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

KeyAlgorithm = Literal["ECDSA", "RSA", "Ed25519"]
PrivateKey: TypeAlias = EllipticCurvePrivateKey | RSAPrivateKey | Ed25519PrivateKey
SigningHash: TypeAlias = hashes.SHA256 | hashes.SHA384 | hashes.SHA512

MAX_KEY_BYTES: Final = 4096
"""Fits RSA 4096 (3.3 KB). Reading an RSA key proves its primes, so a larger one costs seconds."""

_CURVES: Final[dict[int, EllipticCurve]] = {256: SECP256R1(), 384: SECP384R1(), 521: SECP521R1()}
_CURVE_HASHES: Final[dict[int, SigningHash]] = {
    256: hashes.SHA256(),
    384: hashes.SHA384(),
    521: hashes.SHA512(),
}
_RSA_SIZES: Final = range(2048, 4097)
_ED25519_SIZE: Final = 256
_UNREADABLE: Final = "there is no readable private key; store one in PEM, best as PKCS#8"


@dataclass(frozen=True, slots=True)
class KeyProfile:
    """A kind of private key that everything we support can use.

    Raises:
        ValueError: the algorithm has no keys of this size.
    """

    algorithm: KeyAlgorithm = "ECDSA"
    size: int = 256
    """Bits."""

    def __post_init__(self) -> None:
        if self.algorithm == "ECDSA" and self.size not in _CURVES:
            msg = f"ECDSA keys have 256, 384 or 521 bits, not {self.size}"
            raise ValueError(msg)
        if self.algorithm == "RSA" and self.size not in _RSA_SIZES:
            msg = f"RSA keys have 2048 to 4096 bits, not {self.size}"
            raise ValueError(msg)
        if self.algorithm == "Ed25519" and self.size != _ED25519_SIZE:
            msg = f"Ed25519 keys have 256 bits, not {self.size}"
            raise ValueError(msg)

    def __str__(self) -> str:
        return self.algorithm if self.algorithm == "Ed25519" else f"{self.algorithm} {self.size}"


DEFAULT_KEY: Final = KeyProfile()


def generate_key(profile: KeyProfile) -> PrivateKey:
    """Make a new key from the system's randomness."""
    match profile.algorithm:
        case "ECDSA":
            return generate_ecdsa_key(_CURVES[profile.size])
        case "RSA":
            return generate_rsa_key(public_exponent=65537, key_size=profile.size)
        case "Ed25519":
            return Ed25519PrivateKey.generate()


def profile_of(key: PrivateKey) -> KeyProfile | None:
    """Tell the kind of a key; None: one that we never make, such as RSA 1024 or another curve."""
    if isinstance(key, Ed25519PrivateKey):
        return KeyProfile("Ed25519", _ED25519_SIZE)
    if isinstance(key, RSAPrivateKey):
        return KeyProfile("RSA", key.key_size) if key.key_size in _RSA_SIZES else None
    curve = _CURVES.get(key.key_size)
    return KeyProfile("ECDSA", key.key_size) if curve and curve.name == key.curve.name else None


def signing_hash(key: PrivateKey) -> SigningHash | None:
    """Choose the hash of this key's signatures; Ed25519 has one of its own, hence None."""
    if isinstance(key, Ed25519PrivateKey):
        return None
    if isinstance(key, RSAPrivateKey):
        return hashes.SHA256()
    return _CURVE_HASHES.get(key.key_size, hashes.SHA256())


def encode_key(key: PrivateKey) -> bytes:
    """Write a key as unencrypted PKCS#8 in PEM (RFC 5958, RFC 7468)."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def decode_key(pem: bytes, *, prove_primes: bool = True) -> PrivateKey:
    """Read an unencrypted private key in PEM.

    Args:
        pem: what is stored.
        prove_primes: whether the primes of an RSA key are proven to be such, which takes 40 ms for 2048 bits
            and 0.3 s for 4096. It can be left out where only the key of a modulus that we made is accepted:
            the only factors of that are its primes.

    Raises:
        ValueError: no key, an encrypted, inconsistent or too large one, or one of another algorithm; says
            which, without repeating any of it.
    """
    if len(pem) > MAX_KEY_BYTES:
        msg = f"the private key is {len(pem)} bytes long; at most {MAX_KEY_BYTES} are read"
        raise ValueError(msg)
    try:
        key = load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=not prove_primes)
    except TypeError:
        msg = "the private key is encrypted; store it without a passphrase"
        raise ValueError(msg) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(_UNREADABLE) from None
    if not isinstance(key, PrivateKey):
        msg = "the private key is of an algorithm that is not supported; use ECDSA, RSA or Ed25519"
        raise ValueError(msg)  # noqa: TRY004 -- the bytes are wrong, not the caller's types
    if isinstance(key, RSAPrivateKey) and not _is_consistent(key.private_numbers()):
        raise ValueError(_UNREADABLE)
    return key


def _is_consistent(key: RSAPrivateNumbers) -> bool:
    """Whether the numbers belong together (RFC 8017, 3.2), whatever p and q are."""
    p, q, public = key.p, key.q, key.public_numbers
    return (
        min(p, q) > 1
        and p * q == public.n
        and key.d * public.e % lcm(p - 1, q - 1) == 1
        and (key.dmp1, key.dmq1) == (key.d % (p - 1), key.d % (q - 1))
        and key.iqmp * q % p == 1
    )
