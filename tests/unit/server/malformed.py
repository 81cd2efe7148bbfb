"""What is no TLS, or TLS that breaks its rules, and what the server makes of it."""

import ssl
from dataclasses import dataclass, replace

from tests.unit.server.tls import wire
from tests.unit.server.tls.wire import (
    ALERT,
    APPLICATION_DATA,
    CERTIFICATE,
    CHANGE_CIPHER_SPEC,
    CLIENT_HELLO,
    CLIENT_KEY_EXCHANGE,
    EARLY_DATA,
    FATAL,
    FINISHED,
    HANDSHAKE,
    HELLO_REQUEST,
    KEY_SHARE,
    KEY_UPDATE,
    MAX_FRAGMENT,
    SERVER_HELLO,
    SERVER_NAME,
    SUPPORTED_VERSIONS,
    WARNING,
    alert,
    message,
    record,
    records,
    vector,
)

HELLO = wire.client_hello()
HELLO_1_2 = wire.client_hello(ssl.TLSVersion.TLSv1_2)
BODY = HELLO.body
HEARTBEAT, NO_SUCH_TYPE, NO_SUCH_MESSAGE = 24, 99, 77
AN_ALERT = alert(WARNING, 90)

NO_ALERT = None
CLOSE_NOTIFY, UNEXPECTED_MESSAGE, RECORD_OVERFLOW, HANDSHAKE_FAILURE = 0, 10, 22, 40
ILLEGAL_PARAMETER, UNKNOWN_CA, DECODE_ERROR, PROTOCOL_VERSION, INTERNAL_ERROR = 47, 48, 50, 70, 80
INAPPROPRIATE_FALLBACK, MISSING_EXTENSION, UNRECOGNIZED_NAME = 86, 109, 112
ENCRYPTED = -1
"""The alert, if there is one, is not for the eyes of the test."""

NOT_TLS = "not a TLS client"
OLD = "TLS version not supported"
BAD_RECORD = "client sent a malformed record"
TOO_LARGE = "client sent a message that is too large"
NOTHING_IN_COMMON = "client and server have no algorithm in common"
LEFT = "client closed the connection during the handshake"
RESET = "client reset the connection during the handshake"


@dataclass(frozen=True)
class Row:
    """Bytes, after which the client sends nothing more."""

    name: str
    sent: bytes
    reason: str
    alert: int | None = NO_ALERT


def hello_of_length(length: int) -> bytes:
    """Lie about the length of a ClientHello."""
    return record(HANDSHAKE, bytes([CLIENT_HELLO]) + length.to_bytes(3) + BODY)


def with_key_share(contents: bytes) -> bytes:
    return HELLO.without_extension(KEY_SHARE).with_extension(KEY_SHARE, contents).record


def with_versions(*versions: int) -> bytes:
    offered = vector(1, b"".join(one.to_bytes(2) for one in versions))
    return HELLO.without_extension(SUPPORTED_VERSIONS).with_extension(SUPPORTED_VERSIONS, offered).record


def with_name(name: bytes) -> bytes:
    listed = vector(2, b"\0" + vector(2, name))
    return HELLO.without_extension(SERVER_NAME).with_extension(SERVER_NAME, listed).record


def behind_hello(*sent: bytes) -> bytes:
    return HELLO.record + b"".join(sent)


def behind_hello_1_2(*sent: bytes) -> bytes:
    return HELLO_1_2.record + b"".join(sent)


def amid_hello(sent: bytes) -> bytes:
    """Put a record between the two halves of a ClientHello."""
    return record(HANDSHAKE, HELLO.message[:50]) + sent + record(HANDSHAKE, HELLO.message[50:])


SSL_2_HELLO = bytes.fromhex("802e0100020015000000100100800200800300800400800500800600400700c0") + bytes(16)
GREASE = 0xFAFA

