"""However many greenlets there were, nothing of them stays: no memory, no descriptor.

`MANYHANDS_TEST_ALL=1` makes it a million.
"""

import os

import pytest
from greenprograms import both, ours_only

ALL = bool(os.environ.get("MANYHANDS_TEST_ALL"))
SPAWNS = 1_000_000 if ALL else 100_000

#: How much memory may come and go for other reasons.
SLACK = 6 << 20

ENDINGS = """
from collections import Counter
event = module("event").Event()
lock = module("lock").Semaphore(0)
fifo = module("queue").Queue(1)
fifo.put(None)
gevent.get_hub().handle_error = lambda *error: None   # those that raise do so on purpose

class Oops(Exception):
    pass

def raises():
    raise Oops

def in_time():
    with gevent.Timeout(0, False):
        gevent.sleep(10)

def linked():
    greenlet.rawlink(lambda _: None)

WAYS = {
    "return": (lambda: None, False),
    "raise": (raises, False),
    "killed before it starts": (lambda: None, "at once"),
    "killed asleep": (lambda: gevent.sleep(1000), True),
    "killed at an event": (event.wait, True),
    "killed at a lock": (lock.acquire, True),
    "killed at a queue": (lambda: fifo.put(1), True),
    "timeout": (in_time, False),
    "yields": (lambda: gevent.sleep(0), False),
}

def some(count):
    for way, (function, kill) in WAYS.items():
        greenlets = [gevent.spawn(function) for _ in range(count // len(WAYS))]
        if kill != "at once":
            gevent.sleep(0.001)
        if kill:
            gevent.killall(greenlets)
        gevent.joinall(greenlets)

batch, count = 900, int(sys.argv[1])
for _ in range(count // 5 // batch):
    some(batch)
gc.collect()
before, ends = resident(), descriptors()
for _ in range(count // batch):
    some(batch)
gc.collect()
tell(grown=resident() - before, descriptors=descriptors() - ends)
"""


@both
@pytest.mark.patience(240)
def test_greenlets_that_end_in_any_way_leave_nothing(implementation):
    implementation.timeout = 230
    told = implementation.told(ENDINGS, str(SPAWNS))
    assert told["descriptors"] == 0
    assert told["grown"] < SLACK


OBJECTS = """
def cycle_of_finished():
    def body():
        me.append(gevent.getcurrent())
        raise ValueError(me)
    me = []
    greenlet = gevent.spawn(body)
    me.append(greenlet)
    gevent.joinall([greenlet])

def cycle_of_unstarted():
    arguments = []
    greenlet = gevent.Greenlet(lambda _: greenlet, arguments)
    arguments.append(greenlet)

def cycle_of_links():
    greenlet = gevent.spawn(lambda: None)
    greenlet.link(lambda _: greenlet)
    greenlet.join()

def rounds(count):
    for _ in range(count):
        for function in (cycle_of_finished, cycle_of_unstarted, cycle_of_links):
            function()
    gc.collect()

gevent.get_hub().handle_error = lambda *error: None
rounds(2000)
before, objects = resident(), len(gc.get_objects())
rounds(10000)
tell(grown=resident() - before, objects=len(gc.get_objects()) - objects)
"""


@both
def test_greenlets_in_circles_are_collected(implementation):
    told = implementation.told(OBJECTS)
    assert told["objects"] < 1000
    assert told["grown"] < SLACK


SOCKETS = """
socket = module("socket")
server = module("server").StreamServer(("127.0.0.1", 0), lambda ours, _: ours.sendall(ours.recv(9)))
server.start()

def client():
    with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
        connection.sendall(b"buns")
        assert connection.recv(9) == b"buns"

def clients(count):
    for _ in range(count):
        gevent.joinall([gevent.spawn(client) for _ in range(20)], raise_error=True)
    gevent.sleep(0.01)
    gc.collect()

clients(20)
before, ends = resident(), descriptors()
clients(int(sys.argv[1]))
tell(grown=resident() - before, descriptors=descriptors() - ends)
"""


@both
def test_connections_leave_nothing(implementation):
    told = implementation.told(SOCKETS, "1000" if ALL else "100")
    assert told["descriptors"] == 0
    assert told["grown"] < SLACK


THREADS = """
import threading
event_of_main = module("event").Event()

def body():
    for _ in range(5):
        gevent.spawn(gevent.sleep, 1000)
        gevent.spawn(module("event").Event().wait)
        gevent.spawn(module("queue").Queue().get)
    gevent.sleep(0.001)

def threads(count):
    for _ in range(count):
        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
    gc.collect()

gevent.sleep(0.001)  # the main thread has its own hub from now on
threads(20)
before, ends = resident(), descriptors()
threads(200)
gevent.sleep(0.001)
tell(grown=resident() - before, descriptors=descriptors() - ends)
"""


@ours_only  # gevent wants hub.destroy() to be called
def test_threads_that_die_with_waiting_greenlets_leave_nothing(implementation):
    told = implementation.told(THREADS)
    assert told["descriptors"] == 0
    assert told["grown"] < SLACK
