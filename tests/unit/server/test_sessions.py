"""The chains of those who may come again in a session."""

from mtls_server.files.sessions import VerifiedChains


def chain(leaf: bytes) -> tuple[bytes, ...]:
    """Return a chain whose issuers are equal to those of others, and objects of their own."""
    return leaf, bytes(bytearray(b"intermediate")), bytes(bytearray(b"anchor"))


def test_a_leaf_is_known_by_the_chain_that_was_verified_last() -> None:
    chains = VerifiedChains(2)
    assert chains.recall(b"1") == ()
    chains.remember((b"1", b"former anchor"))
    chains.remember(chain(b"1"))
    assert chains.recall(b"1") == chain(b"1")


def test_whoever_shook_hands_longest_ago_makes_room() -> None:
    chains = VerifiedChains(2)
    for leaf in (b"1", b"2", b"1", b"3"):
        chains.remember(chain(leaf))
    assert [bool(chains.recall(leaf)) for leaf in (b"1", b"2", b"3")] == [True, False, True]


def test_to_resume_is_not_to_shake_hands() -> None:
    chains = VerifiedChains(2)
    for leaf in (b"1", b"2"):
        chains.remember(chain(leaf))
    chains.recall(b"1")
    chains.remember(chain(b"3"))
    assert not chains.recall(b"1")


def test_issuers_are_kept_once() -> None:
    chains = VerifiedChains(2)
    for leaf in (b"1", b"2"):
        chains.remember(chain(leaf))
    one, other = chains.recall(b"1"), chains.recall(b"2")
    assert all(mine is theirs for mine, theirs in zip(one[1:], other[1:], strict=True))


def test_where_no_session_is_resumed_nothing_is_kept() -> None:
    chains = VerifiedChains(0)
    chains.remember(chain(b"1"))
    assert chains.recall(b"1") == ()
