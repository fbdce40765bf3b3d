"""Waiting for many futures, also for those of the other implementation, and from asyncio."""

from __future__ import annotations

import asyncio
import concurrent.futures
import weakref
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from support import Hand, alarm

OURS = "manyhands.concurrent.futures"
THEIRS = "concurrent.futures"

#: Whose functions wait for whose futures.
PAIRS = {
    "stdlib": (THEIRS, THEIRS),
    "manyhands": (OURS, OURS),
    "manyhands-of-foreign": (OURS, THEIRS),
    "foreign-of-manyhands": (THEIRS, OURS),
}


class Stop(Exception):
    """What a signal handler raises."""


def interrupt() -> None:
    raise Stop


@dataclass
class Pair:
    """Functions that wait, and futures to wait for."""

    waits: ModuleType
    futures: ModuleType

    def __getattr__(self, name: str) -> Any:
        return getattr(self.waits, name)

    def make(self, count: int) -> list[Any]:
        return [self.futures.Future() for _ in range(count)]


@pytest.fixture(params=PAIRS.values(), ids=list(PAIRS))
def pair(request: pytest.FixtureRequest) -> Pair:
    waits, futures = request.param
    return Pair(import_module(waits), import_module(futures))


def test_wait_gives_what_is_done_and_what_is_not(pair: Pair) -> None:
    done, failed, open_ = pair.make(3)
    done.set_result(1)
    failed.set_exception(ValueError())
    outcome = pair.wait([done, failed, open_], timeout=0)
    assert outcome.done == {done, failed}
    assert outcome.not_done == {open_}
    assert outcome == ({done, failed}, {open_})
    assert type(outcome).__name__ == "DoneAndNotDoneFutures"


@pytest.mark.parametrize("timeout", [0, -1, 0.01])
def test_wait_has_a_limit(pair: Pair, timeout: float) -> None:
    futures = pair.make(2)
    assert pair.wait(futures, timeout) == (set(), set(futures))
    assert all(future._waiters == [] for future in futures)


def test_wait_takes_anything_that_can_be_iterated_and_each_future_once(pair: Pair) -> None:
    futures = pair.make(2)
    waiting = Hand(pair.wait, iter(futures * 3)).blocks()
    for future in futures:
        future.set_result(3)
    assert waiting.result() == (set(futures), set())
    assert pair.wait([]) == (set(), set())
    assert pair.wait(iter(futures), return_when=pair.FIRST_COMPLETED).done == set(futures)


def test_wait_for_all_goes_on_after_failures_and_cancellation(pair: Pair) -> None:
    failed, stopped, last = futures = pair.make(3)
    waiting = Hand(pair.wait, futures, return_when=pair.ALL_COMPLETED).blocks()
    failed.set_exception(ValueError())
    stopped.cancel()
    stopped.set_running_or_notify_cancel()
    waiting.blocks()
    last.set_result(3)
    assert waiting.result() == (set(futures), set())
    assert all(future._waiters == [] for future in futures)


@pytest.mark.parametrize("end", ["result", "exception", "cancel"])
def test_wait_for_the_first_ends_with_whatever_it_is(pair: Pair, end: str) -> None:
    first, last = pair.make(2)
    waiting = Hand(pair.wait, [first, last], 30, pair.FIRST_COMPLETED).blocks()
    if end == "result":
        first.set_result(3)
    elif end == "exception":
        first.set_exception(ValueError())
    else:
        first.cancel()
        first.set_running_or_notify_cancel()
    assert waiting.result() == ({first}, {last})
    assert pair.wait([first, last], return_when=pair.FIRST_COMPLETED) == ({first}, {last})


def test_wait_for_a_failure_ends_with_it(pair: Pair) -> None:
    good, stopped, bad, last = futures = pair.make(4)
    waiting = Hand(pair.wait, futures, return_when=pair.FIRST_EXCEPTION).blocks()
    good.set_result(3)
    stopped.cancel()
    stopped.set_running_or_notify_cancel()
    waiting.blocks()
    bad.set_exception(ValueError())
    assert waiting.result() == ({good, stopped, bad}, {last})
    assert pair.wait([bad, last], return_when=pair.FIRST_EXCEPTION) == ({bad}, {last})


def test_wait_for_a_failure_that_does_not_come_is_for_all(pair: Pair) -> None:
    first, last = futures = pair.make(2)
    first.set_result(3)
    waiting = Hand(pair.wait, futures, return_when=pair.FIRST_EXCEPTION).blocks()
    last.set_result(4)
    assert waiting.result() == (set(futures), set())


def test_a_cancelled_future_is_waited_for_until_its_executor_knows(pair: Pair) -> None:
    (future,) = pair.make(1)
    future.cancel()
    assert pair.wait([future], timeout=0) == (set(), {future})
    with pytest.raises(pair.TimeoutError):
        next(pair.as_completed([future], timeout=0))
    future.set_running_or_notify_cancel()
    assert pair.wait([future]) == ({future}, set())
    assert list(pair.as_completed([future])) == [future]


