"""Pools of processes: what is asked of them, and what comes of it."""

from __future__ import annotations

import functools
import gc
import multiprocessing as stdlib
import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import count, islice
from typing import Any

import pooltasks
import pytest
from manyhands import multiprocessing
from manyhands.multiprocessing import pool as pools
from pooltasks import keep, square, subtract
from shared_locks import SHORT, Stop
from support import PATIENCE, Hand, alarm, start_all, until

try:
    # Its threads stay.
    import numpy
except ImportError:
    numpy = None  # type: ignore[assignment]

METHODS = ["fork", "forkserver", "spawn"]


pytestmark = pytest.mark.usefixtures("pools_are_collected")


def singles(items: Any) -> Iterator[tuple[Any]]:
    return ((item,) for item in items)


#: Ways to have a function called with each of some items; all wait for the results.
MAPS: dict[str, Callable[..., list[Any]]] = {
    "map": lambda pool, *args: pool.map(*args),
    "map_async": lambda pool, *args: pool.map_async(*args).get(),
    "imap": lambda pool, *args: list(pool.imap(*args)),
    "imap_unordered": lambda pool, *args: sorted(pool.imap_unordered(*args)),
    "starmap": lambda pool, f, items, *args: pool.starmap(f, singles(items), *args),
    "starmap_async": lambda pool, f, items, *args: pool.starmap_async(
        f, singles(items), *args
    ).get(),
}
in_all_ways = pytest.mark.parametrize("way", MAPS)

#: Ways to begin that with three items, and to be called back.
STARTS: dict[str, Callable[..., Any]] = {
    "apply_async": lambda pool, f, **kwds: pool.apply_async(f, (3,), **kwds),
    "map_async": lambda pool, f, **kwds: pool.map_async(f, [3, 4, 5], **kwds),
    "starmap_async": lambda pool, f, **kwds: pool.starmap_async(f, singles([3, 4, 5]), **kwds),
}
all_starts = pytest.mark.parametrize("start", STARTS)


@pytest.mark.patience(120)
def test_all_calls_work_with_all_start_methods(context: Any) -> None:
    with context.Pool(2) as pool:
        assert pool.apply(pooltasks.tell, (1,), {"two": 3}) == ((1,), {"two": 3})
        for way in MAPS.values():
            assert way(pool, square, range(10)) == [number * number for number in range(10)]
            assert way(pool, square, range(10), 3) == [number * number for number in range(10)]
        with pytest.raises(ZeroDivisionError, match="soup"):
            pool.apply(pooltasks.fail, ("soup",))
        pool.close()
        pool.join()


def test_a_call_is_made_with_the_arguments_and_names_that_were_given(pool: Any) -> None:
    for call in (pool.apply, lambda *args, **kwds: pool.apply_async(*args, **kwds).get()):
        assert call(pooltasks.tell) == ((), {})
        assert call(pooltasks.tell, (1, "two")) == ((1, "two"), {})
        assert call(pooltasks.tell, [1], {"two": 2}) == ((1,), {"two": 2})
        assert call(pooltasks.tell, range(3)) == ((0, 1, 2), {})
        assert call(func=pooltasks.tell, args="ab", kwds={"c": None}) == (("a", "b"), {"c": None})


@in_all_ways
def test_results_are_in_the_order_of_the_items_whatever_the_chunks(pool: Any, way: str) -> None:
    for length in (1, 2, 7, 50):
        expected = [number * number for number in range(length)]
        for size in (1, 2, 7, 50, 1000, True):
            assert MAPS[way](pool, square, range(length), size) == expected


@pytest.mark.parametrize("way", ["map", "map_async", "starmap", "starmap_async"])
def test_a_map_chooses_chunks_if_it_is_not_told(pool: Any, way: str) -> None:
    for length in (1, 8, 9, 100):
        assert MAPS[way](pool, square, range(length), None) == [n * n for n in range(length)]


@in_all_ways
def test_items_come_from_anything_that_can_be_iterated(pool: Any, way: str) -> None:
    for items in ([3, 1], (3, 1), {3: 0, 1: 0}, iter([3, 1]), (n for n in (3, 1)), {3: 0}.keys()):
        expected = [3, 1] if not hasattr(items, "__len__") else list(items)
        got = MAPS[way](pool, pooltasks.identity, items)
        assert got == (sorted(expected) if way == "imap_unordered" else expected)
    assert MAPS[way](pool, pooltasks.identity, "soup") == (
        sorted("soup") if way == "imap_unordered" else list("soup")
    )


