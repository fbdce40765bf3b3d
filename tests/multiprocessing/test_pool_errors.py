"""Pools of processes: what fails in them, and who hears of it."""

from __future__ import annotations

import functools
import pickle
import re
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from itertools import islice
from typing import Any

import pooltasks
import pytest
from pooltasks import Untellable, fail_at, keep, say_and_fail_at, square
from support import until

#: Not all of it is in its stubs.
stdlib_pool: Any = import_module("multiprocessing.pool")


pytestmark = pytest.mark.usefixtures("pools_are_collected")


#: Ways to have a function called with each of some items; all wait for the results.
MAPS: dict[str, Callable[..., list[Any]]] = {
    "map": lambda pool, *args: pool.map(*args),
    "starmap": lambda pool, f, items, *args: pool.starmap(f, ((item,) for item in items), *args),
    "imap": lambda pool, *args: list(pool.imap(*args)),
    "imap_unordered": lambda pool, *args: list(pool.imap_unordered(*args)),
}
in_all_ways = pytest.mark.parametrize("way", MAPS)
in_all_chunks = pytest.mark.parametrize("size", [1, 2, 10])


@in_all_ways
@in_all_chunks
def test_what_a_function_raises_arrives_with_what_the_worker_saw(
    pool: Any, way: str, size: int
) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        MAPS[way](pool, pooltasks.fail, ["soup"], size)
    assert caught.value.args == ("soup",)
    assert_tells(caught.value.__cause__, "in fail\n", "ZeroDivisionError: soup")


def assert_tells(cause: BaseException | None, *parts: str) -> None:
    """It is the traceback of a worker, with these parts in their order."""
    assert isinstance(cause, stdlib_pool.RemoteTraceback)
    text = str(cause)
    assert text.startswith('\n"""\nTraceback (most recent call last):\n')
    assert text.endswith('\n"""')
    assert re.search(".*".join(map(re.escape, parts)), text, re.DOTALL), text


def test_an_error_of_a_single_call_tells_where_it_was_raised(pool: Any) -> None:
    for call in (pool.apply, lambda *args: pool.apply_async(*args).get()):
        with pytest.raises(ZeroDivisionError, match="soup") as caught:
            call(pooltasks.fail, ("soup",))
        assert_tells(caught.value.__cause__, "pooltasks.py", "in fail\n", "ZeroDivisionError: soup")
        with pytest.raises(TypeError, match="unexpected keyword argument 'salt'"):
            call(square, (), {"salt": 1})
        with pytest.raises(TypeError, match="not callable"):
            call(3)


def test_an_error_keeps_what_was_put_into_it(pool: Any) -> None:
    with pytest.raises(pooltasks.Oddity) as caught:
        pool.apply(pooltasks.fail_oddly)
    assert (caught.value.code, caught.value.why) == (7, "because")
    assert_tells(caught.value.__cause__, "in fail_oddly\n", "Oddity: 7")


def test_what_led_to_an_error_is_in_its_text(pool: Any) -> None:
    with pytest.raises(ValueError, match="no such meal") as caught:
        pool.apply(pooltasks.fail_because)
    assert_tells(
        caught.value.__cause__,
        "KeyError: 'key'",
        "The above exception was the direct cause of the following exception:",
        "ValueError: no such meal",
    )


@pytest.mark.skipif(sys.version_info < (3, 11), reason="errors have no notes yet")
def test_notes_come_along(pool: Any) -> None:
    with pytest.raises(ValueError, match="soup") as caught:
        pool.apply(pooltasks.fail_with_note)
    assert caught.value.__notes__ == ["it was salted twice"]
    assert_tells(caught.value.__cause__, "ValueError: soup\nit was salted twice")


def test_what_a_worker_saw_is_printed_with_the_error(pool: Any) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        pool.map(pooltasks.fail, ["soup"])
    printed = "".join(traceback.format_exception(caught.value))
    parts = [
        "RemoteTraceback: ",
        "in fail\n",
        "ZeroDivisionError: soup",
        "direct cause",
        "in map\n",
    ]
    assert re.search(".*".join(map(re.escape, parts)), printed, re.DOTALL), printed


def test_an_error_that_cannot_be_told_is_replaced(pool: Any) -> None:
    error = encoding_error(pool.apply_async(pooltasks.fail_untellably))
    assert "cannot tell the soup" in error.exc
    assert pool.apply(square, (3,)) == 9


def encoding_error(result: Any) -> Any:
    with pytest.raises(stdlib_pool.MaybeEncodingError) as caught:
        result.get()
    error = caught.value
    assert str(error) == f"Error sending result: '{error.value}'. Reason: '{error.exc}'"
    assert repr(error) == f"<{type(error).__name__}: {error}>"
    return error


