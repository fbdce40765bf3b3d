"""What is true of every wait: signals, exceptions of their handlers, timeouts, other threads."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from support import Engine, Hand, alarm, until
from waits import TIMED_WAITS, WAITS, SimpleQueueGet, Wait


def by_name(kind: type[Wait]) -> str:
    return kind.__name__


@pytest.fixture
def wait(request: pytest.FixtureRequest, engine: Engine) -> Iterator[Wait]:
    made: Wait = request.param(engine)
    yield made
    made.clean_up()


all_waits = pytest.mark.parametrize("wait", WAITS, ids=by_name, indirect=True)
timed_waits = pytest.mark.parametrize("wait", TIMED_WAITS, ids=by_name, indirect=True)


class Interruption(Exception):
    """Raised by a signal handler."""


def interrupt() -> None:
    raise Interruption


@all_waits
def test_it_ends_when_what_it_waits_for_happens(wait: Wait) -> None:
    hand = Hand(wait.wait).blocks()
    wait.satisfy()
    assert hand.result()


@all_waits
def test_a_signal_handler_runs_meanwhile_and_the_wait_goes_on(wait: Wait) -> None:
    with alarm(lambda: None) as ran:
        helper = Hand(lambda: (until(lambda: ran), wait.satisfy()))
        assert wait.wait()
        helper.result()
    assert ran


@all_waits
def test_a_signal_handler_ends_it_by_what_it_waits_for(wait: Wait) -> None:
    with alarm(wait.satisfy) as ran:
        assert wait.wait()
    assert len(ran) == 1


@all_waits
def test_a_signal_handler_that_raises_ends_it_and_nothing_is_lost(wait: Wait) -> None:
    with alarm(interrupt) as ran, pytest.raises(Interruption):
        wait.wait()
    assert ran
    wait.check()


@timed_waits
def test_it_ends_without_success_when_the_time_is_up_and_not_before(wait: Wait) -> None:
    start = time.monotonic()
    assert not wait.wait(0.03)
    assert time.monotonic() - start >= 0.03


@timed_waits
def test_a_timeout_leaves_nothing_behind(wait: Wait) -> None:
    assert not wait.wait(0.01)
    wait.check()


@timed_waits
def test_after_a_signal_it_resumes_with_the_remaining_time(wait: Wait) -> None:
    if isinstance(wait, SimpleQueueGet) and not wait.engine.is_ours:
        pytest.skip("the standard library's waits for ever if a signal comes when time is up")
    # Were it to start anew after each signal, it would never end.
    with alarm(lambda: None, after=0.01, every=0.01) as ran:
        start = time.monotonic()
        assert not wait.wait(0.1)
        assert time.monotonic() - start >= 0.1
    assert ran


@timed_waits
def test_a_huge_timeout_is_as_good_as_none(wait: Wait) -> None:
    hand = Hand(wait.wait, 9_000_000.0).blocks()
    wait.satisfy()
    assert hand.result()


@timed_waits
@pytest.mark.parametrize("timeout", [0, 0.0, 1e-12])
def test_no_time_means_to_look_only_once(wait: Wait, timeout: float) -> None:
    assert not wait.wait(timeout)


@all_waits
def test_other_threads_run_meanwhile(wait: Wait) -> None:
    hand = Hand(wait.wait).blocks()
    counts = [Hand(lambda: sum(range(1000))) for _ in range(3)]
    assert [count.result() for count in counts] == [499_500] * 3
    wait.satisfy()
    assert hand.result()
