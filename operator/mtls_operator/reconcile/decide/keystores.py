"""Decide about the PKCS#12 stores in a client's Secret: beside PEM, never instead of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mtls_operator.api import names
from mtls_operator.api.types import ClientFormat, KeyReference
from mtls_operator.desired.secrets import KEYSTORE, TRUSTSTORE
from mtls_operator.pki.bundle import decode_bundle
from mtls_operator.pki.keys import decode_key
from mtls_operator.pki.keystore import check_password, encode_keystore, encode_truststore, keystore_seal
from mtls_operator.reconcile.plan import Problem
from mtls_operator.reconcile.ports import SECRET, Ref
from mtls_operator.reconcile.references import resolve
from mtls_operator.reconcile.secrets import decode_data
from mtls_operator.reconcile.world import World

PASSWORD_MISSING = "PasswordMissing"  # noqa: S105 - a reason in status


@dataclass(frozen=True, slots=True)
class WantedStores:
    """Keystore and truststore as a client asks for them."""

    alias: str
    password: bytes | None = field(default=None, repr=False)
    """None: it can not be had, and what is stored stays."""
    problem: Problem | None = None
    """Why it can not be had."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Files of a Secret, and the seal by which they are known again."""

    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    seal: str = ""

    @classmethod
    def among(cls, data: Mapping[str, bytes], seal: str) -> "Stores":
        """Pick the stores among the files of a Secret."""
        return cls({name: data[name] for name in (KEYSTORE, TRUSTSTORE) if name in data}, seal)


def wanted_stores(
    world: World, namespace: str, client: str, formats: Sequence[ClientFormat]
) -> WantedStores | None:
    """Look up the password for a client's stores; None: the client wants none."""
    wanted = next(iter(formats), None)  # PKCS12 is the only one, and each is given once at most
    if wanted is None:
        return None
    try:
        return WantedStores(client, _password(world, namespace, wanted.password_secret_ref))
    except ValueError as error:
        message = f"client {client} gets no {KEYSTORE}: {error}"
        return WantedStores(client, problem=Problem(PASSWORD_MISSING, message))


def stores(wanted: WantedStores, key: bytes, chain: bytes, anchors: bytes, present: Stores) -> Stores:
    """Return the stored stores if they hold exactly this under this password, else new ones.

    Args:
        wanted: alias and password.
        key: private key as PEM.
        chain: certificates as PEM, leaf first.
        anchors: trust anchors as PEM.
        present: those that are there.
    """
    if wanted.password is None:
        return present
    contents = (wanted.alias.encode(), wanted.password, chain, anchors)
    if present.seal == _seal(key, contents, present.files):
        return present
    files = {
        KEYSTORE: encode_keystore(
            decode_key(key, prove_primes=False), decode_bundle(chain), wanted.alias, wanted.password
        ),
        TRUSTSTORE: encode_truststore(decode_bundle(anchors), wanted.password),
    }
    return Stores(files, _seal(key, contents, files))


def _seal(key: bytes, contents: Sequence[bytes], files: Mapping[str, bytes]) -> str:
    return keystore_seal(key, *contents, *(files.get(name, b"") for name in (KEYSTORE, TRUSTSTORE)))


def _password(world: World, namespace: str, reference: KeyReference) -> bytes:
    found = resolve(world, Ref(SECRET, namespace, reference.name), names.USE_PASSWORD)
    password = decode_data(found).get(reference.key)
    if password is None:
        msg = f"Secret {reference.name} has no key {reference.key}"
        raise ValueError(msg)
    try:
        check_password(password)
    except ValueError as error:
        msg = f"key {reference.key} of Secret {reference.name} can not be used: {error}"
        raise ValueError(msg) from None
    return password
