"""Parts of the standard library that stand on threads and queues work on the engine.

Each program runs both ways and has to print the same; it says itself what it has to do.
"""

import pytest

PROGRAMS = {
    "executor": """
        import concurrent.futures, threading
        with concurrent.futures.ThreadPoolExecutor(4, thread_name_prefix="cook") as pool:
            print(sorted(pool.map(lambda n: n * n, range(200)))[-3:])
            futures = [pool.submit(divmod, 7, n) for n in (0, 1, 2)]
            done, waiting = concurrent.futures.wait(futures, timeout=60)
            print(len(done), len(waiting), [f.exception() for f in futures])
            gate = threading.Event()
            first = pool.submit(gate.wait)
            print(first.done())
            gate.set()
            print([f.result() for f in concurrent.futures.as_completed([first], timeout=60)])
        print(threading.active_count())
        """,
    "executor at exit": """
        import concurrent.futures
        pool = concurrent.futures.ThreadPoolExecutor(2)
        for number in range(4):
            pool.submit(print, "cooked\\n", end="", flush=True)
        """,
    "asyncio": """
        import asyncio, queue, threading
        made = queue.Queue()
        def work(n):
            made.put(n)
            return n + 1, threading.current_thread() is threading.main_thread()
        async def main():
            print(await asyncio.gather(*(asyncio.to_thread(work, n) for n in range(8))))
            loop = asyncio.get_running_loop()
            print(await loop.run_in_executor(None, made.get), loop.call_soon_threadsafe is not None)
            inner = asyncio.Queue()
            threading.Thread(target=loop.call_soon_threadsafe, args=(inner.put_nowait, 1)).start()
            print(await inner.get())
            child = await asyncio.create_subprocess_exec("true")
            print(await child.wait())
        asyncio.run(main())
        print(made.qsize())
        """,
    "logging": """
        import io, logging, logging.handlers, queue, threading
        text = io.StringIO()
        handler = logging.StreamHandler(text)
        handler.setFormatter(logging.Formatter("%(threadName)s %(message)s"))
        lines = queue.Queue()
        listener = logging.handlers.QueueListener(lines, handler)
        logger = logging.getLogger("kitchen")
        logger.addHandler(logging.handlers.QueueHandler(lines))
        logger.setLevel("INFO")
        listener.start()
        cooks = [threading.Thread(target=logger.info, args=(n,), name=str(n)) for n in range(9)]
        for cook in cooks: cook.start()
        for cook in cooks: cook.join()
        listener.stop()
        print(*sorted(text.getvalue().splitlines()), sep="\\n")
        logging.basicConfig()
        logging.warning("on stderr, from %s", threading.current_thread().name)
        """,
    "socketserver": """
        import socket, socketserver, threading
        class Echo(socketserver.StreamRequestHandler):
            def handle(self):
                self.wfile.write(self.rfile.readline().upper())
        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            for word in (b"pork\\n", b"leek\\n"):
                with socket.create_connection(server.server_address, 60) as client:
                    client.sendall(word)
                    print(client.makefile().readline(), end="")
            server.shutdown()
            thread.join()
        """,
    "http.server": """
        import http.server, threading, urllib.request
        class Bun(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(self.path.encode())
            def log_message(self, *_):
                pass
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bun) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            print(opener.open(f"http://127.0.0.1:{server.server_port}/bun", timeout=60).read())
            server.shutdown()
        """,
    "subprocess": """
        import subprocess, sys, threading
        done = subprocess.run([sys.executable, "-c", "print(input())"], input="x" * 200_000,
                              capture_output=True, text=True, timeout=60)
        print(len(done.stdout), done.stderr, done.returncode)
        child = subprocess.Popen(["sleep", "1000"])
        try:
            child.communicate(timeout=0.01)
        except subprocess.TimeoutExpired:
            threading.Thread(target=child.kill).start()
        print(child.wait())
        """,
    "multiprocessing queues": """
        import multiprocessing, queue
        def cook(buns, eaten):
            while (bun := buns.get()) is not None:
                eaten.put(bun.upper())
        if __name__ == "__main__":
            context = multiprocessing.get_context("fork")
            buns, eaten = context.Queue(), context.Queue()
            child = context.Process(target=cook, args=(buns, eaten))
            child.start()
            for bun in ("pork", "leek", None): buns.put(bun)
            print(eaten.get(timeout=60), eaten.get(timeout=60))
            child.join()
            try:
                eaten.get(timeout=0.01)
            except queue.Empty as empty:
                print(type(empty))
        """,
    "thread pool": """
        import multiprocessing.pool
        with multiprocessing.pool.ThreadPool(3) as pool:
            print(pool.map(abs, range(-3, 3)), pool.apply_async(divmod, (7, 2)).get(60))
            print(sorted(pool.imap_unordered(str, range(12))))
            try:
                pool.apply(divmod, (1, 0))
            except ZeroDivisionError as error:
                print(error)
        """,
    "threads of all sorts": """
        import sched, threading, time
        local = threading.local()
        barrier, results = threading.Barrier(4), []
        def work(n):
            local.n = n
            barrier.wait(60)
            results.append(local.n)
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for t in threads: t.start()
        for t in threads: t.join()
        print(sorted(results), hasattr(local, "n"), threading.active_count())
        timer = threading.Timer(0, print, ["timer"])
        timer.start(); timer.join()
        plan = sched.scheduler()
        plan.enter(0, 1, print, ("planned",))
        plan.run()
        """,
    "traceback of a thread": """
        import threading
        def cook():
            raise ValueError("burnt")
        thread = threading.Thread(target=cook, name="cook")
        thread.start()
        thread.join()
        """,
    "fork with threads": """
        import os, threading, warnings
        warnings.simplefilter("ignore")
        lock, gate = threading.Lock(), threading.Event()
        thread = threading.Thread(target=gate.wait)
        thread.start()
        pid = os.fork()
        if pid == 0:
            with lock:
                print(threading.active_count(), threading.current_thread().name, flush=True)
            os._exit(3)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        gate.set()
        """,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_standard_library_works_on_the_engine(place, name):
    place.write("program.py", PROGRAMS[name])
    done = place.same("program.py")
    assert done.returncode == 0
    assert done.stdout or done.stderr


def test_every_module_of_the_standard_library_can_be_imported(place):
    place.write(
        "program.py",
        """
        import importlib, sys, warnings
        warnings.simplefilter("ignore")
        leave_out = {"antigravity", "this", "idlelib", "__main__", "turtledemo", "turtle"}
        for name in sorted(sys.stdlib_module_names - leave_out):
            try:
                importlib.import_module(name)
            except ImportError as error:
                print(name, error)
        import queue, threading
        print(len(threading.enumerate()))
        """,
    )
    place.same("program.py", stdin="")
