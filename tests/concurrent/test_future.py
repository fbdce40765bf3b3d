"""A future: its states, its outcome, who waits for it, and who is called back."""

from __future__ import annotations

import concurrent.futures
import gc
import inspect
import pickle
import threading
import types
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from futuretasks import Falsy
from support import Hand, alarm, start_all


class Stop(Exception):
    """What a signal handler raises."""


def interrupt() -> None:
    raise Stop


def begun(future: Any) -> Any:
    assert future.set_running_or_notify_cancel()
    return future


def with_result(future: Any) -> Any:
    future.set_result(3)
    return future


def with_error(future: Any) -> Any:
    future.set_exception(LookupError("salt"))
    return future


def cancelled(future: Any) -> Any:
    assert future.cancel()
    return future


def cancelled_and_known(future: Any) -> Any:
    assert not cancelled(future).set_running_or_notify_cancel()
    return future


#: How a future comes to be so, what is then in `_state`, what its repr says, and what
#: cancelled(), running() and done() say.
STATES: dict[str, tuple[Callable[[Any], Any], str, str, tuple[bool, bool, bool]]] = {
    "pending": (lambda future: future, "PENDING", "pending", (False, False, False)),
    "running": (begun, "RUNNING", "running", (False, True, False)),
    "result": (with_result, "FINISHED", "finished returned int", (False, False, True)),
    "error": (with_error, "FINISHED", "finished raised LookupError", (False, False, True)),
    "cancelled": (cancelled, "CANCELLED", "cancelled", (True, False, True)),
    "known": (cancelled_and_known, "CANCELLED_AND_NOTIFIED", "cancelled", (True, False, True)),
}
in_all_states = pytest.mark.parametrize("state", STATES)

#: What ends the wait for a future.
ENDS = {"result": with_result, "error": with_error, "cancelled": cancelled}


@in_all_states
def test_a_future_tells_its_state(futures: ModuleType, state: str) -> None:
    make, name, text, (is_cancelled, is_running, is_done) = STATES[state]
    future = make(futures.Future())
    assert future._state == name
    assert future.cancelled() is is_cancelled
    assert future.running() is is_running
    assert future.done() is is_done
    assert repr(future) == f"<Future at {id(future):#x} state={text}>"


@in_all_states
def test_only_what_has_not_begun_can_be_cancelled(futures: ModuleType, state: str) -> None:
    future = STATES[state][0](futures.Future())
    before = future._state
    can = state in ("pending", "cancelled", "known")
    assert future.cancel() is can
    assert future.cancelled() is can
    assert future._state == ("CANCELLED" if state == "pending" else before)


def test_a_result_is_given_to_all_who_ask(futures: ModuleType) -> None:
    thing = object()
    future = begun(futures.Future())
    future.set_result(thing)
    assert future.result() is future.result(0) is future.result(timeout=None) is thing
    assert future.exception() is future.exception(timeout=0) is None


def test_an_error_is_raised_for_all_who_ask(futures: ModuleType) -> None:
    error = LookupError("salt")
    future = futures.Future()
    future.set_exception(error)
    assert future.exception() is future.exception(0) is error
    for _ in range(2):
        with pytest.raises(LookupError) as caught:
            future.result()
        assert caught.value is error


def test_none_is_a_result_and_no_error(futures: ModuleType) -> None:
    future = futures.Future()
    future.set_exception(None)
    assert future.done()
    assert future.result() is future.exception() is None


def test_ours_raises_an_error_that_is_not_true(ours: ModuleType) -> None:
    """The standard library does so only in its latest versions."""
    future = ours.Future()
    future.set_exception(Falsy("salt"))
    assert "raised Falsy" in repr(future)
    with pytest.raises(Falsy, match="salt"):
        future.result()


@pytest.mark.parametrize("make", [cancelled, cancelled_and_known])
def test_who_asks_a_cancelled_future_hears_of_it(
    futures: ModuleType, make: Callable[[Any], Any]
) -> None:
    future = make(futures.Future())
    for ask in (future.result, future.exception):
        for timeout in (None, 0):
            with pytest.raises(futures.CancelledError):
                ask(timeout)


