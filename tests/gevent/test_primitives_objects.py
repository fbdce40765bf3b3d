"""Events, results, locks and queues: links, subclasses, what kind of objects."""

import gc
import pickle
import weakref

import pytest

pytest.importorskip("greenlet")

from manyhands import gevent
from manyhands.gevent._abstract_linkable import AbstractLinkable
from manyhands.gevent.event import AsyncResult, Event
from manyhands.gevent.hub import get_hub
from manyhands.gevent.lock import BoundedSemaphore, DummySemaphore, RLock, Semaphore
from manyhands.gevent.queue import (
    Channel,
    Empty,
    LifoQueue,
    PriorityQueue,
    Queue,
    ShutDown,
    UnboundQueue,
)
from parking import QUEUES, Hooked, parked

# Links.


def test_links_are_called_once_and_an_error_does_not_keep_others_from_that():
    event, called, errors = Event(), [], []
    hub = get_hub()

    def link(it):
        called.append(it)

    def fails(it):
        raise LookupError("a link")

    event.rawlink(link)
    event.rawlink(fails)
    event.rawlink(link)
    hub.handle_error = lambda context, *error: errors.append(error[0])
    try:
        event.set()
        event.set()
        gevent.sleep(0)
        gevent.sleep(0)
    finally:
        del hub.handle_error
    assert (called, errors) == ([event], [LookupError])


def test_a_link_may_take_back_a_later_one_and_add_others():
    event, called = Event(), []

    def late(it):
        called.append("late")

    def first(it):
        it.unlink(late)
        it.rawlink(lambda it: called.append("added"))

    event.rawlink(first)
    event.rawlink(late)
    event.set()
    for _ in range(3):
        gevent.sleep(0)
    assert called == ["added"]


def test_links_of_a_semaphore_are_called_only_while_it_can_be_acquired():
    semaphore, called = Semaphore(0), []
    semaphore.rawlink(called.append)
    semaphore.release()
    assert semaphore.acquire(blocking=False)
    gevent.sleep(0)
    assert called == []
    semaphore.release()
    gevent.sleep(0)
    assert called == [semaphore]


def test_what_can_be_linked_to_says_so():
    assert all(isinstance(it(), AbstractLinkable) for it in (Event, AsyncResult, Semaphore))
    with pytest.raises(TypeError, match="Expected callable"):
        Event().rawlink(None)


# Results.


def test_a_result_becomes_what_a_greenlet_comes_to():
    def fails():
        raise LookupError("no luck")

    good, bad = AsyncResult(), AsyncResult()
    gevent.spawn(lambda: 5).link(good)
    hub, shown = get_hub(), []
    hub.handle_error = lambda *error: shown.append(error)
    try:
        gevent.spawn(fails).link(bad)
        assert good.result(timeout=5) == 5
        with pytest.raises(LookupError, match="no luck"):
            bad.get(timeout=5)
    finally:
        del hub.handle_error
    assert (bad.ready(), bad.successful(), bad.value) == (True, False, None)
    assert bad.exc_info[:2] == (LookupError, bad.exception)
    assert not bad.cancel()
    assert not bad.cancelled()


def test_who_waits_for_a_result_too_long_gets_a_timeout_with_its_seconds():
    with pytest.raises(gevent.Timeout, match=r"0\.01 seconds"):
        AsyncResult().get(timeout=0.01)


# Queues.


@pytest.mark.parametrize("made", QUEUES)
def test_items_of_the_constructor_and_of_a_copy(made):
    queue = made(7, [3, 1, 2])
    other = queue.copy()
    expected = {LifoQueue: [2, 1, 3], PriorityQueue: [1, 2, 3]}.get(made, [3, 1, 2])
    assert [other.get() for _ in range(3)] == expected
    assert [queue.get() for _ in range(3)] == expected
    assert (queue.maxsize, other.maxsize) == (7, 7)


def test_the_container_is_one_that_programs_may_change():
    queue = Queue()
    queue.put(1)
    queue.queue.append(2)
    queue.put(3)
    assert [queue.get() for _ in range(3)] == [1, 2, 3]
    assert not queue.queue


