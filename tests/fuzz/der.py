"""Certificates written octet by octet, so that they can say what no library would (RFC 5280 §4.1, X.690)."""

from tests.fuzz.choices import Choices

Der = bytes

SEQUENCE, SET, OID, BOOLEAN, INTEGER, BITS, OCTETS = 0x30, 0x31, 0x06, 0x01, 0x02, 0x03, 0x04
BASIC_CONSTRAINTS, KEY_USAGE, ALTERNATIVE_NAMES, EXTENDED_KEY_USAGE = (
    bytes([0x55, 0x1D, last]) for last in (0x13, 0x0F, 0x11, 0x25)
)
STRINGS = (0x0C, 0x13, 0x16, 0x14, 0x1E, 0x1C, 0x04, 0x03)
"""UTF8String, PrintableString, IA5String, TeletexString, BMPString, UniversalString; what is no string."""
ATTRIBUTES = (
    b"\x55\x04\x03",
    b"\x55\x04\x0a",
    b"\x55\x04\x2d",
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01",
    b"\x55",
)
USAGES = (*(b"\x2b\x06\x01\x05\x05\x07\x03" + bytes([last]) for last in (2, 1, 3)), b"\x55\x1d\x25\x00", b"")
URI, DNS, EMAIL, ADDRESS, DIRECTORY, OTHER, REGISTERED = 0x86, 0x82, 0x81, 0x87, 0xA4, 0xA0, 0x88
SIGNATURE = bytes.fromhex("300a06082a8648ce3d040302")
KEY = bytes.fromhex("302a300506032b6570032100") + bytes(range(32))
NAMES = (
    b"spiffe://cluster.local/ns/shop/mtlsservice/orders/client/billing",
    b"spiffe://cluster.local/ns/",
    b"SPIFFE://cluster.local/a",
    b"https://partner.example/a?b#c",
    b"billing.example",
    b"*.example",
    b"Billing",
    b"billing\0admin",
    b"\r\nx-mtls-client: admin",
    b"caf\xc3\xa9",
    b"\xff",
    b'",\\;=%<>+# ',
    b"xn--caf-dma.example",
    b"a@b.example",
    b"\x0a\x00\x00\x01",
    b"",
)


def write(tag: int, *parts: bytes) -> Der:
    """Write a value: tag, length, and what it consists of."""
    contents = b"".join(parts)
    size = len(contents)
    if size < 0x80:
        return bytes([tag, size]) + contents
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + contents


def certificate(choices: Choices) -> Der:
    """Write a certificate that says what the choices are; it is signed by nobody."""
    version, serial = (
        choices.one_of((2, 0, 1, 3)),
        choices.one_of((b"\x01", b"\x00", b"\xff", b"\x7f" * 20, b"")),
    )
    issuer, times, subject = _name(choices), _times(choices), _name(choices)
    extensions = [_extension(choices, BASIC_CONSTRAINTS), *_extensions(choices)]
    signed = write(
        SEQUENCE,
        write(0xA0, write(INTEGER, bytes([version]))),
        write(INTEGER, serial),
        SIGNATURE,
        issuer,
        times,
        subject,
        KEY,
        write(0xA3, write(SEQUENCE, *extensions)),
    )
    return choices.edited(write(SEQUENCE, signed, SIGNATURE, write(BITS, b"\0", b"signature")))


def _extensions(choices: Choices) -> list[Der]:
    kinds = EXTENDED_KEY_USAGE, ALTERNATIVE_NAMES, KEY_USAGE, b"\x55\x1d\x63"
    usual = [_extension(choices, kind) for kind in kinds[:2]]
    return usual + [_extension(choices, choices.one_of(kinds)) for _ in choices.some(2)]


def _extension(choices: Choices, kind: bytes) -> Der:
    if kind == EXTENDED_KEY_USAGE:
        usages = [write(OID, choices.one_of(USAGES)) for _ in (0, *choices.some(2))]
        value = write(SEQUENCE, *usages)
    elif kind == ALTERNATIVE_NAMES:
        value = write(SEQUENCE, _general_name(choices), *(_general_name(choices) for _ in choices.some(4)))
    elif kind == BASIC_CONSTRAINTS:
        value = write(SEQUENCE, choices.one_of((b"", write(BOOLEAN, b"\xff"), write(BOOLEAN, b"\x01"))))
    else:
        value = choices.one_of((write(BITS, b"\x07\x80"), b"", b"\x05\x00"))
    critical = choices.one_of((b"", write(BOOLEAN, b"\xff"), write(BOOLEAN, b"\0")))
    return write(SEQUENCE, write(OID, kind), critical, write(OCTETS, value))


def _general_name(choices: Choices) -> Der:
    tag = choices.one_of((URI, DNS, EMAIL, ADDRESS, DIRECTORY, OTHER, REGISTERED))
    if tag == DIRECTORY:
        return write(tag, _name(choices))
    value = _text(choices)
    return (
        write(tag, write(OID, b"\x55"), write(0xA0, write(0x0C, value)))
        if tag == OTHER
        else write(tag, value)
    )


def _name(choices: Choices) -> Der:
    attributes = [
        write(
            SEQUENCE, write(OID, choices.one_of(ATTRIBUTES)), write(choices.one_of(STRINGS), _text(choices))
        )
        for _ in (0, *choices.some(3))
    ]
    if choices.number() % 2:
        return write(SEQUENCE, write(SET, *attributes))  # one RDN of many attributes
    return write(SEQUENCE, *(write(SET, attribute) for attribute in attributes))


def _times(choices: Choices) -> Der:
    moments = (
        (0x17, b"260101000000Z"),
        (0x17, b"270101000000Z"),
        (0x17, b"490101000000Z"),
        (0x18, b"20500101000000Z"),
        (0x18, b"99991231235959Z"),
        (0x18, b"00000101000000Z"),
        (0x17, b"2601010000Z"),
        (0x18, b"20260101000000.5Z"),
        (0x17, b"260101000000+0100"),
    )
    begin, end = choices.number(), choices.number() + 1
    return write(SEQUENCE, *(write(*moments[one % len(moments)]) for one in (begin, end)))


def _text(choices: Choices) -> bytes:
    """Choose a name that has a meaning, such a name with more behind it, or any octets."""
    number = choices.number()
    return NAMES[number % len(NAMES)] + (choices.text() if number >= 128 else b"")
