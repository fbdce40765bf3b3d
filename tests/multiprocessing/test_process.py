"""Processes: how they are started, waited for and ended."""

from __future__ import annotations

import os
import select
import selectors
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import children
import pytest
from manyhands import multiprocessing
from manyhands.multiprocessing import connection
from support import PATIENCE, Hand, alarm, in_fork, until, until_blocked

METHODS = ["fork", "spawn", "forkserver"]


@pytest.fixture(params=METHODS)
def context(request: pytest.FixtureRequest) -> Any:
    return multiprocessing.get_context(request.param)


@pytest.fixture
def living(context: Any) -> Iterator[Callable[[], Any]]:
    """Starts processes that live until they are told to end, or the test is over."""
    started = []

    def start(**options: Any) -> Any:
        here = context.Pipe(duplex=False)
        process = context.Process(target=here[0].recv_bytes, **options)
        process.start()
        here[0].close()
        process.let_go = lambda: here[1].send_bytes(b"go")
        started.append((process, here[1]))
        return process

    yield start
    for process, end in started:
        end.close()
        if not process._closed:
            process.kill()
            process.join(PATIENCE)
            process.close()


def run(context: Any, target: Any, *args: Any, **options: Any) -> Any:
    process = context.Process(target=target, args=args, **options)
    process.start()
    process.join(PATIENCE)
    return process


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("exit", 7),
        ("none", 0),
        ("true", 1),
        ("text", 1),
        ("_exit", 7),
        ("raise", 1),
        ("kill", -signal.SIGKILL),
        ("abort", -signal.SIGABRT),
    ],
)
def test_the_exit_code_tells_how_it_ended(context: Any, how: str, code: int) -> None:
    if how == "abort" and context.get_start_method() == "fork":
        pytest.skip("pytest's handler would write a report")
    process = run(context, children.end_by, how)
    assert process.exitcode == code
    assert process._popen.returncode == process._popen.poll() == process._popen.wait(0) == code
    process.close()


def test_nothing_runs_before_start_and_all_is_over_after_join(context: Any) -> None:
    process = context.Process(target=children.nothing, name="Cook")
    assert process.pid is process.ident is process.exitcode is None
    assert not process.is_alive()
    assert repr(process).endswith(f"parent={os.getpid()} initial>")
    with pytest.raises(ValueError, match="not started"):
        _ = process.sentinel
    process.start()
    with pytest.raises(AssertionError, match="twice"):
        process.start()
    assert process.pid == process.ident == process._popen.pid
    assert process._popen.method == context.get_start_method()
    process.join(PATIENCE)
    assert not process.is_alive()
    assert process.exitcode == 0
    assert f"pid={process.pid} parent={os.getpid()} stopped exitcode=0" in repr(process)
    process.close()
    for ask in (process.is_alive, process.join, process.terminate, process.start):
        with pytest.raises(ValueError, match="closed"):
            ask()


def test_join_gives_up_after_its_time(living: Any) -> None:
    process = living()
    begin = time.monotonic()
    for timeout in (0, 0.05, -1, 0.0):
        process.join(timeout)
        assert process.is_alive()
        assert process.exitcode is None
    assert time.monotonic() - begin >= 0.05
    with pytest.raises(ValueError, match="still running"):
        process.close()
    process.let_go()
    process.join(PATIENCE)
    assert process.exitcode == 0


def test_many_threads_may_join_one_process(living: Any) -> None:
    process = living()
    hands = [Hand(process.join).blocks() for _ in range(5)]
    hurried = [Hand(process.join, 0.01) for _ in range(5)]
    for hand in hurried:
        hand.result()
    process.let_go()
    for hand in hands:
        hand.result()
    assert process.exitcode == 0


@pytest.mark.parametrize("call", ["terminate", "kill"])
def test_it_can_be_ended(living: Any, call: str) -> None:
    process = living()
    getattr(process, call)()
    process.join(PATIENCE)
    assert process.exitcode == -{"terminate": signal.SIGTERM, "kill": signal.SIGKILL}[call]
    # It has ended: nobody gets that.
    getattr(process, call)()


def test_it_can_be_interrupted(context: Any) -> None:
    process = context.Process(target=children.sleep_quietly)
    process.start()
    until_blocked(process.pid, process.pid)
    process._popen.interrupt()
    process.join(PATIENCE)
    assert process.exitcode == 1
    process.close()


def test_a_wait_runs_signal_handlers(living: Any) -> None:
    class AsAsked(Exception):
        pass

    def handler() -> None:
        raise AsAsked

    process = living()
    with pytest.raises(AsAsked), alarm(handler):
        process.join()
    assert process.is_alive()


