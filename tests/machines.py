"""Two machines, as two network namespaces that a cable connects."""

import os
import subprocess
from contextlib import contextmanager

import pytest

#: The ends of the cable, which is called `cable`.
SERVER, OTHER = "10.77.0.1", "10.77.0.2"

LIMIT = 60


class Machine:
    """A network namespace, for as long as a process of it runs."""

    def __init__(self, command, enter):
        self.process = subprocess.Popen(
            [*command, "sh", "-c", "echo ready; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if self.process.stdout.readline() != "ready\n":
            _, why = self.process.communicate(timeout=LIMIT)
            pytest.skip(f"may not make network namespaces: {why.strip()}")
        #: The beginning of a command that runs there.
        self.on = ("nsenter", "-t", str(self.process.pid), *enter)

    def call(self, *command):
        done = subprocess.run([*self.on, *command], capture_output=True, text=True, timeout=LIMIT)
        if done.returncode:
            pytest.skip(f"may not connect network namespaces: {done.stderr.strip()}")

    def end(self):
        self.process.communicate(timeout=LIMIT)


@contextmanager
def _ended(machine):
    try:
        yield machine
    finally:
        machine.end()


@contextmanager
def machines_of_ours(as_root=False):
    """Both of them, at SERVER and at OTHER; by a user namespace, unless that is not enough for what
    is run there."""
    if as_root and os.getuid() != 0:
        pytest.skip("only root can have what this needs in a network namespace")
    alone = [] if as_root else ["--user", "--map-root-user"]
    enter = ["--net"] if as_root else ["--user", "--preserve-credentials", "--net"]
    try:
        server = Machine(["unshare", *alone, "--net"], enter)
    except FileNotFoundError as error:
        pytest.skip(f"cannot make network namespaces: {error}")
    with _ended(server), _ended(Machine([*server.on, "unshare", "--net"], enter)) as other:
        cable = "ip link add cable type veth peer name cable netns"
        try:
            server.call(*cable.split(), str(other.process.pid))
        except FileNotFoundError as error:
            pytest.skip(f"cannot connect network namespaces: {error}")
        for machine, address in ((server, SERVER), (other, OTHER)):
            machine.call("ip", "address", "add", f"{address}/24", "dev", "cable")
            for device in ("cable", "lo"):
                machine.call("ip", "link", "set", device, "up")
        yield server, other
