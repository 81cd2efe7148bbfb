"""What a caller sends: answered at the gate, or read by all alike, and with nobody else's name on it."""

import io
import re
from collections.abc import Iterator
from typing import NamedTuple

import h11

from mtls_server.authorization.paths import canonical_path
from mtls_server.backends.upstream.caller import caller_fields
from mtls_server.backends.upstream.heads import is_coded, request_to
from mtls_server.backends.upstream.target import Target as Upstream
from mtls_server.backends.wsgi.environ import environ_of
from tests.fuzz.choices import Choices, cut
from tests.fuzz.fields import Fields, as_h11_tells
from tests.fuzz.gate import Gate, Passed, Transport, converse
from tests.fuzz.target import Target
from tests.fuzz.world import CALLER, CLIENT_AUTHORITY, GENERATION, PARTNER

FORGED = re.compile(
    rb"(client.cert|ssl.|x.(client.cert|forwarded.(tls.)?client.cert|mtls.|ssl.))".replace(b".", b"[^a-z0-9]")
)
"""How fields begin by which servers behind proxies know callers, whatever stands between the words."""
FORGED_VARIABLE = re.compile(
    r"HTTP_(CLIENT_CERT|SSL_|X_CLIENT_CERT|X_FORWARDED_(TLS_)?CLIENT_CERT|X_MTLS_|X_SSL_)"
)
ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Za-z -]+\r\n((?:[a-z0-9-]+: [ -~]*\r\n)+)\r\n")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
UPSTREAM = Upstream("127.0.0.1", 8080)

CALLERS = [
    GENERATION.judge(CALLER.der, [CALLER.der, CLIENT_AUTHORITY.der]),
    GENERATION.judge(CALLER.der, [CALLER.der, PARTNER.der]),
]


class Read(NamedTuple):
    """A request as somebody reads it; the body is None where it has not ended."""

    method: bytes
    target: bytes
    headers: Fields
    body: bytes | None


def check(data: bytes) -> None:
    choices = Choices(data)
    flags = choices.number()
    lengths = [choices.number() for _ in choices.some(5)]
    stream = choices.rest()
    pieces = [bytes([octet]) for octet in stream] if len(lengths) == 5 else list(cut(stream, lengths))
    gate, transport = converse(
        CALLERS[flags & 1], pieces, websockets=bool(flags & 2), half_close=bool(flags & 4)
    )
    is_answered_once_each(bytes(transport.written), gate, transport)
    for passed in gate.seen:
        has_one_reading(passed)
        names_nobody_else(passed)
    is_read_alike(gate.seen, stream)


def is_answered_once_each(written: bytes, gate: Gate, transport: Transport) -> None:
    answers, numbers = 0, []
    while written:
        if written.startswith(CONTINUE):
            written = written.removeprefix(CONTINUE)
            continue
        answer = ANSWER.match(written)
        assert answer is not None, written[:200]
        fields = dict(line.split(b": ", 1) for line in answer[2].splitlines())
        written = written[answer.end() :]
        answers += 1
        if not written.startswith(b"HTTP/"):
            assert len(written) >= int(fields[b"content-length"]) or not written
            written = written[int(fields[b"content-length"]) :]
        if b"x-number" in fields:
            numbers.append(int(fields[b"x-number"]))
        if fields.get(b"connection") == b"close":
            assert transport.closing
            assert not written, "something comes after the last answer"
    assert answers <= max(gate.begun, 1)
    assert numbers == sorted(set(numbers))


def has_one_reading(passed: Passed) -> None:
    """What applications see is what was judged."""
    scope, names = passed.scope, [name for name, _ in passed.headers]
    assert names.count(b"host") == 1 or (scope["http_version"] == "1.0" and b"host" not in names)
    assert not {b"content-length", b"transfer-encoding"} <= set(names)
    if "path" in scope:
        assert scope["path"] == canonical_path(passed.target)


def names_nobody_else(passed: Passed) -> None:
    scope = passed.scope
    if "path" not in scope:  # no application sees it
        return
    assert not [name for name, _ in scope["headers"] if FORGED.match(name)]
    assert not [variable for variable in environ_of(scope, io.BytesIO()) if FORGED_VARIABLE.match(variable)]
    if is_coded(scope):
        return
    request = request_to(UPSTREAM, scope, with_chain=True)
    read = next(read_by_h11(request.head))
    chain = scope["extensions"]["tls"]["client_cert_chain"]
    told = caller_fields(scope["state"]["mtls"], chain, with_chain=True)
    said = b"".join(b"%b: %b\r\n" % line for line in read.headers if FORGED.match(line[0]))
    assert said == told
    assert read.target == b"/" + passed.target.removeprefix(b"https://").partition(b"/")[2]
    names = [name for name, _ in read.headers]
    assert names.count(b"host") == 1
    assert names.count(b"content-length") + names.count(b"transfer-encoding") <= 1


