"""Which objects the watches owe, and which are gone."""

from mtls_operator.cluster.relist import Version, lagging, vanished
from mtls_operator.reconcile.ports import SECRET, Ref

A, B = Ref(SECRET, "shop", "a"), Ref(SECRET, "shop", "b")
OLD, NEW = Version("uid", "1"), Version("uid", "2")
AGAIN = Version("another uid", "3")


def test_nothing_is_owed_of_a_world_that_is_known() -> None:
    assert lagging({A: OLD}, {A: OLD}, {A: OLD}) == []
    assert vanished({A: OLD}, {A: OLD}, {A: OLD}) == []


def test_what_was_never_seen_is_owed() -> None:
    assert lagging({A: OLD, B: OLD}, {A: OLD}, {A: OLD}) == [B]


def test_a_newer_version_is_owed_until_something_is_heard() -> None:
    assert lagging({A: NEW}, {A: OLD}, {A: OLD}) == [A]
    assert lagging({A: NEW}, {A: OLD}, {A: NEW}) == []
    assert lagging({A: NEW}, {A: OLD}, {A: Version("uid", "5")}) == []


def test_what_was_deleted_after_the_list_is_not_owed() -> None:
    assert lagging({A: OLD}, {A: OLD}, {}) == []


def test_an_object_made_anew_is_owed_and_not_vanished() -> None:
    assert lagging({A: AGAIN}, {A: OLD}, {A: OLD}) == [A]
    assert vanished({A: AGAIN}, {A: OLD}, {A: OLD}) == []


def test_what_is_no_more_listed_has_vanished() -> None:
    assert vanished({}, {A: OLD}, {A: OLD}) == [A]


def test_what_was_heard_of_since_has_not_vanished() -> None:
    assert vanished({}, {A: OLD}, {A: AGAIN}) == []
    assert vanished({}, {A: OLD}, {}) == []
    assert vanished({}, {}, {A: OLD}) == []
