"""What our client and our server do together that the standard library's do not."""

from __future__ import annotations

import os
import signal
import weakref
from collections.abc import Iterator
from typing import Any

import managed_types
import pytest
from manyhands.multiprocessing import get_context, managers


class Custom(managers.SyncManager):
    """A manager of a type of the tests."""


Custom.register("Counter", managed_types.Counter)


@pytest.fixture
def manager() -> Iterator[Any]:
    with Custom(ctx=get_context("fork")) as made:
        yield weakref.proxy(made)


def run(target: Any, *args: Any, times: int = 1) -> list[int | None]:
    children = [get_context("fork").Process(target=target, args=args) for _ in range(times)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    return [child.exitcode for child in children]


def increment(shared: Any) -> None:
    for _ in range(50):
        shared.increment("count")
        shared.update_with("list", lambda old: [*old, len(old)], default=[])


def test_changes_of_several_processes_are_all_made(manager: Any) -> None:
    shared = manager.dict()
    assert run(increment, shared, times=3) == [0, 0, 0]
    assert shared["count"] == 150
    assert shared["list"] == list(range(150))
    assert shared.increment("count", 0.5) == 150.5
    assert shared.increment("other", by=-1) == -1
    shared["text"] = "x"
    with pytest.raises(TypeError):
        shared.increment("text")


def test_a_function_that_raises_changes_nothing(manager: Any) -> None:
    shared = manager.dict(a=0)
    with pytest.raises(ZeroDivisionError):
        shared.update_with("a", lambda old: 1 / old)
    assert shared.copy() == {"a": 0}


def test_an_exception_tells_where_it_was_raised(manager: Any) -> None:
    with pytest.raises(KeyError) as raised:
        manager.Counter(5).fail()
    assert type(raised.value.__cause__).__name__ == "RemoteTraceback"
    assert "raise KeyError(self.value)" in str(raised.value.__cause__)


def take_and_die(lock: Any) -> None:
    lock.acquire()
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_what_a_killed_process_has_locked_is_passed_on(manager: Any, kind: str) -> None:
    lock = getattr(manager, kind)()
    assert run(take_and_die, lock) == [-signal.SIGKILL]
    with pytest.warns(managers.AbandonedLockWarning, match=kind) as told:
        assert lock.acquire() is True
    assert told[0].filename == __file__
    lock.release()
    with lock:
        pass


def test_objects_are_of_our_classes(manager: Any) -> None:
    outer = manager.list([manager.dict(a=1)])
    assert type(outer[0]) is managers.DictProxy
    assert outer[0]["a"] == 1
    inner = outer.pop()
    del outer
    assert str(inner) == "{'a': 1}"


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_proxy_that_only_a_child_gets_is_there_for_it(manager: Any, method: str) -> None:
    """The parent lets go of it as soon as the child is started."""
    fifo, context = manager.Queue(), get_context(method)
    before = manager._number_of_objects()
    child = context.Process(target=append_and_put, args=(manager.list(),), kwargs={"fifo": fifo})
    child.start()
    assert fifo.get(timeout=30) == 1
    child.join()
    assert child.exitcode == 0
    assert manager._number_of_objects() == before


def append_and_put(shared: Any, fifo: Any) -> None:
    shared.append(1)
    fifo.put(len(shared))


def test_nothing_opens_more_connections(manager: Any) -> None:
    shared = manager.list()
    number = shared._tls.connection.fileno()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        other = manager.dict(a=1)
        assert list(iter(other)) == ["a"]
        shared.append(other)
        assert shared[-1]["a"] == 1
        manager._number_of_objects()
        assert shared._tls.connection.fileno() == number
        assert len(os.listdir("/proc/self/fd")) == before
