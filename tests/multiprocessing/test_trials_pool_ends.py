"""Pools of processes: their workers, and how both end."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pooltasks
import pytest
from manyhands.multiprocessing import pool as pools
from pooltasks import keep, square
from shared_locks import Stop, finish
from support import PATIENCE, Hand, alarm, has_ended, in_fork, kill_group, run_file, until

METHODS = ["fork", "forkserver", "spawn"]
PREFIXES = {"fork": "Fork", "forkserver": "ForkServer", "spawn": "Spawn"}
NAMES = ["multiprocessing", "manyhands.multiprocessing"]


pytestmark = pytest.mark.usefixtures("pools_are_collected")


of_both = pytest.mark.parametrize("name", NAMES, ids=["stdlib", "manyhands"])

#: All that is asked of a pool.
CALLS: dict[str, Callable[[Any], Any]] = {
    "apply": lambda pool: pool.apply(square, (1,)),
    "apply_async": lambda pool: pool.apply_async(square, (1,)),
    "map": lambda pool: pool.map(square, [1]),
    "map_async": lambda pool: pool.map_async(square, [1]),
    "starmap": lambda pool: pool.starmap(square, [(1,)]),
    "starmap_async": lambda pool: pool.starmap_async(square, [(1,)]),
    "imap": lambda pool: pool.imap(square, [1]),
    "imap in chunks": lambda pool: pool.imap(square, [1], 2),
    "imap_unordered": lambda pool: pool.imap_unordered(square, [1]),
    "imap_unordered in chunks": lambda pool: pool.imap_unordered(square, [1], 2),
}


def assert_not_running(pool: Any) -> None:
    for call in CALLS.values():
        with pytest.raises(ValueError, match="Pool not running"):
            call(pool)
    with pytest.raises(ValueError, match="Pool not running"), pool:
        raise AssertionError("it was entered")


def test_a_closed_pool_takes_nothing_and_does_what_it_has_taken(mp: Any) -> None:
    go = mp.Event()
    with mp.Pool(2, keep, (go,)) as pool:
        results = pool.map_async(pooltasks.pass_gate, range(10), 1)
        ordered = pool.imap(square, range(100))
        chunked = pool.imap_unordered(square, range(100), 7)
        single = pool.apply_async(square, (3,))
        pool.close()
        assert_not_running(pool)
        joining = Hand(pool.join).blocks()
        go.set()
        joining.result()
        assert results.get(0) == list(range(10))
        assert list(ordered) == sorted(chunked) == [number * number for number in range(100)]
        assert single.get(0) == 9
        pool.close()
        pool.join()


def test_a_closed_pool_takes_the_items_of_imap_that_are_yet_to_come(mp: Any) -> None:
    go = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        go.wait(PATIENCE)
        yield 2

    with mp.Pool(1) as pool:
        results = pool.imap(square, items())
        assert next(results) == 1
        pool.close()
        joining = Hand(pool.join).blocks()
        go.set()
        joining.result()
        assert list(results) == [4]


def test_a_closed_pool_does_all_of_imap_though_nobody_takes_results(mp: Any) -> None:
    for call in ("imap", "imap_unordered"):
        for size in (1, 3):
            with mp.Pool(2) as pool:
                results = getattr(pool, call)(square, (number for number in range(500)), size)
                pool.close()
                pool.join()
                assert sorted(results) == [number * number for number in range(500)]


def test_a_pool_that_runs_cannot_be_joined(pool: Any) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="Pool is still running"):
            pool.join()
    assert pool.apply(square, (3,)) == 9


def test_joining_can_be_interrupted(mp: Any) -> None:
    def stop() -> None:
        raise Stop

    go = mp.Event()
    with mp.Pool(1, keep, (go,)) as pool:
        result = pool.apply_async(pooltasks.pass_gate, (1,))
        pool.close()
        with pytest.raises(Stop), alarm(stop):
            pool.join()
        go.set()
        pool.join()
        assert result.get(0) == 1


@pytest.mark.patience(120)
def test_workers_of_a_closed_pool_end_well(context: Any, tmp_path: Path) -> None:
    pool = context.Pool(2)
    workers = list(pool._pool)
    pool.map(pooltasks.at_exit_write, [str(tmp_path / "ends")] * 8, 1)
    pool.close()
    pool.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    ended = {int(line) for line in (tmp_path / "ends").read_text().splitlines()}
    assert ended
    assert ended <= {worker.pid for worker in workers}


def test_a_terminated_pool_has_no_workers_and_takes_nothing(context: Any) -> None:
    said, go = context.SimpleQueue(), context.Event()
    pool = context.Pool(2, keep, (said, go))
    workers = list(pool._pool)
    for number in range(20):
        pool.apply_async(pooltasks.say_and_pass_gate, (number,))
    # Both are busy.
    assert {said.get(), said.get()} == {0, 1}
    pool.terminate()
    assert not any(worker.is_alive() for worker in workers)
    assert [worker.exitcode for worker in workers] == [-signal.SIGTERM] * 2
    assert_not_running(pool)
    for _ in range(2):
        pool.join()
        pool.terminate()
        pool.close()


def test_an_idle_pool_can_be_terminated(context: Any) -> None:
    pool = context.Pool(2)
    workers = list(pool._pool)
    pool.terminate()
    assert not any(worker.is_alive() for worker in workers)
    pool.join()


def test_a_closed_pool_can_be_terminated(mp: Any) -> None:
    said, go = mp.SimpleQueue(), mp.Event()
    pool = mp.Pool(1, keep, (said, go))
    workers = list(pool._pool)
    pool.map_async(pooltasks.say_and_pass_gate, range(5), 1)
    assert said.get() == 0
    pool.close()
    pool.terminate()
    assert not any(worker.is_alive() for worker in workers)
    pool.join()


def test_terminating_ends_a_join_in_another_thread(mp: Any) -> None:
    said, go = mp.SimpleQueue(), mp.Event()
    pool = mp.Pool(1, keep, (said, go))
    pool.apply_async(pooltasks.say_and_pass_gate, (1,))
    assert said.get() == 1
    pool.close()
    joining = Hand(pool.join).blocks()
    pool.terminate()
    joining.result()


def test_a_with_statement_terminates(mp: Any) -> None:
    said, go = mp.SimpleQueue(), mp.Event()
    with mp.Pool(2, keep, (said, go)) as pool:
        workers = list(pool._pool)
        pool.apply_async(pooltasks.say_and_pass_gate, (1,))
        assert said.get() == 1
    assert not any(worker.is_alive() for worker in workers)
    assert_not_running(pool)
    with pytest.raises(ZeroDivisionError), mp.Pool(1) as pool:
        pool.apply(pooltasks.fail)
    assert_not_running(pool)


def test_a_pool_says_how_it_is(module: Any) -> None:
    pool_class = import_module(f"{module.__name__}.pool").Pool
    name = re.escape(f"{pool_class.__module__}.{pool_class.__qualname__}")
    pool = module.get_context("fork").Pool(2)
    assert re.fullmatch(f"<{name} state=RUN pool_size=2>", repr(pool))
    pool.close()
    assert re.fullmatch(rf"<{name} state=CLOSE pool_size=\d>", repr(pool))
    pool.join()
    pool.terminate()
    assert re.fullmatch(rf"<{name} state=TERMINATE pool_size=\d>", repr(pool))


def test_a_pool_cannot_be_pickled(mp: Any) -> None:
    with mp.Pool(1) as pool:
        for call in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(NotImplementedError, match="cannot be passed between processes"):
                call(pool)
        with pytest.raises(NotImplementedError, match="cannot be passed between processes"):
            pool.apply(pooltasks.identity, (pool,))
        assert pool.apply(square, (3,)) == 9


def drop(things: list[Any]) -> None:
    things.clear()
    gc.collect()


def test_a_pool_that_is_forgotten_warns_and_ends(mp: Any) -> None:
    pool = mp.Pool(2)
    workers = list(pool._pool)
    assert pool.apply(square, (3,)) == 9
    pools = [pool]
    del pool
    with pytest.warns(ResourceWarning, match=r"unclosed running multiprocessing pool <.*RUN"):
        drop(pools)
    until(lambda: not any(worker.is_alive() for worker in workers))


def test_a_pool_that_was_closed_or_terminated_does_not_warn(mp: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for end in ("close", "terminate"):
            pool = mp.Pool(1)
            getattr(pool, end)()
            pool.join()
            del pool
            gc.collect()
        pool = mp.Pool(1)
        workers = list(pool._pool)
        pool.close()
        del pool
        gc.collect()
    until(lambda: not any(worker.is_alive() for worker in workers))


def test_what_has_begun_is_done_also_if_the_pool_is_forgotten(mp: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        go = mp.Event()
        for call in ("map_async", "imap", "imap_unordered"):
            pool = mp.Pool(1, keep, (go,))
            result = getattr(pool, call)(pooltasks.pass_gate, range(5))
            del pool
            gc.collect()
            go.set()
            assert (result.get() if call == "map_async" else list(result)) == list(range(5))
            go.clear()
            del result
            gc.collect()


def test_an_initializer_is_called_in_each_worker(context: Any) -> None:
    pids = context.SimpleQueue()
    with context.Pool(3, pooltasks.put_pid, (pids,)) as pool:
        assert {pids.get() for _ in range(3)} == {worker.pid for worker in pool._pool}
        pool.close()
        pool.join()
    assert pids.empty()


def test_workers_have_what_the_initializer_was_given(context: Any) -> None:
    with context.Pool(2, initializer=keep, initargs=[1, "two"]) as pool:
        assert pool.map(call_kept, range(6), 1) == [(1, "two")] * 6


def call_kept(ignored: int) -> Any:
    return pooltasks.kept()


def test_workers_are_processes_of_their_context(context: Any) -> None:
    method = context.get_start_method()
    barrier = context.Barrier(2)
    with context.Pool(2, keep, (barrier,)) as pool:
        assert len(pool._pool) == pool._processes == 2
        for worker in pool._pool:
            assert isinstance(worker, context.Process)
            assert re.fullmatch(rf"{PREFIXES[method]}PoolWorker-\d+", worker.name)
            assert worker.daemon
            assert worker.is_alive()
            assert worker.exitcode is None
        assert set(pool._pool) <= set(context.active_children())
        pids = {worker.pid for worker in pool._pool}
        assert len({worker.name for worker in pool._pool}) == len(pids) == 2
        assert set(pool.map(pooltasks.meet, range(2), 1)) == pids
        about = pool.apply(pooltasks.about_me)
        [me] = [worker for worker in pool._pool if worker.pid == about["pid"]]
        assert about == {
            "name": me.name,
            "pid": me.pid,
            "daemon": True,
            "parent": os.getpid(),
            "main thread": True,
            "children": [],
        }
        with pytest.raises(AssertionError, match="daemonic processes are not allowed"):
            pool.apply(pooltasks.start_child, ("fork",))


def test_the_first_worker_has_the_number_one(tmp_path: Path) -> None:
    source = """
