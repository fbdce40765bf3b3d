"""How executors begin and end, threads' and processes'."""

from __future__ import annotations

import concurrent.futures
import gc
import weakref
from typing import Any

import pytest
from futuretasks import (
    hold,
    say,
    take,
    take_and_say,
    wait_and_raise_from_initializer,
    where,
)
from pooltasks import raise_from_initializer, square
from support import Hand, alarm, until

AFTER_SHUTDOWN = "cannot schedule new futures after shutdown"


class Stop(Exception):
    """What a signal handler raises."""


def interrupt() -> None:
    raise Stop


def test_an_executor_works_with_all_start_methods_and_ends(kind: Any) -> None:
    with kind.make(2) as executor:
        assert list(executor.map(square, range(5))) == [0, 1, 4, 9, 16]
        assert executor.submit(square, 3).result() == 9
    with pytest.raises(RuntimeError, match=AFTER_SHUTDOWN):
        executor.submit(square, 3)


def test_an_executor_that_was_not_used_ends(quick_kind: Any) -> None:
    with quick_kind.make(2):
        pass
    executor = quick_kind.make()
    assert executor._max_workers >= 1
    executor.shutdown()


def test_nothing_is_submitted_after_the_end(quick_kind: Any) -> None:
    executor = quick_kind.make(1)
    future = executor.submit(square, 3)
    assert executor.shutdown() is None
    assert future.result(0) == 9
    for _ in range(2):
        with pytest.raises(RuntimeError, match=AFTER_SHUTDOWN):
            executor.submit(square, 3)
        with pytest.raises(RuntimeError, match=AFTER_SHUTDOWN):
            executor.map(square, [3])
        executor.shutdown()
        executor.shutdown(wait=False, cancel_futures=True)


def test_the_end_waits_for_all_that_was_submitted(quick_kind: Any) -> None:
    with quick_kind.gated() as gated:
        futures = gated.block() + [gated.executor.submit(say, number) for number in range(10)]
        ending = Hand(gated.executor.shutdown).blocks()
        assert not futures[0].done()
        gated.tools.gate.set()
        ending.finish()
        assert [future.result(0) for future in futures] == [0, *range(10)]


def test_the_end_need_not_be_waited_for(quick_kind: Any) -> None:
    with quick_kind.gated() as gated:
        futures = gated.block() + [gated.executor.submit(say, number) for number in range(10)]
        gated.executor.shutdown(wait=False)
        assert not futures[0].done()
        with pytest.raises(RuntimeError, match=AFTER_SHUTDOWN):
            gated.executor.submit(square, 3)
        gated.tools.gate.set()
        assert [future.result() for future in futures] == [0, *range(10)]


@pytest.mark.parametrize("wait", [True, False])
def test_the_end_may_cancel_what_has_not_begun(quick_kind: Any, wait: bool) -> None:
    with quick_kind.gated() as gated:
        (running,) = gated.block()
        queued = [gated.executor.submit(say, number) for number in range(20)]
        ending = Hand(gated.executor.shutdown, wait=wait, cancel_futures=True)
        until(queued[-1].cancelled)
        assert not running.cancelled()
        gated.tools.gate.set()
        ending.finish()
        assert running.result() == 0
        with pytest.raises(quick_kind.futures.CancelledError):
            queued[-1].result()
        assert all(queued[number].cancelled() for number in range(10, 20))
        until(lambda: all(future.done() for future in queued))
        assert not set(gated.said()) & set(range(10, 20))


def test_who_waits_hears_of_what_the_end_cancels(quick_kind: Any) -> None:
    with quick_kind.gated() as gated:
        (running,) = gated.block()
        queued = [gated.executor.submit(say, number) for number in range(20)]
        asking = Hand(queued[-1].result).blocks()
        gated.executor.shutdown(wait=False, cancel_futures=True)
        with pytest.raises(quick_kind.futures.CancelledError):
            asking.result()
        gated.tools.gate.set()
        assert running.result() == 0


def test_a_signal_handler_that_raises_ends_the_wait_for_the_end(quick_kind: Any) -> None:
    with quick_kind.gated() as gated:
        (running,) = gated.block()
        with pytest.raises(Stop), alarm(interrupt):
            gated.executor.shutdown()
        gated.tools.gate.set()
        assert running.result() == 0