def test_the_sentinel_can_be_waited_for_in_any_way(living: Any) -> None:
    process = living()
    sentinel = process.sentinel
    poll, selector = select.poll(), selectors.DefaultSelector()
    poll.register(sentinel, select.POLLIN)
    selector.register(sentinel, selectors.EVENT_READ)
    assert select.select([sentinel], [], [], 0)[0] == []
    assert poll.poll(0) == selector.select(0) == connection.wait([sentinel], 0) == []
    process.let_go()
    assert select.select([sentinel], [], [], PATIENCE)[0] == [sentinel]
    assert [fd for fd, _ in poll.poll(PATIENCE)] == [sentinel]
    assert [key.fd for key, _ in selector.select(PATIENCE)] == [sentinel]
    assert connection.wait([sentinel], PATIENCE) == [sentinel]
    process.join(PATIENCE)
    # It stays readable as long as the process object is open.
    assert select.select([sentinel], [], [], 0)[0] == [sentinel]
    selector.close()


def test_active_children_are_those_who_live(living: Any) -> None:
    processes = [living() for _ in range(3)]
    assert set(processes) <= set(multiprocessing.active_children())
    processes[1].kill()
    processes[1].join(PATIENCE)
    assert processes[1] not in multiprocessing.active_children()
    assert {processes[0], processes[2]} <= set(multiprocessing.active_children())
    for process in processes:
        process.kill()
    until(lambda: not set(processes) & set(multiprocessing.active_children()), "their end")


def test_a_process_can_be_started_from_any_thread(context: Any) -> None:
    def start() -> int:
        process = run(context, children.end_by, "exit")
        code = process.exitcode
        process.close()
        return code

    hands = [Hand(lambda: [start() for _ in range(3)]) for _ in range(4)]
    assert [hand.result() for hand in hands] == [[7] * 3] * 4


def test_a_process_outlives_the_thread_that_started_it(context: Any, living: Any) -> None:
    process = Hand(living).result()
    process.join(0.05)
    assert process.is_alive()
    process.let_go()
    process.join(PATIENCE)
    assert process.exitcode == 0


def test_a_daemon_outlives_the_thread_that_started_it(context: Any, living: Any) -> None:
    process = Hand(living, daemon=True).result()
    process.join(0.05)
    assert process.is_alive()
    assert process.daemon


def test_daemons_may_not_have_children(context: Any) -> None:
    here, there = context.Pipe(duplex=False)
    process = context.Process(
        target=children.nest, args=(there, context.get_start_method(), 1), daemon=True
    )
    process.start()
    there.close()
    with pytest.raises(EOFError):
        here.recv()
    process.join(PATIENCE)
    assert process.exitcode == 1
    process.close()
    here.close()


@pytest.mark.parametrize("inner", METHODS)
def test_children_may_have_children(context: Any, inner: str) -> None:
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=children.nest, args=(there, inner, 2))
    process.start()
    there.close()
    pids = here.recv()
    process.join(PATIENCE)
    assert process.exitcode == 0
    assert len(set(pids)) == 3
    assert pids[0] == process.pid
    process.close()
    here.close()


def test_a_forked_child_has_no_say_in_its_siblings(living: Any) -> None:
    process = living()

    def child() -> None:
        assert process._popen.poll() is None
        assert process.exitcode is None
        for ask in (process.is_alive, process.join):
            with pytest.raises(AssertionError):
                ask()

    in_fork(child)
    process.let_go()
    process.join(PATIENCE)
    assert process.exitcode == 0


def test_a_program_that_forks_by_itself_can_start_processes(context: Any) -> None:
    # In the parent there is a zygote, and a reaper.
    run(context, children.nothing).close()

    def child() -> None:
        for _ in range(2):
            process = run(context, children.end_by, "exit")
            assert process.exitcode == 7
            process.close()

    in_fork(child)


def test_a_child_that_somebody_else_has_reaped_has_ended(living: Any) -> None:
    process = living()
    reaped = Hand(os.waitpid, process.pid, 0).blocks()
    process.kill()
    process.join(PATIENCE)
    # Either the program got it or we; nobody waits for ever, nobody reports another's end.
    try:
        assert reaped.result() == (process.pid, signal.SIGKILL)
        assert process.exitcode in (255, -signal.SIGKILL)
    except ChildProcessError:
        assert process.exitcode == -signal.SIGKILL


def test_thousands_of_starts_leave_nothing(context: Any) -> None:
    count = {"fork": 500, "forkserver": 500, "spawn": 200}[context.get_start_method()]
    run(context, children.nothing).close()
    before = len(os.listdir("/proc/self/fd"))
    threads = threading.active_count()
    for _ in range(count):
        process = run(context, children.nothing)
        assert process.exitcode == 0
        process.close()
    until(lambda: len(os.listdir("/proc/self/fd")) <= before, "the descriptors' end")
    assert threading.active_count() == threads


def test_many_at_once(context: Any) -> None:
    processes = [context.Process(target=children.end_by, args=("exit",)) for _ in range(40)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE)
    assert [process.exitcode for process in processes] == [7] * 40
    assert len({process.pid for process in processes}) == 40
    for process in processes:
        process.close()
