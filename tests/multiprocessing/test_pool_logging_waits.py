"""Who handles what workers log never waits for ever: not for a thread that waits for it."""

from __future__ import annotations

import logging
import os
import signal
import threading
from typing import Any

import pytest
from keeping import Kept
from manyhands.multiprocessing import _logs
from pooltasks import keep, pass_gate, square
from support import Hand, until
from traveltasks import log

pytestmark = pytest.mark.usefixtures("pools_are_collected")


WARNING = logging.WARNING


def test_a_handler_may_wait_for_results_of_those_who_log(
    our: Any, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that takes the results wants a lock of the one that waits for them."""
    monkeypatch.setattr(_logs, "_PATIENCE", 0.05)
    gate = our.Event()
    with our.Pool(2, keep, (gate,)) as pool:

        def emit(record: logging.LogRecord) -> None:
            kept.records.append(record)
            if record.getMessage() == "ask":
                pool.apply(log, ("kitchen", WARNING, "asked"))

        monkeypatch.setattr(kept, "emit", emit)
        leader = Hand(pool.apply, pass_gate, (None,)).blocks()
        asks = Hand(logging.getLogger("kitchen").warning, "ask")
        asks.result()
        until(lambda: not _logs._late)
        gate.set()
        leader.result()
        # What is logged then is handled as before.
        pool.apply(log, ("kitchen", WARNING, "later"))
        assert kept.texts() == ["ask", "asked", "later"]


def test_a_handler_may_ask_its_own_pool(
    our: Any, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that handles a record, and so takes results, waits for one."""
    with our.Pool(1) as pool:
        squares = []

        def emit(record: logging.LogRecord) -> None:
            kept.records.append(record)
            squares.append(pool.apply(square, (len(squares),)))

        monkeypatch.setattr(kept, "emit", emit)
        for number in range(5):
            pool.apply(log, ("kitchen", WARNING, str(number)))
    assert kept.texts() == list("01234")
    assert squares == [0, 1, 4, 9, 16]


def test_a_signal_handler_may_wait_while_a_record_is_handled(
    our: Any, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    with our.Pool(1) as pool:
        ran = []

        def ask(number: int, frame: Any) -> None:
            ran.append(pool.apply(log, ("kitchen", WARNING, "asked")))

        def emit(record: logging.LogRecord) -> None:
            if not kept.records:
                kept.records.append(record)
                os.kill(os.getpid(), signal.SIGUSR1)
                until(lambda: ran)
            else:
                kept.records.append(record)

        monkeypatch.setattr(kept, "emit", emit)
        before = signal.signal(signal.SIGUSR1, ask)
        try:
            pool.apply(log, ("kitchen", WARNING, "soup"))
        finally:
            signal.signal(signal.SIGUSR1, before)
        assert kept.texts() == ["soup", "asked"]


def test_another_logger_does_not_wait_for_a_lock_of_logging(our: Any, kept: Kept) -> None:
    """Who configures loggers has it, and may have to wait for results."""
    name = "kitchen.known"
    logging.getLogger(name)
    held, gate = threading.Event(), threading.Event()

    def hold() -> None:
        with logging._lock:  # type: ignore[attr-defined]
            held.set()
            gate.wait()

    with our.Pool(1) as pool:
        pool.apply(square, (1,))
        holder = Hand(hold)
        held.wait()
        try:
            pool.apply(log, (name, WARNING, "soup"))
        finally:
            gate.set()
            holder.result()
    assert kept.texts() == ["soup"]
