"""Given a key, its chain and trust anchors as PKCS#12, expect Java and OpenSSL to find exactly those."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from mtls_operator.pki.keys import KeyProfile, encode_key
from mtls_operator.pki.keystore import check_password, encode_keystore, encode_truststore, keystore_seal
from mtls_operator.pki.leaf import Leaf, issue_leaf
from tests.unit.pki.samples import DAY, ENTROPY, KEY_KINDS, NOW, RSA, authority, leaf, profile

PASSWORD = b'ch@nge "it"'

needs_keytool = pytest.mark.skipif(not shutil.which("keytool"), reason="keytool is not on PATH")


@dataclass(frozen=True)
class Stores:
    """What was written, and what it was written from."""

    issued: Leaf
    chain: tuple[x509.Certificate, ...]
    anchors: tuple[x509.Certificate, ...]
    keystore: Path
    truststore: Path


@pytest.fixture(params=KEY_KINDS, ids=str)
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    key: KeyProfile = request.param
    client_authority = authority("client", key=key)
    issued = issue_leaf(client_authority, profile("client", key), DAY, NOW, ENTROPY)
    chain = (issued.certificate, client_authority.certificate)
    anchors = (authority(key=key).certificate, authority(key=RSA).certificate)
    keystore, truststore = tmp_path / "keystore.p12", tmp_path / "truststore.p12"
    keystore.write_bytes(encode_keystore(issued.key, chain, "billing", PASSWORD))
    truststore.write_bytes(encode_truststore(anchors, PASSWORD))
    return Stores(issued, chain, anchors, keystore, truststore)


@needs_keytool
def test_keytool_lists_the_key_under_its_alias_with_the_whole_chain(stores: Stores) -> None:
    listed = keytool(stores.keystore)
    assert "Alias name: billing" in listed
    assert "Entry type: PrivateKeyEntry" in listed
    assert "Certificate chain length: 2" in listed
    assert [fingerprint in listed for fingerprint in map(spelled_fingerprint, stores.chain)] == [True, True]


@needs_keytool
def test_keytool_lists_every_anchor_as_trusted(stores: Stores) -> None:
    listed = keytool(stores.truststore)
    assert listed.count("Entry type: trustedCertEntry") == 2
    assert all(spelled_fingerprint(anchor) in listed for anchor in stores.anchors)


def test_openssl_finds_key_chain_and_anchors_in_modern_encryption(stores: Stores) -> None:
    keystore = openssl("-in", str(stores.keystore), "-noenc", "-info")
    assert "MAC: sha256" in keystore.stderr
    assert "PBES2, PBKDF2, AES-256-CBC, Iteration 10000, PRF hmacWithSHA256" in keystore.stderr
    assert encode_key(stores.issued.key).decode() in keystore.stdout
    assert [pem in keystore.stdout for pem in map(pem_of, stores.chain)] == [True, True]
    truststore = openssl("-in", str(stores.truststore), "-nokeys")
    assert [pem in truststore.stdout for pem in map(pem_of, stores.anchors)] == [True, True]


def test_a_store_opens_with_its_password_only(stores: Stores) -> None:
    for store in (stores.keystore, stores.truststore):
        with pytest.raises(ValueError, match="password"):
            pkcs12.load_pkcs12(store.read_bytes(), b"another")


@pytest.mark.parametrize(
    "password", [b"", b"short", b"x" * 129, b"changeit\n", b"change\tit", "größer".encode(), b"\xff" * 8]
)
def test_a_password_that_java_would_not_take_is_refused_without_being_told(password: bytes) -> None:
    with pytest.raises(ValueError, match="6 to 128 printable ASCII characters") as refused:
        check_password(password)
    assert not password or password.decode(errors="replace").strip() not in str(refused.value)


def test_a_seal_changes_with_every_part_and_with_the_key() -> None:
    keys = [encode_key(leaf(authority("client")).key) for _ in range(2)]
    seals = {
        keystore_seal(keys[0], b"password", b"store"),
        keystore_seal(keys[0], b"passwords", b"tore"),
        keystore_seal(keys[0], b"passwordstore"),
        keystore_seal(keys[1], b"password", b"store"),
    }
    assert len(seals) == 4
    assert keystore_seal(keys[0], b"password", b"store") in seals


def keytool(store: Path) -> str:
    arguments = ("-list", "-v", "-keystore", str(store), "-storepass", PASSWORD.decode())
    return _run("keytool", "-J-Duser.language=en", *arguments).stdout


def openssl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return _run("openssl", "pkcs12", "-passin", f"pass:{PASSWORD.decode()}", *arguments)


def pem_of(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def spelled_fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(SHA256()).hex(":").upper()


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
