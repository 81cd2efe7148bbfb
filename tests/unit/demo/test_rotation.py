"""What the demonstration makes of what its caller met."""

from tests.demo.rotation import Seen


def test_each_certificate_is_remembered_by_when_it_was_met_first_and_last() -> None:
    seen = Seen()
    for now, serials in [(1.0, ["old"]), (2.0, ["new", "old"]), (3.0, ["new"])]:
        seen.take_in({"requests": 10, "connections": 3, "serials": serials, "failures": []}, now)
    assert seen.first == {"old": 1.0, "new": 2.0}
    assert seen.last == {"old": 2.0, "new": 3.0}
    assert str(seen) == "30 requests, 9 of them over new connections, 0 failed"


def test_failures_are_kept_in_their_own_words() -> None:
    seen = Seen()
    seen.take_in({"requests": 0, "connections": 0, "serials": [], "failures": ["timed out"]}, 1.0)
    assert seen.failures == ["timed out"]