@in_all_ways
@pytest.mark.parametrize("items", [list, tuple, lambda: iter([])])
def test_nothing_gives_nothing(pool: Any, way: str, items: Callable[[], Any]) -> None:
    assert MAPS[way](pool, square, items()) == []
    assert MAPS[way](pool, square, items(), 1) == []
    assert MAPS[way](pool, square, items(), 5) == []


@pytest.mark.parametrize("items", [[], [1, 2, 3]])
@pytest.mark.parametrize("size", [0, -1])
def test_a_map_in_chunks_of_nothing_calls_nothing(pool: Any, size: int, items: list[int]) -> None:
    for call in (pool.map_async, pool.starmap_async):
        result = call(pooltasks.fail, items, size)
        assert result.ready()
        assert result.successful()
        assert result.get() == [None] * len(items)
    assert pool.map(pooltasks.fail, items, size) == [None] * len(items)
    assert pool.apply(square, (3,)) == 9


def test_an_empty_map_calls_nobody_back(pool: Any) -> None:
    called: list[Any] = []
    result = pool.map_async(square, [], callback=called.append, error_callback=called.append)
    assert result.ready()
    assert pool.map_async(square, [1], callback=called.append).get() == [1]
    assert called == [[1]]


def test_imap_wants_chunks_of_one_or_more(pool: Any) -> None:
    for call in (pool.imap, pool.imap_unordered):
        for size in (0, -1):
            with pytest.raises(ValueError, match=rf"Chunksize must be 1\+, not {size}"):
                call(square, [1], size)
        with pytest.raises(TypeError):
            call(square, [1], None)


def test_starmap_spreads_each_item(pool: Any) -> None:
    pairs = [(5, 3), [7, 1], range(2, 4)]
    assert pool.starmap(subtract, pairs) == [2, 6, -1]
    assert pool.starmap(subtract, iter(pairs), 2) == [2, 6, -1]
    assert pool.starmap_async(subtract, pairs, chunksize=1).get() == [2, 6, -1]
    with pytest.raises(TypeError, match="not iterable"):
        pool.starmap(subtract, [(5, 3), 4])


def test_a_map_has_taken_all_items_when_it_begins(pool: Any) -> None:
    taken: list[int] = []
    items = (taken.append(n) or n for n in range(10))  # type: ignore[func-returns-value]
    result = pool.map_async(square, items)
    assert taken == list(range(10))
    assert result.get() == [n * n for n in range(10)]


def test_a_length_is_believed_while_the_items_last(mp: Any) -> None:
    with mp.Pool(1) as pool:
        assert pool.map(square, pooltasks.Sized(range(5), 3), 1) == [0, 1, 4]
        assert list(pool.imap(square, pooltasks.Sized(range(5), 3))) == [0, 1, 4, 9, 16]
        assert list(pool.imap(square, pooltasks.Sized(range(5), 9), 2)) == [0, 1, 4, 9, 16]
        assert pool.map(square, range(4)) == [0, 1, 4, 9]


@pytest.mark.parametrize("error", [ValueError, TypeError, AttributeError])
def test_who_cannot_tell_a_length_is_heard_of_at_once(pool: Any, error: type[Exception]) -> None:
    items = pooltasks.Sized([1, 2], error)
    for call in (pool.map, pool.map_async, pool.starmap_async):
        with pytest.raises(error, match="none"):
            call(square, items)
    assert list(pool.imap(square, items)) == [1, 4]


def test_what_cannot_be_iterated_is_told(pool: Any) -> None:
    for call in (pool.map, pool.map_async, pool.starmap):
        with pytest.raises(TypeError, match="not iterable"):
            call(square, 3)
    for size in (1, 2):
        with pytest.raises(TypeError, match="not iterable"):
            list(pool.imap(square, 3, size))


def test_what_has_begun_is_not_ready_until_it_is_done(mp: Any) -> None:
    go = mp.Event()
    with mp.Pool(2, keep, (go,)) as pool:
        results = [
            pool.apply_async(pooltasks.pass_gate, (1,)),
            pool.map_async(pooltasks.pass_gate, [1]),
            pool.starmap_async(pooltasks.pass_gate, [(1,)]),
        ]
        for result in results:
            assert not result.ready()
            with pytest.raises(ValueError, match="not ready"):
                result.successful()
            for timeout in (0, SHORT, -1):
                assert result.wait(timeout) is None
                with pytest.raises(mp.TimeoutError):
                    result.get(timeout)
            with pytest.raises(mp.TimeoutError):
                result.get(timeout=0)
            assert not result.ready()
        waiting, getting = Hand(result.wait).blocks(), Hand(result.get).blocks()
        go.set()
        assert waiting.result() is None
        assert getting.result() == [1]
        assert [result.get() for result in results] == [1, [1], [1]]
        assert result.ready()
        assert result.successful()
        assert result.wait(0) is None
        assert result.get(0) is result.get()


