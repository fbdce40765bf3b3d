"""A pool of one machine whose workers are on another, with a cable between them."""

import os
import subprocess
import sys
import textwrap
import time

import pytest
import sshd
from machines import OTHER, machines_of_ours

LIMIT = 60

PROGRAM = """
    import os, signal, sys
    from manyhands import multiprocessing
    from manyhands.multiprocessing.pool import WorkerDied

    def begin(path):
        open(path, "x").close()
        while True:
            signal.pause()

    def where(number):
        return os.environ["SSH_CONNECTION"].split()[2], number * number

    if __name__ == "__main__":
        with multiprocessing.Pool(hosts=["there"], python=sys.executable, procs=2) as pool:
            print(pool.map(where, range(3)), flush=True)
            asleep = pool.apply_async(begin, (sys.argv[1],))
            try:
                asleep.get()
            except WorkerDied as error:
                print(error, flush=True)
            # Lines are made again when the cable is back; the other worker may not have learned yet
            # that its own is lost, and take a call with it.
            print(pool.with_options(retries=3).map(where, range(3)), flush=True)
"""


@pytest.fixture
def machines():
    with machines_of_ours(as_root=True) as both:
        yield both


def test_a_cable_that_is_pulled_is_a_lost_worker(tmp_path, machines):
    here, there = machines
    places = sshd.Places(tmp_path)
    folder = tmp_path / "server"
    folder.mkdir()
    server = sshd.Server(folder, address=OTHER, on=there.on)
    try:
        options = ["ServerAliveInterval 1"]
        places.add("there", server=server, options=options)
        program = tmp_path / "program.py"
        program.write_text(textwrap.dedent(PROGRAM))
        begun = tmp_path / "begun"
        with subprocess.Popen(
            [*here.on, sys.executable, program, begun],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "HOME": str(tmp_path)},
        ) as process:
            try:
                done = f"{[(OTHER, number * number) for number in range(3)]}\n"
                assert process.stdout.readline() == done
                while not begun.exists():
                    assert process.poll() is None
                    time.sleep(0.01)
                here.call("ip", "link", "set", "cable", "down")
                said = process.stdout.readline()
                assert said.startswith("there: worker process")
                assert "lost" in said
                here.call("ip", "link", "set", "cable", "up")
                assert process.stdout.readline() == done
                assert process.wait(LIMIT) == 0
            finally:
                process.kill()
    finally:
        places.stop()
