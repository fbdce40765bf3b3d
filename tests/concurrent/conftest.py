"""Both implementations, and executors of all kinds."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing as stdlib_multiprocessing
import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from futuretasks import Tools, hold, meet, take
from manyhands import multiprocessing as our_multiprocessing
from manyhands._stdlib import original
from manyhands.multiprocessing import _nursery
from support import Leftovers

FUTURES = {"stdlib": "concurrent.futures", "manyhands": "manyhands.concurrent.futures"}
PROCESSES = {"stdlib": stdlib_multiprocessing, "manyhands": our_multiprocessing}
METHODS = ["fork", "forkserver", "spawn"]

#: The standard library keeps open what lies behind its barriers.
KEPT = stdlib_multiprocessing.get_context("fork").Barrier(1)

THREAD_TOOLS = SimpleNamespace(
    SimpleQueue=queue.SimpleQueue, Event=threading.Event, Barrier=threading.Barrier
)


@dataclass
class Gated:
    """An executor whose workers share a gate with the test."""

    kind: Kind
    executor: Any
    tools: Any
    workers: int

    def block(self) -> list[Any]:
        """Gives each worker something that it holds until the gate is open."""
        futures = [self.executor.submit(hold, number) for number in range(self.workers)]
        assert sorted(self.tools.said.get() for _ in futures) == list(range(self.workers))
        return futures

    def meet(self) -> list[tuple[int, int]]:
        """Waits until all workers have nothing else to do."""
        futures = [self.executor.submit(meet) for _ in range(self.workers)]
        return [future.result() for future in futures]

    def said(self) -> list[Any]:
        words = []
        while not self.tools.said.empty():
            words.append(self.tools.said.get())
        return words


@dataclass(frozen=True)
class Kind:
    """One implementation's executor of threads, or of processes of one start method."""

    owner: str
    name: str

    @property
    def is_thread(self) -> bool:
        return self.name == "thread"

    @property
    def futures(self) -> ModuleType:
        return import_module(FUTURES[self.owner])

    @property
    def context(self) -> Any:
        return PROCESSES[self.owner].get_context(self.name)

    def make(self, workers: int | None = None, **options: Any) -> Any:
        if self.is_thread:
            return self.futures.ThreadPoolExecutor(workers, **options)
        return self.futures.ProcessPoolExecutor(workers, mp_context=self.context, **options)

    def tools(self, workers: int) -> Tools:
        source = THREAD_TOOLS if self.is_thread else self.context
        return Tools(source.SimpleQueue(), source.Event(), source.Barrier(workers))

    @contextlib.contextmanager
    def gated(self, workers: int = 1, **options: Any) -> Iterator[Gated]:
        """An executor that is shut down at the end, when the gate was opened."""
        tools = self.tools(workers)
        with self.make(workers, initializer=take, initargs=(tools,), **options) as executor:
            gated = Gated(self, executor, tools, workers)
            try:
                yield gated
            finally:
                tools.gate.set()
                # Until all is put away pytest keeps what it was given.
                gated.executor = gated.tools = None


ALL_KINDS = [Kind(owner, name) for owner in FUTURES for name in ("thread", *METHODS)]


def kind_id(kind: Kind) -> str:
    return f"{kind.owner}-{kind.name}"


def kinds(*names: str, owners: Iterable[str] = tuple(FUTURES)) -> Any:
    chosen = [kind for kind in ALL_KINDS if kind.name in names and kind.owner in owners]

    @pytest.fixture(params=chosen, ids=kind_id)
    def kind(request: pytest.FixtureRequest) -> Any:
        return request.param

    return kind


#: Fixtures: executors of both implementations, and ours for what only we promise.
kind = kinds("thread", *METHODS)
quick_kind = kinds("thread", "fork")
thread_kind = kinds("thread")
process_kind = kinds(*METHODS)
fork_kind = kinds("fork")
spawn_kind = kinds("spawn")
our_process_kind = kinds(*METHODS, owners=["manyhands"])
our_fork_kind = kinds("fork", owners=["manyhands"])
our_spawn_kind = kinds("spawn", owners=["manyhands"])


def start_helpers() -> None:
    """Start the standard library's fork server and resource tracker, which serve many tests."""
    original("multiprocessing.forkserver")._forkserver.ensure_running()
    original("multiprocessing.resource_tracker")._resource_tracker.ensure_running()


def stop_helpers() -> None:
    """End what the standard library and ours would keep until the end of the program."""
    # The standard library's semaphores are gone before the process that looks after them is.
    gc.collect()
    _nursery.stop()
    stdlib_multiprocessing.active_children()
    original("multiprocessing.forkserver")._forkserver._stop()
    original("multiprocessing.resource_tracker")._resource_tracker._stop()


@pytest.fixture(scope="module", autouse=True)
def helpers() -> Iterator[None]:
    before = Leftovers.now()
    start_helpers()
    yield
    stop_helpers()
    left = Leftovers.since(before)
    assert not left, f"left behind: {left}"


@pytest.fixture(autouse=True)
def helpers_of_tests_end(nothing_is_left: None) -> Iterator[None]:
    before = set(managers())
    yield
    _nursery.stop()
    gc.collect()
    # Who looks for children that are left takes their exit status, which these wait for.
    for thread in set(managers()) - before:
        thread.join(5)


def managers() -> list[threading.Thread]:
    """The threads of the standard library that look after worker processes."""
    return list(original("concurrent.futures.process")._threads_wakeups)


@pytest.fixture(params=list(FUTURES))
def futures(request: pytest.FixtureRequest) -> ModuleType:
    """The standard library's module and ours."""
    return import_module(FUTURES[request.param])


@pytest.fixture
def ours() -> ModuleType:
    """Our module, for what only we promise."""
    return import_module(FUTURES["manyhands"])


@pytest.fixture(scope="module", params=ALL_KINDS, ids=kind_id)
def one_for_all(request: pytest.FixtureRequest) -> Iterator[Gated]:
    with request.param.gated(2) as gated:
        gated.meet()
        yield gated


@pytest.fixture
def shared(one_for_all: Gated) -> Iterator[Gated]:
    """An executor with two workers that many tests use; its gate is closed."""
    one_for_all.tools.gate.clear()
    yield one_for_all
    one_for_all.tools.gate.set()
    one_for_all.meet()
    one_for_all.said()
