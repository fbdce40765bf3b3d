"""The commands `manyhands serve` and `manyhands worker`: queues for workers on this machine and others."""

import argparse
import ipaddress
import os
import signal
import socket
import sys
import threading
import time
import traceback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Address = tuple[str, int] | str

#: How often a terminal is told how far the workers are, in seconds.
_INTERVAL = 0.5

#: What is exposed of a queue.
_METHODS = [
    "empty",
    "full",
    "get",
    "get_nowait",
    "join",
    "put",
    "put_nowait",
    "qsize",
    "shutdown",
    "task_done",
]

_AUTHKEY_HELP = """the file with the key that both ends must know; a newline at its end does not count. Whoever has the
key can run code in your workers, as what travels are pickles: keep it as secret as a password"""


def parse_address(text: str) -> "Address":
    """The address in `tcp://HOST:PORT` or `unix:///PATH`.

    Raises:
        ValueError: if it is none.
    """
    kind, separator, rest = text.partition("://")
    if separator and kind == "unix" and rest.startswith("/"):
        return rest
    host, colon, port = rest.rpartition(":")
    if separator and kind == "tcp" and colon and host and port.isdecimal() and int(port) < 65536:
        return host.strip("[]"), int(port)
    raise ValueError(f"{text!r} is no address: tcp://HOST:PORT or unix:///PATH")


def format_address(address: "Address") -> str:
    """The text that `parse_address` reads."""
    if isinstance(address, str):
        return f"unix://{address}"
    host, port = address
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def _is_local(address: "Address") -> bool:
    """Whether only this machine reaches an address that is listened at."""
    if isinstance(address, str):
        return True
    try:
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(entry[4][0])).is_loopback for entry in found)


def _read_key(parser: argparse.ArgumentParser, path: str | None) -> bytes:
    if path is None:
        return b""
    try:
        with open(path, "rb") as file:
            key = file.read().rstrip(b"\r\n")
            mode = os.fstat(file.fileno()).st_mode
    except OSError as error:
        parser.error(f"cannot read the key in {path!r}: {error.strerror}")
    if not key:
        parser.error(f"there is no key in {path!r}")
    if mode & 0o077:
        print(
            f"manyhands: warning: other users may read the key in {path!r}: chmod 600 {path}",
            file=sys.stderr,
        )
    return key


def serve(arguments: "Sequence[str]") -> None:
    """The command `manyhands serve`."""
    parser = argparse.ArgumentParser(
        prog="manyhands serve",
        description="Keep queues that programs and workers on this machine and others put into and take from, "
        "as BaseManager.register and connect of multiprocessing.managers do, or manyhands worker.",
    )
    parser.add_argument(
        "--bind", required=True, metavar="ADDRESS", help="tcp://HOST:PORT or unix:///PATH"
    )
    parser.add_argument("--authkey-file", metavar="FILE", help=_AUTHKEY_HELP)
    parser.add_argument(
        "--queue",
        action="append",
        default=[],
        metavar="NAME",
        help="a queue of that name; may be given several times",
    )
    parser.add_argument(
        "--ack-queue",
        action="append",
        default=[],
        metavar="NAME",
        help="as --queue, but what a process took that dies before its task_done() is given to another",
    )
    options = parser.parse_args(arguments)
    names = options.queue + options.ack_queue
    if not names:
        parser.error("there is nothing to serve: give a --queue or an --ack-queue")
    if len(set(names)) < len(names):
        parser.error("two queues have the same name")
    for name in names:
        if not name.isidentifier():
            parser.error(
                f"a queue's name is one that Python methods can have, which {name!r} is not"
            )
    try:
        address = parse_address(options.bind)
    except ValueError as error:
        parser.error(str(error))
    key = _read_key(parser, options.authkey_file)
    if not key and not _is_local(address):
        parser.error(
            f"others than this machine could connect to {options.bind} without a key: give an --authkey-file, "
            "or bind to 127.0.0.1"
        )

    import pickle

    from manyhands import _native
    from manyhands.multiprocessing.connection import Listener

    try:
        listener = Listener(address, backlog=1024)
    except OSError as error:
        raise SystemExit(f"manyhands: cannot listen at {options.bind}: {error.strerror}") from None
    with listener:
        server = _native.multiprocessing.ManagerServer(
            listener._listener._socket.fileno(), key, {}, False
        )
        for name in names:
            keywords = {"ack": True} if name in options.ack_queue else {}
            server.share(name, "Queue", _METHODS, pickle.dumps(((), keywords), 4))
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        server.start()
        print(
            f"manyhands: serving {', '.join(names)} at {format_address(listener.address)}",
            file=sys.stderr,
            flush=True,
        )
        ended.wait()
        server.stop()