def test_a_failure_is_ready_but_not_successful(pool: Any) -> None:
    for result in [
        pool.apply_async(pooltasks.fail, (1,)),
        pool.map_async(pooltasks.fail, [1]),
        pool.starmap_async(pooltasks.fail, [(1,)]),
    ]:
        result.wait()
        assert result.ready()
        assert not result.successful()
        with pytest.raises(ZeroDivisionError) as first:
            result.get()
        with pytest.raises(ZeroDivisionError) as second:
            result.get(0)
        assert first.value is second.value


def test_there_is_one_timeout_error(module: Any) -> None:
    assert module.TimeoutError is stdlib.TimeoutError
    assert module.get_context("fork").TimeoutError is stdlib.TimeoutError
    assert import_module(f"{module.__name__}.pool").TimeoutError is stdlib.TimeoutError


def test_a_map_tells_how_many_chunks_are_left(mp: Any) -> None:
    go = mp.Event()
    with mp.Pool(1, keep, (go,)) as pool:
        result = pool.map_async(pooltasks.pass_gate, range(10), 3)
        assert result._number_left == 4
        go.set()
        result.wait()
        assert result._number_left == 0


def test_what_is_waited_for_can_be_interrupted(mp: Any) -> None:
    def stop() -> None:
        raise Stop

    go = mp.Event()
    with mp.Pool(1, keep, (go,)) as pool:
        result = pool.apply_async(pooltasks.pass_gate, (1,))
        results = pool.imap(pooltasks.pass_gate, [2])
        calls = [
            result.wait,
            result.get,
            lambda: result.get(PATIENCE),
            results.next,
            lambda: next(results),
            lambda: pool.map(square, [1]),
            lambda: pool.apply(square, (1,)),
        ]
        for call in calls:
            with pytest.raises(Stop), alarm(stop):
                call()
        go.set()
        assert result.get() == 1
        assert list(results) == [2]
        pool.close()
        pool.join()


def test_imap_keeps_the_order_and_imap_unordered_does_not(mp: Any) -> None:
    go = mp.Event()
    with mp.Pool(2, keep, (go,)) as pool:
        for size in (1, 2):
            unordered = pool.imap_unordered(pooltasks.pass_gate_if_zero, range(6), size)
            assert sorted(islice(unordered, 6 - size)) == list(range(size, 6))
            go.set()
            assert list(unordered) == list(range(size))
            go.clear()
        ordered = pool.imap(pooltasks.pass_gate_if_zero, range(6))
        other = pool.imap_unordered(pooltasks.pass_gate_if_zero, range(1, 6))
        # The others are done long ago.
        assert sorted(other) == [1, 2, 3, 4, 5]
        with pytest.raises(mp.TimeoutError):
            ordered.next(0)
        go.set()
        assert list(ordered) == list(range(6))


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
def test_next_waits_as_long_as_it_is_told(mp: Any, name: str) -> None:
    go = mp.Event()
    with mp.Pool(1, keep, (go,)) as pool:
        results = getattr(pool, name)(pooltasks.pass_gate, [1, 2, 3, 4])
        assert iter(results) is results
        for timeout in (0, SHORT):
            with pytest.raises(mp.TimeoutError):
                results.next(timeout)
        with pytest.raises(mp.TimeoutError):
            results.next(timeout=0)
        go.set()
        assert results.next(PATIENCE) == 1
        assert results.next(timeout=PATIENCE) == 2
        assert results.next() == 3
        assert next(results) == 4
        for _ in range(3):
            with pytest.raises(StopIteration):
                results.next(PATIENCE)
            with pytest.raises(StopIteration):
                next(results)


def test_imap_gives_results_while_its_items_are_still_being_made(mp: Any) -> None:
    go = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        yield 2
        go.wait(PATIENCE)
        yield 3

    with mp.Pool(2) as pool:
        for call in (pool.imap, pool.imap_unordered):
            results = call(square, items())
            assert sorted(islice(results, 2)) == [1, 4]
            go.set()
            assert list(results) == [9]
            go.clear()
        results = pool.imap(square, items(), 2)
        assert list(islice(results, 2)) == [1, 4]
        go.set()
        assert list(results) == [9]