def test_a_result_that_cannot_be_told_is_an_error(pool: Any) -> None:
    error = encoding_error(pool.apply_async(pooltasks.give_untellable))
    assert "cannot tell the soup" in error.exc
    assert error.value == "<Untellable the soup>"
    for call in (pool.map_async, pool.starmap_async):
        items = [1, 2, 3] if call == pool.map_async else [(1,), (2,), (3,)]
        assert "cannot tell the soup" in encoding_error(call(pooltasks.give_untellable, items)).exc
    error = encoding_error(pool.map_async(pooltasks.give_untellable, [1, 2], 2))
    assert error.value == "[<Untellable the soup>, <Untellable the soup>]"
    assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]


def test_a_result_of_imap_that_cannot_be_told_harms_no_other(pool: Any) -> None:
    MaybeEncodingError = stdlib_pool.MaybeEncodingError
    give = functools.partial(pooltasks.give_untellable_at, at=2)
    results = pool.imap(give, range(5))
    assert list(islice(results, 2)) == [0, 1]
    with pytest.raises(MaybeEncodingError, match="cannot tell 2"):
        next(results)
    assert list(results) == [3, 4]
    got, errors = [], 0
    results = pool.imap_unordered(give, range(5))
    for _ in range(5):
        try:
            got.append(next(results))
        except MaybeEncodingError:
            errors += 1
    assert sorted(got) == [0, 1, 3, 4]
    assert errors == 1


def test_an_encoding_error_can_be_pickled(module: Any) -> None:
    error = import_module(f"{module.__name__}.pool").MaybeEncodingError(ValueError("why"), {1: 2})
    assert (error.exc, error.value) == ("ValueError('why')", "{1: 2}")
    assert str(error) == "Error sending result: '{1: 2}'. Reason: 'ValueError('why')'"
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)


def test_what_cannot_be_told_to_a_worker_is_told_by_get(pool: Any) -> None:
    thing = Untellable("the soup")
    results = [
        pool.apply_async(pooltasks.identity, (thing,)),
        pool.apply_async(pooltasks.identity, (), {"thing": thing}),
        pool.apply_async(thing),
        pool.map_async(pooltasks.identity, [thing]),
        pool.map_async(thing, [1]),
        pool.map_async(thing, range(20), 3),
        pool.starmap_async(pooltasks.identity, [(thing,)]),
    ]
    for result in results:
        with pytest.raises(TypeError, match="cannot tell the soup"):
            result.get()
        assert not result.successful()
    for call in (pool.map, pool.starmap):
        with pytest.raises(TypeError, match="cannot tell the soup"):
            call(thing, [(1,)])
    with pytest.raises(TypeError, match="cannot tell the soup"):
        pool.apply(thing)
    assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]


def test_an_error_callback_hears_of_what_cannot_be_told(pool: Any) -> None:
    heard: list[BaseException] = []
    result = pool.apply_async(Untellable("the soup"), error_callback=heard.append)
    with pytest.raises(TypeError) as caught:
        result.get()
    assert heard == [caught.value]
    result = pool.apply_async(pooltasks.give_untellable, error_callback=heard.append)
    with pytest.raises(stdlib_pool.MaybeEncodingError) as replaced:
        result.get()
    assert heard[1:] == [replaced.value]


def test_an_item_of_imap_that_cannot_be_told_harms_no_other(pool: Any) -> None:
    items = [0, Untellable("the soup"), 2, 3]
    results = pool.imap(pooltasks.identity, items)
    assert next(results) == 0
    with pytest.raises(TypeError, match="cannot tell the soup"):
        next(results)
    assert list(results) == [2, 3]
    results = pool.imap(pooltasks.identity, items, 2)
    with pytest.raises(TypeError, match="cannot tell the soup"):
        next(results)


def test_what_cannot_be_told_is_heard_of_when_all_others_are_done(mp: Any) -> None:
    said = mp.SimpleQueue()
    with mp.Pool(2, keep, (said,)) as pool:
        items = [0, 1, Untellable("the soup"), 3, 4]
        with pytest.raises(TypeError, match="cannot tell the soup"):
            pool.map(pooltasks.say, items, 1)
        assert sorted(said.get() for _ in range(4)) == [0, 1, 3, 4]
        assert said.empty()


def test_the_first_of_many_failures_is_raised_when_all_are_done(mp: Any) -> None:
    said = mp.SimpleQueue()
    with mp.Pool(1, keep, (said,)) as pool:
        for call in (pool.map_async, pool.starmap_async):
            items = range(10) if call == pool.map_async else [(number,) for number in range(10)]
            errors: list[Any] = []
            fail = functools.partial(fail_twice, 3, 7)
            result = call(fail, items, 1, error_callback=errors.append)
            with pytest.raises(ZeroDivisionError, match="3") as caught:
                result.get()
            assert errors == [caught.value]
            assert [said.get() for _ in range(10)] == list(range(10))


def fail_twice(first: int, second: int, number: int) -> int:
    return say_and_fail_at(number, first, second)


def test_a_failure_ends_its_chunk_and_no_other(mp: Any) -> None:
    said = mp.SimpleQueue()
    with mp.Pool(1, keep, (said,)) as pool:
        fail = functools.partial(fail_twice, 2, 9)
        with pytest.raises(ZeroDivisionError, match="2"):
            pool.map(fail, range(10), 5)
        assert [said.get() for _ in range(8)] == [0, 1, 2, 5, 6, 7, 8, 9]
        assert said.empty()