NO_TLS = [
    Row("plain HTTP", b"GET / HTTP/1.1\r\nHost: orders\r\n\r\n", NOT_TLS),
    Row("CONNECT of a proxy's client", b"CONNECT orders:443 HTTP/1.1\r\n\r\n", NOT_TLS),
    Row("SSH", b"SSH-2.0-OpenSSH_9.9\r\n", NOT_TLS),
    Row("zeros", bytes(64), NOT_TLS),
    Row("ones", b"\xff" * 64, NOT_TLS),
    Row("every octet", bytes(range(256)), NOT_TLS),
    Row("a megabyte of nothing", bytes(1 << 20), NOT_TLS),
    Row("record of version 5.5", record(HANDSHAKE, HELLO.message, 0x0505), NOT_TLS),
    Row("record of version 2.0", record(HANDSHAKE, HELLO.message, 0x0200), NOT_TLS),
]
VERSIONS = [
    Row("TLS 1.1", replace(HELLO_1_2, version=wire.TLS_1_1).record, OLD, PROTOCOL_VERSION),
    Row("TLS 1.0", replace(HELLO_1_2, version=wire.TLS_1_0).record, OLD, PROTOCOL_VERSION),
    Row("SSL 3.0", replace(HELLO_1_2, version=0x0300).record, OLD, HANDSHAKE_FAILURE),
    Row("SSL 2.0", SSL_2_HELLO, OLD, PROTOCOL_VERSION),
    Row("supported_versions: TLS 1.1", with_versions(wire.TLS_1_1), OLD, PROTOCOL_VERSION),
    Row("supported_versions: one that is unknown", with_versions(0x7F7F), OLD, PROTOCOL_VERSION),
    Row("supported_versions: none", with_versions(), OLD, PROTOCOL_VERSION),
    Row(
        "a fallback that TLS 1.3 makes needless",
        replace(HELLO_1_2, suites=HELLO_1_2.suites + b"\x56\x00").record,
        "inappropriate fallback",
        INAPPROPRIATE_FALLBACK,
    ),
]
RECORDS = [
    Row("one empty record", record(HANDSHAKE, b""), LEFT, DECODE_ERROR),
    Row("33 empty records", record(HANDSHAKE, b"") * 33, BAD_RECORD, UNEXPECTED_MESSAGE),
    Row(
        "33 empty records amid TLS 1.2",
        behind_hello_1_2(record(HANDSHAKE, b"") * 33),
        BAD_RECORD,
        UNEXPECTED_MESSAGE,
    ),
    Row("record of 2^14+1", record(HANDSHAKE, bytes(MAX_FRAGMENT + 1)), BAD_RECORD, RECORD_OVERFLOW),
    Row("record of 2^14+257", record(HANDSHAKE, bytes(MAX_FRAGMENT + 257)), BAD_RECORD, RECORD_OVERFLOW),
    Row("record of 65,535", record(HANDSHAKE, bytes(65_535)), BAD_RECORD, RECORD_OVERFLOW),
    Row(
        "encrypted record of 2^14+257",
        behind_hello(record(APPLICATION_DATA, bytes(MAX_FRAGMENT + 257))),
        BAD_RECORD,
        ENCRYPTED,
    ),
    Row(
        "record of a type that is unknown",
        record(NO_SUCH_TYPE, b"hello"),
        "unexpected message",
        UNEXPECTED_MESSAGE,
    ),
    Row("the same behind a ClientHello", behind_hello(record(NO_SUCH_TYPE, b"hello")), BAD_RECORD, ENCRYPTED),
    Row(
        "heartbeat that asks for more than it brings",
        record(HEARTBEAT, b"\x01\xff\xff"),
        "unexpected message",
        UNEXPECTED_MESSAGE,
    ),
    Row(
        "garbage in place of the encrypted flight",
        behind_hello(record(APPLICATION_DATA, bytes(500))),
        BAD_RECORD,
        ENCRYPTED,
    ),
    Row(
        "data before the handshake",
        record(APPLICATION_DATA, b"hello"),
        "unexpected message",
        UNEXPECTED_MESSAGE,
    ),
    Row(
        "data amid TLS 1.2",
        behind_hello_1_2(record(APPLICATION_DATA, b"hello")),
        "unexpected record",
        UNEXPECTED_MESSAGE,
    ),
    Row(
        "ChangeCipherSpec first", record(CHANGE_CIPHER_SPEC, b"\1"), "unexpected message", UNEXPECTED_MESSAGE
    ),
    Row(
        "ChangeCipherSpec flood",
        behind_hello(record(CHANGE_CIPHER_SPEC, b"\1") * 1000),
        BAD_RECORD,
        ENCRYPTED,
    ),
    Row(
        "ChangeCipherSpec before the keys",
        behind_hello_1_2(record(CHANGE_CIPHER_SPEC, b"\1")),
        "unexpected message",
        UNEXPECTED_MESSAGE,
    ),
    Row("ChangeCipherSpec of 2", behind_hello(record(CHANGE_CIPHER_SPEC, b"\2")), BAD_RECORD, ENCRYPTED),
]
ALERTS = [
    Row("alert first", AN_ALERT, "unexpected message", UNEXPECTED_MESSAGE),
    Row("alert flood first", AN_ALERT * 1000, "unexpected message", UNEXPECTED_MESSAGE),
    Row("alert flood in TLS 1.3", behind_hello(AN_ALERT * 1000), "too many warn alerts", ENCRYPTED),
    Row(
        "alert flood in TLS 1.2",
        behind_hello_1_2(AN_ALERT * 1000),
        "too many warn alerts",
        UNEXPECTED_MESSAGE,
    ),
    Row("alert cut off", behind_hello_1_2(record(ALERT, b"\1")), "invalid alert", UNEXPECTED_MESSAGE),
    Row("alert of level 7", behind_hello_1_2(alert(7, 40)), "unknown alert type", ILLEGAL_PARAMETER),
    Row("alert that is unknown", behind_hello_1_2(alert(FATAL, 200)), "unknown error"),
    Row("internal error", behind_hello_1_2(alert(FATAL, 80)), "client sent the alert internal error"),
    Row("unknown CA", behind_hello_1_2(alert(FATAL, UNKNOWN_CA)), "client does not trust our certificate"),
    Row("close_notify", behind_hello_1_2(alert(WARNING, CLOSE_NOTIFY)), LEFT),
]
LENGTHS = [
    Row("ClientHello of 16 MB", hello_of_length(0xFFFFFF), TOO_LARGE, ILLEGAL_PARAMETER),
    Row(
        "ClientHello of 128 KiB",
        records(HANDSHAKE, message(CLIENT_HELLO, bytes(131_396))),
        "length mismatch",
        DECODE_ERROR,
    ),
    Row("ClientHello longer than it is", hello_of_length(len(BODY) + 1), LEFT, DECODE_ERROR),
    Row("ClientHello shorter than it is", hello_of_length(len(BODY) - 1), "length mismatch", DECODE_ERROR),
    Row("ClientHello that says to be empty", hello_of_length(0), "length too short", DECODE_ERROR),
    Row(
        "session id of 255",
        record(HANDSHAKE, message(CLIENT_HELLO, BODY[:34] + b"\xff" + BODY[35:])),
        "length mismatch",
        DECODE_ERROR,
    ),
    Row("session id of 33", replace(HELLO, session=bytes(33)).record, "length mismatch", DECODE_ERROR),
    Row(
        "half a cipher suite",
        replace(HELLO, suites=b"\x13").record,
        "error in received cipher list",
        DECODE_ERROR,
    ),
    Row("no compression", replace(HELLO, compressions=b"").record, "no compression specified", DECODE_ERROR),
    Row(
        "extensions cut off",
        record(HANDSHAKE, message(CLIENT_HELLO, BODY[:-1])),
        "length mismatch",
        DECODE_ERROR,
    ),
    Row(
        "something behind the extensions",
        record(HANDSHAKE, message(CLIENT_HELLO, BODY + b"\0")),
        "length mismatch",
        DECODE_ERROR,
    ),
    Row(
        "something behind the ClientHello",
        record(HANDSHAKE, HELLO.message + b"tail"),
        "not on record boundary",
        UNEXPECTED_MESSAGE,
    ),
]
EXTENSIONS = [
    Row(
        "extension twice",
        HELLO.with_extension(*HELLO.extensions[0]).record,
        "bad extension",
        ILLEGAL_PARAMETER,
    ),
    Row(
        "10,000 extensions",
        replace(HELLO, extensions=(*HELLO.extensions, *((one, b"") for one in range(10_000, 20_000)))).record,
        LEFT,
        ENCRYPTED,
    ),
    Row(
        "32,000 cipher suites, none of ours",
        replace(HELLO, suites=GREASE.to_bytes(2) * 32_000).record,
        NOTHING_IN_COMMON,
        HANDSHAKE_FAILURE,
    ),
    Row(
        "32,000 cipher suites, the last one of ours",
        replace(HELLO, suites=GREASE.to_bytes(2) * 32_000 + HELLO.suites).record,
        LEFT,
        ENCRYPTED,
    ),
    Row("server name of 60,000", with_name(b"a" * 60_000), "bad extension", UNRECOGNIZED_NAME),
    Row("server name with a NUL", with_name(b"ord\0ers"), "bad extension", UNRECOGNIZED_NAME),
    Row(
        "no key share extension",
        HELLO.without_extension(KEY_SHARE).record,
        NOTHING_IN_COMMON,
        MISSING_EXTENSION,
    ),
    Row("no key share, so asked for one", with_key_share(vector(2, b"")), LEFT, DECODE_ERROR),
    Row(
        "key share longer than it is",
        with_key_share(bytes.fromhex("0004ffff0000")),
        "length mismatch",
        DECODE_ERROR,
    ),
    Row("early data announced", HELLO.with_extension(EARLY_DATA).record, LEFT, ENCRYPTED),
    Row(
        "early data without PSK",
        HELLO.with_extension(EARLY_DATA).record + record(APPLICATION_DATA, bytes(100)) * 3,
        LEFT,
        ENCRYPTED,
    ),
    Row(
        "early data flood",
        HELLO.with_extension(EARLY_DATA).record + record(APPLICATION_DATA, bytes(16_000)) * 60,
        BAD_RECORD,
        ENCRYPTED,
    ),
]
MESSAGES = [
    *[
        Row(
            f"{name} first",
            record(HANDSHAKE, message(kind, contents)),
            "unexpected message",
            UNEXPECTED_MESSAGE,
        )
        for name, kind, contents in [
            ("HelloRequest", HELLO_REQUEST, b""),
            ("ServerHello", SERVER_HELLO, BODY),
            ("Finished", FINISHED, bytes(12)),
            ("KeyUpdate", KEY_UPDATE, b"\0"),
            ("message that is unknown", NO_SUCH_MESSAGE, b""),
        ]
    ],
    Row("ClientHello twice", behind_hello(HELLO.record), BAD_RECORD, ENCRYPTED),
    Row(
        "ClientHello twice in TLS 1.2",
        behind_hello_1_2(HELLO_1_2.record),
        "unexpected message",
        UNEXPECTED_MESSAGE,
    ),
    Row(
        "certificate in clear in TLS 1.3",
        behind_hello(record(HANDSHAKE, message(CERTIFICATE, bytes(4)))),
        BAD_RECORD,
        ENCRYPTED,
    ),
    Row(
        "Finished in clear in TLS 1.3",
        behind_hello(record(HANDSHAKE, message(FINISHED, bytes(48)))),
        BAD_RECORD,
        ENCRYPTED,
    ),
    Row("alert amid a message", amid_hello(AN_ALERT), "unexpected message", UNEXPECTED_MESSAGE),
    Row(
        "ChangeCipherSpec amid a message",
        amid_hello(record(CHANGE_CIPHER_SPEC, b"\1")),
        "unexpected message",
        UNEXPECTED_MESSAGE,
    ),
    Row(
        "data amid a message",
        amid_hello(record(APPLICATION_DATA, b"x")),
        "unexpected message",
        UNEXPECTED_MESSAGE,
    ),
    *[
        Row(
            f"{name} in place of a certificate",
            behind_hello_1_2(record(HANDSHAKE, message(kind, contents))),
            "unexpected message",
            UNEXPECTED_MESSAGE,
        )
        for name, kind, contents in [
            ("key exchange", CLIENT_KEY_EXCHANGE, bytes(66)),
            ("Finished", FINISHED, bytes(12)),
            ("HelloRequest", HELLO_REQUEST, b""),
        ]
    ],
    *[
        Row(
            f"{name} in TLS 1.2",
            behind_hello_1_2(records(HANDSHAKE, message(CERTIFICATE, contents))),
            reason,
            seen,
        )
        for name, contents, reason, seen in [
            ("empty list of certificates", bytes(3), "client sent no certificate", HANDSHAKE_FAILURE),
            (
                "certificate that is none",
                vector(3, vector(3, b"garbage")),
                "client sent what cannot be parsed",
                DECODE_ERROR,
            ),
            (
                "empty certificate",
                vector(3, vector(3, b"")),
                "client sent what cannot be parsed",
                DECODE_ERROR,
            ),
            ("certificates of 16 MB", b"\xff\xff\xff", "length mismatch", DECODE_ERROR),
            ("200,000 octets of certificates", bytes(200_000), TOO_LARGE, ILLEGAL_PARAMETER),
        ]
    ],
]
CUT_OFF = [
    Row("one octet", HELLO.record[:1], LEFT, DECODE_ERROR),
    Row("head of a record", HELLO.record[:5], LEFT, DECODE_ERROR),
    Row("half a ClientHello", HELLO.record[:50], LEFT, DECODE_ERROR),
    Row("ClientHello", HELLO.record, LEFT, ENCRYPTED),
    Row("ClientHello in records of one octet", records(HANDSHAKE, HELLO.message, 1), LEFT, ENCRYPTED),
    Row("ClientHello of TLS 1.2", HELLO_1_2.record, LEFT, DECODE_ERROR),
]
ROWS = [*NO_TLS, *VERSIONS, *RECORDS, *ALERTS, *LENGTHS, *EXTENSIONS, *MESSAGES, *CUT_OFF]