def test_imap_goes_on_if_nobody_takes_its_results(mp: Any) -> None:
    said = mp.SimpleQueue()
    with mp.Pool(2, keep, (said,)) as pool:
        # However many they are, if there is an end.
        ordered = pool.imap(pooltasks.say, range(500))
        chunked = pool.imap_unordered(pooltasks.say, range(500, 1000), 7)
        assert sorted(said.get() for _ in range(1000)) == list(range(1000))
        assert list(ordered) == list(range(500))
        assert sorted(chunked) == list(range(500, 1000))


@all_starts
def test_callbacks_come_in_another_thread_before_the_result_is_ready(pool: Any, start: str) -> None:
    begun, seen, errors = threading.Event(), list[Any](), list[Any]()

    def callback(value: Any) -> None:
        begun.wait(PATIENCE)
        with pytest.raises(ValueError, match="not ready"):
            result.successful()
        seen.append((value, threading.get_ident(), result.ready()))

    result = STARTS[start](pool, square, callback=callback, error_callback=errors.append)
    begun.set()
    value = result.get()
    assert value == (9 if start == "apply_async" else [9, 16, 25])
    [(called_with, thread, was_ready)] = seen
    assert called_with is value
    assert thread != threading.get_ident()
    assert not was_ready
    assert not errors


@all_starts
def test_error_callbacks_come_in_another_thread_before_the_result_is_ready(
    pool: Any, start: str
) -> None:
    begun, seen, values = threading.Event(), list[Any](), list[Any]()

    def callback(error: Any) -> None:
        begun.wait(PATIENCE)
        seen.append((error, threading.get_ident(), result.ready()))

    result = STARTS[start](pool, pooltasks.fail, callback=values.append, error_callback=callback)
    begun.set()
    with pytest.raises(ZeroDivisionError) as caught:
        result.get()
    [(called_with, thread, was_ready)] = seen
    assert called_with is caught.value
    assert thread != threading.get_ident()
    assert not was_ready
    assert not values


@all_starts
def test_one_callback_may_be_there_without_the_other(pool: Any, start: str) -> None:
    called: list[Any] = []
    STARTS[start](pool, square, error_callback=called.append).get()
    with pytest.raises(ZeroDivisionError):
        STARTS[start](pool, pooltasks.fail, callback=called.append).get()
    assert called == []


def test_callbacks_come_one_after_the_other(pool: Any) -> None:
    inside, most, called = 0, 0, 0
    lock = threading.Lock()

    def callback(value: Any) -> None:
        nonlocal inside, most, called
        with lock:
            inside += 1
            most = max(most, inside)
        # Room for another one.
        threading.Event().wait(0.001)
        with lock:
            inside -= 1
            called += 1

    kwds = {"callback": callback, "error_callback": callback}
    results = [
        *(pool.apply_async(square, (number,), **kwds) for number in range(30)),
        *(pool.apply_async(pooltasks.fail, (number,), **kwds) for number in range(30)),
        *(pool.map_async(square, range(4), **kwds) for _ in range(30)),
    ]
    for result in results:
        result.wait()
    assert called == 90
    assert most == 1


def test_a_callback_may_ask_for_more(pool: Any) -> None:
    later: list[Any] = []
    over = threading.Event()

    def again(number: int) -> None:
        if number > 100_000:
            over.set()
        else:
            later.append(pool.apply_async(square, (number,), callback=again))
            later.append(pool.map_async(square, [number]))

    pool.apply_async(square, (2,), callback=again)
    assert over.wait(PATIENCE)
    got = [result.get() for result in later]
    assert got == [16, [16], 256, [256], 65536, [65536], 2**32, [2**32]]


def test_a_result_knows_of_others_that_are_done_later(mp: Any) -> None:
    go = mp.Event()
    with mp.Pool(2, keep, (go,)) as pool:
        waits = pool.apply_async(pooltasks.pass_gate, (1,))
        assert pool.map(square, range(20), 1) == [n * n for n in range(20)]
        assert not waits.ready()
        go.set()
        assert waits.get() == 1


def test_all_workers_work_at_once(context: Any) -> None:
    barrier = context.Barrier(3)
    with context.Pool(3, keep, (barrier,)) as pool:
        for call in (pool.map, pool.imap, pool.imap_unordered):
            pids = set(call(pooltasks.meet, range(3), 1))
            assert pids == {worker.pid for worker in pool._pool}
        results = [pool.apply_async(pooltasks.meet) for _ in range(6)]
        assert len({result.get() for result in results}) == 3


