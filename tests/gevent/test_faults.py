"""What goes wrong in one place harms nobody elsewhere."""

import pytest
from greenprograms import both, ours_only

#: Each place: how a greenlet comes to wait there; who gives what it waits for, who waits after it.
KILLED = """
queue, lock, event = module("queue"), module("lock"), module("event")
GreenletExit, GIVEN_BACK = gevent.GreenletExit, object()

def at_sleep():
    return lambda: gevent.sleep(1000), None

def at_event():
    one = event.Event()
    return one.wait, (one.set, one.wait)

def at_result():
    one = event.AsyncResult()
    return one.get, (lambda: one.set(1), one.get)

def at_get():
    one = queue.Queue()
    return one.get, (lambda: one.put(1), one.get)

def at_put():
    one = queue.Queue(1)
    one.put(1)
    return lambda: one.put(2), (one.get, lambda: one.put(3))

def at_channel():
    one = queue.Channel()
    return one.get, (lambda: gevent.spawn(one.put, 1), one.get)

def at_simple():
    one = queue.SimpleQueue()
    return one.get, (lambda: one.put(1), one.get)

def at_semaphore():
    one = lock.Semaphore(0)
    return one.acquire, (one.release, one.acquire)

def at_rlock():
    one = lock.RLock()
    one.acquire()
    def use():
        with one:
            return GIVEN_BACK
    return use, (one.release, one.acquire)

def at_join():
    other = gevent.spawn(gevent.sleep, 1000)
    return other.join, (other.kill, other.join)

def at_get_of_greenlet():
    other = gevent.spawn(gevent.sleep, 1000)
    return other.get, (other.kill, other.get)

def at_joinall():
    other = gevent.spawn(gevent.sleep, 1000)
    return lambda: gevent.joinall([other]), (other.kill, other.get)

def at_pool():
    pool = module("pool").Pool(1)
    other = pool.spawn(gevent.sleep, 1000)
    return lambda: pool.spawn(len, ()), (other.kill, pool.wait_available)

def at_join_of_pool():
    group = module("pool").Group()
    other = group.spawn(gevent.sleep, 1000)
    return group.join, (other.kill, group.join)

def at_socket():
    ours, theirs = module("socket").socketpair()
    return lambda: (theirs, ours.recv(1)), None

def at_thread():
    return lambda: gevent.get_hub().threadpool.apply(time.sleep, (0.2,)), None

PLACES = [found for name, found in sorted(globals().items()) if name.startswith("at_")]

def check(place, how):
    function, after = place()
    ended, got = [], []

    def body():
        try:
            got.append(function() is not GIVEN_BACK)
        finally:
            ended.append(True)
            gevent.sleep(0)

    victim, follower = gevent.spawn(body), None
    if how == "before it starts":
        victim.kill()
    gevent.sleep(0.001)
    assert victim.dead == (how == "before it starts")
    if after is not None:
        follower = gevent.spawn(after[1])
        gevent.sleep(0.001)
        if how != "where it waits":
            after[0]()
    victim.kill()
    if after is not None and (how == "where it waits" or any(got)):
        after[0]()
    assert victim.dead and (isinstance(victim.value, GreenletExit) or how == "while it is woken")
    assert ended == ([] if how == "before it starts" else [True]), ended
    if follower is not None:
        follower.join(1)
        assert follower.successful(), (place.__name__, how, follower)

failed = []
for place in PLACES:
    for how in ("before it starts", "where it waits", "while it is woken"):
        try:
            check(place, how)
        except AssertionError as error:
            failed.append(f"{place.__name__} {how}: {error}")
tell(failed=failed, places=len(PLACES))
"""


@both
def test_who_is_killed_where_it_waits_takes_nothing_from_the_next(implementation):
    told = implementation.told(KILLED)
    assert told == {"failed": [], "places": 16}


CALLBACKS = """
hub, seen = gevent.get_hub(), []
told_of = []
hub.handle_error = lambda context, kind, value, trace: told_of.append(str(value))

def fail(what):
    raise ValueError(what)

greenlet = gevent.spawn(lambda: 5)
greenlet.link(lambda _: fail("link"))
greenlet.link(lambda ended: seen.append(ended.value))
hub.loop.run_callback(fail, "callback")
hub.loop.run_callback(seen.append, "after the callback")
event = module("event").Event()
event.rawlink(lambda _: fail("link of an event"))
event.rawlink(lambda _: seen.append("after the link of an event"))
event.set()
timer = hub.loop.timer(0.001)
timer.start(fail, "timer")
hub.loop.run_callback_threadsafe(fail, "callback from elsewhere")
gevent.spawn(fail, "greenlet").join()
gevent.sleep(0.05)
tell(seen=sorted(map(str, seen)), told_of=sorted(set(told_of)))
"""