import sys
from importlib import import_module
multiprocessing = import_module(sys.argv[1])
if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(*(worker.name for worker in pool._pool))
"""
    for name in NAMES:
        assert run_file(tmp_path / "program.py", source, name).splitlines() == [
            "ForkPoolWorker-1 ForkPoolWorker-2",
            "SpawnPoolWorker-3 SpawnPoolWorker-4",
            "ForkServerPoolWorker-5 ForkServerPoolWorker-6",
        ]


def test_without_a_number_there_is_a_worker_for_each_processor(
    mp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (3, None):
        for function in ("cpu_count", "process_cpu_count"):
            monkeypatch.setattr(os, function, lambda number=number: number, raising=False)
        with mp.Pool() as pool:
            expected = number or 1
            if isinstance(pool, pools.Pool):
                # Ours has no more than can run at a time.
                expected = min(expected, len(os.sched_getaffinity(0)))
            assert len(pool._pool) == pool._processes == expected


def test_a_worker_that_has_done_its_tasks_is_replaced(context: Any) -> None:
    pids = context.SimpleQueue()
    with context.Pool(1, pooltasks.put_pid, (pids,), maxtasksperchild=2) as pool:
        first = [pool.apply(pooltasks.pid) for _ in range(6)]
        assert first[::2] == first[1::2]
        assert len(set(first)) == 3
        # A chunk is one task.
        later = pool.map(pooltasks.pid, range(10), 5)
        assert len(set(later)) == 1
        assert later[0] not in first
        used = list(dict.fromkeys([*first, *later]))
        assert [pids.get() for _ in used] == used
        until(lambda: [worker.pid for worker in pool._pool] == [pids_next(pids, used)])


def pids_next(pids: Any, used: list[int]) -> int:
    if not pids.empty():
        used.append(pids.get())
    return used[-1]


def test_workers_are_replaced_while_a_closed_pool_has_tasks(mp: Any) -> None:
    with mp.Pool(2, maxtasksperchild=1) as pool:
        ordered = pool.imap(pooltasks.pid, range(6))
        result = pool.map_async(pooltasks.pid, range(6), 1)
        pool.close()
        pool.join()
        assert len({*ordered, *result.get(0)}) == 12


def test_a_replaced_worker_has_a_new_name_and_the_old_one_ended_well(mp: Any) -> None:
    with mp.Pool(1, maxtasksperchild=1) as pool:
        [first] = pool._pool
        about = pool.apply(pooltasks.about_me)
        assert about["name"] == first.name
        number = int(first.name.rpartition("-")[2])
        assert pool.apply(pooltasks.about_me)["name"] == f"ForkPoolWorker-{number + 1}"
        assert first.exitcode == 0
        # The first was replaced before the second one could answer.
        assert first not in pool._pool


class Outsider:
    """As the class of processes: no daemons, whatever a pool wants."""

    @property
    def daemon(self) -> bool:
        return False

    @daemon.setter
    def daemon(self, value: bool) -> None:
        pass


def test_a_context_may_have_a_class_of_processes(module: Any) -> None:
    kind = type(module.get_context("fork"))
    Free = type("Free", (Outsider, kind.Process), {})
    pool_class = import_module(f"{module.__name__}.pool").Pool

    class Nestable(pool_class):  # type: ignore[misc,valid-type]
        def __init__(self, *args: Any, **kwds: Any) -> None:
            kwds["context"] = type("FreeContext", (kind,), {"Process": Free})()
            super().__init__(*args, **kwds)

    with Nestable(1) as pool:
        assert not pool.apply(pooltasks.about_me)["daemon"]
        assert pool.apply(pooltasks.start_child, ("fork",)) == 3
        assert pool.apply(pooltasks.use_own_pool, (square, [1, 2])) == [1, 4]
        assert type(pool._pool[0]) is Free


def test_a_subclass_may_make_the_workers(module: Any) -> None:
    pool_class = import_module(f"{module.__name__}.pool").Pool
    context = module.get_context("fork")
    made: list[Any] = []

    class Named(pool_class):  # type: ignore[misc,valid-type]
        @staticmethod
        def Process(ctx: Any, *args: Any, **kwds: Any) -> Any:
            assert ctx is context
            made.append(ctx.Process(*args, name="Cook", **kwds))
            return made[-1]

    class Free(pool_class):  # type: ignore[misc,valid-type]
        def Process(self, *args: Any, **kwds: Any) -> Any:
            worker = super().Process(*args, **kwds)
            worker.__class__ = type("Free", (Outsider, type(worker)), {})
            return worker

    with Named(2, context=context) as pool:
        assert pool.apply(pooltasks.about_me)["name"] == "Cook"
        assert pool._pool == made
    with Free(1, context=context) as pool:
        assert pool.apply(pooltasks.start_child, ("fork",)) == 3
    made.clear()


def test_a_subclass_may_change_the_calls(module: Any) -> None:
    pool_class = import_module(f"{module.__name__}.pool").Pool
    asked: list[Any] = []

    class Noting(pool_class):  # type: ignore[misc,valid-type]
        def apply_async(self, func: Any, args: Any = (), kwds: Any = None, *more: Any) -> Any:
            asked.append((func, tuple(args)))
            return super().apply_async(func, args, kwds or {}, *more)

        def map(self, func: Any, iterable: Any, chunksize: Any = None) -> Any:
            asked.append("map")
            return super().map(func, iterable, chunksize)

    with Noting(1, context=module.get_context("fork")) as pool:
        # What waits is made of what does not.
        assert pool.apply(square, (3,)) == 9
        assert pool.apply_async(square, (4,)).get() == 16
        assert pool.map(square, [5]) == [25]
        assert asked == [(square, (3,)), (square, (4,)), "map"]
        assert repr(pool).startswith(f"<{__name__}.test_a_subclass_may_change_the_calls.<locals>.")
        pool.close()
        pool.join()


def test_a_forked_child_may_have_a_pool_beside_that_of_its_parent(mp: Any) -> None:
    def use_another() -> None:
        with mp.Pool(2) as own:
            assert own.map(square, range(20)) == [number * number for number in range(20)]
            own.close()
            own.join()

    with mp.Pool(2) as pool:
        assert pool.apply(square, (3,)) == 9
        in_fork(use_another)
        process = mp.Process(target=use_another)
        process.start()
        assert pool.map(square, range(20), 1) == [number * number for number in range(20)]
        finish(process)
        assert pool.apply(square, (3,)) == 9
        assert len(pool._pool) == 2


def test_a_forked_child_that_ends_leaves_the_pool_of_its_parent_alone(mp: Any) -> None:
    with mp.Pool(2) as pool:
        pids = {worker.pid for worker in pool._pool}
        process = mp.Process(target=gc.collect)
        process.start()
        finish(process)
        in_fork(lambda: None)
        assert pool.map(square, range(20), 1) == [number * number for number in range(20)]
        assert {worker.pid for worker in pool._pool} == pids


PROGRAM = """
import os, signal, sys
from importlib import import_module
multiprocessing = import_module(sys.argv[1])
context = multiprocessing.get_context(sys.argv[2])