def test_a_chunk_is_for_one_worker(pool: Any) -> None:
    for call in (pool.map, pool.imap, pool.imap_unordered):
        pids = list(call(pooltasks.pid, range(40), 10))
        assert all(number % 10 == 0 for number in Counter(pids).values())


@pytest.mark.parametrize("way", ["apply", "map", "imap"])
def test_large_arguments_and_results_do_not_block_each_other(pool: Any, way: str) -> None:
    items = [bytes([number]) * 3_000_000 for number in range(12)]
    if way == "apply":
        results = [pool.apply_async(pooltasks.identity, (item,)) for item in items]
        got = [result.get() for result in results]
    else:
        got = MAPS[way](pool, pooltasks.identity, items, 1)
    assert got == items
    assert pool.map(len, items, 5) == [3_000_000] * 12


def test_one_task_may_be_very_large(pool: Any) -> None:
    items = ["soup" * 2_000_000, b"x" * 20_000_000, list(range(100_000))]
    assert pool.apply(pooltasks.identity, (items,)) == items


def test_arrays_arrive_as_they_were_and_can_be_changed(pool: Any) -> None:
    if numpy is None:
        pytest.skip("numpy is not there")
    for array in [
        numpy.arange(600_000, dtype="f8").reshape(300, 2000),
        numpy.arange(1_000, dtype="i4")[::3],
        numpy.array(["soup", None], dtype=object),
        numpy.zeros((0, 3)),
    ]:
        [back] = pool.map(pooltasks.identity, [array])
        assert back.dtype == array.dtype
        assert back.shape == array.shape
        assert (back == array).all()
        back[...] = 0
        assert not back.any()
    arrays = [numpy.full(200_000, number, dtype="f4") for number in range(8)]
    sums = [200_000.0 * number for number in range(8)]
    assert list(pool.imap(pooltasks.sum_of_array, arrays)) == sums


def test_many_threads_use_one_pool_at_once(pool: Any) -> None:
    def use(me: int) -> None:
        for turn in range(15):
            number = 100 * me + turn
            assert pool.apply(square, (number,)) == number * number
            items = range(number, number + 9)
            for way in MAPS.values():
                assert way(pool, square, items, 2) == [item * item for item in items]

    for hand in start_all([functools.partial(use, me) for me in range(8)]):
        hand.result()


def test_two_pools_at_once_keep_their_tasks_apart(mp: Any) -> None:
    with mp.Pool(2, keep, ("one",)) as one, mp.Pool(1, keep, ("two",)) as two:
        for _ in range(5):
            assert one.apply(pooltasks.kept) == ("one",)
            assert two.apply(pooltasks.kept) == ("two",)
        # The one works for what the other gives.
        assert one.map(square, two.imap(square, range(50))) == [n**4 for n in range(50)]
        assert list(one.imap(square, two.imap(square, range(50)), 3)) == [n**4 for n in range(50)]


def test_many_small_tasks_are_all_done(pool: Any) -> None:
    results = [pool.apply_async(square, (number,)) for number in range(5000)]
    assert [result.get() for result in results] == [number * number for number in range(5000)]
    assert pool.map(square, range(50_000)) == [number * number for number in range(50_000)]
    assert list(pool.imap(square, range(5000))) == [number * number for number in range(5000)]


def until_let_go(references: list[Any]) -> None:
    until(lambda: gc.collect() >= 0 and not any(reference() for reference in references))


def test_items_functions_and_results_are_let_go(mp: Any) -> None:
    with mp.Pool(2) as pool:
        for way in MAPS.values():
            items = [pooltasks.Counted() for _ in range(10)]
            references: list[Any] = [weakref.ref(item) for item in items]
            call = functools.partial(pooltasks.tell, [items[0]])
            references.append(weakref.ref(call))
            way(pool, functools.partial(isinstance, call), [object])
            way(pool, pooltasks.count_of, items)
            del items, call
            until_let_go(references)
        results = pool.map(pooltasks.identity, [pooltasks.Counted() for _ in range(10)])
        assert len(results) == 10
        del results
        until(lambda: pooltasks.count() == 0)
        # What nobody asks for is not kept either.
        pool.map_async(pooltasks.identity, [pooltasks.Counted() for _ in range(10)], 1)
        pool.apply_async(pooltasks.identity, (pooltasks.Counted(),))
        pool.close()
        pool.join()
        until(lambda: pooltasks.count() == 0)


