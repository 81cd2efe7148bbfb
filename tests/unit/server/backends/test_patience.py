"""How long a thread waits for its caller, by a clock that goes when it is told to."""

from dataclasses import dataclass

import pytest

from mtls_server.backends.wsgi.patience import BYTES_PER_SECOND, Patience, SlowCallerError


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def wait(patience: Patience, clock: Clock, seconds: float, expected: int = 0) -> float:
    with patience.waiting(expected) as left:
        clock.now += seconds
    return left


def test_what_is_spent_is_spent_once_for_the_whole_request() -> None:
    patience = Patience(10, clock := Clock())
    assert [wait(patience, clock, 4) for _ in range(3)] == [10, 6, 2]
    with pytest.raises(SlowCallerError):
        wait(patience, clock, 1)


def test_time_in_which_no_thread_waits_costs_nothing() -> None:
    patience = Patience(10, clock := Clock())
    clock.now += 100
    assert wait(patience, clock, 1) == 10


def test_whoever_sends_enough_is_waited_for_without_end() -> None:
    patience = Patience(10, clock := Clock())
    for _ in range(100):
        assert wait(patience, clock, 5) >= 5
        patience.note(5 * BYTES_PER_SECOND)


def test_what_passed_at_once_is_no_credit_for_later() -> None:
    patience = Patience(10, clock := Clock())
    wait(patience, clock, 1)
    patience.note(1 << 30)
    assert wait(patience, clock, 1) == 10


def test_a_byte_now_and_then_is_not_enough() -> None:
    patience = Patience(60, clock := Clock())
    wait(patience, clock, 30)
    patience.note(1)
    assert wait(patience, clock, 30) == pytest.approx(30, abs=0.01)
    patience.note(1)
    assert wait(patience, clock, 1) < 0.01


def test_a_large_piece_may_take_its_time() -> None:
    patience = Patience(10, clock := Clock())
    assert wait(patience, clock, 1, expected=100 * BYTES_PER_SECOND) == 110
