"""The files of a mounted Secret: they serve, or a sentence says why not, and nothing of what they hold."""

import ssl
from collections.abc import Callable, Iterator
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mtls_server.authorization.policy import Authority
from mtls_server.contract import CERTIFICATE, POLICY, PRIVATE_KEY, TRUST_ANCHORS, decode_policy, digest
from mtls_server.files.checks import FILES as NAMES
from mtls_server.files.context import TlsSettings
from mtls_server.files.faults import MaterialError
from mtls_server.files.material import Generation, build
from tests.fuzz import der
from tests.fuzz.choices import Choices, sparse
from tests.fuzz.target import Target
from tests.fuzz.world import (
    CALLER,
    CLIENT_AUTHORITY,
    FILES,
    NOW,
    PARTNER,
    SERVER,
    SERVER_AUTH,
    SERVER_AUTHORITY,
    Issued,
    authority,
    ed25519_key,
    key,
    leaf,
    pem,
)

BOTH_NAMES = [x509.DNSName("ORDERS"), x509.DNSName("orders.shop.svc")]
INTERMEDIATE = authority("intermediate", SERVER_AUTHORITY)
SERVED: list[Issued] = [
    SERVER,
    leaf("below", INTERMEDIATE, BOTH_NAMES, SERVER_AUTH),
    leaf("edwards", SERVER_AUTHORITY, BOTH_NAMES, SERVER_AUTH, held=ed25519_key("edwards")),
    leaf("weak", SERVER_AUTHORITY, BOTH_NAMES, SERVER_AUTH, held=key("weak", ec.SECP192R1())),
    leaf("koblitz", SERVER_AUTHORITY, BOTH_NAMES, SERVER_AUTH, held=key("koblitz", ec.SECP256K1())),
    leaf("strong", SERVER_AUTHORITY, BOTH_NAMES, SERVER_AUTH, held=key("strong", ec.SECP521R1())),
    leaf("ended", SERVER_AUTHORITY, BOTH_NAMES, SERVER_AUTH, begins=NOW - timedelta(days=31)),
    leaf("early", SERVER_AUTHORITY, BOTH_NAMES, SERVER_AUTH, begins=NOW + timedelta(days=1)),
    leaf("nobody", SERVER_AUTHORITY, [x509.DNSName("*.svc")], SERVER_AUTH),
    CALLER,
]
AUTHORITIES = [CLIENT_AUTHORITY, PARTNER, INTERMEDIATE, SERVER_AUTHORITY, authority("tutorial", usage=False)]


def _pkcs8(held: x25519.X25519PrivateKey | ed448.Ed448PrivateKey) -> bytes:
    return held.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


