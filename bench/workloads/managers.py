"""Managers: objects in a server, and clients that use them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from time import perf_counter
from types import ModuleType, SimpleNamespace
from typing import Any

from bench.workloads import run_processes, workload

#: How many calls a client makes of a method.
CALLS = 2_000

KEY = b"a key"

#: What a client does with an object, and how many calls that is.
USES: dict[str, tuple[str, tuple[Any, ...], int, Callable[[Any], None]]] = {}


def use(name: str, kind: str, *args: Any, calls: int = 1) -> Callable[..., Any]:
    def register(function: Callable[[Any], None]) -> Callable[[Any], None]:
        USES[name] = (kind, args, calls, function)
        return function

    return register


@use("dict get and set", "dict", calls=2)
def get_and_set(shared: Any) -> None:
    shared["key"] = 5
    shared["key"]


@use("list append", "list")
def append(shared: Any) -> None:
    shared.append(5)


@use("Queue put and get", "Queue", calls=2)
def put_and_get(fifo: Any) -> None:
    fifo.put(5)
    fifo.get()


@use("Value get and set", "Value", "i", 0, calls=2)
def read_and_write(shared: Any) -> None:
    shared.value = 5
    shared.value  # noqa: B018


@use("Lock acquire and release", "Lock", calls=2)
def acquire_and_release(lock: Any) -> None:
    lock.acquire()
    lock.release()


def managers_of(of: SimpleNamespace) -> ModuleType:
    return import_module(f"{of.multiprocessing.__name__}.managers")


@contextmanager
def running(of: SimpleNamespace) -> Iterator[Any]:
    """A manager of this very contender over a Unix socket."""
    manager = of.multiprocessing.get_context("fork").Manager()
    try:
        yield manager
    finally:
        manager.shutdown()


@contextmanager
def listening(of: SimpleNamespace, address: Any = ("127.0.0.1", 0)) -> Iterator[Any]:
    """The same over TCP, with a key that others know."""
    context = of.multiprocessing.get_context("fork")
    manager = managers_of(of).SyncManager(address, KEY, ctx=context)
    manager.start()
    try:
        yield manager
    finally:
        manager.shutdown()


def connected(managers: ModuleType, address: Any) -> Any:
    manager = managers.SyncManager(address, KEY)
    manager.connect()
    return manager


def repeated(of: SimpleNamespace, function: Callable[[Any], None], shared: Any) -> Any:
    """A client, to be run in a forked process."""

    def client() -> None:
        # A fork by os.fork(), where proxies of the standard library are not made again by itself.
        import_module(f"{of.multiprocessing.__name__}.util")._run_after_forkers()
        function(shared)
        for _ in range(CALLS):
            function(shared)

    return client


def _usual(name: str, many: int) -> None:
    kind, args, calls, function = USES[name]

    @workload(f"manager: {name}, {many} client{'s'[: many - 1]}", "call", "multiprocessing.Manager")
    def measure(of: SimpleNamespace) -> tuple[int, float]:
        with running(of) as manager:
            shared = getattr(manager, kind)(*args)
            clients = [repeated(of, function, shared)] * many
            return CALLS * calls * many, run_processes(*clients)


for _name in USES:
    _usual(_name, 1)
for _name in ("dict get and set", "Queue put and get"):
    _usual(_name, 4)


@workload("shared dict: get and set", "call", "shared_dict")
def shared_dict(of: SimpleNamespace) -> tuple[int, float]:
    """Also where there is no server."""
    with of.shared_dict() as shared:
        begin = perf_counter()
        for _ in range(CALLS):
            get_and_set(shared)
        return 2 * CALLS, perf_counter() - begin


def _stock(name: str, many: int) -> None:
    """The standard library's client, whoever serves."""
    kind, args, calls, function = USES[name]

    @workload(
        f"manager: {name}, {many} stock client{'s'[: many - 1]}", "call", "multiprocessing.Manager"
    )
    def measure(of: SimpleNamespace) -> tuple[int, float]:
        from manyhands._stdlib import original

        stock = original("multiprocessing.managers")
        theirs = SimpleNamespace(multiprocessing=original("multiprocessing"))
        with listening(of, None) as manager:
            original("multiprocessing").current_process().authkey = KEY
            shared = getattr(connected(stock, manager.address), kind)(*args)
            clients = [repeated(theirs, function, shared)] * many
            return CALLS * calls * many, run_processes(*clients)


for _name in ("dict get and set", "Queue put and get"):
    for _many in (1, 4):
        _stock(_name, _many)


def _over_tcp(name: str, item: Any, times: int, many: int) -> None:
    @workload(
        f"manager over TCP: put and get of {name}, {many} clients",
        "pair",
        "multiprocessing.Manager",
    )
    def measure(of: SimpleNamespace) -> tuple[int, float]:
        managers = managers_of(of)
        with listening(of) as manager:

            def client() -> None:
                fifo = connected(managers, manager.address).Queue()
                for _ in range(times):
                    fifo.put(item)
                    fifo.get()

            return times * many, run_processes(*[client] * many)


_over_tcp("an int", 5, 1_000, 1)
_over_tcp("an int", 5, 1_000, 4)
_over_tcp("32 KiB", b"x" * (32 << 10), 20, 1)
_over_tcp("1 MiB", b"x" * (1 << 20), 20, 1)


@workload("manager over TCP: connect", "connection", "multiprocessing.Manager")
def connect(of: SimpleNamespace) -> tuple[int, float]:
    managers = managers_of(of)
    with listening(of) as manager:
        begin = perf_counter()
        for _ in range(10):
            connected(managers, manager.address)
        return 10, perf_counter() - begin


@workload("manager over TCP: connect, make a dict, use it", "time", "multiprocessing.Manager")
def first_use(of: SimpleNamespace) -> tuple[int, float]:
    managers = managers_of(of)
    with listening(of) as manager:
        begin = perf_counter()
        for _ in range(5):
            shared = connected(managers, manager.address).dict()
            shared["key"] = 1
            del shared
        return 5, perf_counter() - begin


@workload("manager over TCP: master and 2 workers", "task", "multiprocessing.Manager", "Queue")
def tasks(of: SimpleNamespace) -> tuple[int, float]:
    managers, count = managers_of(of), 1_000

    class Queues(managers.SyncManager):
        pass

    queues: dict[str, Any] = {"tasks": of.Queue(), "results": of.Queue()}
    for name, fifo in queues.items():
        Queues.register(name, callable=lambda fifo=fifo: fifo)

    context = of.multiprocessing.get_context("fork")
    manager = Queues(("127.0.0.1", 0), KEY, ctx=context)
    manager.start()

    def join() -> tuple[Any, Any]:
        client = Queues(manager.address, KEY)
        client.connect()
        return client.tasks(), client.results()

    def master() -> None:
        tasks, results = join()
        for number in range(count):
            tasks.put(number)
        for _ in range(count):
            results.get()
        for _ in range(2):
            tasks.put(None)

    def worker() -> None:
        tasks, results = join()
        while True:
            number = tasks.get()
            if number is None:
                return
            results.put(number * number)

    try:
        return count, run_processes(master, worker, worker)
    finally:
        manager.shutdown()


@workload("manager: make and drop a list", "list", "multiprocessing.Manager")
def make_and_drop(of: SimpleNamespace) -> tuple[int, float]:
    count = 100
    with running(of) as manager:
        begin = perf_counter()
        for _ in range(count):
            manager.list()
        return count, perf_counter() - begin
