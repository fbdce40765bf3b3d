"""Queues between processes that are used by code which runs in the midst of their own methods.

Signal handlers and finalizers do so; see tests/queue/test_reentrancy.py.
"""

from __future__ import annotations

import gc
from typing import Any

import pytest
from manyhands import _native, multiprocessing
from support import alarm

statistics = _native.multiprocessing.arena_statistics

#: Items that lie in the queue itself, in a block of their own, and in several pieces.
ITEMS = [7, b"x" * 10_000, [bytes(100_000), bytearray(100_000)]]


@pytest.fixture(params=["Queue", "JoinableQueue", "SimpleQueue"])
def items(request: pytest.FixtureRequest) -> Any:
    return getattr(multiprocessing, request.param)()


def drain(items: Any) -> list[Any]:
    got = []
    while not items.empty():
        got.append(items.get())
    return got


@pytest.mark.parametrize("item", ITEMS, ids=["small", "large", "pieces"])
def test_put_in_a_handler_at_any_moment(items: Any, item: Any) -> None:
    got, mine = [], 0
    with alarm(lambda: items.put((1, item)), after=0.001, every=0.0005) as ran:
        while len(ran) < 100:
            for _ in range(10):
                items.put((0, item))
                mine += 1
            for _ in range(10):
                got.append(items.get())
    got += drain(items)
    assert all(content == item for _, content in got)
    assert sum(who for who, _ in got) == len(ran)
    assert len(got) == mine + len(ran)


@pytest.mark.parametrize("item", ITEMS, ids=["small", "large", "pieces"])
def test_put_and_get_in_a_handler_at_any_moment(items: Any, item: Any) -> None:
    """What the handler gets may be what the thread has put, so that it puts one for it."""
    seen = []

    def exchange() -> None:
        items.put((1, item))
        seen.append(items.get())

    blocks = statistics()["blocks"]
    with alarm(exchange, after=0.001, every=0.0005) as ran:
        while len(ran) < 100:
            items.put((0, item))
            seen.append(items.get())
    assert items.empty()
    assert all(content == item for _, content in seen)
    assert sum(who for who, _ in seen) == len(ran)
    seen.clear()
    assert statistics()["blocks"] == blocks


def test_a_handler_uses_the_queue_that_its_thread_waits_for(items: Any) -> None:
    seen = []

    def handler() -> None:
        items.put("for the handler")
        seen.append(items.get())
        items.put("for the thread")

    with alarm(handler):
        assert items.get() == "for the thread"
    assert seen == ["for the handler"]


@pytest.mark.parametrize("kind", ["Queue", "JoinableQueue"])
def test_a_handler_makes_the_room_that_its_thread_waits_for(kind: str) -> None:
    items = getattr(multiprocessing, kind)(1)
    items.put("first")
    seen = []
    with alarm(lambda: seen.append(items.get())):
        items.put("second")
    assert seen == ["first"]
    assert items.get() == "second"


def test_put_and_get_in_a_finalizer(items: Any, eager_gc: None) -> None:
    seen = []

    class Dying:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            items.put(1)
            seen.append(items.get())

    for _ in range(200):
        Dying()
        items.put([0])
        seen.append(items.get())
    gc.collect()
    assert items.empty()
    assert (seen.count([0]), seen.count(1)) == (200, 200)


class Dying:
    """Puts something as it dies."""

    def __init__(self, items: Any) -> None:
        self.items = items

    def __del__(self) -> None:
        self.items.put("last words")


class Mortal:
    """Has somebody die as it is pickled, and as it is made anew."""

    items: Any = None

    def __reduce__(self) -> Any:
        Dying(self.items)
        return Mortal.make, ()

    @staticmethod
    def make() -> str:
        Dying(Mortal.items)
        return "made"


def test_what_dies_as_an_item_is_pickled_or_made_may_use_the_queue(
    items: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Mortal, "items", items)
    for _ in range(100):
        items.put(Mortal())
        got = [items.get() for _ in range(3)]
        assert sorted(got) == ["last words", "last words", "made"]
    assert items.empty()