def test_more_room_lets_those_go_on_who_wait_for_it():
    queue = Queue(1, [0])
    greenlets = parked(*[lambda n=n: queue.put(n) for n in (1, 2, 3)])
    queue.maxsize = 3
    gevent.sleep(0)
    assert [it.ready() for it in greenlets] == [True, True, False]
    queue.maxsize = None
    gevent.sleep(0)
    assert [queue.get_nowait() for _ in range(4)] == [0, 1, 2, 3]


def test_shutdown_ends_all_waits():
    empty, full = Queue(), Queue(1, [0])
    greenlets = parked(empty.get, empty.peek, lambda: full.put(1), full.join)
    hub, shown = get_hub(), []
    hub.handle_error = lambda *error: shown.append(error)
    try:
        empty.shutdown()
        full.shutdown(immediate=True)
        gevent.joinall(greenlets)
    finally:
        del hub.handle_error
    assert [type(it.exception) for it in greenlets] == [ShutDown, ShutDown, ShutDown, type(None)]
    assert full.qsize() == 0
    with pytest.raises(ShutDown):
        full.get()


def test_what_a_hook_raises_is_raised_where_the_item_is_put():
    queue = Hooked(1)
    queue.put(1)

    def put():
        with pytest.raises(LookupError):
            queue.put("refused")
        return True

    first, second = parked(put, lambda: queue.put(2))
    assert queue.get() == 1
    assert first.get(timeout=5)
    second.get(timeout=5)
    assert queue.get() == 2


@pytest.mark.parametrize("made", [*QUEUES, Channel])
def test_nobody_waits_in_the_hub(made):
    queue, raised = made(), []

    def get():
        try:
            queue.get()
        except Empty as empty:
            raised.append(type(empty))

    get_hub().loop.run_callback(get)
    gevent.sleep(0)
    assert raised == [Empty]


def test_a_negative_limit_is_an_error():
    for call in (Queue().get, lambda timeout: Queue().put(1, timeout=timeout)):
        with pytest.raises(ValueError, match="non-negative"):
            call(timeout=-1)


def test_an_unbound_queue_has_no_maxsize():
    assert UnboundQueue(items=[1]).get() == 1
    with pytest.raises(ValueError, match="maxsize"):
        UnboundQueue(1)


# Semaphores.


def test_a_bounded_semaphore_is_not_released_too_often():
    class Mine(BoundedSemaphore):
        _OVER_RELEASE_ERROR = RuntimeError

    for made, error in ((BoundedSemaphore, ValueError), (Mine, RuntimeError)):
        semaphore = made(2)
        semaphore.acquire()
        assert semaphore.release() == 2
        with pytest.raises(error, match="too many"):
            semaphore.release()


def test_a_changed_counter_lets_those_go_on_who_wait():
    semaphore = Semaphore(0)
    greenlets = parked(semaphore.acquire, semaphore.acquire, semaphore.acquire)
    semaphore.counter += 2
    semaphore._start_notify()
    gevent.sleep(0)
    assert [it.ready() for it in greenlets] == [True, True, False]
    greenlets[2].kill()


def test_a_semaphore_that_always_can_be_acquired():
    with DummySemaphore(3) as dummy:
        assert dummy is None
    assert DummySemaphore().acquire()
    assert not DummySemaphore().locked()


# Objects.


@pytest.mark.parametrize("made", [Event, AsyncResult, Semaphore, RLock, Channel, *QUEUES])
def test_it_is_not_pickled_can_be_weakly_referenced_and_described(made):
    thing = made()
    assert weakref.ref(thing)() is thing
    assert type(thing).__name__ in repr(thing)
    assert type(thing).__name__ in str(thing)
    with pytest.raises(TypeError):
        pickle.dumps(thing)


def test_a_cycle_through_links_items_and_values_is_collected():
    class Marker:
        pass

    def cycle():
        event, result, queue, marker = Event(), AsyncResult(), Queue(), Marker()
        event.rawlink(lambda it: (event, result, queue, marker))
        result.set(event)
        queue.put(queue)
        queue.put((event, marker))
        marker.queue = queue
        return weakref.ref(marker)

    gc.collect()
    marker = cycle()
    gc.collect()
    assert marker() is None


def test_in_a_forked_child_a_semaphore_is_as_new():
    semaphore, event = BoundedSemaphore(1), Event()
    semaphore.acquire()
    event.wait(0)
    assert event.hub is get_hub()
    semaphore._at_fork_reinit()
    event._at_fork_reinit()
    assert (semaphore.counter, semaphore.hub, event.hub) == (1, None, None)
