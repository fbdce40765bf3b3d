"""Every interpreter that a program starts is on the engine, however it does that."""

import os
import sys

import pytest
from programs import OFF, ON, WHICH, environment

#: Ways to start an interpreter; each prints what the child printed.
WAYS = {
    "run": "subprocess.run([sys.executable, '-c', WHICH])",
    "shell": "subprocess.run(f'{sys.executable} -c \"{WHICH}\"', shell=True)",
    "system": "os.system(f'{sys.executable} -c \"{WHICH}\"')",
    "spawnv": "os.spawnv(os.P_WAIT, sys.executable, [sys.executable, '-c', WHICH])",
    "posix_spawn": "os.waitpid(os.posix_spawn(sys.executable,"
    " [sys.executable, '-c', WHICH], {}), 0)",
    "isolated": "subprocess.run([sys.executable, '-I', '-c', WHICH])",
    "no environment": "subprocess.run([sys.executable, '-E', '-c', WHICH])",
    "empty environment": "subprocess.run([sys.executable, '-c', WHICH], env={})",
    "isolated and empty": "subprocess.run([sys.executable, '-I', '-c', WHICH], env={})",
    "env -i": "subprocess.run(['env', '-i', sys.executable, '-c', WHICH])",
    "cleared": "os.environ.clear(); subprocess.run([sys.executable, '-c', WHICH])",
    "from a thread": "thread = threading.Thread(target=subprocess.run,"
    " args=([sys.executable, '-c', WHICH],), kwargs={'env': {}}); thread.start(); thread.join()",
    "new session": "subprocess.run([sys.executable, '-c', WHICH], env={}, start_new_session=True)",
    "execv": "os.execv(sys.executable, [sys.executable, '-c', WHICH])",
    "execve": "os.execve(sys.executable, [sys.executable, '-c', WHICH], {})",
    "grandchild": "subprocess.run([sys.executable, '-c',"
    " f'import subprocess, sys; subprocess.run([sys.executable, \"-c\", {WHICH!r}], env={{}})'],"
    " env={})",
    "asyncio": "import asyncio\n"
    "async def main(): await (await asyncio.create_subprocess_exec(sys.executable, '-c',"
    " WHICH)).wait()\n"
    "asyncio.run(main())",
    "fork": "pid = os.fork()\nif not pid: exec(WHICH); sys.stdout.flush(); os._exit(0)\n"
    "os.waitpid(pid, 0)",
    "pty": "import pty; pty.spawn([sys.executable, '-c', WHICH])",
    "the same program": "os.environ.pop('AGAIN', '') or (os.environ.update(AGAIN='1'),"
    " os.execv(sys.executable, sys.orig_argv))\nexec(WHICH)",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_child_is_on_the_engine(place, way):
    imports = f"import os, subprocess, sys, threading\nWHICH = {WHICH!r}\n"
    assert place.code(imports + WAYS[way]).replace("\r\n", "\n") == ON
    assert place.plain("program.py").stdout.replace("\r\n", "\n") == OFF


def test_a_child_of_a_parent_that_is_gone_is_on_the_engine(place):
    place.write(
        "program.py",
        f"""
        import os, sys
        reading, writing = os.pipe()
        if not os.fork():
            os.setsid()
            if not os.fork():
                os.read(reading, 1)  # until the parent has ended, and its parent has too
                os.execve(sys.executable, [sys.executable, "-c", {WHICH!r}], {{}})
            os._exit(0)
        os.wait()
        os.write(writing, b"x")
        """,
    )
    assert place.run("program.py").stdout == ON


def test_where_there_is_no_mark_the_parents_environment_tells(place):
    # The kernel's default is lost, as where it may not be set: the engine leaves it so.
    program = place.write(
        "program.py",
        f"""
        import subprocess, sys
        subprocess.run([sys.executable, "-c", {WHICH!r}], env={{}})
        again = "import os, sys; os.execv(sys.executable, [sys.executable, '-c', sys.argv[1]])"
        subprocess.run([sys.executable, "-c", again, {WHICH!r}], env={{}})
        """,
    )
    slack = 'echo 60000 > /proc/$$/timerslack_ns; exec "$@"'
    for switch, expected in (("1", ON), ("0", OFF), ("", OFF), (None, OFF)):
        done = place.call(
            ["sh", "-c", slack, "sh", sys.executable, program],
            env=environment(MANYHANDS_RUN=switch),
        )
        assert (done.stdout, done.stderr) == (2 * expected, "")


def test_the_switch_alone_starts_the_engine_and_takes_a_child_off_it(place):
    on, off = environment(MANYHANDS_RUN="1"), environment(MANYHANDS_RUN="0")
    assert place.plain("-c", WHICH, env=on).stdout == ON
    assert place.plain("-c", WHICH, env=off).stdout == OFF
    child = "import os, subprocess, sys; os.environ['MANYHANDS_RUN'] = '0';"
    child += f"subprocess.run([sys.executable, '-c', {WHICH!r}])"
    assert place.run("-c", child).stdout == OFF


def test_a_child_without_site_runs_on_the_standard_library(place):
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {WHICH!r}])"
    assert place.code(program) == OFF


def test_a_child_of_another_environment_runs_as_ever(bare, place):
    program = f"""
        import subprocess
        for environment in (None, {{}}):
            subprocess.run(["{bare.python}", "-c", {WHICH!r}], env=environment, check=True)
        """
    assert place.code(program) == OFF + OFF


def test_a_child_of_another_environment_with_the_package_is_on_its_engine(clone, place):
    show = "import queue; print(queue.__file__)"
    program = f"import subprocess; subprocess.run(['{clone.python}', '-c', {show!r}], env={{}})"
    assert place.code(program).startswith(os.fspath(clone.site))


POOL = """
import multiprocessing, os, queue, sys, threading

class Bun:
    def __init__(self, filling):
        self.filling = filling

def bite(bun):
    assert type(bun) is Bun and type(bun).__module__ == __name__
    return Bun(bun.filling.upper()), queue.Queue.__module__, threading.__name__

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(2) as pool:
        for bun, *where in pool.map(bite, [Bun("pork"), Bun("leek")]):
            print(type(bun) is Bun, bun.filling, *where)
    happened = context.Event()
    child = context.Process(target=happened.set)
    child.start()
    child.join()
    print(happened.is_set(), child.exitcode)
    with context.Manager() as manager:
        shared = manager.Queue()
        shared.put(Bun("custard"))
        print(shared.get().filling)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_every_start_method_are_on_the_engine(place, method):
    ours = place.code(POOL, method)
    assert ours.splitlines()[:2] == [
        "True PORK manyhands.queue manyhands.threading",
        "True LEEK manyhands.queue manyhands.threading",
    ]
    plain = place.plain("program.py", method).stdout
    assert ours.replace("manyhands.", "") == plain


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_pool_of_an_executor_works_from_a_module_that_is_run(place, method):
    place.write(
        "package/program.py",
        """
        import concurrent.futures, multiprocessing, queue, sys
        def work(number):
            return number * number, queue.Queue.__module__, __name__
        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[1])
            with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
                print(list(pool.map(work, range(2))))
        """,
    )
    name = "__main__" if method == "fork" else "__mp_main__"
    done = place.run("-m", "package.program", method)
    assert done.stderr == ""
    assert done.stdout == f"[(0, 'manyhands.queue', '{name}'), (1, 'manyhands.queue', '{name}')]\n"
