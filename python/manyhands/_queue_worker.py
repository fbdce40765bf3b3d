"""The command `manyhands worker`: processes that take tasks from a queue somewhere."""

import argparse
import os
import signal
import sys
import time
import traceback
from threading import Thread

from manyhands._queue_server import AUTHKEY_HELP, parse_address, read_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from manyhands._queue_server import Address

#: How often a terminal is told how far the workers are, in seconds.
_INTERVAL = 0.5


def worker(arguments: "Sequence[str]") -> None:
    """The command `manyhands worker`."""
    parser = argparse.ArgumentParser(
        prog="manyhands worker",
        description="Take tasks from a queue of a server (manyhands serve, or any manager that "
        "registers it), call a function with each, and put what it returns into another queue. "
        "Ends when the queue is shut down, or with Ctrl-C.",
    )
    parser.add_argument("address", help="where the server is: tcp://HOST:PORT or unix:///PATH")
    parser.add_argument(
        "function", help="what is called: MODULE:FUNCTION; the current folder is searched, too"
    )
    parser.add_argument("--take", required=True, metavar="NAME", help="the queue with the tasks")
    parser.add_argument(
        "--give", metavar="NAME", help="the queue for the results; without it they are dropped"
    )
    parser.add_argument("--authkey-file", metavar="FILE", help=AUTHKEY_HELP)
    parser.add_argument(
        "--authkey-stdin",
        action="store_true",
        help="the key is the first line of standard input, whose end ends the command",
    )
    parser.add_argument(
        "--tls-ca",
        metavar="FILE",
        help="connect by TLS, to a server whose certificate this one vouches for, in PEM",
    )
    parser.add_argument(
        "-n",
        "--processes",
        type=int,
        metavar="N",
        help="how many; by default one for each processor",
    )
    parser.add_argument(
        "--ssh",
        metavar="[USER@]HOST[:PORT]",
        help="work on that machine, which is reached as ssh would; it reaches the server through "
        "this one, so ADDRESS is as seen from here, and MODULE is looked for there",
    )
    parser.add_argument(
        "--python", default="python3", metavar="COMMAND", help="with --ssh, what is Python there"
    )
    parser.add_argument(
        "--bootstrap",
        action="store_true",
        help="with --ssh, copy manyhands to there, for as long as this command runs",
    )
    options = parser.parse_args(arguments)
    try:
        address = parse_address(options.address)
    except ValueError as error:
        parser.error(str(error))
    key = _key(parser, options)
    module, colon, function = options.function.partition(":")
    if not (module and colon and function):
        parser.error(f"{options.function!r} is no MODULE:FUNCTION")
    if options.processes is not None and options.processes < 1:
        parser.error("at least one process is needed")
    if options.ssh is not None:
        raise SystemExit(_work_by_ssh(parser, options, address, key))
    sys.path.insert(0, os.getcwd())
    try:
        _look_up(module, function)
    except (ImportError, AttributeError, TypeError) as error:
        parser.error(f"there is no function {options.function}: {error}")
    for name in filter(None, (options.take, options.give)):
        try:
            _queue(address, key, name, options.tls_ca)
        except Exception as error:
            raise SystemExit(
                f"manyhands: cannot use the queue {name} at {options.address}: {_reason(error)}"
            ) from None
    job = (address, key, options.take, options.give, module, function, options.tls_ca)
    raise SystemExit(_work(job, options.processes))


def _key(parser: argparse.ArgumentParser, options: argparse.Namespace) -> bytes:
    """The key; with that of standard input, this process ends when that does."""
    if not options.authkey_stdin:
        return read_key(parser, options.authkey_file)
    if options.authkey_file is not None:
        parser.error("the key is in a file, or comes by standard input")
    # Not by a buffer, whose lock the thread below would have for ever.
    key = b""
    while not key.endswith(b"\n") and (byte := os.read(0, 1)):
        key += byte

    def end_with_it() -> None:
        while os.read(0, 1 << 16):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=end_with_it, daemon=True).start()
    return key.rstrip(b"\r\n")


def _work_by_ssh(
    parser: argparse.ArgumentParser, options: argparse.Namespace, address: "Address", key: bytes
) -> int:
    from manyhands._queue_worker_ssh import work_there

    if options.tls_ca is not None:
        parser.error(
            "--tls-ca cannot be used with --ssh: what goes between the machines is encrypted by "
            "that, and the certificate is not that of the way that leads through this machine"
        )
    given = [options.function, "--take", options.take]
    if options.give is not None:
        given += ["--give", options.give]
    if options.processes is not None:
        given += ["-n", str(options.processes)]
    return work_there(options.ssh, options.python, options.bootstrap, address, key, given)