@pytest.mark.parametrize("make", [lambda future: future, begun])
@pytest.mark.parametrize("timeout", [0, -1, 0.01])
def test_a_wait_has_a_limit(futures: ModuleType, make: Any, timeout: float) -> None:
    future = make(futures.Future())
    for ask in (future.result, future.exception):
        with pytest.raises(futures.TimeoutError):
            ask(timeout)
        with pytest.raises(futures.TimeoutError):
            ask(timeout=timeout)
    future.set_result(3)
    assert future.result(timeout) == 3


@pytest.mark.parametrize("state", ["result", "error", "cancelled", "known"])
def test_an_outcome_stays(futures: ModuleType, state: str) -> None:
    future = STATES[state][0](futures.Future())
    before = repr(future)
    for change in (
        lambda: future.set_result(4),
        lambda: future.set_result(result=4),
        lambda: future.set_exception(ValueError("more")),
        lambda: future.set_exception(exception=None),
    ):
        with pytest.raises(concurrent.futures.InvalidStateError) as caught:
            change()
        assert str(caught.value) == f"{future._state}: {future!r}"
    assert repr(future) == before


def test_what_was_cancelled_does_not_begin(futures: ModuleType) -> None:
    future = cancelled(futures.Future())
    assert future.set_running_or_notify_cancel() is False
    assert not future.running()


@pytest.mark.parametrize("state", ["running", "result", "error", "known"])
def test_a_future_begins_once(
    futures: ModuleType, state: str, caplog: pytest.LogCaptureFixture
) -> None:
    future = STATES[state][0](futures.Future())
    with pytest.raises(RuntimeError, match="Future in unexpected state"):
        future.set_running_or_notify_cancel()
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("concurrent.futures", "CRITICAL")
    assert record.getMessage() == f"Future {id(future)} in unexpected state: {future._state}"


@pytest.mark.parametrize("end", ENDS)
def test_callbacks_are_called_in_their_order(futures: ModuleType, end: str) -> None:
    future = futures.Future()
    calls: list[Any] = []

    def call_back(number: int) -> Callable[[Any], None]:
        return lambda given: calls.append((number, given is future, given.done()))

    for number in range(5):
        assert future.add_done_callback(call_back(number)) is None
    future.add_done_callback(fn=call_back(5))
    assert calls == []
    ENDS[end](future)
    assert calls == [(number, True, True) for number in range(6)]
    future.add_done_callback(call_back(6))
    assert calls[6:] == [(6, True, True)]
    if end == "cancelled":
        assert not future.set_running_or_notify_cancel()
        assert future.cancel()
    assert len(calls) == 7


def test_a_callback_is_called_by_who_ends_the_future(futures: ModuleType) -> None:
    future = futures.Future()
    callers: list[int] = []
    future.add_done_callback(lambda _: callers.append(threading.get_ident()))
    hand = Hand(future.set_result, 3)
    hand.finish()
    future.add_done_callback(lambda _: callers.append(threading.get_ident()))
    assert callers == [hand.ident, threading.get_ident()]


