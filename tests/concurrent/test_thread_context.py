"""Calls in threads see the context variables of who submits them."""

from __future__ import annotations

import asyncio
import contextvars
import decimal
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from manyhands.concurrent.futures import ThreadPoolExecutor
from manyhands.multiprocessing.pool import ThreadPool
from traveltasks import (
    COOK,
    DISH,
    TABLE,
    begin_as,
    change_order,
    cook,
    fail_with_order,
    order,
    precision,
    set_precision,
)


def alone(test: Callable[[], Any]) -> Any:
    """Runs it in a context of its own, where nothing is set."""
    return contextvars.Context().run(test)


#: Ways to have a function called with 1, 2, 3 by a pool; all give the results.
POOL_WAYS: dict[str, Callable[..., list[Any]]] = {
    "apply_async": lambda pool, f: [pool.apply_async(f, (n,)).get() for n in (1, 2, 3)],
    "apply with keywords": lambda pool, f: [
        pool.apply(lambda *, n: f(n), kwds={"n": n}) for n in (1, 2, 3)
    ],
    "map": lambda pool, f: pool.map(f, [1, 2, 3]),
    "map in chunks": lambda pool, f: pool.map(f, [1, 2, 3], 2),
    "starmap": lambda pool, f: pool.starmap(f, [(1,), (2,), (3,)]),
    "imap of a list": lambda pool, f: list(pool.imap(f, [1, 2, 3])),
    "imap of a generator": lambda pool, f: list(pool.imap(f, (n for n in (1, 2, 3)), 2)),
    "imap_unordered": lambda pool, f: list(pool.imap_unordered(f, iter((1, 2, 3)))),
}
EXECUTOR_WAYS: dict[str, Callable[..., list[Any]]] = {
    "submit": lambda executor, f: [executor.submit(f, n).result() for n in (1, 2, 3)],
    "map": lambda executor, f: list(executor.map(f, [1, 2, 3])),
    "map with a buffer": lambda executor, f: list(executor.map(f, [1, 2, 3], buffersize=1)),
}
in_all_ways = pytest.mark.parametrize(
    ("make", "way"),
    [
        pytest.param(make, way, id=f"{make.__name__}-{name}")
        for make, ways in ((ThreadPool, POOL_WAYS), (ThreadPoolExecutor, EXECUTOR_WAYS))
        for name, way in ways.items()
    ],
)
by_both = pytest.mark.parametrize("make", [ThreadPool, ThreadPoolExecutor])


def ask(pool: Any, function: Callable[..., Any], *args: Any) -> Any:
    """Has one call made, and waits for it."""
    if isinstance(pool, ThreadPoolExecutor):
        return pool.submit(function, *args).result()
    return pool.apply(function, args)


@in_all_ways
def test_a_call_sees_what_its_submitter_has_set(make: Any, way: Any) -> None:
    def test() -> None:
        with make(2) as pool:
            assert way(pool, order) == [("none", None)] * 3
            DISH.set("soup")
            table = object()
            TABLE.set(table)
            assert way(pool, order) == [("soup", table)] * 3
            DISH.set("buns")
            assert way(pool, order) == [("buns", table)] * 3
            assert alone(lambda: way(pool, order)) == [("none", None)] * 3

    alone(test)


@by_both
def test_a_call_sees_it_as_it_was_when_it_was_submitted(make: Any) -> None:
    gate = threading.Event()

    def test() -> None:
        with make(1) as pool:
            submit = pool.submit if make is ThreadPoolExecutor else pool.apply_async
            result = "result" if make is ThreadPoolExecutor else "get"
            first = submit(gate.wait)
            waiting = []
            for dish in ("soup", "buns", "tea"):
                DISH.set(dish)
                waiting.append(submit(order))
            gate.set()
            assert getattr(first, result)()
            assert [getattr(one, result)()[0] for one in waiting] == ["soup", "buns", "tea"]

    alone(test)


@by_both
def test_what_a_call_sets_is_gone_after_it(make: Any) -> None:
    def test() -> None:
        with make(1) as pool:
            DISH.set("soup")
            for _ in range(3):
                assert ask(pool, change_order, "buns") == "soup"
            assert DISH.get() == "soup"

    alone(test)
    # Also where it was not set before.
    with make(1) as pool:
        alone(lambda: (COOK.set("Mira"), ask(pool, change_order, "buns")))
        assert alone(lambda: ask(pool, order)) == ("none", None)


