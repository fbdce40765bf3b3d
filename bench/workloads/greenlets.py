"""Greenlets and their kin: what tasks cost that share a thread, and servers that are made of them.

CPU is what counts where many tasks share a processor; the seconds of the clock stand beside it.
"""

from __future__ import annotations

from types import SimpleNamespace

from bench import green_child, green_clients
from bench.workloads import Measured, workload

#: What others are compared with.
BASE = "gevent"

#: What a world does, how it is called here, of what it is per, and how many times it is done.
WORK = (
    ("all_at_once", "spawn and join, 100k at once", "task", 100_000),
    ("batches", "spawn and join, batches of 100", "task", 10_000),
    ("pool_map", "Pool(100).map", "item", 10_000),
    ("switches", "sleep(0), two tasks", "switch", 40_000),
    ("ping_pong", "Queue ping-pong", "round trip", 10_000),
    ("bounded", "Queue(1)", "item", 10_000),
    ("events", "Event ping-pong", "round trip", 10_000),
    ("contended", "Semaphore, 4 contend", "turn", 10_000),
    ("free", "Semaphore, free", "pair", 50_000),
    ("rlock", "RLock, free, entered twice", "entry", 20_000),
    ("sleeps", "100k sleeps of 1-50 ms", "sleep", 100_000),
    ("timeouts", "with Timeout", "time", 20_000),
)


def _of_a_world(method: str, name: str, unit: str, count: int) -> None:
    @workload(f"greenlets: {name}", unit, f"green.{method}", base=BASE)
    def measure(of: SimpleNamespace) -> Measured:
        cpu, wall = getattr(of.green, method)(count)
        return {"CPU": (count, cpu), "wall": (count, wall)}


for _work in WORK:
    _of_a_world(*_work)


def _echo(connections: int, requests: int) -> None:
    name = f"greenlets: TCP echo, {connections} connection{'s'[: connections - 1]}"

    @workload(name, "request", "green.name", base=BASE)
    def measure(of: SimpleNamespace) -> Measured:
        green_child.all_descriptors()
        with green_clients.serving(of.green.name) as server:
            asking = green_clients.connect(server.port, connections)
            green_clients.ask(asking, max(connections, 200))
            before = server.cpu()
            taken = green_clients.ask(asking, requests)
            cpu = server.cpu() - before
            for connection in asking:
                connection.close()
        median, worst = green_clients.percentiles(taken)
        return {"server's CPU": (requests, cpu), "median": (1, median), "99th of 100": (1, worst)}


_echo(1, 5_000)
_echo(100, 20_000)
_echo(1_000, 20_000)


@workload("greenlets: 200 urllib fetches", "fetch", "green.name", base=BASE)
def fetches(of: SimpleNamespace) -> Measured:
    if of.green.name in ("asyncio", "uvloop", "trio"):
        return {}  # they have nothing that could be patched
    with green_clients.pages() as port:
        cpu, wall = map(float, green_clients.child(of.green.name, "fetch", str(port)))
    count = green_child.FETCHES
    return {"CPU": (count, cpu), "wall": (count, wall)}


@workload("greenlets: a task that waits", "bytes", "green.all_at_once", base=BASE)
def parked(of: SimpleNamespace) -> Measured:
    (size,) = green_clients.child(of.green.name, "parked")
    return {"memory": (1, float(size))}


@workload("greenlets: an idle connection of 10k", "bytes", "green.all_at_once", base=BASE)
def idle(of: SimpleNamespace) -> Measured:
    count = min(10_000, green_child.all_descriptors() - 200)
    with green_clients.serving(of.green.name) as server:
        green_clients.ask(green_clients.connect(server.port, 1), 10)
        before = server.resident()
        asking = green_clients.connect(server.port, count)
        # Each has been met by the server when it has answered.
        green_clients.ask(asking, count)
        taken = server.resident() - before
        for connection in asking:
            connection.close()
    return {"memory": (count, taken)}
