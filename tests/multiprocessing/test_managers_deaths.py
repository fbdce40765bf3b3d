"""What the server of a manager does when processes die that use it, or that it was started for."""

from __future__ import annotations

import contextlib
import os
import signal
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from manyhands.multiprocessing import get_context, managers
from manyhands.multiprocessing.synchronize import AbandonedLockWarning
from support import Hand, in_fork, killed, until

fork = get_context("fork")


@pytest.fixture
def manager() -> Iterator[Any]:
    """One over a Unix socket, as managers have them: its server knows the processes."""
    made = managers.SyncManager(ctx=fork)
    with made:
        yield weakref.proxy(made)


def is_gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


class Pipe:
    """The ends of a pipe, closed by whoever opened it here."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def say(self, text: str = "x") -> None:
        os.write(self.writer, text.encode())

    def hear(self) -> str:
        return os.read(self.reader, 100).decode()


@pytest.fixture
def pipes() -> Iterator[list[Pipe]]:
    made = [Pipe(), Pipe()]
    yield made
    for pipe in made:
        os.close(pipe.reader)
        os.close(pipe.writer)


@contextlib.contextmanager
def killed_after(pipe: Pipe, *calls: Any) -> Iterator[None]:
    """A child that makes some calls, keeps what they return, and is killed in the end."""

    def child() -> None:
        kept = [call() for call in calls]
        pipe.say()
        signal.pause()
        del kept

    with killed(child):
        pipe.hear()
        yield


@pytest.mark.parametrize("kind", ["Lock", "RLock", "Condition"])
def test_a_lock_of_a_killed_process_passes_on(manager: Any, pipes: list[Pipe], kind: str) -> None:
    lock = getattr(manager, kind)()

    def take_over() -> Any:
        with killed_after(pipes[0], lock.acquire):
            waiter = Hand(lock.acquire)
            waiter.blocks()
        return waiter.result()

    with pytest.warns(AbandonedLockWarning):
        assert take_over()


def test_objects_of_a_killed_process_are_forgotten(manager: Any, pipes: list[Pipe]) -> None:
    before = manager._number_of_objects()
    with killed_after(pipes[0], manager.list, manager.dict, manager.Queue):
        assert manager._number_of_objects() == before + 3
    until(lambda: manager._number_of_objects() == before, "the objects to be forgotten")


def test_an_object_that_others_use_outlives_a_killed_process(
    manager: Any, pipes: list[Pipe]
) -> None:
    shared = manager.list(["kept"])
    with killed_after(pipes[0], lambda: shared.append("by the child")):
        pass
    # The child's other objects are gone by then, so its references are taken back.
    in_fork(lambda: shared.append("by another"))
    assert list(shared) == ["kept", "by the child", "by another"]


def test_a_task_that_was_not_done_goes_to_another(manager: Any, pipes: list[Pipe]) -> None:
    tasks = manager.Queue(ack=True)
    for task in ("one", "two"):
        tasks.put(task)
    with killed_after(pipes[0], tasks.get):
        assert tasks.get() == "two"
        waiter = Hand(tasks.get)
        waiter.blocks()
    assert waiter.result() == "one"
    tasks.task_done()
    tasks.task_done()
    tasks.join()


def test_a_server_ends_with_who_started_it(pipes: list[Pipe]) -> None:
    def child() -> None:
        made = managers.SyncManager(ctx=fork)
        made.start()
        pipes[0].say(str(made._process.pid))
        signal.pause()

    with killed(child):
        server = int(pipes[0].hear())
        assert not is_gone(server)
    until(lambda: is_gone(server), "the server to end")


def test_a_server_serves_who_is_still_connected(pipes: list[Pipe]) -> None:
    out, back = pipes

    def user(shared: Any, server: int) -> None:
        shared.append(1)
        out.say(str(server))
        back.hear()
        shared.append(2)
        out.say(repr(list(shared)))

    def child() -> None:
        made = managers.SyncManager(ctx=fork)
        made.start()
        fork.Process(target=user, args=(made.list(), made._process.pid)).start()
        signal.pause()

    with killed(child):
        server = int(out.hear())
    back.say()
    assert out.hear() == "[1, 2]"
    until(lambda: is_gone(server), "the server to end")