def _look_up(module: str, function: str) -> "Any":
    import importlib
    from functools import reduce

    found = reduce(getattr, function.split("."), importlib.import_module(module))
    if not callable(found):
        raise TypeError(f"{function} in {module} is no function")
    return found


def _queue(address: "Address", key: bytes, name: str, ca: str | None) -> "Any":
    """A proxy of a server's queue."""
    from manyhands.multiprocessing.managers import TLS, BaseManager

    class QueueManager(BaseManager):
        pass

    QueueManager.register(name)
    manager = QueueManager(address, key, tls=None if ca is None else TLS(ca=ca))
    manager.connect()
    queue = getattr(manager, name)()
    for method in ("get", "put", "task_done"):
        if not hasattr(queue, method):
            raise TypeError(f"it is no queue, as it has no {method}()")
    return queue


def _reason(error: BaseException) -> str:
    """What an error says, in one line."""
    from manyhands.multiprocessing.managers import RemoteError

    lines = [line.strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line.strip("-")]
    if not lines:
        return type(error).__name__
    # The traceback of a server ends with what it is about.
    return lines[-1] if isinstance(error, RemoteError) else lines[0]


def _end(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _work(job: "tuple[Any, ...]", processes: int | None) -> int:
    """Have processes work, and show how far they are; the exit status."""
    from manyhands import multiprocessing
    from manyhands.concurrent.futures import ProcessPoolExecutor, wait
    from manyhands.multiprocessing.pool import WorkerDied

    context = multiprocessing.get_context("forkserver")
    processes = processes or len(os.sched_getaffinity(0))
    done = context.Value("Q", 0)
    failed = context.Value("Q", 0)
    screen = sys.stderr if sys.stderr.isatty() else None
    begun = time.monotonic()
    status = 0

    def say(text: str) -> None:
        # Below the line that tells how far they are.
        print(f"{chr(10) if screen else ''}manyhands: {text}", file=sys.stderr, flush=True)

    signal.signal(signal.SIGTERM, _end)
    with ProcessPoolExecutor(processes, context, _begin, (done, failed)) as executor:
        try:
            running = {executor.submit(_take_and_give, *job) for _ in range(processes)}
            while running:
                ended, running = wait(running, _INTERVAL, "FIRST_COMPLETED")
                for future in ended:
                    error = future.exception()
                    if error is None:
                        continue
                    say(f"a worker has ended: {_reason(error)}")
                    if isinstance(error, WorkerDied):
                        # Over a task; another takes its place.
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
            status = 128 + signal.SIGINT
            executor.terminate_workers()
        except SystemExit as ending:
            status = int(ending.code or 0)
            executor.terminate_workers()
    say(f"{done.value} tasks done, {failed.value} failed")
    return status


_counters: "tuple[Any, Any]"


def _begin(done: "Any", failed: "Any") -> None:
    global _counters
    _counters = (done, failed)
    # The terminal's Ctrl-C is for the process that started this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _take_and_give(
    address: "Address",
    key: bytes,
    take: str,
    give: str | None,
    module: str,
    function: str,
    ca: str | None,
) -> None:
    """Work until there is nothing more."""
    from manyhands.multiprocessing.managers import RemoteError
    from manyhands.queue import ShutDown

    call = _look_up(module, function)
    tasks = _queue(address, key, take, ca)
    results = _queue(address, key, give, ca) if give else None
    done, failed = _counters
    of_queues = (ShutDown, RemoteError, OSError, EOFError)
    while True:
        try:
            task = tasks.get()
        except ShutDown:
            return
        except of_queues:
            raise
        except Exception:
            # It came, but is of a class that cannot be imported here, or the like.
            _fail(tasks, failed)
            continue
        try:
            result = call(task)
        except (Exception, SystemExit):
            _fail(tasks, failed)
            continue
        if results is not None:
            try:
                results.put(result)
            except of_queues:
                raise
            except Exception:
                # It cannot be pickled.
                _fail(tasks, failed)
                continue
        with done:
            done.value += 1
        tasks.task_done()


def _fail(tasks: "Any", failed: "Any") -> None:
    """Show the exception that a task has ended with."""
    traceback.print_exc()
    with failed:
        failed.value += 1
    tasks.task_done()
