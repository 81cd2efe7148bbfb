"""Given a client that asks for PKCS#12, expect stores beside the PEM files, written only when needed."""

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from mtls_operator.api import names
from mtls_operator.pki.bundle import decode_bundle
from mtls_operator.pki.keys import decode_key
from mtls_operator.reconcile.ports import SECRET, Object, Ref

from .api import Operator
from .universe import Universe, service_object

PASSWORD = b"changeit"
FORMATS = [{"type": "PKCS12", "passwordSecretRef": {"name": "store-password", "key": "password"}}]
SPEC = {"clients": [{"name": "billing", "formats": FORMATS}]}
CLIENT = "orders-client-billing"
UNLABELLED = "no Secret store-password has the label mtls-operator.io/use: password; create or label it"
RULE = "a password has 6 to 128 printable ASCII characters, and no line break at its end"


def password_secret(password: bytes = PASSWORD, use: str = names.USE_PASSWORD) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "store-password",
            "namespace": "shop",
            "uid": "uid-password",
            "resourceVersion": "7",
            "labels": {names.LABEL_USE: use},
        },
        "data": {"password": base64.b64encode(password).decode()},
    }


def universe(password: Object | None) -> Universe:
    made = Universe(service_object(SPEC))
    set_password(made, password)
    return made


def set_password(world: Universe, secret: Object | None) -> None:
    ref = Ref(SECRET, "shop", "store-password")
    world.objects.pop(ref, None)
    if secret is not None:
        world.objects[ref] = secret


def stores(world: Universe) -> dict[str, bytes]:
    data = world.secret(CLIENT)["data"]
    return {name: base64.b64decode(data[name]) for name in data if name.endswith(".p12")}


def opened(
    world: Universe, password: bytes = PASSWORD
) -> tuple[pkcs12.PKCS12KeyAndCertificates, list[x509.Certificate]]:
    """Return the keystore and the trust anchors."""
    files = stores(world)
    anchors = pkcs12.load_pkcs12(files["truststore.p12"], password).additional_certs
    return pkcs12.load_pkcs12(files["keystore.p12"], password), [anchor.certificate for anchor in anchors]


def test_the_stores_hold_what_the_pem_files_hold() -> None:
    world = universe(password_secret())
    world.settle()
    keystore, anchors = opened(world)
    assert keystore.key is not None
    assert keystore.cert is not None
    assert keystore.cert.friendly_name == b"billing"
    assert keystore.cert.certificate == x509.load_pem_x509_certificate(world.file(CLIENT, "tls.crt"))
    key = decode_key(world.file(CLIENT, "tls.key"))
    assert keystore.key.public_key() == key.public_key()
    assert anchors == list(decode_bundle(world.file(CLIENT, "ca.crt")))
    assert world.problems == ()


def test_stores_are_salted_but_not_written_again() -> None:
    world = universe(password_secret())
    world.settle()
    assert world.settle() == []
    assert world.after(hours=1).settle() == []


def test_a_renewal_renews_the_stores_in_the_same_write() -> None:
    world = universe(password_secret())
    world.settle()
    assert world.after(hours=14).settle().count(f"Replace Secret {CLIENT}") == 1
    keystore, _ = opened(world)
    assert keystore.cert is not None
    assert keystore.cert.certificate == x509.load_pem_x509_certificate(world.file(CLIENT, "tls.crt"))


def test_another_password_changes_the_stores_only() -> None:
    world = universe(password_secret())
    world.settle()
    before = world.file(CLIENT, "tls.crt")
    set_password(world, password_secret(b"something else"))
    assert world.settle() == [f"Replace Secret {CLIENT}"]
    assert opened(world, b"something else")
    assert world.file(CLIENT, "tls.crt") == before


@pytest.mark.parametrize("name", ["keystore.p12", "truststore.p12"])
def test_a_store_that_somebody_altered_is_mended(name: str) -> None:
    world = universe(password_secret())
    world.settle()
    world.secret(CLIENT)["data"][name] = base64.b64encode(b"altered").decode()
    assert world.settle() == [f"Replace Secret {CLIENT}"]
    assert opened(world)


def test_stores_that_are_no_longer_asked_for_are_removed() -> None:
    world = universe(password_secret())
    world.settle()
    world.service["spec"] = {"clients": [{"name": "billing"}]}
    assert world.settle() == [f"Replace Secret {CLIENT}"]
    assert stores(world) == {}


@pytest.mark.parametrize(
    ("secret", "sentence"),
    [
        (None, UNLABELLED),
        (password_secret(use=names.USE_TRUST), UNLABELLED),
        (password_secret() | {"data": {}}, "Secret store-password has no key password"),
        (
            password_secret(b"changeit\n"),
            f"key password of Secret store-password can not be used: {RULE}",
        ),
    ],
)
def test_without_a_usable_password_pem_works_and_the_problem_is_named(
    secret: Object | None, sentence: str
) -> None:
    world = universe(secret)
    world.settle()
    assert world.file(CLIENT, "tls.crt")
    assert stores(world) == {}
    (problem,) = world.problems
    assert problem.reason == "PasswordMissing"
    assert problem.message == f"client billing gets no keystore.p12: {sentence}"
    set_password(world, password_secret())
    assert world.settle() == [f"Replace Secret {CLIENT}"]
    assert world.problems == ()


def test_stores_stay_when_their_password_goes() -> None:
    world = universe(password_secret())
    world.settle()
    before = stores(world)
    set_password(world, None)
    world.settle()
    assert stores(world) == before
    world.after(hours=14).settle()
    assert stores(world) == before


def test_the_password_is_not_told_and_the_seal_is_no_digest_of_it_alone() -> None:
    worlds = universe(password_secret()), universe(password_secret())
    for world in worlds:
        world.settle()
        assert PASSWORD.decode() not in f"{world.service} {world.secret(CLIENT)} {world.notices}"
    seals = {world.secret(CLIENT)["metadata"]["annotations"][names.ANNOTATION_STORES] for world in worlds}
    assert len(seals) == 2


async def test_a_service_is_looked_at_when_the_password_that_it_names_changes() -> None:
    operator = Operator(service_object(SPEC))
    await operator.reconcile()
    assert operator.condition("Ready")["reason"] == "PasswordMissing"
    assert operator.watch(SECRET, password_secret()) == {("shop", "orders")}
    operator.now = operator.now.replace(minute=1)
    assert f"replace Secret shop/{CLIENT}" in await operator.reconcile()
    assert operator.condition("Stalled")["status"] == "False"