def test_an_executor_is_a_context_that_ends_with_errors_too(quick_kind: Any) -> None:
    executor, futures = quick_kind.make(1), []

    def use() -> None:
        with executor as entered:
            assert entered is executor
            futures.append(executor.submit(square, 3))
            raise LookupError("salt")

    with pytest.raises(LookupError, match="salt"):
        use()
    assert futures[0].result(0) == 9
    with pytest.raises(RuntimeError, match=AFTER_SHUTDOWN):
        executor.submit(square, 3)


@pytest.mark.parametrize("workers", [0, -1])
def test_an_executor_has_one_worker_or_more(quick_kind: Any, workers: int) -> None:
    with pytest.raises(ValueError, match="max_workers must be greater than 0"):
        quick_kind.make(workers)


def test_an_initializer_can_be_called(quick_kind: Any) -> None:
    with pytest.raises(TypeError, match="initializer must be a callable"):
        quick_kind.make(1, initializer=3)


def test_an_initializer_runs_once_in_each_worker(kind: Any) -> None:
    tools = kind.tools(2)
    options = {"initializer": take_and_say, "initargs": (tools, "ready")}
    with kind.make(2, **options) as executor:
        futures = [executor.submit(hold, number) for number in range(2)]
        words = sorted(str(tools.said.get()) for _ in range(4))
        tools.gate.set()
        assert words == ["0", "1", "ready", "ready"]
        assert [future.result() for future in futures] == [0, 1]
    assert tools.said.empty()


def test_a_failing_initializer_breaks_the_executor(quick_kind: Any) -> None:
    error = concurrent.futures.BrokenExecutor
    gate = quick_kind.tools(1).gate
    options = {"initializer": wait_and_raise_from_initializer, "initargs": (gate,)}
    with quick_kind.make(1, **options) as executor:
        futures = [executor.submit(square, number) for number in range(5)]
        assert not futures[0].done()
        gate.set()
        for future in futures:
            with pytest.raises(error):
                future.result()
        with pytest.raises(error):
            executor.submit(square, 3)
        with pytest.raises(error):
            executor.map(square, [3])
    module = "thread" if quick_kind.is_thread else "process"
    kind_of_error = "BrokenThreadPool" if quick_kind.is_thread else "BrokenProcessPool"
    broken = getattr(getattr(concurrent.futures, module), kind_of_error)
    assert isinstance(futures[0].exception(), broken)
    assert issubclass(broken, error)


def test_a_failing_initializer_is_heard_of_with_all_start_methods(kind: Any) -> None:
    options = {"initializer": raise_from_initializer, "initargs": ("no flour",)}
    with kind.make(2, **options) as executor:
        try:
            future = executor.submit(square, 3)
        except concurrent.futures.BrokenExecutor:
            return
        with pytest.raises(concurrent.futures.BrokenExecutor):
            future.result()


def test_an_executor_that_nobody_has_does_its_work(quick_kind: Any) -> None:
    tools = quick_kind.tools(1)
    executor = quick_kind.make(1, initializer=take, initargs=(tools,))
    futures = [executor.submit(hold, number) for number in range(10)]
    assert tools.said.get() == 0
    reference = weakref.ref(executor)
    del executor
    gc.collect()
    assert reference() is None
    assert not futures[0].done()
    tools.gate.set()
    assert [future.result() for future in futures] == list(range(10))


def test_an_executor_of_which_nobody_has_anything_does_its_work(quick_kind: Any) -> None:
    tools = quick_kind.tools(1)
    executor = quick_kind.make(1, initializer=take, initargs=(tools,))
    for number in range(10):
        executor.submit(hold, number)
    assert tools.said.get() == 0
    del executor
    gc.collect()
    tools.gate.set()
    assert [tools.said.get() for _ in range(9)] == list(range(1, 10))


def test_an_executor_goes_when_nobody_has_it(kind: Any) -> None:
    """The test's end looks whether threads, processes and descriptors are gone."""
    executor = kind.make(1)
    assert executor.submit(where).result()
    reference = weakref.ref(executor)
    del executor
    gc.collect()
    assert reference() is None


def test_an_executor_may_be_subclassed(quick_kind: Any) -> None:
    base = type(quick_kind.make(1))

    class Kitchen(base):  # type: ignore[misc,valid-type]
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            ordered.append(args)
            return super().submit(fn, *args, **kwargs)

    ordered: list[Any] = []
    options = {} if quick_kind.is_thread else {"mp_context": quick_kind.context}
    with Kitchen(1, **options) as kitchen:
        assert list(kitchen.map(square, [3, 4])) == [9, 16]
        assert kitchen.submit(square, 5).result() == 25
    assert ordered[-1] == (5,)
    assert len(ordered) == 3