def test_a_worker_lets_go_of_what_it_has_done(mp: Any) -> None:
    with mp.Pool(1) as pool:
        pool.map(pooltasks.identity, [pooltasks.Counted() for _ in range(10)], 3)
        pool.apply(pooltasks.identity, (pooltasks.Counted(),))
        assert pool.apply(pooltasks.count) == 0


def test_an_error_lets_go_of_what_failed(mp: Any) -> None:
    with mp.Pool(1) as pool:
        item = pooltasks.Counted()
        reference = weakref.ref(item)
        with pytest.raises(ZeroDivisionError):
            pool.map(pooltasks.fail, [item])
        del item
        until_let_go([reference])
        assert pool.apply(pooltasks.count) == 0


def test_a_package_has_the_names_of_the_other(module: Any) -> None:
    pools = import_module(f"{module.__name__}.pool")
    assert pools.AsyncResult is pools.ApplyResult
    assert issubclass(pools.MapResult, pools.AsyncResult)
    assert issubclass(pools.IMapUnorderedIterator, pools.IMapIterator)
    assert (pools.RUN, pools.CLOSE, pools.TERMINATE) == ("RUN", "CLOSE", "TERMINATE")
    assert pools.AsyncResult[int]
    for name in ("MaybeEncodingError", "RemoteTraceback"):
        # Who catches the standard library's catches it.
        assert issubclass(getattr(pools, name), getattr(stdlib.pool, name))


def test_results_are_of_the_classes_that_are_named(module: Any) -> None:
    pools = import_module(f"{module.__name__}.pool")
    with module.get_context("fork").Pool(1) as pool:
        assert isinstance(pool, pools.Pool)
        assert isinstance(pool.apply_async(square, (1,)), pools.AsyncResult)
        assert isinstance(pool.map_async(square, [1]), pools.MapResult)
        assert isinstance(pool.starmap_async(square, [(1,)]), pools.MapResult)
        assert isinstance(pool.imap(square, [1]), pools.IMapIterator)
        assert isinstance(pool.imap_unordered(square, [1]), pools.IMapUnorderedIterator)
        pool.close()
        pool.join()


def test_a_pool_can_be_given_its_context(module: Any) -> None:
    pools = import_module(f"{module.__name__}.pool")
    for method in METHODS:
        with pools.Pool(1, context=module.get_context(method)) as pool:
            name = pool.apply(pooltasks.about_me)["name"]
            assert name.startswith({"forkserver": "ForkServer"}.get(method, method.title()))
    with pools.Pool(1, keep, (1, 2), 3) as pool:
        assert pool.apply(pooltasks.kept) == (1, 2)
    with module.Pool(processes=1, initializer=keep, initargs=[3], maxtasksperchild=1) as pool:
        assert pool.apply(pooltasks.kept) == (3,)


def test_workers_are_counted_as_other_processes_are(mp: Any) -> None:
    with mp.Pool(1) as pool:
        number = int(pool._pool[0].name.rpartition("-")[2])
        assert mp.Process().name == f"ForkProcess-{number + 1}"


def test_imap_over_what_never_ends_gives_what_is_asked_for(pool: Any) -> None:
    def some() -> Iterator[int]:
        for number in count():
            if over.is_set():
                return
            yield number

    over = threading.Event()
    results = pool.imap(square, some())
    assert list(islice(results, 100)) == [number * number for number in range(100)]
    over.set()
    rest = list(results)
    assert rest == [number * number for number in range(100, 100 + len(rest))]


def test_what_a_task_prints_and_changes_stays_in_its_worker(pool: Any) -> None:
    before = pooltasks.KEPT
    pool.map(pooltasks.keep, range(4))
    assert pooltasks.KEPT is before
    assert pool.apply(os.getpid) != os.getpid()


def test_threads_do_the_same() -> None:
    with pools.ThreadPool(2) as threads:
        assert isinstance(threads, pools.Pool)
        assert threads.map(square, range(5)) == [0, 1, 4, 9, 16]
    with multiprocessing.dummy.Pool(processes=2) as threads:
        assert threads.apply(square, (3,)) == 9


def test_what_programs_read_to_show_progress_is_there(our: Any) -> None:
    with our.Pool(2) as pool:
        results = pool.imap_unordered(square, range(10))
        until(lambda: results._index == 10)
        assert results._length == 10
        until(lambda: not pool._cache)
        assert pool._taskqueue.qsize() == 0
