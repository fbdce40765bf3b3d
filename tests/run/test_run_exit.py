"""Programs end as with `python`, whatever their threads are doing."""

import pytest

PROGRAMS = {
    "daemons that wait in a queue": """
        import queue, threading, time
        made, ready = queue.Queue(), threading.Semaphore(0)
        def wait():
            ready.release()
            made.get()
        for _ in range(8):
            threading.Thread(target=wait, daemon=True).start()
        for _ in range(8):
            ready.acquire()
        print("end")
        """,
    "daemons that wait in everything": """
        import queue, threading
        waits = [
            queue.Queue().get, queue.SimpleQueue().get, queue.PriorityQueue().get,
            queue.LifoQueue().get, threading.Event().wait, threading.Semaphore(0).acquire,
            threading.Barrier(2).wait, threading.Lock().acquire,
        ]
        waits[-1]()
        ready = threading.Semaphore(0)
        def wait(what):
            ready.release()
            what()
        for what in waits:
            threading.Thread(target=wait, args=(what,), daemon=True).start()
        for _ in waits:
            ready.acquire()
        print("end")
        """,
    "daemons that never rest": """
        import queue, threading
        made, ready = queue.Queue(4), threading.Semaphore(0)
        def produce():
            ready.release()
            while True: made.put(1)
        def consume():
            ready.release()
            while True: made.get()
        for target in (produce, consume) * 3:
            threading.Thread(target=target, daemon=True).start()
        for _ in range(6):
            ready.acquire()
        print("end")
        """,
    "threads that are waited for": """
        import atexit, threading
        gate = threading.Event()
        def work():
            gate.wait()
            print("worked\\n", end="", flush=True)
        for _ in range(3):
            threading.Thread(target=work).start()
        atexit.register(print, "exit")
        print("main", flush=True)
        gate.set()
        """,
    "threads that fail after the main thread": """
        import threading
        gate = threading.Event()
        def work():
            gate.wait()
            raise ValueError("late")
        threading.Thread(target=work, name="worker").start()
        gate.set()
        """,
    "the main thread fails while others work": """
        import threading
        gate = threading.Event()
        def work():
            threading.main_thread().join()
            print("worked\\n", end="", flush=True)
        threading.Thread(target=work).start()
        raise SystemExit(4)
        """,
    "objects that are freed at the end": """
        import queue, threading
        class Noisy:
            def __init__(self): self.made, self.lock = queue.Queue(), threading.RLock()
            def __del__(self):
                with self.lock:
                    self.made.put(self)
                    print("freed", self.made.qsize(), flush=True)
        noisy = Noisy()
        noisy.itself = noisy
        held = threading.Lock()
        held.acquire()
        """,
    "a lock that is held in an exit function": """
        import atexit, queue, threading
        made = queue.Queue()
        def drain():
            print(made.get(), made.empty(), threading.current_thread().name)
        atexit.register(drain)
        threading.Thread(target=made.put, args=("late",)).start()
        """,
    "threading is never imported": "print(1)",
    "threading is only imported": "import threading, queue",
    "an import at the very end": """
        import atexit
        def late():
            import queue
            made = queue.Queue()
            made.put(1)
            print(made.get())
        atexit.register(late)
        """,
    "a module that is taken away": """
        import sys, threading
        thread = threading.Thread(target=print, args=("ran",))
        thread.start()
        thread.join()
        del sys.modules["threading"]
        """,
    "_exit with threads": """
        import os, threading
        threading.Thread(target=threading.Event().wait).start()
        os._exit(6)
        """,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_ends_as_with_python(place, name):
    place.write("program.py", PROGRAMS[name])
    place.same("program.py")
    place.same("-X", "dev", "program.py")


@pytest.mark.parametrize("name", ["daemons that wait in everything", "daemons that never rest"])
def test_daemons_never_spoil_the_end(place, name):
    place.write("program.py", PROGRAMS[name])
    for _ in range(10):
        done = place.run("program.py")
        assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


@pytest.mark.parametrize("arguments", [[], ["2", "3", "50"]])
def test_the_example_says_on_which_engine_it_ran(place, request, arguments):
    example = request.config.rootpath / "examples" / "steamed_buns.py"
    done = place.run(example, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("on the engine of Manyhands\n")
    assert place.plain(example, "1", "1", "8").stdout.endswith("on the standard library\n")


def test_a_program_ends_as_ever_where_its_directory_is_gone(place):
    gone = place.folder / "gone"
    gone.mkdir()
    program = "import os, threading; os.rmdir(os.getcwd()); print(threading._shutdown.__name__)"
    done = place.run("-c", program, cwd=gone)
    assert (done.returncode, done.stdout, done.stderr) == (0, "_shutdown\n", "")
