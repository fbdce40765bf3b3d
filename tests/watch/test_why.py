"""Programs that do not go on: what they tell of themselves, and what ends them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hanging import hanging, write
from manyhands import watch
from support import PATIENCE

#: The two mutexes of the books, and a main thread that goes on.
MUTEXES = """
mutex_a, mutex_b = LOCK(), LOCK()
both = threading.Barrier(2)
def one():
    with mutex_a:
        both.wait()
        with mutex_b:
            pass
def two():
    with mutex_b:
        both.wait()
        mutex_a.acquire()
threads = [start(one), start(two)]
"""


def run(path: Path, program: str, *args: str, deadlocks: str = "abort") -> tuple[int, str, str]:
    """The exit status, what came out, and the report."""
    environment = {**os.environ, "MANYHANDS_DEADLOCK": deadlocks}
    command = [sys.executable, str(write(path, program)), *args]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    return done.returncode, done.stdout, done.stderr


def read_until(process: subprocess.Popen[str], pattern: str) -> str:
    """What a program writes to stderr, up to the line in which that is found."""
    assert process.stderr is not None
    text = ""
    for line in process.stderr:
        text += line
        if re.search(pattern, line):
            return text
    raise AssertionError(f"there is no {pattern!r} in {text!r}")


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_two_mutexes(tmp_path: Path, kind: str) -> None:
    program = MUTEXES.replace("LOCK", f"threading.{kind}") + "for each in threads: each.join()\n"
    status, _, report = run(tmp_path, program)
    assert status == 75
    assert report.startswith("manyhands: deadlock: 2 threads wait for each other\n")
    for thread, lock, holder in (("one", "mutex_b", "two"), ("two", "mutex_a", "one")):
        found = re.search(
            rf"  thread {thread} of process \d+ has waited ([\d.]+) s in acquire\(\) of {lock} "
            rf"\({kind}\), held by thread {holder}\n"
            rf"    File \".*program.py\", line \d+, in {thread}\n"
            rf"      .*{lock}",
            report,
        )
        assert found, report
        assert float(found[1]) >= 0.9
    assert "thread MainThread" in report
    assert "for the end of thread one" in report


def test_two_plain_mutexes_while_somebody_runs(tmp_path: Path) -> None:
    program = MUTEXES.replace("LOCK", "threading.Lock")
    with hanging(tmp_path, program + "print('there', flush=True)\nsys.stdin.read()\n") as process:
        report = read_until(process, "may be released by any thread")
    assert report.startswith("manyhands: probably a deadlock: 2 threads wait for each other\n")
    assert "held by thread one" in report
    assert "held by thread two" in report
    assert "MainThread" not in report.split("(a Lock may")[0]


def test_a_reentrant_mutex_instead_is_none(tmp_path: Path) -> None:
    program = """
    mutex_a = mutex_b = threading.RLock()
    def first():
        with mutex_a:
            other.append(start(second))
            until_waited(1.3)
            with mutex_b:
                pass
    def second():
        with mutex_b:
            with mutex_a:
                pass
    other = []
    start(first).join()
    other.pop().join()
    """
    assert run(tmp_path, program) == (0, "", "")


RING = """
def work(number, locks, ready):
    with locks[number]:
        ready.wait()
        with locks[(number + 1) % 3]:
            pass

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    locks = [context.Lock() for _ in range(3)]
    ready = context.Barrier(3)
    children = [
        context.Process(target=work, args=(number, locks, ready), daemon=True)
        for number in range(3)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
"""

CHILD = """
def work(queue):
    WORK

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    queue = context.Queue(1)
    child = context.Process(target=work, args=(queue,), daemon=True)
    child.start()
    child.join()
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
class TestProcesses:
    def test_three_in_a_ring(self, tmp_path: Path, method: str) -> None:
        status, _, report = run(tmp_path, RING, method)
        assert status == 75
        assert report.startswith(
            "manyhands: deadlock: 3 threads of several processes wait for each other\n"
        )
        pattern = (
            r"thread MainThread of process (\d+) has waited [\d.]+ s in acquire\(\) of "
            r"locks\[\d\] \(Lock\), held by thread MainThread of process (\d+)\n"
        )
        waits = dict(re.findall(pattern, report))
        assert len(waits) == 3
        assert set(waits) == set(waits.values())
        assert report.count("with locks[(number + 1) % 3]:") == 3

    def test_a_child_that_waits_for_what_its_parent_would_put(
        self, tmp_path: Path, method: str
    ) -> None:
        status, _, report = run(tmp_path, CHILD.replace("WORK", "queue.get()"), method)
        assert status == 75
        assert "all hands asleep: 2 threads of several processes" in report
        assert re.search(r"in get\(\) of queue \(Queue\), which is empty\n", report)
        assert re.search(r"MainThread of process \d+ has waited .* for the end of process", report)

    def test_a_child_that_waits_for_its_parent_to_take(self, tmp_path: Path, method: str) -> None:
        work = "queue.put(1); queue.put(2)"
        status, _, report = run(tmp_path, CHILD.replace("WORK", work), method)
        assert status == 75
        assert re.search(r"in put\(\) of queue \(Queue\), which is full \(1\)\n", report)


def test_a_pool_whose_tasks_want_what_the_program_has(tmp_path: Path) -> None:
    program = """
    def begin(given):
        global lock
        lock = given
    def task(number):
        with lock:
            return number
    if __name__ == "__main__":
        context = multiprocessing.get_context("fork")
        mine = context.Lock()
        mine.acquire()
        with context.Pool(2, begin, (mine,)) as pool:
            pool.map(task, range(4))
    """
    status, _, report = run(tmp_path, program)
    assert status == 75
    assert len(re.findall(r"held by thread MainThread of process", report)) == 2
    assert "pool.map(task, range(4))" in report
    assert "helper of a pool" not in report


#: What a program waits for in vain, and what is to be told of it.
IN_VAIN: dict[str, tuple[str, str]] = {
    "event": ("never = threading.Event()\nnever.wait()", r"in wait\(\) of never \(Event\)"),
    "shared event": (
        "never = multiprocessing.Event()\nnever.wait()",
        r"in wait\(\) of never \(Event\)",
    ),
    "condition": (
        "changed = multiprocessing.Condition()\nwith changed:\n    changed.wait()",
        r"in wait\(\) of changed \(Condition\)",
    ),
    "semaphore": ("places = threading.Semaphore(0)\nplaces.acquire()", r"of places \(Semaphore\)"),
    "queue": ("jobs = queue.Queue()\nstart(jobs.get).join()", r"thread get .* of jobs \(Queue\)"),
    "attribute": (
        "class Shop:\n    def __init__(self):\n        self.door = threading.Event()\n"
        "    def enter(self):\n        self.door.wait()\nShop().enter()",
        r"of Shop\.door \(Event\)",
    ),
    "all done": (
        "jobs = queue.Queue()\njobs.put(1)\njobs.join()",
        r"in join\(\) of jobs \(Queue\)",
    ),
    "barrier": (
        "gate = threading.Barrier(3)\nfirst = start(gate.wait)\nstart(gate.wait).join()",
        r"of gate \(Barrier\)",
    ),
    "future": ("never = Future()\nnever.result()", r"in result\(\) of never \(Future\)"),
    "itself": (
        "mutex = threading.Lock()\nmutex.acquire()\nmutex.acquire()",
        r"a thread waits for itself\n.*held by thread MainThread",
    ),
    "each other's end": (
        "a = start(lambda: (time.sleep(0.1), b.join()))\nb = start(lambda: a.join())\n"
        "threading.Event().wait()",
        r"for the end of thread",
    ),
}


@pytest.mark.parametrize("what", IN_VAIN)
def test_what_nobody_brings_about(tmp_path: Path, what: str) -> None:
    program, pattern = IN_VAIN[what]
    status, _, report = run(tmp_path, program)
    assert status == 75, report
    assert report.startswith("manyhands: deadlock: ")
    assert re.search(pattern, report), report


#: What looks alike, and comes to a good end.
IN_TIME = {
    "timer": "e = threading.Event()\nthreading.Timer(1.6, e.set).start()\ne.wait()",
    "signal": (
        "e = threading.Event()\nsignal.signal(signal.SIGALRM, lambda *_: e.set())\n"
        "signal.setitimer(signal.ITIMER_REAL, 1.6)\ne.wait()"
    ),
    "limit": "threading.Event().wait(1.6)",
    "stdin": "start(sys.stdin.read).join()",
    "subprocess": (
        "import subprocess\n"
        "subprocess.run([sys.executable, '-c', 'import time; time.sleep(1.6)'], check=True)"
    ),
    "child": (
        "if __name__ == '__main__':\n"
        "    child = multiprocessing.Process(target=time.sleep, args=(1.6,))\n"
        "    child.start()\n    child.join()"
    ),
    "pool": (
        "if __name__ == '__main__':\n    with multiprocessing.Pool(2) as pool:\n"
        "        pool.map(time.sleep, [1.6, 1.6])"
    ),
    "callback": (
        "def slow(result):\n    time.sleep(1.6)\n    e.set()\n"
        "if __name__ == '__main__':\n    e = threading.Event()\n"
        "    with multiprocessing.Pool(1) as pool:\n"
        "        pool.apply_async(abs, (1,), callback=slow)\n        e.wait()"
    ),
    "executor": "with ThreadPoolExecutor(1) as pool:\n    pool.submit(time.sleep, 1.6).result()",
    "greenlets": (
        "from manyhands import gevent\nlock = threading.Lock()\nlock.acquire()\n"
        "shared = multiprocessing.Lock()\nshared.acquire()\n"
        "def free():\n    gevent.sleep(1.6)\n    lock.release()\n    shared.release()\n"
        "gevent.joinall([gevent.spawn(free), gevent.spawn(lock.acquire), "
        "gevent.spawn(shared.acquire)])"
    ),
    "coroutines": (
        "import asyncio\nfrom manyhands import asyncio as hands\n"
        "async def main():\n    with ThreadPoolExecutor(1) as pool:\n"
        "        await asyncio.wrap_future(pool.submit(time.sleep, 1.6))\nasyncio.run(main())"
    ),
    "manager": (
        "if __name__ == '__main__':\n    with multiprocessing.Manager() as manager:\n"
        "        jobs = manager.Queue()\n        threading.Timer(1.6, jobs.put, (1,)).start()\n"
        "        jobs.get()"
    ),
}


@pytest.mark.parametrize("what", IN_TIME)
def test_nobody_is_wronged(tmp_path: Path, what: str) -> None:
    with subprocess.Popen(
        [sys.executable, str(write(tmp_path, IN_TIME[what]))],
        env={**os.environ, "MANYHANDS_DEADLOCK": "abort"},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        with suppress(subprocess.TimeoutExpired):
            process.wait(1.6)
        _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")


def test_the_youngest_goes_on_with_an_error(tmp_path: Path) -> None:
    program = (
        MUTEXES.replace("LOCK", "threading.RLock")
        + """
for each in threads:
    each.join()
print("over")
"""
    )
    status, out, report = run(tmp_path, program, deadlocks="raise")
    assert (status, out) == (0, "over\n")
    assert report.count("deadlock: 2 threads wait for each other") == 1
    assert report.count("DeadlockError: nobody is left who could") == 1


def test_a_child_goes_on_with_an_error(tmp_path: Path) -> None:
    status, _, report = run(
        tmp_path, CHILD.replace("WORK", "queue.get()"), "fork", deadlocks="raise"
    )
    assert status == 0
    assert "DeadlockError" in report


def test_a_join_is_not_what_goes_on_with_an_error(tmp_path: Path) -> None:
    program = """
    never = threading.Event()
    def waiter():
        never.wait()
    def joiner():
        start(waiter).join()
    start(joiner).join()
    print("over")
    """
    status, out, report = run(tmp_path, program, deadlocks="raise")
    assert (status, out) == (0, "over\n")
    assert re.search(r"in waiter\n    never\.wait\(\)\n(.*\n)*.*DeadlockError: ", report), report


def test_nothing_is_told_if_nobody_asks(tmp_path: Path) -> None:
    program = """
    def end():
        time.sleep(2)
        os._exit(3)
    start(end)
    lock = threading.RLock()
    start(lock.acquire).join()
    lock.acquire()
    """
    assert run(tmp_path, program, deadlocks="off") == (3, "", "")
    status, _, report = run(tmp_path, program, deadlocks="report")
    assert status == 3
    assert "held by a thread that has ended" in report


def ask(*arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "manyhands", "why", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    return done.returncode, done.stdout, done.stderr


def test_another_program_is_asked(tmp_path: Path) -> None:
    program = """
    lock = threading.Lock()
    def holder():
        with lock:
            sys.stdin.read()
    def waiter():
        with lock:
            pass
    start(holder)
    start(waiter)
    until_told("lock (Lock), held by", "thread holder")
    print("there", flush=True)
    sys.stdin.read()
    """
    with hanging(tmp_path, program) as process:
        status, report, errors = ask(str(process.pid))
    assert (status, errors) == (0, "")
    assert report.startswith("No deadlock: whoever waits may still be woken.\n")
    assert re.search(r"thread waiter .* of lock \(Lock\), held by thread holder\n", report)
    assert "thread MainThread" in report
    assert "sys.stdin.read()" in report
    assert ask(str(process.pid)) == (1, "", f"manyhands: there is no process {process.pid}\n")


def test_who_cannot_be_asked() -> None:
    status, out, errors = ask(str(os.getppid()))
    assert (status, out) == (1, "")
    assert "does not run on Manyhands" in errors
    assert ask("tea") == (
        2,
        "",
        "usage: manyhands why [--json] [PID]\nmanyhands: 'tea' is no number of a process\n",
    )


def test_a_stopped_process_is_told_of(tmp_path: Path) -> None:
    program = """
    if __name__ == "__main__":
        child = multiprocessing.get_context("fork").Process(
            target=threading.Event().wait, args=(60,), daemon=True
        )
        child.start()
        until_told("in wait() of", "Event")
        os.kill(child.pid, signal.SIGSTOP)
        print("there", flush=True)
        child.join()
    """
    with hanging(tmp_path, program) as process:
        status, report, _ = ask(str(process.pid))
    assert status == 0
    assert re.search(r"process \d+ does not answer: it is stopped", report)


def test_a_program_that_is_asked_while_it_ends(tmp_path: Path) -> None:
    program = "until_told('thread', 'MainThread')\nprint(os.getpid(), flush=True)\n"
    file = write(tmp_path, program)
    for _ in range(20):
        process = subprocess.Popen(
            [sys.executable, str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        with suppress(OSError):
            while True:
                watch.why(pid)
        _, errors = process.communicate(timeout=PATIENCE)
        assert (process.returncode, errors) == (0, "")


def test_greenlets_are_shown(tmp_path: Path) -> None:
    program = """
    from manyhands import gevent
    shared = multiprocessing.Lock()
    shared.acquire()
    def waiter():
        shared.acquire()
    def sleeper():
        gevent.sleep(60)
    def tell():
        words = " ".join(["in acquire() of", "shared"])
        while words not in watch.why():
            gevent.sleep(0.01)
        print("there", flush=True)
        gevent.sleep(60)
    gevent.joinall([gevent.spawn(each) for each in (waiter, sleeper, tell)])
    """
    with hanging(tmp_path, program) as process:
        status, report, _ = ask(str(process.pid))
    assert status == 0
    assert report.startswith("No deadlock")
    assert re.search(r"greenlet .* has waited [\d.]+ s in acquire\(\) of shared \(Lock\)", report)
    assert "in sleeper\n      gevent.sleep(60)" in report


def test_this_program_is_asked() -> None:
    report = watch.why()
    assert f"process {os.getpid()}" in report
    assert "test_this_program_is_asked" in report
    with pytest.raises(OSError, match="there is no process 4194999"):
        watch.why(4194999)


def test_bad_words() -> None:
    with pytest.raises(ValueError, match="deadlocks can be 'report', 'raise', 'abort' or 'off'"):
        watch.set_deadlocks("never")


def test_a_forked_child_has_an_agent_of_its_own(tmp_path: Path) -> None:
    program = """
    import warnings
    # From 3.12 on Python warns of forks of a process with threads, whatever threads they are.
    warnings.simplefilter("ignore", DeprecationWarning)
    before = set(os.listdir("/proc/self/fd"))
    threading.Event().wait(1.2)
    pid = os.fork()
    if not pid:
        own = set(os.listdir("/proc/self/fd"))
        # Nothing of the parent's agent: what is more is of listdir() itself.
        assert len(own) <= len(before), (before, own)
        threading.Event().wait(1.2)
        from manyhands import watch
        assert f"process {os.getpid()}" in watch.why(os.getpid())
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    """
    assert run(tmp_path, program) == (0, "", "")