OTHER_KEYS = [
    _pkcs8(x25519.X25519PrivateKey.from_private_bytes(bytes(32))),
    _pkcs8(ed448.Ed448PrivateKey.from_private_bytes(bytes(57))),
    SERVER.key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
]
BLOCKS = [
    *(("CERTIFICATE", one.der) for one in (*AUTHORITIES, *SERVED)),
    *(("PRIVATE KEY", one.key_der) for one in SERVED),
    *(("PRIVATE KEY", one) for one in OTHER_KEYS),
]
LABELS = (
    *(
        "CERTIFICATE",
        "PRIVATE KEY",
        "EC PRIVATE KEY",
        "RSA PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "X509 CERTIFICATE",
    ),
    *("OPENSSH PRIVATE KEY", "TRUSTED CERTIFICATE", "PUBLIC KEY", "DSA PRIVATE KEY", "EC PARAMETERS"),
)
FORMS: tuple[Callable[[bytes], bytes], ...] = (
    lambda text: text,
    lambda text: text.replace(b"\n", b"\r\n"),
    lambda text: text.replace(b"\n", b"\n \n", 2),
    lambda text: text.replace(
        b"\n", b"\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123456789ABCDEF0123456789ABCDEF\n\n", 1
    ),
    lambda text: text.replace(b"-----END", b"----END"),
    lambda text: b"subject: \xff\n" + text + b"\n#",
    lambda text: text.rstrip(),
    lambda text: text[: len(text) // 2],
)
LONGEST_WORDS = 20
"""Characters of the base64 of a file that a message may hold by chance."""


def check(data: bytes) -> None:
    choices = Choices(data)
    settings = TlsSettings(
        minimum_version=choices.one_of((ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2)),
        x509_strict=choices.number() % 2 == 0,
    )
    files = written(choices)
    try:
        generation = build(files, 1, settings, NOW.timestamp)
    except MaterialError as error:
        says_nothing_of(files, error)
        return
    serves(generation, files, settings)


def written(choices: Choices) -> dict[str, bytes]:
    """Write the files of one server, then change some of them."""
    number = choices.number()
    served = SERVED[number % len(SERVED)]
    chain = [served, INTERMEDIATE] if number % len(SERVED) == 1 else [served]
    files = FILES | {
        CERTIFICATE: b"".join(pem("CERTIFICATE", one.der) for one in chain),
        PRIVATE_KEY: pem("PRIVATE KEY", served.key_der),
    }
    for _ in choices.some(3):
        name = choices.one_of(NAMES)
        match choices.number() % 8:
            case 0:
                files.pop(name, None)
            case 1 if name in files:
                files[name] = choices.edited(files[name])
            case 2:
                files[name] = choices.text()
            case 3 if name in files:
                files[name] += choices.text()
            case _:
                files[name] = b"".join(blocks(choices))
    return files


def blocks(choices: Choices) -> Iterator[bytes]:
    for _ in (0, *choices.some(4)):
        if choices.number() % 4 == 3:
            label, contents = "CERTIFICATE", der.certificate(choices)
        else:
            label, contents = choices.one_of(BLOCKS)
        contents = choices.edited(contents)
        chosen = choices.number()
        yield choices.one_of(FORMS)(pem(LABELS[chosen % len(LABELS)] if chosen >= 128 else label, contents))


def says_nothing_of(files: dict[str, bytes], error: MaterialError) -> None:
    message = str(error)
    assert message
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    assert "BEGIN" not in message
    secret = files.get(PRIVATE_KEY, b"").translate(None, b"\r\n \t")
    windows = {secret[start : start + LONGEST_WORDS] for start in range(len(secret) - LONGEST_WORDS + 1)}
    said = message.encode("utf-8", "surrogatepass")
    assert not any(
        said[start : start + LONGEST_WORDS] in windows for start in range(len(said) - LONGEST_WORDS + 1)
    )


def serves(generation: Generation, files: dict[str, bytes], settings: TlsSettings) -> None:
    """What serves is whole, of its time, and demands of callers what was said."""
    context = generation.context
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is settings.minimum_version
    assert bool(context.verify_flags & ssl.VERIFY_X509_STRICT) == settings.x509_strict
    assert generation.not_before <= NOW <= generation.not_after
    assert generation.digest == digest(files)
    served = x509.load_pem_x509_certificate(files[CERTIFICATE])
    assert ssl.PEM_cert_to_DER_cert(generation.certificate) == served.public_bytes(Encoding.DER)
    anchors = x509.load_pem_x509_certificates(files[TRUST_ANCHORS])
    assert {anchor.public_bytes(Encoding.DER) for anchor in anchors} == set(
        context.get_ca_certs(binary_form=True)
    )
    assert len(generation.trusted) <= len(generation.anchors) == len(anchors)
    assert all(isinstance(one, Authority) for one in generation.trusted)
    assert generation.authorisation.policy == decode_policy(files[POLICY])


TARGET = Target(
    check,
    seeds=[
        *(bytes([0, number % 2]) + seed for number, seed in enumerate(sparse(200, 80))),
        *(
            bytes([version, strict, served])
            for version in (0, 1)
            for strict in (0, 1)
            for served in range(10)
        ),
        *(
            bytes([0, 1, 0, 1, file, 4, 1, 0, block, 0, 0, 0, 0, another, 0, 0, form])
            for file in range(3)
            for block in range(0, 28, 3)
            for another, form in ((0, 0), (3, 1), (12, 6))
        ),
        *(
            bytes([0, 0, 0, 1, file, change, 40, place, 0, 200]) + bytes(8)
            for file in range(4)
            for change in range(4)
            for place in range(3)
        ),
    ],
    words=[
        b"-----BEGIN ",
        b"-----END ",
        b"-----\n",
        b"PRIVATE KEY",
        b"CERTIFICATE",
        *der.NAMES[:4],
        b"\x30\x82",
    ],
    max_bytes=512,
)
