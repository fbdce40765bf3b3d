"""What the engine says on stderr: the table of `--engine`, and why it does not mirror a module."""

import re

import pytest
from programs import COMMAND, OFF, ON, SITE, WHICH, environment


def rows(text):
    """The table: name -> (source, path)."""
    head, *lines = text.splitlines()
    assert re.fullmatch(r"manyhands: the engine is on in \S+ \(Python \d+\.\d+\.\d+\)", head)
    found = {}
    for line in lines:
        name, source, *path = re.split(r"\s{2,}", line.strip())
        found[name] = (source, *path)
    return found


def test_the_table_says_where_each_module_comes_from(place):
    done = place.run("--engine", "-c", "import queue; print(queue.__file__)")
    assert done.returncode == 0
    table = rows(done.stderr)
    assert list(table) == [
        "threading",
        "queue",
        "multiprocessing",
        "concurrent.futures",
        "gevent",
        "paramiko",
    ]
    for name in ("threading", "queue"):
        assert table[name] == ("manyhands", f"{SITE}/manyhands/{name}.py")
    assert done.stdout.strip() == table["queue"][1]
    for name in ("multiprocessing", "concurrent.futures"):
        package = f"{SITE}/manyhands/{name.replace('.', '/')}/__init__.py"
        assert table[name] == ("manyhands", package)
    for name in ("gevent", "paramiko"):
        assert table[name] == ("manyhands", f"{SITE}/manyhands/{name}/__init__.py")


def test_the_table_is_told_to_the_first_process_only(place):
    place.write(
        "program.py",
        f"""
        import os, subprocess, sys
        subprocess.run([sys.executable, "-c", {WHICH!r}])
        subprocess.run([sys.executable, "-c", {WHICH!r}], env={{}})
        assert "--engine" not in sys.orig_argv
        os.execv(sys.executable, [sys.executable, "-c", {WHICH!r}])
        """,
    )
    for arguments in (["--engine", "program.py"], ["-u", "--engine", "-B", "program.py"]):
        done = place.run(*arguments)
        assert done.stdout == ON * 3
        assert done.stderr.count("the engine is on") == 1
        rows(done.stderr)


def test_the_table_names_a_module_of_the_program(place):
    place.write("mine/queue.py", "class Queue: pass")
    path = environment(PYTHONPATH=str(place.folder / "mine"))
    table = rows(place.run("--engine", "-c", "pass", env=path).stderr)
    assert table["queue"] == ("the program's own", f"{place.folder}/mine/queue.py")
    assert table["threading"][0] == "manyhands"


def test_the_table_imports_nothing(place):
    show = "import sys; print(*sorted(m for m in sys.modules if not m.startswith('manyhands')))"
    assert place.run("--engine", "-c", show).stdout == place.plain("-c", show).stdout


@pytest.mark.parametrize(
    ("line", "names", "by"),
    [
        ("import threading", ["threading"], ""),
        ("import queue, threading", ["threading", "queue"], ""),
        ("import patcher", ["threading"], " (it seems by patcher)"),
    ],
)
def test_modules_that_were_imported_before_are_left_alone_with_one_line(clone, line, names, by):
    (clone.site / "00-a.pth").write_text(line + "\n")
    (clone.site / "patcher.py").write_text(
        "import threading\nclass Patched(threading.Thread): pass\nthreading.Thread = Patched\n"
    )
    show = "import queue, threading; print(threading.Thread, queue.__name__, threading.__name__)"
    done = clone.run("-c", show)
    were, they = ("was", "it stays") if len(names) == 1 else ("were", "they stay")
    assert done.stderr == (
        f"manyhands: {' and '.join(names)} {were} imported before the engine could start{by}; "
        f"{they} the standard library's\n"
    )
    thread = "patcher.Patched" if by else "threading.Thread"
    queue = "queue" if "queue" in names else "manyhands.queue"
    assert done.stdout == f"<class '{thread}'> {queue} threading\n"
    table = rows(clone.run("--engine", "-c", show).stderr.partition("\n")[2])
    for name in names:
        assert table[name] == (
            "stdlib",
            clone.plain("-c", f"import {name}; print({name}.__file__)").stdout.strip(),
        )


def test_site_that_is_run_late_leaves_alone_what_is_there(place):
    program = "import threading, site, sys\nsite.main()\nimport queue\nprint(queue, threading)"
    done = place.plain("-S", "-c", program, env=environment(MANYHANDS_RUN="1"))
    assert done.stderr.startswith("manyhands: threading was imported before the engine could start")
    assert done.stderr.count("\n") == 1
    assert "manyhands/queue.py" in done.stdout
    assert "manyhands/threading.py" not in done.stdout


