"""Connections are found by their keys and their end, and leave nothing behind."""

from mtls_server.index import Index


def test_connections_are_found_by_any_of_their_keys() -> None:
    index = Index[str]()
    index.add("one", ["a", "b"], 10.0)
    index.add("two", ["b"], 20.0)
    assert index.having(["a"]) == {"one"}
    assert index.having(["b", "c"]) == {"one", "two"}
    assert index.having([]) == set()


def test_connections_are_found_when_their_end_has_passed() -> None:
    index = Index[str]()
    index.add("one", [], 10.0)
    index.add("two", [], 20.0)
    assert [index.ended(now) for now in (10.0, 10.1, 20.1)] == [set(), {"one"}, {"one", "two"}]


def test_a_connection_that_is_struck_out_leaves_nothing_behind() -> None:
    index = Index[str]()
    index.add("one", ["a"], 10.0)
    index.add("two", ["a"], 10.0)
    index.discard("one", ["a"], 10.0)
    assert index.having(["a"]) == index.ended(11.0) == {"two"}
    index.discard("two", ["a"], 10.0)
    assert vars(index) == vars(Index[str]())