def test_a_map_that_fails_waits_for_its_other_items(mp: Any) -> None:
    said, go = mp.SimpleQueue(), mp.Event()
    with mp.Pool(2, keep, (said, go)) as pool:
        result = pool.map_async(pooltasks.fail_say_and_pass_gate, [0, 1, 2], 1)
        # The worker that does not wait has said this after the failure.
        assert said.get() == 2
        assert pool.apply(square, (3,)) == 9
        assert not result.ready()
        with pytest.raises(pool._ctx.TimeoutError):
            result.get(0)
        go.set()
        with pytest.raises(ZeroDivisionError, match="0"):
            result.get()


def test_imap_goes_on_after_a_failure(pool: Any) -> None:
    fail = functools.partial(fail_three, 1, 3)
    results = pool.imap(fail, range(5))
    assert next(results) == 0
    for number in (1, 3):
        with pytest.raises(ZeroDivisionError, match=str(number)):
            next(results)
        assert results.next() == number + 1
    with pytest.raises(StopIteration):
        next(results)
    got, errors = [], []
    unordered = pool.imap_unordered(fail, range(5))
    for _ in range(5):
        try:
            got.append(next(unordered))
        except ZeroDivisionError as error:
            errors.append(error.args[0])
    assert (sorted(got), sorted(errors)) == ([0, 2, 4], [1, 3])
    with pytest.raises(StopIteration):
        next(unordered)


def fail_three(first: int, second: int, number: int) -> int:
    return fail_at(number, first, second)


def test_imap_in_chunks_ends_at_a_failure(pool: Any) -> None:
    for call in (pool.imap, pool.imap_unordered):
        results = call(functools.partial(fail_three, 0, 0), range(6), 6)
        with pytest.raises(ZeroDivisionError, match="0"):
            next(results)
        with pytest.raises(StopIteration):
            next(results)


def test_a_map_raises_at_once_what_its_items_raise(pool: Any) -> None:
    for call in (pool.map, pool.map_async, pool.starmap, pool.starmap_async):
        with pytest.raises(LookupError, match="no more") as caught:
            call(square, pooltasks.broken_after([1, 2]))
        assert caught.value.__cause__ is None
    sized = pooltasks.Sized(pooltasks.broken_after([]), 1)
    with pytest.raises(LookupError, match="no more"):
        pool.map(square, sized, 1)
    assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]


def test_imap_raises_what_its_items_raise_after_what_came_before(pool: Any) -> None:
    results = pool.imap(square, pooltasks.broken_after([1, 2]))
    assert [next(results), next(results)] == [1, 4]
    with pytest.raises(LookupError, match="no more"):
        next(results)
    with pytest.raises(StopIteration):
        next(results)
    results = pool.imap(square, pooltasks.broken_after([1, 2, 3]), 2)
    assert [next(results), next(results)] == [1, 4]
    with pytest.raises(LookupError, match="no more"):
        next(results)
    with pytest.raises(LookupError, match="no more"):
        next(pool.imap_unordered(square, pooltasks.broken_after([])))


def test_calls_that_fail_beside_others_harm_none(pool: Any) -> None:
    results = [pool.apply_async(fail_at, (number, number // 2 * 2)) for number in range(200)]
    for number, result in enumerate(results):
        if number % 2:
            assert result.get() == number
        else:
            with pytest.raises(ZeroDivisionError, match=str(number)):
                result.get()


@pytest.mark.parametrize("count", [0, -1])
def test_a_pool_has_one_worker_or_more(mp: Any, count: int) -> None:
    with pytest.raises(ValueError, match="Number of processes must be at least 1"):
        mp.Pool(count)


@pytest.mark.parametrize("count", ["2", 1.5])
def test_a_number_of_workers_is_a_number(mp: Any, count: Any) -> None:
    with pytest.raises(TypeError):
        mp.Pool(count)


@pytest.mark.parametrize("tasks", [0, -1, 1.5, "2"])
def test_a_worker_lives_for_one_task_or_more(mp: Any, tasks: Any) -> None:
    with pytest.raises(ValueError, match="maxtasksperchild must be a positive int or None"):
        mp.Pool(1, maxtasksperchild=tasks)


def test_an_initializer_can_be_called(mp: Any) -> None:
    with pytest.raises(TypeError, match="initializer must be a callable"):
        mp.Pool(1, initializer=3)


def test_a_pool_that_could_not_be_made_leaves_nothing_and_says_nothing(module: Any) -> None:
    class Refuses(import_module(f"{module.__name__}.pool").Pool):  # type: ignore[misc]
        made = 0

        @staticmethod
        def Process(ctx: Any, *args: Any, **kwds: Any) -> Any:
            Refuses.made += 1
            if Refuses.made == 3:
                raise OSError("no more processes")
            return ctx.Process(*args, **kwds)

    with pytest.raises(OSError, match="no more processes"):
        Refuses(4, context=module.get_context("fork"))
    until(lambda: not module.active_children())
