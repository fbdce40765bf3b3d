"""Whoever imports a mirrored module gets ours, and the import system's ways work with it."""

import pytest


def test_every_way_to_import_gives_the_same_module(place):
    assert (
        place.code(
            """
            import sys
            assert "threading" not in sys.modules and "manyhands.threading" not in sys.modules
            import importlib, threading
            from threading import Lock
            import manyhands.threading
            from manyhands import queue as ours
            import queue
            assert threading is manyhands.threading is sys.modules["threading"]
            assert threading is importlib.import_module("threading") is __import__("threading")
            assert queue is ours is sys.modules["queue"] is importlib.import_module("queue")
            assert Lock is threading.Lock
            print(queue.__name__, threading.__name__)
            """
        )
        == "manyhands.queue manyhands.threading\n"
    )


@pytest.mark.parametrize("name", ["threading", "queue"])
def test_the_mirror_may_be_imported_before_the_name(place, name):
    place.code(
        f"""
        import sys
        from manyhands import {name} as ours
        assert "{name}" not in sys.modules
        from manyhands._stdlib import original
        import {name}
        assert {name} is ours
        assert original("{name}").__spec__.name == original("{name}").__name__ == "{name}"
        assert original("{name}") is not ours and "manyhands" not in original("{name}").__file__
        """
    )


@pytest.mark.parametrize("first", ["original", "name", "mirror"])
def test_the_original_is_the_same_whatever_came_first(place, first):
    program = f"""
        import sys
        from manyhands._stdlib import ORIGINALS, original
        if "{first}" == "original":
            original("queue")
        elif "{first}" == "name":
            import queue
        else:
            import manyhands.queue
        import manyhands.queue, queue
        assert original("queue") is original("queue")
        assert original("queue").Queue.__module__ == "queue"
        assert original("queue").Queue is not manyhands.queue.Queue
        assert queue.Empty is original("queue").Empty is manyhands.queue.Empty
        print(queue is manyhands.queue, original("queue") is queue)
        """
    assert place.code(program) == "True False\n"
    assert place.plain("program.py").stdout == "False True\n"


def test_no_module_is_imported_that_the_program_does_not_ask_for(place):
    show = "import sys; print(*sorted(m for m in sys.modules if not m.startswith('manyhands')))"
    assert place.same("-c", show).stdout
    plain = set(place.plain("-c", "import queue; " + show).stdout.split())
    assert set(place.run("-c", "import queue; " + show).stdout.split()) == plain


RACE = """
import _thread, sys, time
sys.setswitchinterval(1e-6)
got, failed = [], []
go = _thread.allocate_lock()
go.acquire()

def load(number):
    go.acquire(); go.release()
    try:
        if number % 3:
            import NAME as module
        else:
            from manyhands import NAME as module
        got.append((module, module.NEEDED))
    except BaseException as error:
        failed.append(error)

for number in range(12):
    _thread.start_new_thread(load, (number,))
go.release()
while len(got) + len(failed) < 12 or _thread._count():
    time.sleep(0.001)  # there is nothing to wait with that imports no threading
assert not failed, failed
assert len(set(got)) == 1, got
assert got[0][0] is sys.modules["NAME"] is sys.modules["manyhands.NAME"]
"""


@pytest.mark.parametrize(("name", "needed"), [("threading", "Timer"), ("queue", "ShutDown")])
def test_threads_that_import_at_once_get_the_same_finished_module(place, name, needed):
    for _ in range(20):  # as the race may be won by chance
        place.code(RACE.replace("NAME", name).replace("NEEDED", needed))


def test_an_original_that_imports_itself_in_a_circle_gets_itself(place):
    # No module of today does; those of packages will.
    place.write(
        "program.py",
        """
        import sys, types
        from importlib.machinery import SourceFileLoader

        class Circle(SourceFileLoader):
            def get_data(self, path):
                return b"import queue as again, sys\\nimport queue\\nfinished = queue is again"

        class Finder:
            @staticmethod
            def find_spec(name, path, target=None):
                if name != "queue":
                    return None
                spec = sys.meta_path[-1].find_spec(name, path)
                spec.loader, spec.cached = Circle(name, spec.origin), None
                return spec

        sys.meta_path.insert(-1, Finder)  # after the engine's
        mirror = sys.modules["manyhands.queue"] = types.ModuleType("manyhands.queue")
        from manyhands._stdlib import original
        if sys.argv[1] == "original":
            assert original("queue").finished
            assert "queue" not in sys.modules
        import queue
        assert queue is mirror and sys.modules["queue"] is mirror
        assert original("queue").finished is True
        assert type(original("queue").__spec__.loader) is Circle
        """,
    )
    for first in ("original", "name"):
        done = place.run("-B", "program.py", first)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_module_of_the_program_with_that_name_is_the_programs(place):
    place.write("queue.py", "print('mine')\nclass Mine: pass")
    program = "import queue, threading\nprint(queue.Mine, threading.__name__)"
    assert place.code(program).splitlines() == ["mine", "<class 'queue.Mine'> manyhands.threading"]
    program = "from manyhands import queue as ours\nimport queue\nprint(queue.Mine, ours.Queue)"
    assert place.code(program).splitlines() == [
        "mine",
        "<class 'queue.Mine'> <class 'manyhands.queue.Queue'>",
    ]


def test_a_finder_of_the_program_may_come_first(place):
    place.code(
        """
        import sys
        asked = []
        class Finder:
            @staticmethod
            def find_spec(name, path=None, target=None):
                asked.append(name)
        sys.meta_path.insert(0, Finder)
        import queue
        assert queue.__name__ == "manyhands.queue" and "queue" in asked
        """
    )


