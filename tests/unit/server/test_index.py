"""Connections are found by the keys and the end of their peers, and leave nothing behind."""

from mtls_server.index import Entry, Index

PEERS = {
    "one": Entry(["a", "b"], 10.0),
    "two": Entry(["b"], 20.0),
}


def index(*connections: str) -> Index[str, str]:
    """Enter connections; what comes before the colon is the peer."""
    made = Index[str, str](PEERS.__getitem__)
    for connection in connections:
        made.add(connection, connection.partition(":")[0])
    return made


def test_connections_are_found_by_any_of_their_peers_keys() -> None:
    found = index("one:1", "one:2", "two:1")
    assert found.having(["a"]) == {"one:1", "one:2"}
    assert found.having(["b", "c"]) == {"one:1", "one:2", "two:1"}
    assert found.having([]) == found.having(["c"]) == set()


def test_connections_are_found_when_their_peers_end_has_passed() -> None:
    found = index("one:1", "one:2", "two:1")
    assert found.ended(10.0) == set()
    assert found.ended(10.1) == {"one:1", "one:2"}
    assert found.ended(20.1) == {"one:1", "one:2", "two:1"}


def test_a_connection_that_is_struck_out_leaves_its_peers_others() -> None:
    found = index("one:1", "one:2", "two:1")
    found.discard("one:1", "one")
    assert found.having(["b"]) == found.ended(21.0) == {"one:2", "two:1"}


def test_the_last_connection_of_a_peer_leaves_nothing_behind() -> None:
    found = index("one:1", "two:1")
    found.discard("one:1", "one")
    assert found.having(["b"]) == found.ended(21.0) == {"two:1"}
    found.discard("two:1", "two")
    assert vars(found) == vars(index())
