"""Queues between two machines, as two network namespaces that a cable connects."""

import os
import signal
import subprocess
from contextlib import contextmanager

import pytest
from programs import TIMEOUT
from queue_programs import SHUT_DOWN, TASKS, client, serving, worker
from support import until

#: The ends of the cable.
SERVER, OTHER = "10.77.0.1", "10.77.0.2"


class Machine:
    """A network namespace, for as long as a process of it runs."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            [*command, "sh", "-c", "echo ready; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if self.process.stdout.readline() != "ready\n":
            _, why = self.process.communicate(timeout=TIMEOUT)
            pytest.skip(f"may not make network namespaces: {why.strip()}")
        target = ("-t", str(self.process.pid))
        self.on = ("nsenter", *target, "--user", "--preserve-credentials", "--net")

    def call(self, *command):
        done = subprocess.run([*self.on, *command], capture_output=True, text=True, timeout=TIMEOUT)
        if done.returncode:
            pytest.skip(f"may not connect network namespaces: {done.stderr.strip()}")

    def end(self):
        self.process.communicate(timeout=TIMEOUT)


@contextmanager
def ended(machine):
    try:
        yield machine
    finally:
        machine.end()


@pytest.fixture
def machines():
    """Two machines, whose ends of the cable are called `cable`."""
    try:
        server = Machine(["unshare", "--user", "--map-root-user", "--net"])
    except FileNotFoundError as error:
        pytest.skip(f"cannot make network namespaces: {error}")
    with ended(server), ended(Machine([*server.on, "unshare", "--net"])) as other:
        pid = str(other.process.pid)
        cable = "ip link add cable type veth peer name cable netns"
        try:
            server.call(*cable.split(), pid)
        except FileNotFoundError as error:
            pytest.skip(f"cannot connect network namespaces: {error}")
        for machine, address in ((server, SERVER), (other, OTHER)):
            machine.call("ip", "address", "add", f"{address}/24", "dev", "cable")
            for device in ("cable", "lo"):
                machine.call("ip", "link", "set", device, "up")
        yield server, other


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