def test_reload_leaves_a_module_that_works(place):
    place.code(
        """
        import importlib, queue, sys, threading
        for module, name in ((queue, "queue"), (threading, "threading")):
            assert importlib.reload(module) is module is sys.modules[name]
        made = queue.Queue()
        threading.Thread(target=made.put, args=(1,)).start()
        assert made.get() == 1
        from manyhands._stdlib import original
        threading.excepthook = hook = lambda details: None
        assert original("threading").excepthook is hook
        """
    )


def test_a_fresh_import_gives_our_module_again(place):
    place.code(
        """
        import sys, queue
        before = sys.modules.pop("queue")
        import queue
        assert queue is before is sys.modules["queue"] and queue.__name__ == "manyhands.queue"
        assert queue.__spec__.name == "manyhands.queue"
        """
    )


@pytest.mark.parametrize("name", ["queue", "threading"])
def test_a_lazy_loader_gives_our_module(place, name):
    place.code(
        f"""
        import importlib.util, sys
        spec = importlib.util.find_spec("{name}")
        assert "{name}" not in sys.modules
        spec.loader = importlib.util.LazyLoader(spec.loader)
        module = importlib.util.module_from_spec(spec)
        sys.modules["{name}"] = module
        spec.loader.exec_module(module)
        assert module.__all__
        import {name}, manyhands.{name}
        assert {name} is module is manyhands.{name}
        assert {name}.__spec__.name == "manyhands.{name}"
        """
    )


def test_what_a_spec_says_is_of_the_original(place):
    place.code(
        """
        import importlib.util, sys
        spec = importlib.util.find_spec("queue")
        assert "queue" not in sys.modules
        assert spec.name == "queue" and spec.origin.endswith("/queue.py")
        assert "class PriorityQueue" in spec.loader.get_source("queue")
        """
    )


def test_the_times_of_imports_are_shown_as_with_python(place):
    done = place.run("-X", "importtime", "-c", "import queue")
    assert done.returncode == 0
    names = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines()]
    for name in ("manyhands._start", "manyhands._native", "manyhands.queue", "queue", "threading"):
        assert names.count(name) == 1


def test_classes_are_pickled_by_reference(place):
    place.code(
        """
        import pickle, queue, threading
        for kind in (queue.Queue, queue.Empty, queue.ShutDown, queue.SimpleQueue, threading.Thread,
                     threading.Timer, threading.Event, threading.BrokenBarrierError,
                     threading.current_thread, threading.RLock, threading.local):
            assert pickle.loads(pickle.dumps(kind)) is kind
        """
    )


def test_functions_of_the_standard_library_show_their_source(place):
    place.code(
        """
        import inspect, queue, threading
        assert "def run(self)" in inspect.getsource(threading.Thread.run)
        assert "def main_thread" in inspect.getsource(threading.main_thread)
        assert "class Timer" in inspect.getsource(threading.Timer)
        assert "manyhands" in inspect.getsource(threading)
        assert inspect.getmodule(threading.Thread) is threading
        assert inspect.getmembers(threading) and inspect.getdoc(queue.Queue)
        """
    )


def test_names_may_be_patched_and_come_back(place):
    place.code(
        """
        import logging, queue, threading
        from unittest import mock
        for name in ("threading.Thread", "threading.Lock", "threading.excepthook", "queue.Queue",
                     "threading._shutdown", "threading.Thread.start"):
            before = eval(name)
            with mock.patch(name) as patched:
                assert eval(name) is patched
            assert eval(name) is before, name
        with mock.patch("threading.RLock", side_effect=ZeroDivisionError):
            try:
                logging.Handler()
            except ZeroDivisionError:
                pass
            else:
                raise AssertionError("not patched where the library looks")
        """
    )


TOOLED = '''
"""
>>> import queue
>>> made = queue.Queue()
>>> made.put(1)
>>> made.get()
1
"""
import queue, threading, unittest

class Test(unittest.TestCase):
    def test_queue(self):
        made = queue.Queue()
        threading.Thread(target=made.put, args=(1,)).start()
        self.assertEqual(made.get(), 1)
        self.assertTrue(queue.Queue.__module__.startswith("manyhands"))
'''


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "unittest", "-v", "program"],
        ["-m", "doctest", "-v", "program.py"],
        ["-m", "cProfile", "-o", "profile", "program.py"],
        ["-m", "trace", "--count", "-C", "counts", "program.py"],
        ["-m", "timeit", "-n1", "-r1", "import threading, queue; queue.Queue().put(1)"],
        ["-m", "runpy", "program"],
    ],
    ids=lambda command: command[1],
)
def test_tools_of_the_standard_library_run_programs(place, command):
    place.write("program.py", TOOLED)
    done = place.run(*command)
    assert done.returncode == 0, done
    assert "Traceback" not in done.stderr


def test_a_program_may_be_debugged(place):
    place.write("program.py", "import queue, threading\nmade = queue.Queue()\nmade.put(1)\n")
    commands = "b 3\nc\np type(made)\nn\np made.get()\nq\n"
    done = place.run("-m", "pdb", "program.py", stdin=commands)
    assert "manyhands.queue.Queue" in done.stdout
    assert done.returncode == 0


def test_names_that_only_the_original_has_are_passed_on(place):
    place.code(
        """
        import threading
        from manyhands._stdlib import original
        assert threading._shutdown is original("threading")._shutdown
        assert isinstance(threading.main_thread(), threading._MainThread)
        seen = []
        threading.excepthook = lambda details: seen.append(details.exc_type)
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
        assert seen == [ZeroDivisionError]
        """
    )
