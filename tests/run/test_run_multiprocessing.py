"""A program that imports `multiprocessing`, or any module of it, gets ours, in all its children."""

import pytest
from manyhands._start_imports import SUBMODULES
from programs import environment
from support import SHARED

METHODS = ["fork", "spawn", "forkserver"]
OURS = list(SUBMODULES["multiprocessing"])


def test_every_way_to_import_gives_our_package(place):
    place.code(
        """
        import sys
        assert "multiprocessing" not in sys.modules
        import importlib, multiprocessing
        from multiprocessing import Process, queues as first
        import multiprocessing.queues
        from multiprocessing.queues import Queue
        import manyhands.multiprocessing as ours
        assert multiprocessing is ours is sys.modules["multiprocessing"]
        assert multiprocessing is importlib.import_module("multiprocessing")
        assert Process is ours.Process is ours.context.Process
        assert first is multiprocessing.queues is sys.modules["multiprocessing.queues"]
        assert first is importlib.import_module("multiprocessing.queues")
        assert first is importlib.import_module(".queues", "multiprocessing")
        assert Queue is ours.queues.Queue and Queue.__module__ == "manyhands.multiprocessing.queues"
        assert multiprocessing.__name__ == "manyhands.multiprocessing"
        assert multiprocessing.__spec__.name == "manyhands.multiprocessing"
        assert multiprocessing.queues.__spec__.name == "manyhands.multiprocessing.queues"
        """
    )


@pytest.mark.parametrize("name", OURS)
def test_a_module_of_the_package_is_ours(place, name):
    place.code(
        f"""
        import multiprocessing.{name} as module, sys
        from multiprocessing import {name} as again
        import manyhands.multiprocessing.{name} as ours
        assert module is again is ours is sys.modules["multiprocessing.{name}"]
        from manyhands._stdlib import original
        assert original("multiprocessing.{name}") is not ours
        assert original("multiprocessing.{name}").__name__ == "multiprocessing.{name}"
        assert sys.modules["multiprocessing.{name}"] is ours
        import multiprocessing
        assert multiprocessing.{name} is ours
        """
    )


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("first", ["multiprocessing", "manyhands.multiprocessing"])
def test_a_module_that_is_shared_is_the_stdlibs_and_there_is_one(place, name, first):
    place.code(
        f"""
        import sys
        import {first}.{name} as first
        import multiprocessing.{name} as module
        import manyhands.multiprocessing.{name} as ours
        assert first is module is ours
        assert ours is sys.modules["multiprocessing.{name}"]
        assert ours is sys.modules["manyhands.multiprocessing.{name}"]
        assert ours.__name__ == "multiprocessing.{name}" and "manyhands" not in ours.__file__
        """
    )


def test_the_stdlibs_modules_find_ours_beside_them(place):
    place.code(
        """
        import multiprocessing, multiprocessing.managers, concurrent.futures.process
        from multiprocessing import connection, context, pool, queues, reduction, resource_sharer
        assert pool.get_context() is context._default_context.get_context()
        assert pool.wait is connection.wait
        assert multiprocessing.managers.connection is connection
        assert reduction.context is context and resource_sharer.reduction is reduction
        assert concurrent.futures.process.mp is multiprocessing
        assert concurrent.futures.process._SafeQueue.__mro__[1] is queues.Queue
        assert multiprocessing.process.current_process is multiprocessing.current_process
        """
    )


def test_a_program_without_processes_loads_nothing_of_it(place):
    show = "import sys, queue, threading, logging; print([m for m in sys.modules if 'multi' in m])"
    assert place.run("-c", show).stdout == "[]\n"


RACE = """
import sys, threading
sys.setswitchinterval(1e-6)
gate = threading.Barrier(8)
got, failed = [], []

def load(name):
    gate.wait()
    try:
        __import__(name)
        module = sys.modules[name]
        got.append(module)
        if name == "multiprocessing":
            module.Process, module.Queue, module.get_context("spawn").Lock
        else:
            module.Queue, module.SimpleQueue
    except BaseException as error:
        failed.append(error)

names = ["multiprocessing", "multiprocessing.queues"] * 4
threads = [threading.Thread(target=load, args=(name,)) for name in names]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not failed, failed
assert len(got) == 8 and len(set(got)) == 2
"""


def test_threads_that_import_at_once_get_the_same_finished_module(place):
    for _ in range(10):  # as the race may be won by chance
        place.code(RACE)


def test_a_package_of_the_program_with_that_name_is_the_programs(place):
    place.write("multiprocessing/__init__.py", "mine = True")
    place.write("multiprocessing/queues.py", "mine = True")
    place.code(
        """
        import multiprocessing, threading
        import multiprocessing.queues
        assert multiprocessing.mine and multiprocessing.queues.mine
        assert multiprocessing.queues.__name__ == "multiprocessing.queues"
        assert threading.__name__ == "manyhands.threading"
        """
    )