def ready(*things):
    global said
    said, = things

def ready_and_deaf(*things):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ready(*things)

def stay(number):
    said.put(os.getpid())
    signal.pause()

def square(number):
    return number * number

def make(count, initializer=ready):
    global pool, said
    said = context.SimpleQueue()
    pool = context.Pool(count, initializer, (said,))
    return pool

def tell():
    print(*(worker.pid for worker in pool._pool), flush=True)
"""

ENDS = {
    "open": "make(2); print(pool.apply(square, (3,))); tell()",
    "never used": "make(2); tell()",
    "closed": "make(2); print(pool.map_async(square, [1, 2]).get()); pool.close(); tell()",
    "closed with tasks": "make(1).map_async(stay, range(9), 1); said.get(); pool.close(); tell()",
    "with tasks": "make(2).map_async(stay, range(9), 1); said.get(), said.get(); tell()",
    "with results": "r = make(2).map_async(square, range(1000)); r.wait(); tell()",
    "in a function": "(lambda own: tell())(make(2)); r = pool.apply_async(abs, (1,)); r.get()",
    "after an exit": "make(2).apply_async(stay, (1,)); said.get(); tell(); sys.exit()",
    "in a reference to itself": "make(2); pool.me = pool; tell(); del pool",
}


def in_some_ways(hows: dict[str, str], *others: str) -> pytest.MarkDecorator:
    """All of them in programs that fork; these also in those with other start methods."""
    ways = [("fork", how) for how in hows]
    ways += [(method, how) for method in METHODS[1:] for how in others]
    return pytest.mark.parametrize(("method", "how"), ways)


@of_both
@in_some_ways(ENDS, "open", "closed with tasks", "with tasks")
def test_an_interpreter_ends_whatever_its_pool_does(
    tmp_path: Path, name: str, method: str, how: str
) -> None:
    source = f"{PROGRAM}\nif __name__ == '__main__':\n    {ENDS[how]}\n"
    out = run_file(tmp_path / "program.py", source, name, method).splitlines()
    pids = [int(word) for word in out[-1].split()]
    assert pids
    until(lambda: all(has_ended(pid) for pid in pids))


WAITS = {
    "map": "pool.map(stay, range(8), 1)",
    "get": "pool.map_async(stay, range(8), 1).get(1000)",
    "imap": "list(pool.imap(stay, range(8)))",
    "apply": "pool.apply_async(stay, (0,)), pool.apply(stay, (1,))",
}


@of_both
@in_some_ways(WAITS, "map")
@pytest.mark.parametrize("initializer", ["ready", "ready_and_deaf"])
def test_ctrl_c_ends_a_program_that_maps(
    tmp_path: Path, name: str, method: str, how: str, initializer: str
) -> None:
    # A thread, for the main one waits for results.
    source = f"""{PROGRAM}
import threading
def tell_when_busy():
    said.get(), said.get()
    tell()

if __name__ == "__main__":
    with make(2, {initializer}):
        threading.Thread(target=tell_when_busy).start()
        {WAITS[how]}
"""
    (tmp_path / "program.py").write_text(source)
    with subprocess.Popen(
        [sys.executable, "program.py", name, method],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as program:
        try:
            assert program.stdout is not None
            pids = [int(pid) for pid in program.stdout.readline().split()]
            assert len(pids) == 2
            os.killpg(program.pid, signal.SIGINT)
            _, err = program.communicate(timeout=PATIENCE)
            until(lambda: all(has_ended(pid) for pid in pids))
        finally:
            kill_group(program.pid)
    assert program.returncode == -signal.SIGINT
    assert err.splitlines()[-1] == "KeyboardInterrupt"
