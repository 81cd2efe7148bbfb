"""What bytes of a server mean, however they are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtls_server.backends.upstream.response import MAX_HEAD_BYTES, MalformedError, Response

HEAD = b"HTTP/1.1 200 OK\r\n"
LENGTH_2 = HEAD + b"Content-Length: 2\r\n\r\n"


def read(data: bytes, *, to_head: bool = False, cut: int = 1 << 20) -> Response:
    response = Response(to_head=to_head)
    for start in range(0, len(data), cut):
        response.feed(data[start : start + cut])
    return response


@pytest.mark.parametrize("cut", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("data", "body"),
    [
        (LENGTH_2 + b"ok", b"ok"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;ext=1\r\nk\r\n0\r\n\r\n", b"ok"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nDigest: x\r\n\r\n", b"ok"),
        (HEAD + b"Content-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", b""),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + LENGTH_2 + b"ok",
            b"ok",
        ),
    ],
)
def test_a_response_ends_where_its_framing_says(data: bytes, body: bytes, cut: int) -> None:
    response = read(data, cut=cut)
    assert response.complete
    assert response.keeps_alive
    assert response.take() == body
    assert response.rest == b""


def test_the_head_is_that_of_the_final_response() -> None:
    response = read(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + HEAD + b"X-A: 1\r\nX-A: 2\r\n\r\n")
    assert response.head is not None
    assert (response.head.status, response.head.fields) == (200, [(b"x-a", b"1"), (b"x-a", b"2")])


def test_a_response_to_head_has_no_body() -> None:
    response = read(LENGTH_2, to_head=True)
    assert response.complete
    assert response.keeps_alive


@pytest.mark.parametrize("field", [b"", b"Connection: close\r\n"])
def test_a_body_without_length_ends_with_the_connection(field: bytes) -> None:
    response = read(HEAD + field + b"\r\nok")
    before = response.complete
    response.feed_eof()
    assert (before, response.complete, response.keeps_alive) == (False, True, False)


@pytest.mark.parametrize(
    "data", [b"", HEAD, LENGTH_2 + b"o", HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"]
)
def test_a_response_that_is_cut_off_is_malformed(data: bytes) -> None:
    response = read(data)
    with pytest.raises(MalformedError):
        response.feed_eof()


@pytest.mark.parametrize(
    "data", [LENGTH_2 + b"okHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", LENGTH_2 + b"ok?"]
)
@pytest.mark.parametrize("cut", [len(LENGTH_2) + 2, 1 << 20])
def test_a_connection_on_which_more_comes_than_was_asked_for_is_not_kept(data: bytes, cut: int) -> None:
    response = read(data, cut=cut)
    assert response.complete
    assert response.take() == b"ok"
    assert not response.keeps_alive
    assert response.rest == b"", "nobody would bound it"
    assert response.head is not None
    assert response.head.status == 200


def test_http_1_0_and_connection_close_are_not_kept() -> None:
    assert not read(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").keeps_alive
    assert not read(HEAD + b"Connection: close\r\nContent-Length: 0\r\n\r\n").keeps_alive


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 099 What\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n",
        HEAD + b"Content-Length: -2\r\n\r\n",
        HEAD + b"Transfer-Encoding: gzip\r\n\r\n",
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        HEAD + b"X-A : 1\r\n\r\n",
        HEAD + b"X-A: 1\r\n 2\r\n\r\n",
        HEAD + b"X-A: \x00\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        HEAD + b"X-A: " + b"a" * MAX_HEAD_BYTES,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * (MAX_HEAD_BYTES // 4),
    ],
)
def test_what_is_not_strictly_http_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        read(data, cut=65536)


PIECES = st.sampled_from(
    [
        *(
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.0 404 No\r\n",
            b"HTTP/1.1 204 No\r\n",
        ),
        *(b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"A: b\r\n"),
        *(b"\r\n", b"abc", b"3\r\nabc\r\n", b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"\n", b" ", b"\x00"),
    ]
)


def meaning(data: bytes, cuts: list[int], *, to_head: bool) -> object:
    """What a response means that comes in these pieces; None: it is malformed."""
    response, body = Response(to_head=to_head), b""
    ends = sorted({min(cut, len(data)) for cut in cuts} | {len(data)})
    try:
        for start, end in zip([0, *ends], ends, strict=False):
            if end > start:
                response.feed(data[start:end])
                body += response.take()
    except MalformedError:
        return None
    return response.head, body, response.complete, response.keeps_alive


@given(st.lists(PIECES, max_size=12).map(b"".join), st.lists(st.integers(0, 200)), st.booleans())
def test_a_response_means_the_same_however_it_is_cut(data: bytes, cuts: list[int], to_head: bool) -> None:  # noqa: FBT001 - a parameter
    assert meaning(data, cuts, to_head=to_head) == meaning(data, [], to_head=to_head)


@given(st.binary(max_size=300))
def test_nothing_that_a_server_says_fails_in_another_way(data: bytes) -> None:
    meaning(data, [], to_head=False)
    meaning(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + data, [], to_head=False)
