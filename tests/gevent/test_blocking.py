"""Who holds a hub for too long is reported, once, with a stack."""

import os
import signal
import subprocess
import sys

import pytest

pytest.importorskip("greenlet")

BEGIN = """
import os, sys, threading
from manyhands import gevent
from manyhands.gevent import config, events

config.blocking_report = 0.03
told = []
tell = threading.Event()  # of threads: who waits for it holds the hub

def take(event):
    if isinstance(event, events.EventLoopBlocked):
        told.append(event)
        tell.set()

events.subscribers.append(take)

def hold_the_hub():
    tell.wait(60)
"""


def run(program, **more):
    command = [sys.executable, "-c", BEGIN + program]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **more)


def test_of_a_greenlet():
    done = run(
        """
other = gevent.spawn(gevent.sleep, 0.01)
holder = gevent.spawn(hold_the_hub)
gevent.joinall([holder, other])
event, = told
assert event.greenlet is holder and event.blocking_time == 0.03, event
assert event.hub is gevent.get_hub()
assert "hold_the_hub" in "".join(event.info)
"""
    )
    assert done.returncode == 0, done.stderr
    assert "has held the hub of thread" in done.stderr
    assert "in hold_the_hub" in done.stderr
    assert done.stderr.startswith("<Greenlet ")


def test_each_place_once():
    done = run(
        """
gate = threading.Lock()
gate.acquire()
events.subscribers.append(lambda event: gate.locked() and gate.release())

def hold(seconds):
    gate.acquire(timeout=seconds)

def hold_elsewhere(seconds):
    gate.acquire(timeout=seconds)

gevent.spawn(gevent.sleep, 60)
for function, seconds in ((hold, 60), (hold, 0.3), (hold_elsewhere, 60)):
    gevent.sleep(0)
    function(seconds)
print(["hold_elsewhere" in "".join(event.info) for event in told])
os._exit(0)
"""
    )
    assert done.stdout == "[False, True]\n", done.stderr


def test_a_call_that_lets_no_thread_run():
    done = run(
        """
def hold():
    while not told:
        sum(range(10_000_000))

gevent.spawn(gevent.sleep, 60)
gevent.spawn(hold).join()
print(len(told))
os._exit(0)
"""
    )
    assert done.stdout == "1\n", done.stderr


def test_nobody_else_is_there():
    done = run(
        """
gevent.sleep(0)
gevent.spawn(gevent.sleep, 0).join()
reporter = gevent.get_hub()._blocking_reporter
while not reporter._watchdog.still():
    pass
gevent.spawn(gevent.sleep, 60)
gevent.sleep(0)
hold_the_hub()
print(len(told))
os._exit(0)
"""
    )
    assert done.stdout == "1\n", done.stderr


def test_in_a_forked_child():
    done = run(
        """
gevent.spawn(gevent.sleep, 60)
gevent.sleep(0)
if child := gevent.os.fork():
    gevent.os.waitpid(child, 0)
    print(len(told))
else:
    hold_the_hub()
    print(len(told), flush=True)
os._exit(0)
"""
    )
    assert done.stdout == "1\n0\n", done.stderr


def test_it_is_off_unless_asked_for():
    program = "from manyhands import gevent; gevent.spawn(str).join()\n"
    program += "print(gevent.get_hub()._blocking_reporter is None)"
    for value, off in (("", True), ("off", True), ("on", False), ("0.5", False)):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "GEVENT_BLOCKING_REPORT": value},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stdout == f"{off}\n", (value, done.stderr)


def test_ends_with_ctrl_c_and_a_closed_stderr():
    program = """
os.close(2)
gevent.spawn(gevent.sleep, 60)
gevent.sleep(0)
hold_the_hub()
print("told", flush=True)
gevent.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", BEGIN + program], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == "told\n"
            child.send_signal(signal.SIGINT)
            assert child.wait(60) == -signal.SIGINT
        finally:
            child.kill()