def test_reload_leaves_a_package_that_works(place):
    place.code(
        """
        import importlib, multiprocessing.util, sys
        for name in ("multiprocessing", "multiprocessing.context", "multiprocessing.synchronize"):
            module = sys.modules[name] if name in sys.modules else importlib.import_module(name)
            assert importlib.reload(module) is module is sys.modules[name]
        process = multiprocessing.Process(target=print, args=("hello",))
        process.start()
        process.join()
        assert process.exitcode == 0
        """
    )


CHILD = """
import multiprocessing, os, queue, sys

class Cook(multiprocessing.Process):
    def __init__(self, place):
        super().__init__()
        self.place = place

    def run(self):
        self.place.put((multiprocessing.__name__, queue.__name__, type(self).__name__,
                        multiprocessing.get_start_method()))

def main():
    place = multiprocessing.Queue()
    cook = Cook(place)
    cook.start()
    print(*place.get())
    cook.join()
    print(cook.exitcode, cook in multiprocessing.active_children())

if __name__ == "__main__":
    if sys.argv[1:]:
        multiprocessing.set_start_method(sys.argv[1])
    main()
"""


@pytest.mark.parametrize("method", METHODS)
def test_children_are_on_the_engine(place, method):
    assert place.code(CHILD, method) == (
        f"manyhands.multiprocessing manyhands.queue Cook {method}\n0 False\n"
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("form", [["--start-method", "{}"], ["--start-method={}"]])
def test_the_command_sets_the_default_start_method(place, form, method):
    place.write("program.py", CHILD)
    done = place.run(*[word.format(method) for word in form], "-u", "program.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"manyhands.multiprocessing manyhands.queue Cook {method}\n0 False\n"


def test_a_program_may_choose_another_start_method_than_the_command(place):
    place.write("program.py", CHILD)
    done = place.run("--start-method", "fork", "--engine", "program.py", "spawn")
    assert " spawn\n" in done.stdout
    assert "the engine is on" in done.stderr


@pytest.mark.parametrize("words", [["telepathy"], [""], []])
def test_an_unknown_start_method_is_refused(place, words):
    done = place.run("--start-method", *words)
    assert done.returncode == 2
    assert "there are fork, forkserver, spawn" in done.stderr


def test_a_child_that_the_stdlib_started_finds_the_stdlib(place):
    # By the command that its own parent uses, and with that parent's kind of data.
    place.write(
        "program.py",
        """
        import multiprocessing
        def tell():
            import queue
            print(multiprocessing.__name__, queue.__name__)
        if __name__ == "__main__":
            import os
            os.environ["MANYHANDS_RUN"] = "1"  # for the child only
            child = multiprocessing.get_context("spawn").Process(target=tell)
            child.start()
            child.join()
            print(child.exitcode)
        """,
    )
    done = place.plain("program.py", env=environment())
    assert (done.stdout, done.stderr) == ("multiprocessing manyhands.queue\n0\n", "")


@pytest.mark.parametrize("before", ["", "import multiprocessing.pool as mp, multiprocessing"])
@pytest.mark.parametrize("method", METHODS)
def test_a_program_that_patches_modules_for_greenlets_gets_the_stdlibs(place, before, method):
    place.write("gevent/__init__.py", "")
    place.write("gevent/monkey.py", "")
    place.write(
        "program.py",
        f"""
        {before}
        import sys
        if {bool(before)}:
            held = multiprocessing
            __name__ == "__main__" and held.set_start_method("{method}")
        import gevent.monkey
        import multiprocessing, multiprocessing.util, multiprocessing.queues
        assert multiprocessing.__name__ == "multiprocessing"
        assert multiprocessing.Process.__module__ == "multiprocessing.context"
        assert multiprocessing.queues.Queue.__module__ == "multiprocessing.queues"
        if {bool(before)}:
            assert held.Process is multiprocessing.Process and held.util is multiprocessing.util
            assert held.queues.Queue is multiprocessing.queues.Queue
            if __name__ == "__main__":
                import manyhands.multiprocessing.synchronize as ours
                assert ours.Lock is multiprocessing.synchronize.Lock
                assert multiprocessing.get_start_method() == "{method}"
        if __name__ == "__main__":
            context = multiprocessing.get_context("{method}")
            queue = context.Queue()
            child = context.Process(target=queue.put, args=("hello",))
            child.start()
            print(queue.get())
            child.join()
            print(child.exitcode)
        """,
    )
    done = place.run("program.py")
    assert (done.returncode, done.stdout) == (0, "hello\n0\n"), done
    for line in done.stderr.splitlines():
        assert line.startswith("manyhands: gevent.monkey changes modules itself: threading")