def worker(arguments: "Sequence[str]") -> None:
    """The command `manyhands worker`."""
    parser = argparse.ArgumentParser(
        prog="manyhands worker",
        description="Take tasks from a queue of a server (manyhands serve, or any manager that registers it), call a function "
        "with each, and put what it returns into another queue. Ends when the queue is shut down, or with Ctrl-C.",
    )
    parser.add_argument("address", help="where the server is: tcp://HOST:PORT or unix:///PATH")
    parser.add_argument(
        "function", help="what is called: MODULE:FUNCTION; the current folder is searched, too"
    )
    parser.add_argument("--take", required=True, metavar="NAME", help="the queue with the tasks")
    parser.add_argument(
        "--give", metavar="NAME", help="the queue for the results; without it they are dropped"
    )
    parser.add_argument("--authkey-file", metavar="FILE", help=_AUTHKEY_HELP)
    parser.add_argument(
        "-n",
        "--processes",
        type=int,
        metavar="N",
        help="how many; by default one for each processor",
    )
    options = parser.parse_args(arguments)
    try:
        address = parse_address(options.address)
    except ValueError as error:
        parser.error(str(error))
    key = _read_key(parser, options.authkey_file)
    module, colon, function = options.function.partition(":")
    if not (module and colon and function):
        parser.error(f"{options.function!r} is no MODULE:FUNCTION")
    if options.processes is not None and options.processes < 1:
        parser.error("at least one process is needed")
    sys.path.insert(0, os.getcwd())
    try:
        _look_up(module, function)
    except (ImportError, AttributeError, TypeError) as error:
        parser.error(f"there is no function {options.function}: {error}")
    try:
        _queue(address, key, options.take)
        if options.give:
            _queue(address, key, options.give)
    except Exception as error:
        raise SystemExit(f"manyhands: cannot take work from {options.address}: {error}") from None
    job = (address, key, options.take, options.give, module, function)
    raise SystemExit(_work(job, options.processes))


def _look_up(module: str, function: str) -> "Any":
    import importlib
    from functools import reduce

    found = reduce(getattr, function.split("."), importlib.import_module(module))
    if not callable(found):
        raise TypeError(f"{function} in {module} is no function")
    return found


def _queue(address: "Address", key: bytes, name: str) -> "Any":
    """A proxy of a server's queue."""
    from manyhands.multiprocessing.managers import BaseManager

    class QueueManager(BaseManager):
        pass

    QueueManager.register(name)
    manager = QueueManager(address, key)
    manager.connect()
    return getattr(manager, name)()


def _work(job: "tuple[Any, ...]", processes: int | None) -> int:
    """Have processes work, and show how far they are; the exit status."""
    from manyhands import multiprocessing
    from manyhands.concurrent.futures import ProcessPoolExecutor
    from manyhands.concurrent.futures import wait as wait_for

    context = multiprocessing.get_context("forkserver")
    processes = processes or len(os.sched_getaffinity(0))
    done = context.Value("Q", 0)
    failed = context.Value("Q", 0)
    screen = sys.stderr if sys.stderr.isatty() else None
    begun = time.monotonic()
    status = 0
    with ProcessPoolExecutor(processes, context, _begin, (done, failed)) as executor:
        running = {executor.submit(_take_and_give, *job) for _ in range(processes)}
        try:
            while running:
                ended, running = wait_for(running, _INTERVAL, "FIRST_COMPLETED")
                for future in ended:
                    error = future.exception()
                    if error is None:
                        continue
                    print(f"\nmanyhands: a worker has ended: {error}", file=sys.stderr)
                    if isinstance(error, (RuntimeError, ConnectionError)) and hasattr(error, "pid"):
                        # It died over a task; another takes its place.
                        running.add(executor.submit(_take_and_give, *job))
                    else:
                        status = 1
                if screen:
                    rate = done.value / max(time.monotonic() - begun, 1e-9)
                    screen.write(
                        f"\r{done.value} done, {rate:.1f}/s, {failed.value} failed, "
                        f"{len(running)} workers \x1b[K"
                    )
                    screen.flush()
        except KeyboardInterrupt:
            status = 130
            for process in list(executor._processes.values()):
                process.terminate()
    print(f"\nmanyhands: {done.value} tasks done, {failed.value} failed", file=sys.stderr)
    return status


_counters: "tuple[Any, Any]"


def _begin(done: "Any", failed: "Any") -> None:
    global _counters
    _counters = (done, failed)
    # The terminal's Ctrl-C is for the process that started this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _take_and_give(
    address: "Address", key: bytes, take: str, give: str | None, module: str, function: str
) -> None:
    """Work until there is nothing more."""
    from manyhands.queue import ShutDown

    call = _look_up(module, function)
    tasks = _queue(address, key, take)
    results = _queue(address, key, give) if give else None
    done, failed = _counters
    while True:
        try:
            task = tasks.get()
        except ShutDown:
            return
        try:
            result = call(task)
        except Exception:
            traceback.print_exc()
            with failed:
                failed.value += 1
        else:
            if results is not None:
                results.put(result)
            with done:
                done.value += 1
        tasks.task_done()
