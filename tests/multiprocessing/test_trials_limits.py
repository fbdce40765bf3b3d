"""Limits of the system: an error names the limit, and nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import PATIENCE, run_script

METHODS = ["fork", "spawn", "forkserver"]

PREFACE = """
import os, resource, sys
from manyhands import multiprocessing

def limit(name, value):
    kind = getattr(resource, "RLIMIT_" + name)
    resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))

def refused(call):
    try:
        call()
    except (OSError, MemoryError) as error:
        return str(error)
    raise AssertionError("it was not refused")

def echo(items, answers):
    answers.put(items.get())

def is_fine(context):
    items, answers = context.Queue(), context.Queue()
    process = context.Process(target=echo, args=(items, answers))
    process.start()
    items.put(b"x" * 100_000)
    assert len(answers.get()) == 100_000
    process.join()
    assert process.exitcode == 0
    process.close()
"""


@pytest.mark.parametrize("method", METHODS)
def test_a_descriptor_above_the_limit_of_descriptors_is_no_obstacle(method: str) -> None:
    script = PREFACE + (
        "if __name__ == '__main__':\n"
        "    os.dup2(1, 200)\n"
        "    limit('NOFILE', 100)\n"
        "    is_fine(multiprocessing.get_context(sys.argv[1]))\n"
        "    print('done')\n"
    )
    assert run_script(script, method) == "done\n"


@pytest.mark.parametrize("method", METHODS)
def test_without_descriptors_the_error_names_the_limit_and_all_goes_on_with_some(
    method: str,
) -> None:
    script = PREFACE + (
        "if __name__ == '__main__':\n"
        "    context = multiprocessing.get_context(sys.argv[1])\n"
        "    is_fine(context)\n"
        "    before = len(os.listdir('/proc/self/fd'))\n"
        "    process = context.Process(target=print)\n"
        "    taken = []\n"
        "    limit('NOFILE', 64)\n"
        "    try:\n"
        "        while True: taken.append(os.open('/dev/null', os.O_RDONLY))\n"
        "    except OSError: pass\n"
        "    text = refused(process.start)\n"
        "    assert 'RLIMIT_NOFILE' in text, text\n"
        "    for number in taken: os.close(number)\n"
        "    assert len(os.listdir('/proc/self/fd')) <= before\n"
        "    is_fine(context)\n"
        "    print('done')\n"
    )
    assert run_script(script, method) == "done\n"


def test_a_file_size_limit_bounds_what_is_shared_and_is_named() -> None:
    script = PREFACE + (
        "if __name__ == '__main__':\n"
        "    import signal\n"
        "    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "    limit('FSIZE', 100 << 20)\n"
        "    items = multiprocessing.Queue()\n"
        "    items.put(b'x' * 1000)\n"
        "    text = refused(lambda: items.put(bytes(200 << 20)))\n"
        "    assert 'RLIMIT_FSIZE' in text, text\n"
        "    assert items.get() == b'x' * 1000\n"
        "    items.put(2)\n"
        "    assert items.get() == 2\n"
        "    is_fine(multiprocessing.get_context('spawn'))\n"
        "    print('done')\n"
    )
    assert run_script(script) == "done\n"


@pytest.mark.parametrize("make", ["Lock()", "Event()", "Value('i', 3)", "Condition()", "Queue()"])
def test_what_is_made_when_there_is_no_more_to_share_names_the_limit(make: str) -> None:
    script = PREFACE + (
        "if __name__ == '__main__':\n"
        "    import signal\n"
        "    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "    limit('FSIZE', 8 << 20)\n"
        "    make = lambda: multiprocessing." + make + "\n"
        "    things = [make()]\n"
        "    def make_all():\n"
        "        while True: things.append(make())\n"
        "    text = refused(make_all)\n"
        "    assert 'RLIMIT_FSIZE' in text, text\n"
        "    assert len(things) > 100\n"
        "    del things[50:]\n"
        "    things += [make() for _ in range(50)]\n"
        "    print('done')\n"
    )
    assert run_script(script) == "done\n"


def test_a_program_under_a_limit_of_address_space_runs() -> None:
    script = PREFACE + (
        "if __name__ == '__main__':\n"
        "    limit('AS', 1 << 30)\n"
        "    for method in ('fork', 'spawn', 'forkserver'):\n"
        "        is_fine(multiprocessing.get_context(method))\n"
        "    bytearray(200 << 20)\n"
        "    print('done')\n"
    )
    assert run_script(script) == "done\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a mount of its own")
@pytest.mark.parametrize("method", METHODS)
def test_children_start_without_a_proc_file_system(method: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        PREFACE + "if __name__ == '__main__':\n"
        "    assert not os.path.exists('/proc/self')\n"
        "    is_fine(multiprocessing.get_context(sys.argv[1]))\n"
        "    print('done')\n"
    )
    command = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /proc && exec "$@"', "sh"]
    if subprocess.run([*command, "true"], capture_output=True).returncode != 0:
        pytest.skip("mounts are not allowed here")
    done = subprocess.run(
        [*command, sys.executable, str(program), method],
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@pytest.mark.parametrize("method", METHODS)
def test_a_process_that_limits_its_memory_can_use_what_it_may(method: str) -> None:
    """What others share takes of the limit only what this process gets of it."""
    source = (
        PREFACE
        + f"""