def test_sitecustomize_gets_and_may_patch_our_modules(place):
    place.write(
        "custom/sitecustomize.py",
        """
        import queue, threading
        class Patched(threading.Thread):
            pass
        threading.Thread = Patched
        """,
    )
    path = environment(PYTHONPATH=str(place.folder / "custom"))
    show = "import queue, threading; print(threading.Thread.__name__, queue.__name__)"
    done = place.run("-c", show, env=path)
    assert (done.stdout, done.stderr) == ("Patched manyhands.queue\n", "")


@pytest.mark.parametrize("name", ["gevent.monkey", "eventlet.patcher"])
@pytest.mark.parametrize("before", ["", "import queue", "import manyhands.queue, threading"])
def test_programs_that_patch_modules_for_greenlets_get_the_standard_librarys(place, name, before):
    package, _, patcher = name.partition(".")
    place.write(f"{package}/__init__.py", "")
    place.write(
        f"{package}/{patcher}.py",
        """
        import queue, threading
        class Lock: pass
        def patch():
            del queue.SimpleQueue
            queue.Queue = Lock
            threading.Barrier = Lock
            threading.Thread.start = lambda self: print("patched")
        """,
    )
    place.write(
        "program.py",
        f"""
        import sys
        {before}
        from {package} import {patcher} as patcher
        patcher.patch()
        import queue, threading
        assert queue.__name__ == "queue" and threading.__name__ == "threading"
        assert sys.modules["queue"].Queue is queue.Queue is threading.Barrier is patcher.Lock
        assert not hasattr(queue, "SimpleQueue") and "SimpleQueue" not in dir(queue)
        assert patcher.queue.Queue is queue.Queue and patcher.threading.Barrier is patcher.Lock
        threading.Thread().start()
        from manyhands._stdlib import original
        assert original("threading").Barrier is patcher.Lock
        """,
    )
    done = place.run("program.py")
    assert (done.returncode, done.stdout) == (0, "patched\n"), done
    assert done.stderr == (
        f"manyhands: {name} changes modules itself: "
        "threading, queue, multiprocessing and concurrent.futures are left to it\n"
    )


def test_a_module_that_a_program_holds_becomes_the_one_that_is_patched(place):
    place.write("gevent/__init__.py", "")
    place.write("gevent/monkey.py", "import queue\nqueue.Queue = 'patched'\nqueue.new = 1")
    place.write(
        "program.py",
        """
        import queue
        before = queue
        import gevent.monkey
        assert before.Queue == "patched" and before.new == 1 and before.__name__ == "queue"
        before.Queue = "again"
        del before.new
        import queue
        assert queue.Queue == "again" and not hasattr(queue, "new") and "new" not in dir(before)
        """,
    )
    assert place.run("program.py").returncode == 0


def test_a_child_that_cannot_load_the_engine_says_so_once_and_goes_on(clone):
    (native,) = (clone.site / "manyhands").glob("_native*.so")
    native.write_bytes(b"nothing of a library")
    program = """if True:
        import queue, threading
        made = queue.Queue()
        thread = threading.Thread(target=made.put, args=(1,))
        thread.start()
        print(made.get(), queue.__name__, threading.__name__)
        from manyhands._stdlib import original
        assert original("queue") is queue and original("threading") is threading
        """
    done = clone.plain("-c", program, env=environment(MANYHANDS_RUN="1"))
    assert done.stdout == "1 queue threading\n"
    assert done.stderr.startswith("manyhands: the engine cannot be loaded (")
    assert done.stderr.endswith("); the standard library serves instead\n")
    assert done.stderr.count("manyhands: ") == 1


def test_without_the_switch_nothing_is_told_and_nothing_loaded(clone):
    (clone.site / "00-a.pth").write_text("import threading\n")
    show = "import sys, queue; print('manyhands' in sys.modules, queue.__name__)"
    done = clone.plain("-X", "dev", "-W", "error", "-c", show)
    assert (done.stdout, done.stderr) == (f"False {OFF}", "")


def test_the_engine_starts_without_a_warning_where_all_are_errors(place):
    for options in (["-X", "dev"], ["-W", "error", "-bb"], ["-X", "tracemalloc", "-W", "default"]):
        done = place.run(*options, "-c", WHICH)
        assert (done.stdout, done.stderr) == (ON, "")


def test_a_stderr_that_cannot_be_written_is_no_reason_to_fail(place):
    command = ["sh", "-c", 'exec "$@" 2>/dev/full', "sh", *COMMAND, "--engine", "-c", WHICH]
    assert place.call(command).stdout == ON
