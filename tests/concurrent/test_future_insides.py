"""A future's names that begin with an underscore, which other people's code reads and writes."""

from __future__ import annotations

import gc
import sysconfig
import weakref
from queue import SimpleQueue
from types import ModuleType
from typing import Any

import pytest
from support import PATIENCE, Hand


class Notes:
    """What the standard library's wait() puts into `_waiters`."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def add_result(self, future: Any) -> None:
        self.heard.append(("result", future))

    def add_exception(self, future: Any) -> None:
        self.heard.append(("exception", future))

    def add_cancelled(self, future: Any) -> None:
        self.heard.append(("cancelled", future))


def test_outcomes_can_be_read(futures: ModuleType) -> None:
    future, error = futures.Future(), LookupError("salt")
    assert future._result is future._exception is None
    future.set_result(3)
    assert (future._result, future._exception) == (3, None)
    failed = futures.Future()
    failed.set_exception(error)
    assert failed._result is None
    assert failed._exception is error


def test_callbacks_can_be_read_and_changed(futures: ModuleType) -> None:
    future = futures.Future()
    called: list[Any] = []
    assert future._done_callbacks == []
    future.add_done_callback(print)
    assert future._done_callbacks == [print]
    future._done_callbacks.remove(print)
    future._done_callbacks.append(called.append)
    future.set_result(3)
    assert called == [future]


def test_callbacks_can_be_called_again(futures: ModuleType) -> None:
    future = futures.Future()
    called: list[Any] = []
    future.add_done_callback(called.append)
    future._invoke_callbacks()
    assert called == [future]
    assert not future.done()


def test_waiters_hear_of_the_end(futures: ModuleType) -> None:
    notes = Notes()
    kept, failed, stopped = futures.Future(), futures.Future(), futures.Future()
    for future in (kept, failed, stopped):
        assert future._waiters == []
        with future._condition:
            future._waiters.append(notes)
    stopped.cancel()
    assert notes.heard == []
    failed.set_exception(ValueError())
    kept.set_result(3)
    stopped.set_running_or_notify_cancel()
    assert notes.heard == [("exception", failed), ("result", kept), ("cancelled", stopped)]
    for future in (kept, failed, stopped):
        future._waiters.remove(notes)
        assert future._waiters == []


def test_the_condition_tells_of_the_end(futures: ModuleType) -> None:
    future = futures.Future()

    def wait() -> Any:
        with future._condition:
            future._condition.wait_for(lambda: future._state == "FINISHED")
            return future._result

    waiting = Hand(wait).blocks()
    future.set_result(3)
    assert waiting.result() == 3


@pytest.mark.parametrize("change", ["set_result", "set_exception", "cancel"])
def test_nothing_changes_while_the_condition_is_held(futures: ModuleType, change: str) -> None:
    future = futures.Future()
    args = {"set_result": (3,), "set_exception": (ValueError(),), "cancel": ()}[change]
    with future._condition:
        changing = Hand(getattr(future, change), *args).blocks()
        assert future._state == "PENDING"
        assert not future.done()
    changing.finish()
    assert future.done()


def test_a_wait_that_began_before_the_condition_was_asked_for_is_ended(
    futures: ModuleType,
) -> None:
    future = futures.Future()
    asking = Hand(future.result).blocks()
    with future._condition:
        assert future._state == "PENDING"
    future.set_result(3)
    assert asking.result() == 3


def test_who_holds_the_condition_may_use_the_future(futures: ModuleType) -> None:
    future = futures.Future()
    with future._condition:
        assert not future.done()
        assert "pending" in repr(future)
        future.set_result(3)
        assert future.result() == 3


def test_a_state_can_be_written(futures: ModuleType) -> None:
    future = futures.Future()
    future._state, future._result = "FINISHED", 3
    assert future.done()
    assert future.result(0) == 3
    failed = futures.Future()
    failed._state, failed._exception = "FINISHED", LookupError("salt")
    with pytest.raises(LookupError, match="salt"):
        failed.result(0)
    running = futures.Future()
    running._state = "RUNNING"
    assert running.running()
    assert not running.cancel()
    stopped = futures.Future()
    stopped._state = "CANCELLED"
    assert stopped.cancelled()
    assert not stopped.set_running_or_notify_cancel()


@pytest.mark.parametrize("place", ["result", "exception", "attribute", "vars", "dict", "waiters"])
def test_a_call_whose_future_refers_to_itself_is_collected(futures: ModuleType, place: str) -> None:
    with futures.ThreadPoolExecutor(1) as executor:
        future = executor.submit(list if place == "result" else int)
        result = future.result(PATIENCE)
    if place == "result":
        result.append(future)
    elif place == "exception":
        future._exception = ValueError(future)
    elif place == "attribute":
        future.me = future
    elif place == "vars":
        vars(future)["me"] = future
    elif place == "dict":
        future.__dict__ = {"me": future}
        assert future.me is future
    else:
        future._waiters.append(future)
    reference = weakref.ref(future)
    del future, result
    gc.collect()
    assert reference() is None


def test_a_call_that_raises_with_its_future_is_collected(futures: ModuleType) -> None:
    def fail() -> None:
        raise ValueError(made.get())

    made: SimpleQueue[Any] = SimpleQueue()
    with futures.ThreadPoolExecutor(1) as executor:
        future = executor.submit(fail)
        made.put(future)
        assert future.exception(PATIENCE) is not None
    reference = weakref.ref(future)
    del future
    gc.collect()
    assert reference() is None


def test_a_future_has_attributes_and_loses_them(futures: ModuleType) -> None:
    with futures.ThreadPoolExecutor(1) as executor:
        future = executor.submit(int)
    future.dish = "buns"
    assert (future.dish, vars(future)["dish"]) == ("buns", "buns")
    del future.dish
    assert not hasattr(future, "dish")
    with pytest.raises(AttributeError, match="dish"):
        del future.dish
    with pytest.raises(TypeError, match="dict"):
        future.__dict__ = 3


@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="without a global lock it looks at all objects",
)
def test_the_collector_skips_futures_that_are_in_no_cycle(ours: ModuleType) -> None:
    with ours.ThreadPoolExecutor(1) as executor:
        plain, full = executor.submit(int), executor.submit(list)
        assert [plain.result(PATIENCE), full.result(PATIENCE)] == [0, []]
    assert (gc.is_tracked(plain), gc.is_tracked(full)) == (False, True)
