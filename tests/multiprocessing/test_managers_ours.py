"""What our client and our server do together that the standard library's do not."""

from __future__ import annotations

import os
import signal
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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


class Threads:
    """Two threads that take turns: each has a connection of its own."""

    def __init__(self) -> None:
        self.other = ThreadPoolExecutor(1)

    def __enter__(self) -> Any:
        return lambda function, *args: self.other.submit(function, *args).result()

    def __exit__(self, *args: object) -> None:
        self.other.shutdown()


def test_an_update_that_is_lost_is_told(manager: Any) -> None:
    shared = manager.dict(a=1)
    with Threads() as elsewhere:
        value = shared["a"]
        elsewhere(shared.__setitem__, "a", 5)
        with pytest.warns(managers.LostUpdateWarning, match=r"'a'.*increment\(\)") as told:
            shared["a"] = value + 1
        assert [warning.filename for warning in told] == [__file__]
        assert shared["a"] == 2

        shared["n"] = 1
        with pytest.warns(managers.LostUpdateWarning, match="'n'"):
            # Sets it again while it is being read and written here.
            shared["n"] += elsewhere(shared.__setitem__, "n", 2) or 1


def test_there_are_no_false_alarms(manager: Any, recwarn: pytest.WarningsRecorder) -> None:
    shared, lock = manager.dict(a=1, n=0), manager.Lock()

    def count() -> None:
        for _ in range(20):
            with lock:
                shared["n"] += 1

    def set_twice(value: int) -> None:
        shared["a"] = value
        shared["a"] += value

    with Threads() as elsewhere:
        elsewhere(set_twice, 3)
        set_twice(4)
        elsewhere(set_twice, 5)
        shared["a"] = 6
        assert shared["a"] == 6
        elsewhere(set_twice, 5)
        assert shared["a"] == 10
        shared["a"] = 7
        shared["list"] = []
        shared["list"] += [elsewhere(lambda: shared["list"].append(1))]
        assert shared["list"] == [1, None]
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(count) for _ in range(3)]:
            done.result()
    assert shared["n"] == 60
    assert list(recwarn) == []


@pytest.mark.parametrize("length", [4096, 4097, 32 << 10, 33 << 10, 1 << 20, (4 << 20) + 1])
def test_large_payloads_come_back_as_they_were(manager: Any, length: int) -> None:
    payload = bytes(range(256)) * (length // 256 + 1)
    payload = payload[:length]
    shared, queue = manager.dict(), manager.Queue()
    queue.put(payload)
    assert queue.get() == payload
    queue.put((payload, payload))
    assert queue.get() == (payload, payload)
    # Neither of the two is small.
    shared[payload] = payload
    assert shared[payload] == payload
    assert shared.setdefault("key", payload[1:]) == payload[1:]
    for other in (bytearray(payload), payload.decode("latin1"), [payload]):
        shared["key"] = other
        assert shared["key"] == other
    # With something to be noted beside it.
    shared["key"] = b""
    shared.get("key")
    with Threads() as elsewhere:
        elsewhere(shared.__setitem__, "key", payload)
        with pytest.warns(managers.LostUpdateWarning):
            shared["key"] = payload
