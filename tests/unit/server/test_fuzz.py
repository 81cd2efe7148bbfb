"""Whatever the bytes, there is an answer: never an error that nobody expects."""

import importlib
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtls_server.authorization.paths import canonical_path
from mtls_server.authorization.policy import Authorisation
from mtls_server.contract import (
    CERTIFICATE,
    OWN_SOURCE,
    POLICY,
    PRIVATE_KEY,
    TRUST_ANCHORS,
    Policy,
    Route,
    Rule,
)
from mtls_server.files.checks import examine
from mtls_server.files.faults import MaterialError
from mtls_server.http.gate import judge_head
from mtls_server.identity import RefusedError, parse
from tests.fuzz import CORPUS, TARGETS
from tests.fuzz.target import Target
from tests.unit.server import pki
from tests.unit.server.conftest import World

WORLD = World()
FILES = WORLD.files()
GENERATION = WORLD.generation()
CALLER = pki.client(WORLD.client_authority)
IDENTITY = parse(CALLER.der)

edits = st.lists(st.tuples(st.integers(0, 1 << 11), st.integers(0, 255)), min_size=1, max_size=4)
thorough = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def inputs(name: str, target: Target) -> Iterator[tuple[str, bytes]]:
    yield from ((f"seed {number}", seed) for number, seed in enumerate(target.seeds))
    yield from ((path.name, path.read_bytes()) for path in sorted((CORPUS / name).iterdir()))


@pytest.mark.filterwarnings("ignore:Attribute's length", "ignore:Parsed a serial number")
@pytest.mark.parametrize("name", TARGETS)
def test_what_the_search_has_found_breaks_nothing(name: str) -> None:
    target: Target = importlib.import_module(f"tests.fuzz.targets.{name}").TARGET
    for number, (label, data) in enumerate(inputs(name, target)):
        try:
            target.check(data)
        except BaseException as error:
            error.add_note(f"input {number}: {label}")
            raise


def edited(contents: bytes, changes: list[tuple[int, int]]) -> bytes:
    changed = bytearray(contents)
    for position, value in changes:
        changed[position % len(changed)] = value
    return bytes(changed)


@given(edits)
@thorough
def test_any_certificate_gets_a_verdict(changes: list[tuple[int, int]]) -> None:
    leaf = edited(CALLER.der, changes)
    peer = GENERATION.judge(leaf, [leaf, WORLD.client_authority.der])
    assert (peer.identity is None) != (peer.refusal is None)


@given(st.sampled_from([CERTIFICATE, PRIVATE_KEY, TRUST_ANCHORS, POLICY]), edits)
@thorough
def test_any_files_are_good_or_refused(name: str, changes: list[tuple[int, int]]) -> None:
    with suppress(MaterialError):
        examine(FILES | {name: edited(FILES[name], changes)}, pki.NOW, x509_strict=True)


@given(
    st.sampled_from(["1.0", "1.1", "0.9", "2.0"]),
    st.binary(),
    st.lists(st.tuples(st.sampled_from([b"host", b"transfer-encoding", b"x"]), st.binary())),
)
def test_any_head_with_more_than_one_host_is_refused(
    version: str, url: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    hosts = sum(name == b"host" for name, _ in headers)
    if hosts > 1 or (version == "1.1" and hosts == 0):
        assert judge_head(version, url, headers) is not None


def words(*pieces: str) -> st.SearchStrategy[str]:
    """Make texts of what has a meaning there, and of what has none."""
    return st.lists(st.sampled_from(pieces) | st.text(max_size=2), max_size=8).map("".join)


names = st.none() | words("spiffe://", "cluster.local", "/", "*", "ns", "..", "billing", ".", "0f" * 32)
rules = st.builds(
    Rule,
    source=st.sampled_from([OWN_SOURCE, "partner"]),
    spiffe_id=names,
    uri=names,
    dns=names,
    cn=names,
    fingerprint=names,
    deny=st.booleans(),
)
routes = st.builds(
    Route,
    path=words("/", "*", "**", "orders", "..", "%", "?"),
    methods=st.lists(words("GET", "get")).map(tuple),
)


@given(
    st.lists(rules, max_size=3).map(tuple), st.lists(routes, max_size=3).map(tuple), words("/", "orders", "%")
)
@thorough
def test_any_policy_decides_or_is_refused(
    some_rules: tuple[Rule, ...], some_routes: tuple[Route, ...], target: str
) -> None:
    policy = Policy(1, (), {OWN_SOURCE: ()}, rules=some_rules, routes=some_routes)
    try:
        authorisation = Authorisation.compile(policy)
    except ValueError:
        return
    with suppress(RefusedError):
        authorisation.authorise(IDENTITY, OWN_SOURCE)
    path = canonical_path(target.encode())
    if path is not None:
        authorisation.routes.first("GET", path)
