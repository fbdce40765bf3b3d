"""Calls in processes see the context variables of who submits them, as far as these can travel."""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from manyhands import multiprocessing
from manyhands.concurrent.futures import ProcessPoolExecutor
from manyhands.multiprocessing import _variables
from pooltasks import square
from support import run_file
from traveltasks import COOK, DISH, TABLE, begin_as, change_order, cook, fail_with_order, order

METHODS = ["fork", "forkserver", "spawn"]

pytestmark = pytest.mark.usefixtures("pools_are_collected")


@pytest.fixture(params=METHODS)
def context(request: pytest.FixtureRequest) -> Any:
    return multiprocessing.get_context(request.param)


def alone(test: Callable[[], Any]) -> Any:
    """Runs it in a context of its own, where nothing is set."""
    return contextvars.Context().run(test)


#: Ways to have a function called with 1, 2, 3 by a pool; all give the results.
WAYS: dict[str, Callable[..., list[Any]]] = {
    "apply": lambda pool, f: [pool.apply(f, (n,)) for n in (1, 2, 3)],
    "map": lambda pool, f: pool.map(f, [1, 2, 3]),
    "map in chunks": lambda pool, f: pool.map(f, [1, 2, 3], 2),
    "starmap": lambda pool, f: pool.starmap(f, [(1,), (2,), (3,)]),
    "imap of a list": lambda pool, f: list(pool.imap(f, [1, 2, 3])),
    "imap of a generator": lambda pool, f: list(pool.imap(f, (n for n in (1, 2, 3)), 2)),
    "imap_unordered": lambda pool, f: list(pool.imap_unordered(f, iter((1, 2, 3)))),
}


def test_a_call_sees_what_its_submitter_has_set(context: Any) -> None:
    def test(pool: Any, way: Callable[..., list[Any]]) -> None:
        assert way(pool, order) == [("none", None)] * 3
        DISH.set("soup")
        TABLE.set(["a", "list"])
        assert way(pool, order) == [("soup", ["a", "list"])] * 3
        DISH.set("buns")
        # The same object, which is another now.
        TABLE.get().append("more")
        assert way(pool, order) == [("buns", ["a", "list", "more"])] * 3
        assert alone(lambda: way(pool, order)) == [("none", None)] * 3

    with context.Pool(2) as pool:
        for way in WAYS.values():
            alone(lambda way=way: test(pool, way))


def test_a_future_is_of_a_call_that_sees_it(context: Any) -> None:
    def test() -> None:
        with ProcessPoolExecutor(1, context) as executor:
            DISH.set("soup")
            futures = [executor.submit(order)]
            DISH.set("buns")
            futures += [executor.submit(order), executor.submit(apply_with, call=order)]
            assert [future.result()[0] for future in futures] == ["soup", "buns", "buns"]
            assert list(executor.map(order, range(3), chunksize=2)) == [("buns", None)] * 3

    alone(test)


def apply_with(*, call: Callable[[], Any]) -> Any:
    return call()


def test_a_function_that_goes_along_with_its_arguments_sees_it(context: Any) -> None:
    def test() -> None:
        DISH.set("soup")
        with context.Pool(1) as pool:
            # Large enough for shared memory.
            things = [bytes(1 << 20)]
            assert pool.map(Order("buns"), things) == [("buns", "soup", 1 << 20)]

    alone(test)


class Order:
    def __init__(self, what: str) -> None:
        self.what = what

    def __call__(self, thing: bytes) -> tuple[str, str, int]:
        return self.what, DISH.get(), len(thing)


def test_a_call_sees_what_the_initializer_has_set(context: Any) -> None:
    def test() -> None:
        with context.Pool(1, begin_as, ("Mira",)) as pool:
            assert pool.apply(cook) == "Mira"
            DISH.set("soup")
            assert (pool.apply(cook), pool.apply(order)) == ("Mira", ("soup", None))
            COOK.set("Jo")
            assert pool.apply(cook) == "Jo"
            assert alone(lambda: pool.apply(cook)) == "Mira"

    alone(test)


def test_what_a_call_sets_is_gone_after_it(context: Any) -> None:
    def test() -> None:
        with context.Pool(1) as pool:
            DISH.set("soup")
            for _ in range(3):
                assert pool.apply(change_order, ("buns",)) == "soup"
                with pytest.raises(LookupError, match="soup"):
                    pool.apply(fail_with_order)
            assert alone(lambda: pool.apply(order)) == ("none", None)

    alone(test)


def test_what_cannot_travel_stays_behind(context: Any) -> None:
    hidden: contextvars.ContextVar[int] = contextvars.ContextVar("hidden")

    def test() -> None:
        with context.Pool(1) as pool:
            hidden.set(1)
            assert pool.apply(order) == ("none", None)
            TABLE.set(threading.Lock())
            assert pool.apply(order) == ("none", None)
            DISH.set("soup")
            assert pool.apply(order) == ("soup", None)
            # Has a class that only this function has.
            TABLE.set(type("Local", (), {})())
            assert pool.apply(order) == ("soup", None)

    alone(test)


class Fragile:
    """Can be pickled, but not made of that."""

    def __reduce__(self) -> Any:
        return int, ("soup",)


def test_a_value_that_cannot_be_made_again_stays_behind(context: Any) -> None:
    def test() -> None:
        # A copy of this process would have it.
        with context.Pool(1) as pool:
            TABLE.set(Fragile())
            DISH.set("soup")
            assert pool.apply(order) == ("soup", None)

    alone(test)


def test_equal_values_are_not_taken_for_each_other(our: Any) -> None:
    def test() -> None:
        with our.Pool(1) as pool:
            for value in (1, True, 1.0, 1, False, 0, b"", "", None):
                TABLE.set(value)
                found = pool.apply(order)[1]
                assert (type(found), found) == (type(value), value)

    alone(test)


def test_nobody_looks_for_variables_without_end(our: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    searched = []

    def search(variable: Any) -> None:
        searched.append(variable)

    def test() -> None:
        with our.Pool(1) as pool:
            for number in range(5):
                contextvars.ContextVar("new").set(number)
                assert pool.apply(square, (number,)) == number * number

    monkeypatch.setattr(_variables, "_search", search)
    monkeypatch.setattr(_variables, "_places", {})
    monkeypatch.setattr(_variables, "_unknown", _variables._MOST_UNKNOWN - 3)
    alone(test)
    assert len(searched) == len(set(searched)) == 3


@pytest.mark.parametrize("method", METHODS)
def test_variables_of_the_main_module_travel(tmp_path: Path, method: str) -> None:
    out = run_file(
        tmp_path / "program.py",
        """
        import contextvars, sys
        from manyhands import multiprocessing

        dish = contextvars.ContextVar("a dish", default="none")

        def order():
            return dish.get()

        if __name__ == "__main__":
            with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
                print(pool.apply(order))
                dish.set("soup")
                print(pool.apply(order))
        """,
        method,
    )
    assert out == "none\nsoup\n"


class LooksLikeAModule:
    """As the libraries of cffi in `sys.modules`."""

    __slots__ = ()

    @property
    def __class__(self) -> Any:
        return type(contextvars)


def test_what_only_looks_like_a_module_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "looks_like_a_module", LooksLikeAModule())
    assert _variables._search(contextvars.ContextVar("nowhere")) is None