@by_both
def test_what_a_call_without_a_context_sets_stays_as_in_the_standard_library(make: Any) -> None:
    with make(1) as pool:
        assert alone(lambda: ask(pool, change_order, "buns")) == "none"
        assert alone(lambda: ask(pool, order)) == ("buns", None)


@by_both
def test_a_call_sees_what_the_initializer_has_set(make: Any) -> None:
    def test() -> None:
        with make(1, initializer=begin_as, initargs=("Mira",)) as pool:
            assert ask(pool, cook) == "Mira"
            DISH.set("soup")
            assert ask(pool, cook) == "Mira"
            assert ask(pool, order) == ("soup", None)
            COOK.set("Jo")
            assert ask(pool, cook) == "Jo"
            assert alone(lambda: ask(pool, cook)) == "Mira"

    alone(test)


@by_both
def test_a_context_is_left_by_a_call_that_raises(make: Any) -> None:
    def test() -> None:
        with make(1) as pool:
            DISH.set("soup")
            for _ in range(3):
                with pytest.raises(LookupError, match="soup"):
                    ask(pool, fail_with_order)
            assert alone(lambda: ask(pool, order)) == ("none", None)

    alone(test)


@by_both
def test_one_context_is_that_of_many_calls_at_a_time(make: Any) -> None:
    meeting = threading.Barrier(4)

    def meet(number: int) -> str:
        meeting.wait()
        DISH.set(DISH.get() + str(number))
        meeting.wait()
        return DISH.get()

    def test() -> None:
        DISH.set("soup")
        with make(4) as pool:
            chunk = {"chunksize": 1}
            assert list(pool.map(meet, range(4), **chunk)) == ["soup0", "soup1", "soup2", "soup3"]

    alone(test)


def test_a_future_is_called_back_in_the_context_of_who_brings_it() -> None:
    seen = []
    gate = threading.Event()

    def test() -> None:
        with ThreadPoolExecutor(1, initializer=begin_as, initargs=("Mira",)) as executor:
            DISH.set("soup")
            future = executor.submit(gate.wait)
            future.add_done_callback(lambda _: seen.append((DISH.get(), COOK.get())))
            gate.set()

    alone(test)
    assert seen == [("none", "Mira")]


@by_both
def test_each_call_has_decimals_of_its_own_that_begin_as_the_submitters(make: Any) -> None:
    def test() -> None:
        decimal.getcontext().prec = 7
        with make(1) as pool:
            assert ask(pool, precision) == 7
            ask(pool, set_precision, 3)
            assert ask(pool, precision) == decimal.getcontext().prec == 7
            DISH.set("soup")
            with decimal.localcontext() as context:
                context.prec = 50
                assert ask(pool, precision) == 50
            assert ask(pool, precision) == 7

    alone(test)


def test_asyncio_runs_calls_in_the_context_that_it_was_given() -> None:
    async def ask_in_threads() -> list[Any]:
        loop = asyncio.get_running_loop()
        DISH.set("soup")
        found = [
            await asyncio.to_thread(order),
            await loop.run_in_executor(None, order),
        ]
        context = contextvars.copy_context()
        context.run(DISH.set, "buns")
        found.append(await loop.run_in_executor(None, context.run, order))
        return found

    async def main() -> list[Any]:
        with ThreadPoolExecutor(1) as executor:
            asyncio.get_running_loop().set_default_executor(executor)
            return await asyncio.gather(*(ask_in_threads() for _ in range(5)))

    for found in alone(lambda: asyncio.run(main())):
        assert found == [("soup", None), ("soup", None), ("buns", None)]


@by_both
def test_no_context_is_kept_after_a_call(make: Any) -> None:
    class Thing:
        pass

    def test() -> None:
        with make(1) as pool:
            thing = Thing()
            ended = weakref.ref(thing)
            TABLE.set(thing)
            assert ask(pool, order)[1] is thing
            TABLE.set(None)
            del thing
            # The thread lets go of the context before it brings the outcome.
            gc.collect()
            assert ended() is None

    alone(test)
