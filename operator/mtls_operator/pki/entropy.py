"""Everything random that issuing needs, as one value, so that callers decide where it comes from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography.x509 import random_serial_number

from .keys import KeyProfile, PrivateKey, generate_key


@dataclass(frozen=True, slots=True)
class Entropy:
    """Sources of new keys and of certificate serials."""

    key: Callable[[KeyProfile], PrivateKey]
    serial: Callable[[], int]
    """Positive, at most 20 octets, at least 64 random bits, never the same twice (RFC 5280, 4.1.2.2)."""


SYSTEM_ENTROPY: Final = Entropy(key=generate_key, serial=random_serial_number)
