"""Whatever the bytes, there is an answer: never an error that nobody expects."""

from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtls_server.checks import MaterialError, examine
from mtls_server.contract import CERTIFICATE, POLICY, PRIVATE_KEY, TRUST_ANCHORS
from mtls_server.gate import judge_head
from tests.unit.server import pki
from tests.unit.server.conftest import World

WORLD = World()
FILES = WORLD.files()
GENERATION = WORLD.generation()
CALLER = pki.client(WORLD.client_authority)

edits = st.lists(st.tuples(st.integers(0, 1 << 11), st.integers(0, 255)), min_size=1, max_size=4)
thorough = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


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
