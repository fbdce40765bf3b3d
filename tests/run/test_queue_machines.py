"""Queues between two machines, as two network namespaces that a cable connects."""

import os
import signal

import pytest
from machines import SERVER, machines_of_ours
from queue_programs import SHUT_DOWN, TASKS, client, serving, worker
from support import until


@pytest.fixture
def machines():
    with machines_of_ours() as both:
        yield both


@pytest.fixture
def address(place, key, machines):
    """Queues that the first machine serves; where others reach them."""
    place.write("tasks_of_tests.py", TASKS)
    arguments = ("--ack-queue", "tasks", "--queue", "results", "--authkey-file", key)
    arguments += ("--silence", "2")
    bind = "tcp://0.0.0.0:0"
    with serving(place.folder, *arguments, bind=bind, on=machines[0].on) as (server, bound):
        yield bound.replace("0.0.0.0", SERVER)
        assert server.end(signal.SIGTERM) == 0


ROUND = """
for n in range(20): tasks.put(n)
print(sorted(results.get() for _ in range(20)) == [n * n for n in range(20)])
"""


def test_workers_of_another_machine_survive_a_cable_that_is_pulled(place, key, machines, address):
    server, other = machines
    arguments = ("--give", "results", "-n", "1")
    with worker(place, key, address, "square", *arguments, on=other.on) as run:
        assert client(place, ROUND, address, "tasks,results", on=other.on) == "True\n"
        other.call("ip", "link", "set", "cable", "down")
        # Both ends wait for what the other may send.
        put, get = ROUND.strip().splitlines()
        client(place, put, address, "tasks", on=server.on)
        other.call("ip", "link", "set", "cable", "up")
        text = get + SHUT_DOWN
        assert client(place, text, address, "tasks,results", on=server.on) == "True\n"
        assert run.end() == 0, run.said
    assert run.said == "manyhands: 40 tasks done, 0 failed\n"


def test_the_task_of_a_worker_that_dies_elsewhere_is_given_to_another(
    place, key, machines, address
):
    server, other = machines
    path = place.folder / "begun"
    with worker(place, key, address, "slow", "-n", "1", on=other.on) as run:
        client(place, f"tasks.put({str(path)!r})", address, "tasks", on=server.on)
        until(path.exists, "the task's begin")
        os.killpg(run.process.pid, signal.SIGKILL)
        text = "print(tasks.get(timeout=30))"
        assert client(place, text, address, "tasks", on=server.on) == f"{path}\n"


def test_the_task_of_a_machine_that_is_cut_off_is_given_to_another(place, key, machines, address):
    server, other = machines
    path = place.folder / "begun"
    with worker(place, key, address, "slow", "-n", "1", on=other.on):
        client(place, f"tasks.put({str(path)!r})", address, "tasks", on=server.on)
        until(path.exists, "the task's begin")
        # Nothing tells the server.
        other.call("ip", "link", "set", "cable", "down")
        text = "print(tasks.get(timeout=30))"
        assert client(place, text, address, "tasks", on=server.on) == f"{path}\n"
