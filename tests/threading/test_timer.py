"""Timer."""

from __future__ import annotations

import time

from support import OURS, STDLIB, Engine, until


def test_it_calls_the_function_with_its_arguments_after_the_interval(engine: Engine) -> None:
    calls = []
    start = time.monotonic()
    timer = engine.threading.Timer(
        0.03, lambda *args, **kwargs: calls.append((args, kwargs)), [1], {"two": 2}
    )
    timer.start()
    timer.join()
    assert time.monotonic() - start >= 0.03
    assert calls == [((1,), {"two": 2})]
    assert timer.finished.is_set()


def test_it_can_be_cancelled(engine: Engine) -> None:
    calls: list[int] = []
    timer = engine.threading.Timer(600, calls.append, [1])
    timer.start()
    timer.cancel()
    timer.join()
    assert calls == []
    assert timer.finished.is_set()


def test_it_can_be_cancelled_before_it_starts(engine: Engine) -> None:
    calls: list[int] = []
    timer = engine.threading.Timer(0, calls.append, [1])
    timer.cancel()
    timer.start()
    timer.join()
    assert calls == []


def test_its_default_arguments_are_not_shared(engine: Engine) -> None:
    timers = [engine.threading.Timer(0, lambda *args, **kwargs: None) for _ in range(2)]
    timers[0].args.append(1)
    timers[0].kwargs["a"] = 1
    assert (timers[1].args, timers[1].kwargs) == ([], {})


def test_it_is_a_thread(engine: Engine) -> None:
    timer = engine.threading.Timer(0, print)
    assert isinstance(timer, STDLIB.threading.Thread)
    assert isinstance(timer, engine.threading.Thread)
    timer.daemon = True
    timer.name = "my timer"
    assert "my timer" in repr(timer)


def test_a_subclass_may_repeat_itself(engine: Engine) -> None:
    class Repeating(engine.threading.Timer):
        def run(self) -> None:
            while not self.finished.wait(self.interval):
                self.function(*self.args, **self.kwargs)

    calls: list[int] = []
    timer = Repeating(0.001, calls.append, [1])
    timer.start()
    until(lambda: len(calls) >= 3)
    timer.cancel()
    timer.join()


def test_ours_waits_with_our_event() -> None:
    assert isinstance(OURS.threading.Timer(0, print).finished, OURS.threading.Event)
