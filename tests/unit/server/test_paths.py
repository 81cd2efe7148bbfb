"""What is judged is what the application sees, or there is an answer instead."""

import posixpath
from urllib.parse import quote, unquote

import httptools
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mtls_server.authorization.paths import canonical_path

# What has a meaning in a URL, more often than chance has it.
targets = st.lists(
    st.sampled_from([b"/", b".", b"..", b"%", b"%2e", b"%2F", b"%5c", b"%00", b"%c3%a9", b"%25", b"\\"])
    | st.sampled_from([b";", b"?", b"#", b"//", b"a", b"%61", b"%0a", b"\xe9", b"https://orders", b":", b"@"])
    | st.binary(max_size=3),
    max_size=8,
).map(lambda parts: b"/" + b"".join(parts))


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/", "/"),
        (b"/orders/1", "/orders/1"),
        (b"/orders/", "/orders/"),
        (b"/orders?next=/../admin", "/orders"),
        (b"/%6frders/%31", "/orders/1"),
        (b"/caf%C3%A9", "/café"),
        (b"/a%20b", "/a b"),
        (b"/a%252fb", "/a%2fb"),
        (b"/a;v=1/b", "/a;v=1/b"),
        (b"/.well-known/x", "/.well-known/x"),
        (b"/..a/.../b..", "/..a/.../b.."),
        (b"https://orders/a?b", "/a"),
        (b"https://orders/", "/"),
    ],
)
def test_a_path_that_everybody_reads_alike_is_decoded(target: bytes, path: str) -> None:
    assert canonical_path(target) == path


@pytest.mark.parametrize(
    "target",
    [
        b"/public/../admin",
        b"/public/%2e%2e/admin",
        b"/public/.%2E/admin",
        b"/public/..",
        b"/public/..;/admin",
        b"/public/..;a=b",
        b"/./admin",
        b"/admin/.",
        b"//admin",
        b"/public//admin",
        b"/public/%2fadmin",
        b"/public%2Fadmin",
        b"/public%5cadmin",
        b"/public\\admin",
        b"/admin%00x",
        b"/admin%0d%0a",
        b"/admin%7f",
        b"/admin#x",
        b"/admin?a#b",
        b"/%zz",
        b"/a%",
        b"/a%2",
        b"/caf%e9",
        b"/caf\xc3\xa9",
        b"/?\xe9",
        b"https://orders//admin",
        b"https://orders/a/../admin",
        b"*",
        b"",
    ],
)
def test_a_path_that_could_be_read_otherwise_is_none(target: bytes) -> None:
    assert canonical_path(target) is None


class Reader:
    """Takes the target of a request from the parser, as the server does."""

    def __init__(self) -> None:
        self.target = b""

    def on_url(self, part: bytes) -> None:
        self.target += part


def target_of(head: bytes) -> bytes | None:
    """Return the target that a request's head names, unless the parser refuses it."""
    reader = Reader()
    try:
        httptools.HttpRequestParser(reader).feed_data(head)
    except httptools.HttpParserError:
        return None
    return reader.target


@given(targets)
@settings(max_examples=500, deadline=None)
@example(b"/?\xe9")
@example(b"/ ")
def test_what_is_judged_is_what_the_application_sees(written: bytes) -> None:
    target = target_of(b"GET %b HTTP/1.1\r\n\r\n" % written)
    if target is not None and (path := canonical_path(target)) is not None:
        assert path == unquote(httptools.parse_url(target).path.decode("ascii"))


@given(targets)
@settings(max_examples=500, deadline=None)
def test_what_is_judged_leads_nowhere_else(target: bytes) -> None:
    path = canonical_path(target)
    if path is not None:
        assert posixpath.normpath(path) == (path.removesuffix("/") or "/")
        assert not any(character < " " or character in "\\\x7f" for character in path)


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/\\"), min_size=1))
)
def test_every_path_can_be_written(segments: list[str]) -> None:
    segments = [segment for segment in segments if not segment.startswith(".")]
    path = "/" + "/".join(segments)
    assert canonical_path(quote(path).encode()) == path
