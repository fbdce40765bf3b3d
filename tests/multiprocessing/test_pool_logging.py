"""What workers log is handled by the program, as if it had logged it itself."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import logging.handlers
import os
import signal
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import traveltasks
from keeping import Kept
from manyhands import multiprocessing
from manyhands.concurrent.futures import ProcessPoolExecutor
from manyhands.multiprocessing.pool import WorkerDied
from pooltasks import keep, square
from support import until
from traveltasks import log, log_many

METHODS = ["fork", "forkserver", "spawn"]

pytestmark = pytest.mark.usefixtures("pools_are_collected")

WARNING = logging.WARNING


@pytest.fixture(params=METHODS)
def context(request: pytest.FixtureRequest) -> Any:
    return multiprocessing.get_context(request.param)


@contextlib.contextmanager
def pool_of(context: Any, workers: int, *options: Any) -> Iterator[Callable[..., Any]]:
    with context.Pool(workers, *options) as pool:
        # Until all is put away pytest keeps what it was given.
        proxy = weakref.proxy(pool)
        yield lambda function, *args: proxy.apply(function, args)


@contextlib.contextmanager
def executor_of(context: Any, workers: int, *options: Any) -> Iterator[Callable[..., Any]]:
    with ProcessPoolExecutor(workers, context, *options) as executor:
        proxy = weakref.proxy(executor)
        yield lambda function, *args: proxy.submit(function, *args).result()


@pytest.fixture(params=[pool_of, executor_of], ids=["Pool", "ProcessPoolExecutor"])
def ask(request: pytest.FixtureRequest, context: Any) -> Iterator[Callable[..., Any]]:
    """A pool of one worker, which makes a call and gives what it returns, or raises that."""
    with request.param(context, 1) as ask:
        yield ask


def test_a_record_was_handled_when_the_result_of_its_call_is_there(
    kept: Kept, ask: Callable[..., Any]
) -> None:
    for number in range(100):
        pid = ask(log, "kitchen", WARNING, "%d and %s", number, "more")
        record = kept.records[-1]
        assert (len(kept.records), record.getMessage()) == (number + 1, f"{number} and more")
        assert record.process == pid != os.getpid()
        assert (record.name, record.levelname, record.args) == ("kitchen", "WARNING", ())
        assert (record.funcName, record.filename) == ("log", "traveltasks.py")


def test_records_come_in_the_order_in_which_each_worker_logs_them(kept: Kept, context: Any) -> None:
    logging.getLogger("kitchen").setLevel(logging.INFO)
    with context.Pool(2) as pool:
        calls = pool.imap_unordered(functools.partial(log_many, count=200), range(30))
        for come, call in enumerate(calls, 1):
            texts = kept.texts()
            assert {str(number) for number in range(call * 200, call * 200 + 200)} <= set(texts)
            assert len(texts) >= come * 200
    assert len(kept.records) == 30 * 200
    of_workers = defaultdict(list)
    for record in kept.records:
        assert record.process is not None
        of_workers[record.process].append(int(record.getMessage()))
    assert len(of_workers) <= 2
    for numbers in of_workers.values():
        assert numbers == sorted(numbers)


def test_what_a_worker_logged_before_it_died_was_handled_when_that_is_known(
    kept: Kept, ask: Callable[..., Any]
) -> None:
    for number in range(5):
        with pytest.raises(WorkerDied):
            ask(traveltasks.log_and_leave, str(number))
        assert kept.texts() == list(map(str, range(number + 1)))


def test_workers_log_what_the_program_would(kept: Kept, context: Any) -> None:
    names = ["kitchen", "kitchen.oven", "kitchen.oven.door", "kitchen.cellar", "kitchen.quiet"]
    logging.getLogger("kitchen").setLevel(logging.INFO)
    logging.getLogger("kitchen.oven").setLevel(5)
    logging.getLogger("kitchen.oven.door")
    logging.getLogger("kitchen.cellar").disabled = True
    logging.getLogger("kitchen.quiet").propagate = False
    apart = Kept()
    apart.setLevel(logging.ERROR)
    logging.getLogger("kitchen.quiet").addHandler(apart)
    logging.addLevelName(25, "NOTICE")

    def all_handled() -> list[list[tuple[Any, ...]]]:
        handled = []
        for handler in (kept, apart):
            of = [(each.name, each.levelname, each.getMessage()) for each in handler.records]
            handled.append(of)
            handler.records.clear()
        return handled

    traveltasks.log_at_all_levels(names)
    expected = all_handled()
    assert ("kitchen", "NOTICE", "at 25") in expected[0]
    assert ("kitchen.oven.door", "Level 5", "at 5") in expected[0]
    assert len(expected[1]) == 2
    with context.Pool(1) as pool:
        pool.apply(traveltasks.log_at_all_levels, (names,))
    assert all_handled() == expected
    logging.disable(logging.WARNING)
    traveltasks.log_at_all_levels(names)
    expected = all_handled()
    with context.Pool(1) as pool:
        pool.apply(traveltasks.log_at_all_levels, (names,))
    assert all_handled() == expected


def test_a_program_that_takes_care_of_records_itself_has_each_once(
    kept: Kept, context: Any
) -> None:
    """As shown in the cookbook of `logging`."""
    queue = context.SimpleQueue()
    kept.setLevel(100)
    with context.Pool(1, traveltasks.handle_by_queue, (queue,)) as pool:
        pool.apply(log, ("kitchen", WARNING, "soup"))
        pool.apply(log, ("kitchen", WARNING, "buns"))
        queue.put(None)
    assert [record.getMessage() for record in iter(queue.get, None)] == ["soup", "buns"]
    assert kept.records == []


def test_caplog_sees_what_workers_log(
    caplog: pytest.LogCaptureFixture, ask: Callable[..., Any]
) -> None:
    ask(log, "kitchen", WARNING, "soup")
    assert caplog.record_tuples == [("kitchen", WARNING, "soup")]


def test_tracebacks_are_those_of_the_worker(kept: Kept, ask: Callable[..., Any]) -> None:
    ask(traveltasks.log_error, "no salt")
    (record,) = kept.records
    assert record.getMessage() == "it failed"
    text = logging.Formatter("<%(message)s>").format(record)
    assert text.startswith("<it failed>\nTraceback (most recent call last):\n")
    assert text.count("\nLookupError: no salt\n") == text.count("Stack (most recent call") == 1


def test_what_cannot_be_pickled_is_described(kept: Kept, ask: Callable[..., Any]) -> None:
    ask(traveltasks.log_with_lock)
    (record,) = kept.records
    assert vars(record)["dish"] == "soup"
    assert "lock" in vars(record)["lock"]


def test_filters_of_loggers_are_asked_once(kept: Kept, ask: Callable[..., Any]) -> None:
    """In the worker if it has them, as a copy of the program has."""
    logging.getLogger("kitchen").addFilter(traveltasks.Filter())
    ask(log, "kitchen", WARNING, "soup")
    ask(log, "kitchen", WARNING, "with salt")
    assert kept.texts() == ["[soup]"]


def test_filters_of_loggers_are_asked_once_in_copies(kept: Kept, our: Any) -> None:
    logging.getLogger("kitchen").addFilter(traveltasks.Filter())
    with our.Pool(1) as pool:
        pool.apply(log, ("kitchen", WARNING, "soup"))
        pool.apply(log, ("kitchen", WARNING, "with salt"))
    assert kept.texts() == ["[soup]"]


def test_a_class_of_loggers_may_be_chosen_by_workers(kept: Kept, context: Any) -> None:
    before = logging.getLoggerClass()
    logging.setLoggerClass(traveltasks.Abrupt)
    try:
        logging.getLogger("kitchen.abrupt").setLevel(logging.ERROR)
    finally:
        logging.setLoggerClass(before)
    with context.Pool(1) as pool:
        pool.apply(traveltasks.shout, ("soup",))
    assert kept.texts() == ["SOUP"]


def test_a_handler_that_fails_harms_no_call(
    kept: Kept, our: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(record: logging.LogRecord) -> None:
        kept.records.append(record)
        raise LookupError("no salt")

    monkeypatch.setattr(kept, "emit", fail)
    said = io.StringIO()
    monkeypatch.setattr("sys.stderr", said)
    with our.Pool(1) as pool:
        for number in range(3):
            pool.apply(log, ("kitchen", WARNING, str(number)))
    assert kept.texts() == ["0", "1", "2"]
    assert said.getvalue().count("LookupError: no salt") == 3


def test_a_record_that_cannot_be_formatted_harms_no_call(kept: Kept, our: Any) -> None:
    with our.Pool(1) as pool:
        pool.apply(log, ("kitchen", WARNING, "%d", "soup"))
        pool.apply(log, ("kitchen", WARNING, "buns"))
    assert kept.texts() == ["buns"]


def test_records_are_handled_though_nobody_waits(kept: Kept, context: Any) -> None:
    gate = context.Event()
    with context.Pool(1, keep, (gate,)) as pool:
        later = pool.apply_async(traveltasks.log_and_fail, ("soup",))
        until(lambda: kept.texts() == ["soup"])
        with pytest.raises(LookupError):
            later.get()
    with ProcessPoolExecutor(1, context, log_after, (gate,)) as executor:
        assert executor.submit(square, 3).result() == 9
        # No call is under way.
        gate.set()
        until(lambda: kept.texts() == ["soup", "after"])


def log_after(gate: Any) -> None:
    traveltasks.log_later("after", gate)


def test_what_was_logged_before_a_pool_is_joined_was_handled(kept: Kept, context: Any) -> None:
    with context.Pool(2) as pool:
        pool.map_async(functools.partial(log, "kitchen", WARNING), map(str, range(20)))
        pool.close()
        pool.join()
        assert sorted(map(int, kept.texts())) == list(range(20))


def test_a_pool_whose_workers_log_is_terminated(kept: Kept, context: Any) -> None:
    with context.Pool(2) as pool:
        calls = [pool.apply_async(traveltasks.log_for_ever) for _ in range(2)]
        until(lambda: len(kept.records) > 100)
        workers = list(pool._pool)
        pool.terminate()
        pool.join()
        assert [worker.exitcode for worker in workers] == [-signal.SIGTERM] * 2
        for call in calls:
            with pytest.raises(multiprocessing.ProcessError):
                call.get()
    assert set(kept.texts()) == {"still here"}


def test_pools_in_workers_log_by_their_workers(kept: Kept, context: Any) -> None:
    with context.Pool(1) as pool:
        inner = pool.apply(traveltasks.log_in_own_pool, ("soup",))
    assert kept.texts() == ["soup"]
    if context.get_start_method() == "fork":
        assert kept.records[0].process == inner