def is_read_alike(seen: list[Passed], stream: bytes) -> None:
    """Another parser finds the same requests in it, as long as it reads at all."""
    for position, (passed, read) in enumerate(zip(seen, read_by_h11(stream), strict=False)):
        assert (passed.scope["method"].encode(), passed.target) == (read.method, read.target)
        assert as_h11_tells(passed.headers) == read.headers
        if read.body is None:
            assert position == len(seen) - 1, "another request begins where the other one has not ended"
        assert passed.body in {None, read.body}


def read_by_h11(stream: bytes) -> Iterator[Read]:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(stream)
    try:
        while isinstance(request := connection.next_event(), h11.Request):
            read = Read(request.method, request.target, list(request.headers), None)
            body = b""
            while isinstance(event := connection.next_event(), h11.Data):
                body += event.data
            if not isinstance(event, h11.EndOfMessage):
                yield read
                return
            yield read._replace(body=body)
            connection.send(h11.Response(status_code=200, headers=[(b"content-length", b"0")]))
            connection.send(h11.EndOfMessage())
            connection.start_next_cycle()
    except h11.ProtocolError:
        return


HEAD = b"GET / HTTP/1.1\r\nHost: orders\r\n"
CHUNKED = b"POST /a HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
UPGRADE = HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
TARGET = Target(
    check,
    seeds=[
        bytes([flags, 0]) + stream
        for flags in (0, 2, 5)
        for stream in (
            HEAD + b"\r\n",
            (HEAD + b"\r\n") * 3,
            b"HEAD /admin/x HTTP/1.1\r\nHost: orders\r\n\r\n",
            b"GET https://orders/a?b HTTP/1.1\r\nHost: orders\r\n\r\n",
            b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            b"POST /hasty HTTP/1.1\r\nHost: orders\r\nContent-Length: 5\r\n\r\nhello" + HEAD + b"\r\n",
            b"PUT /a HTTP/1.1\r\nHost: orders\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
            CHUNKED + b"\r\n" + HEAD + b"\r\n",
            CHUNKED + b"X-Forwarded-Client-Cert: forged\r\n\r\n",
            HEAD + b"X_Ssl-Client.Cn: a\r\nX-Mtls-Client: a\r\nConnection: x-a, close\r\nX-A: b\r\n\r\n",
            UPGRADE,
            UPGRADE + b"early",
            HEAD + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n",
            b"CONNECT orders:443 HTTP/1.1\r\nHost: orders\r\n\r\n",
            HEAD + b"Host: b\r\n\r\n",
            HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"GET /%2e%2e/a;b HTTP/1.1\r\nHost: a\r\n\r\n",
            HEAD + b"A: b\r\n" * 130 + b"\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        )
    ],
    words=[
        *(
            b"GET ",
            b"POST ",
            b"HEAD ",
            b"CONNECT ",
            b"OPTIONS ",
            b"PRI ",
            b" HTTP/1.1\r\n",
            b" HTTP/1.0\r\n",
            b"HTTP/",
        ),
        *(
            b"Host: orders\r\n",
            b"host:",
            b"Content-Length: ",
            b"Transfer-Encoding: chunked\r\n",
            b"chunked",
            b"identity",
        ),
        *(
            b"Connection: close\r\n",
            b"Connection: keep-alive\r\n",
            b"Connection: ",
            b"Upgrade: websocket\r\n",
            b"TE: ",
        ),
        *(
            b"Expect: 100-continue\r\n",
            b"Trailer: ",
            b"Client-Cert: ",
            b"X-Mtls-Roles: ",
            b"x_ssl_",
            b"Keep-Alive",
        ),
        *(
            b"\r\n",
            b"\r\n\r\n",
            b"\n",
            b"\r",
            b"\0",
            b" ",
            b"\t",
            b": ",
            b",",
            b";",
            b"0\r\n\r\n",
            b"5\r\nhello\r\n",
        ),
        *(b"/hasty", b"/admin/", b"/../", b"%2f", b"https://orders/", b"\r\n ", b"\x0b", b"\x85", b"\xff"),
        *(b"5;a=b\r\n", b"ffffffffffffffff", b"+5", b"0x5", b"18446744073709551617", b"x-forwarded-for: "),
    ],
    max_bytes=4096,
)