@pytest.mark.parametrize("end", ENDS)
def test_a_callback_that_raises_is_logged_and_harms_no_other(
    futures: ModuleType, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    future = futures.Future()
    called: list[Any] = []

    def fail(_: Any) -> None:
        raise LookupError("salt")

    for callback in (fail, called.append, fail, called.append):
        future.add_done_callback(callback)
    ENDS[end](future)
    assert called == [future] * 2
    future.add_done_callback(fail)
    assert len(caplog.records) == 3
    for record in caplog.records:
        assert (record.name, record.levelname) == ("concurrent.futures", "ERROR")
        assert record.getMessage() == f"exception calling callback for {future!r}"
        assert record.exc_info is not None
        assert str(record.exc_info[1]) == "salt"


def test_a_callback_may_use_the_future(futures: ModuleType) -> None:
    future = futures.Future()
    got: list[Any] = []

    def use(given: Any) -> None:
        got.append(given.result(0))
        given.add_done_callback(lambda again: got.append(again.cancel()))
        with pytest.raises(concurrent.futures.InvalidStateError):
            given.set_result(4)

    future.add_done_callback(use)
    future.set_result(3)
    assert got == [3, False]


@pytest.mark.parametrize("end", ENDS)
def test_who_waits_is_woken(futures: ModuleType, end: str) -> None:
    future = futures.Future()
    asking = start_all([future.result, lambda: future.result(30), future.exception])
    for hand in asking:
        hand.blocks()
    ENDS[end](future)
    if end == "result":
        assert [hand.result() for hand in asking] == [3, 3, None]
        return
    error = LookupError if end == "error" else futures.CancelledError
    for hand in asking[:2]:
        with pytest.raises(error):
            hand.result()
    if end == "error":
        assert asking[2].result() is future.exception()
    else:
        with pytest.raises(error):
            asking[2].result()


def test_beginning_ends_no_wait(futures: ModuleType) -> None:
    future = futures.Future()
    hand = Hand(future.result).blocks()
    begun(future)
    hand.blocks()
    future.set_result(3)
    assert hand.result() == 3


@pytest.mark.parametrize("timeout", [None, 30])
@pytest.mark.parametrize("ask", ["result", "exception"])
def test_a_signal_handler_that_raises_ends_a_wait(
    futures: ModuleType, ask: str, timeout: float | None
) -> None:
    future = futures.Future()
    with pytest.raises(Stop), alarm(interrupt):
        getattr(future, ask)(timeout)
    assert future.set_running_or_notify_cancel()
    future.set_result(3)
    assert future.result() == 3


def test_ours_can_be_ended_by_a_signal_handler_while_it_is_waited_for(ours: ModuleType) -> None:
    """In the standard library this hangs if the signal comes before the wait."""
    for _ in range(20):
        future = ours.Future()
        with alarm(lambda future=future: future.set_result(3), after=0.0005):
            assert future.result() == 3


def test_either_cancel_or_result_wins(futures: ModuleType) -> None:
    for number in range(100):
        future = futures.Future()
        together = threading.Barrier(2)

        def give(future: Any = future, number: int = number, together: Any = together) -> bool:
            together.wait()
            try:
                future.set_result(number)
            except concurrent.futures.InvalidStateError:
                return False
            return True

        giving = Hand(give)
        together.wait()
        assert future.cancel() is not giving.result()
        assert future.cancelled() or future.result(0) == number


def test_a_future_is_one_for_everybody(futures: ModuleType) -> None:
    assert isinstance(futures.Future(), concurrent.futures.Future)
    assert issubclass(futures.Future, concurrent.futures.Future)
    assert futures.Future.__name__ == futures.Future.__qualname__ == "Future"
    assert isinstance(futures.Future[int], types.GenericAlias)
    assert futures.Future[int].__origin__ is futures.Future


def test_names_of_arguments_are_the_same(futures: ModuleType) -> None:
    for name, call in inspect.getmembers(concurrent.futures.Future, inspect.isfunction):
        if not name.startswith("_"):
            ours = inspect.signature(getattr(futures.Future, name))
            assert list(ours.parameters) == list(inspect.signature(call).parameters), name


def test_a_subclass_has_what_it_adds(futures: ModuleType) -> None:
    class Order(futures.Future):  # type: ignore[misc,name-defined]
        def __init__(self, dish: str) -> None:
            super().__init__()
            self.dish = dish

        def set_result(self, result: Any) -> None:
            super().set_result(f"{result} {self.dish}")

    order = Order("buns")
    assert repr(order) == f"<Order at {id(order):#x} state=pending>"
    order.price = 3
    order.set_result(5)
    assert (order.result(), order.price) == ("5 buns", 3)


def test_a_subclass_may_call_back_in_its_own_way(futures: ModuleType) -> None:
    class Careful(futures.Future):  # type: ignore[misc,name-defined]
        def _invoke_callbacks(self) -> None:
            for callback in self._done_callbacks:
                seen.append(callback)

    seen: list[Any] = []
    for end in ENDS.values():
        future = Careful()
        future.add_done_callback(print)
        end(future)
    assert seen == [print] * 3


def test_a_future_is_not_for_other_processes(futures: ModuleType) -> None:
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(futures.Future())


def test_a_future_goes_with_its_last_reference(futures: ModuleType) -> None:
    future = with_result(futures.Future())
    reference = weakref.ref(future)
    assert reference() is future
    del future
    assert reference() is None


@pytest.mark.parametrize("place", ["result", "exception", "callback", "attribute"])
def test_a_future_that_refers_to_itself_is_collected(futures: ModuleType, place: str) -> None:
    future = futures.Future()
    if place == "result":
        future.set_result([future])
    elif place == "exception":
        future.set_exception(ValueError(future))
    elif place == "callback":
        future.add_done_callback(lambda _, future=future: None)
    else:
        future.me = future
    reference = weakref.ref(future)
    del future
    gc.collect()
    assert reference() is None