def careful(items, answers):
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    limit("AS", size + (300 << 20))
    answers.put(len(bytearray(200 << 20)))
    answers.put(refused(items.get))
    answers.put(items.qsize())
    answers.put("goes on")

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    items, answers = context.Queue(), context.Queue()
    process = context.Process(target=careful, args=(items, answers))
    process.start()
    assert answers.get() == 200 << 20
    items.put(bytes(400 << 20))
    error = answers.get()
    assert "RLIMIT_AS" in error, error
    assert answers.get() == 1, "it is there for who has room"
    assert answers.get() == "goes on"
    process.join()
    assert process.exitcode == 0
    assert len(items.get()) == 400 << 20
"""
    )
    run_script(source)


@pytest.mark.parametrize(
    ("make", "calls"),
    [
        ("Queue()", ["put(1)", "qsize()", "empty()"]),
        ("JoinableQueue(1000)", ["put(1)", "qsize()", "full()", "task_done()", "join()"]),
        ("SimpleQueue()", ["put(1)", "empty()"]),
    ],
)
def test_a_queue_that_others_made_grow_beyond_a_process_says_so_and_goes_on(
    make: str, calls: list[str]
) -> None:
    source = (
        PREFACE
        + f"""
def size():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()

def careful(items, go, told):
    go.acquire()
    limit("AS", size() + (8 << 20))
    assert items.get() == 0
    for _ in range(3):
        for call in {calls}:
            text = refused(lambda: eval("items." + call))
            assert "RLIMIT_AS" in text, text
    try:
        while True:
            assert items.get() == bytes(3000)
    except OSError as error:
        assert error.errno == 12 and "RLIMIT_AS" in str(error), error
    told.release()
    go.acquire()
    limit("AS", resource.RLIM_INFINITY)
    assert items.get() == bytes(3000)
    items.put("from the child")

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    items, go, told = context.{make}, context.Semaphore(0), context.Semaphore(0)
    items.put(0)
    process = context.Process(target=careful, args=(items, go, told))
    process.start()
    # From here on new things lie where the child has not been.
    far = [context.Array("b", 20 << 20, lock=False)]
    far += [context.Array("b", (1 << 16) - 4096, lock=False) for _ in range(64)]
    far += [context.Array("b", (1 << 15) - 4096, lock=False) for _ in range(64)]
    for _ in range(40):
        items.put(bytes(3000))
    go.release()
    told.acquire()
    # Nothing is locked.
    items.put(2)
    assert items.get() == bytes(3000)
    go.release()
    process.join()
    assert process.exitcode == 0
    got = []
    while not items.empty():
        got.append(items.get())
    assert got[-2:] == [2, "from the child"] and set(got[:-2]) == {{bytes(3000)}}, got[-3:]
    print("done")
"""
    )
    assert run_script(source) == "done\n"