def test_wait_knows_three_conditions(pair: Pair) -> None:
    with pytest.raises(ValueError, match="Invalid return condition: 'SOON'"):
        pair.wait(pair.make(1), return_when="SOON")
    names = (pair.ALL_COMPLETED, pair.FIRST_COMPLETED, pair.FIRST_EXCEPTION)
    assert names == ("ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION")


def test_a_signal_handler_that_raises_ends_the_wait_for_many(pair: Pair) -> None:
    futures = pair.make(3)
    for call in (pair.wait, lambda *args: next(pair.as_completed(*args))):
        for limit in ([], [30]):
            with pytest.raises(Stop), alarm(interrupt):
                call(futures, *limit)
    for future in futures:
        future.set_result(3)
    assert pair.wait(futures).done == set(futures)


def test_as_completed_gives_them_as_they_end(pair: Pair) -> None:
    futures = pair.make(4)
    futures[2].set_result(2)
    coming = pair.as_completed(futures)
    assert next(coming) is futures[2]
    for number in (3, 0, 1):
        asking = Hand(next, coming).blocks()
        futures[number].set_result(number)
        assert asking.result() is futures[number]
    with pytest.raises(StopIteration):
        next(coming)
    assert all(future._waiters == [] for future in futures)


def test_as_completed_keeps_the_order_of_the_ends(pair: Pair) -> None:
    futures = pair.make(6)
    coming = pair.as_completed(futures)
    futures[5].set_result(5)
    assert next(coming) is futures[5]
    for number in (3, 0, 4, 1, 2):
        futures[number].set_exception(ValueError())
    assert [futures.index(future) for future in coming] == [3, 0, 4, 1, 2]


def test_as_completed_gives_each_future_once(pair: Pair) -> None:
    futures = pair.make(2)
    coming = pair.as_completed(iter(futures * 2))
    for future in futures:
        future.set_result(3)
    given = list(coming)
    assert len(given) == 2
    assert set(given) == set(futures)
    assert list(pair.as_completed([])) == []


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_as_completed_says_how_many_did_not_end_in_time(pair: Pair, timeout: float) -> None:
    done, *open_ = pair.make(3)
    done.set_result(3)
    coming = pair.as_completed([done, *open_], timeout)
    assert next(coming) is done
    with pytest.raises(pair.TimeoutError) as caught:
        next(coming)
    assert str(caught.value) == "2 (of 3) futures unfinished"
    assert all(future._waiters == [] for future in open_)


def test_as_completed_leaves_no_waiters_if_it_is_left(pair: Pair) -> None:
    futures = pair.make(3)
    futures[0].set_result(3)
    coming = pair.as_completed(futures)
    next(coming)
    coming.close()
    assert all(future._waiters == [] for future in futures)


def test_as_completed_lets_go_of_what_it_has_given(pair: Pair) -> None:
    futures = pair.make(2)
    references = [weakref.ref(future) for future in futures]
    coming = pair.as_completed(futures)
    del futures
    for reference in references:
        reference().set_result(3)
        assert next(coming) is reference()
        assert reference() is None


def one_of_each(*names: str) -> list[Any]:
    return [import_module(name).Future() for name in names]


def test_futures_of_both_can_be_waited_for_together(ours: ModuleType) -> None:
    """Ours only, as there are no others to mix the standard library's with."""
    for waits in (concurrent.futures, ours):
        futures = one_of_each(THEIRS, OURS, THEIRS, OURS)
        waiting = Hand(waits.wait, futures).blocks()
        gathering = Hand(lambda waits, futures: list(waits.as_completed(futures)), waits, futures)
        gathering.blocks()
        for future in reversed(futures):
            future.set_result(3)
        assert waiting.result().done == set(futures)
        assert gathering.result() == futures[::-1]


def test_asyncio_awaits_a_result(futures: ModuleType) -> None:
    async def main() -> Any:
        future = futures.Future()
        wrapped = asyncio.wrap_future(future)
        begun = future.set_running_or_notify_cancel()
        Hand(future.set_result, 3).finish()
        return begun, await wrapped

    assert asyncio.run(main()) == (True, 3)


def test_asyncio_awaits_an_error(futures: ModuleType) -> None:
    async def main() -> None:
        future = futures.Future()
        future.set_exception(LookupError("salt"))
        await asyncio.wrap_future(future)

    with pytest.raises(LookupError, match="salt"):
        asyncio.run(main())


def test_asyncio_cancels_and_is_cancelled(futures: ModuleType) -> None:
    async def main() -> None:
        future = futures.Future()
        wrapped = asyncio.wrap_future(future)
        wrapped.cancel()
        await asyncio.wait([wrapped])
        assert future.cancelled()
        future = futures.Future()
        wrapped = asyncio.wrap_future(future)
        Hand(future.cancel).finish()
        with pytest.raises(asyncio.CancelledError):
            await wrapped

    asyncio.run(main())


def test_asyncio_gives_a_future_for_a_coroutine(futures: ModuleType) -> None:
    async def cook() -> str:
        return "buns"

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        future = asyncio.run_coroutine_threadsafe(cook(), loop)
        done = await loop.run_in_executor(None, futures.wait, [future])
        return done.done.pop().result()

    assert asyncio.run(main()) == "buns"