@both
def test_what_is_raised_in_links_and_callbacks_is_told_and_stops_nobody(implementation):
    told = implementation.told(CALLBACKS)
    assert told["seen"] == ["5", "after the callback", "after the link of an event"]
    wanted = [
        "callback",
        "callback from elsewhere",
        "greenlet",
        "link",
        "link of an event",
        "timer",
    ]
    assert told["told_of"] == wanted


FORKS = """
import random, signal
event, queue, socket = module("event"), module("queue"), module("socket")
numbers = random.Random(1)
own = sys.argv[1] == "gevent"
fork, wait = (gevent.fork, module("os").waitpid) if own else (os.fork, os.waitpid)
fifo, running = queue.Queue(1), True

def noise(kind):
    ends = socket.socketpair()
    while running:
        if kind == 0:
            gevent.sleep(0)
        elif kind == 1:
            gevent.sleep(numbers.random() / 1000)
        elif kind == 2:
            fifo.put(kind)
        elif kind == 3:
            fifo.get()
        else:
            ends[0].send(b"x")
            ends[1].recv(1)
        gevent.sleep(0)   # gevent would let nobody else run, otherwise

def in_child():
    found = []
    gevent.spawn(found.append, 1).join()
    gevent.sleep(0.001)
    ours, theirs = socket.socketpair()
    gevent.spawn(theirs.send, b"buns")
    found.append(ours.recv(4))
    with gevent.Timeout(0.01, False):
        event.Event().wait()
    return found == [1, b"buns"]

noises = [gevent.spawn(noise, number % 5) for number in range(20)]
statuses = []
for turn in range(int(sys.argv[2])):
    gevent.sleep(numbers.random() / 500)
    pid = fork()
    if pid == 0:
        try:
            gevent.reinit()
            running = False
            os._exit(0 if in_child() else 3)
        finally:
            os._exit(4)
    with gevent.Timeout(60):
        while (ended := wait(pid, os.WNOHANG)) == (0, 0):
            gevent.sleep(0.001)
    statuses.append(ended[1])
running = False
gevent.killall(noises)
tell(statuses=statuses)
"""


@both
@pytest.mark.parametrize("whose", ["os", "gevent"])
def test_a_fork_at_any_time_has_a_hub_of_its_own(implementation, whose):
    # From 3.12 on, a fork beside any thread is warned of, and the watchdog is one.
    quiet = "ignore:This process:DeprecationWarning"
    told = implementation.told(FORKS, whose, "40", PYTHONWARNINGS=quiet)
    assert told == {"statuses": [0] * 40}


THREADS = """
import threading
finals = []

def body():
    def waits():
        try:
            gevent.sleep(1000)
        finally:
            finals.append(1)
    for _ in range(5):
        gevent.spawn(waits)
        gevent.spawn_later(1000, waits)
        gevent.Greenlet(waits)
    gevent.sleep(0.001)

for _ in range(100):
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    gevent.sleep(0)
    gevent.spawn(lambda: None).join()
gc.collect()
tell(alive=threading.active_count())
"""


@both
def test_threads_may_end_with_greenlets_that_wait(implementation):
    assert implementation.told(THREADS)["alive"] == 1


PARKED_IN_CIRCLES = """
queue, event = module("queue"), module("event")
finals = []

def waits(primitive):
    try:
        primitive.get() if hasattr(primitive, "get") else primitive.wait()
    finally:
        finals.append(1)

def run():
    for _ in range(100):
        gevent.spawn(waits, queue.Queue())
        gevent.spawn(waits, event.Event())
    gevent.sleep(0.001)

run()
gc.collect()
gevent.sleep(0.001)
gevent.spawn(lambda: None).join()
tell(left=sum(type(one).__name__ == "Greenlet" and not one.dead for one in gc.get_objects()))
"""


@ours_only
def test_the_end_comes_with_greenlets_that_nothing_can_wake(implementation):
    # Whether they are collected or stay, nothing breaks.
    assert implementation.told(PARKED_IN_CIRCLES)["left"] in range(201)
