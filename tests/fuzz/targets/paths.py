"""A request's target: one path, whoever reads it, or none. Behind it, in the input, the paths of routes."""

import posixpath
from urllib.parse import quote, unquote, urlsplit

import httptools

from mtls_server.authorization.paths import canonical_path, readings
from mtls_server.authorization.routes import Routes
from mtls_server.contract import Route
from tests.fuzz import reference
from tests.fuzz.target import Target

SEPARATOR = b"\xff"


class Reader:
    """Takes the target of a request from the parser, as the server does."""

    def __init__(self) -> None:
        self.target = b""

    def on_url(self, part: bytes) -> None:
        self.target += part


def check(data: bytes) -> None:
    target, *patterns = data.split(SEPARATOR)
    path = canonical_path(target)
    assert canonical_path(target) == path, "what is remembered differs"
    if path is None:
        return
    assert canonical_path(target.partition(b"?")[0] + b"?/../a") == path, "a query changes the path"
    assert canonical_path(quote(path).encode()) == path, "the path cannot be written"
    everybody_reads(path, target)
    for reading in readings(path):
        leads_nowhere_else(reading)
    is_routed_alike(path, patterns)


def everybody_reads(path: str, target: bytes) -> None:
    reader = Reader()
    try:
        httptools.HttpRequestParser(reader).feed_data(b"GET %b HTTP/1.1\r\n\r\n" % target)
        url = httptools.parse_url(target)
    except httptools.HttpParserError:
        return
    assert reader.target == target
    assert unquote((url.path or b"/").decode("ascii")) == path
    other = urlsplit(b"https://host" + target if target.startswith(b"/") else target)
    assert unquote(other.path or b"/") == path


def leads_nowhere_else(path: str) -> None:
    assert posixpath.normpath(path) == (path.removesuffix("/") or "/")
    assert not any(character < " " or character in "\\\x7f" for character in path)


def is_routed_alike(path: str, patterns: list[bytes]) -> None:
    routes = tuple(Route(pattern.decode("latin-1"), methods=("GET",)) for pattern in patterns)
    try:
        compiled = Routes.compile(routes)
    except ValueError:
        return
    for reading in readings(path):
        for method in ("GET", "HEAD", "POST"):
            found = compiled.first(method, reading)
            assert (found and found.number) == reference.first_route(routes, method, reading)


ROUTES = SEPARATOR + SEPARATOR.join([b"/admin/**", b"/orders/*/lines", b"/orders/special", b"/*/b", b"/"])
TARGET = Target(
    check,
    seeds=[
        target + ROUTES
        for target in (
            b"/",
            b"/orders/1/lines/",
            b"/orders?next=/../admin",
            b"/%6frders/%31",
            b"/caf%C3%A9",
            b"/a%252fb",
            b"/a;v=1/b;/;c",
            b"/.well-known/x",
            b"/..a/.../b..",
            b"https://orders/a?b",
            b"/public/%2e%2e;a=b/admin",
            b"//admin",
            b"/public%5cadmin%00",
            b"/" + b"a" * 300,
        )
    ],
    words=[
        *(b"/", b".", b"..", b"//", b"/./", b"/../", b";", b"?", b"#", b"\\", b"%", b"*", b"**", b"@", b":"),
        *(b"%2e", b"%2E", b"%2f", b"%2F", b"%5c", b"%00", b"%0d%0a", b"%25", b"%3b", b"%3f", b"%23", b"%7f"),
        *(b"%c3%a9", b"%e2%80%ae", b"%ef%bc%8f", b"%c0%ae", b"%ed%a0%80", b"https://", SEPARATOR),
    ],
    max_bytes=512,
)
