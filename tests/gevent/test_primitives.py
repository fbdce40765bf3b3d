"""Events, locks and queues: in which order greenlets go on, and kills in every state."""

import pytest

pytest.importorskip("greenlet")

from manyhands import gevent
from manyhands.gevent.event import AsyncResult, Event
from manyhands.gevent.hub import get_hub
from manyhands.gevent.lock import RLock, Semaphore
from manyhands.gevent.queue import Channel, Full, Queue, SimpleQueue
from parking import QUEUES, Hooked, kill_once_woken, parked

# Order.


@pytest.mark.parametrize("made", [Event, AsyncResult])
def test_waiters_and_links_go_on_in_the_order_in_which_they_came(made):
    thing, order = made(), []
    (first,) = parked(lambda: order.append((thing.wait(1), "first")[1]))
    thing.rawlink(lambda it: order.append("link"))
    (second,) = parked(lambda: order.append((thing.wait(1), "second")[1]))
    thing.rawlink(lambda it: order.append("last"))
    thing.set()
    gevent.joinall([first, second])
    gevent.sleep(0)
    assert order == ["first", "link", "second", "last"]


def test_who_comes_when_the_event_is_set_has_its_turn_after_those_who_waited():
    event, order = Event(), []
    parked(lambda: order.append((event.wait(), 1)[1]), lambda: order.append((event.wait(), 2)[1]))
    event.set()
    event.wait()
    order.append(3)
    assert order == [1, 2, 3]


def test_all_who_waited_go_on_though_the_event_is_cleared_at_once():
    event = Event()
    waiters = parked(*[lambda: event.wait(1)] * 3)
    event.set()
    event.clear()
    assert [it.get() for it in waiters] == [True] * 3
    assert event.wait(0) is False


def test_a_semaphore_is_had_in_the_order_in_which_it_was_asked_for():
    semaphore, order = Semaphore(0), []
    greenlets = parked(*[lambda n=n: order.append((semaphore.acquire(), n)[1]) for n in range(5)])
    for _ in range(5):
        semaphore.release()
    gevent.joinall(greenlets)
    assert order == [0, 1, 2, 3, 4]
    assert semaphore.counter == 0


def test_who_runs_may_take_a_unit_before_the_one_that_was_woken_for_it():
    semaphore = Semaphore(0)
    first, second = parked(semaphore.acquire, semaphore.acquire)
    semaphore.release()
    assert semaphore.acquire(blocking=False)
    gevent.sleep(0)
    assert (first.ready(), second.ready(), semaphore.linkcount()) == (False, False, 2)
    semaphore.release()
    gevent.sleep(0)
    assert (first.ready(), second.ready()) == (True, False)
    second.kill()


@pytest.mark.parametrize("made", QUEUES)
def test_items_go_to_those_who_wait_in_their_order(made):
    queue, got = made(), []
    greenlets = parked(*[lambda n=n: got.append((n, queue.get())) for n in range(3)])
    for item in range(3):
        queue.put(item)
        gevent.sleep(0)
    gevent.joinall(greenlets)
    assert got == [(0, 0), (1, 1), (2, 2)]


@pytest.mark.parametrize("made", [SimpleQueue, Queue, Hooked])
def test_who_waits_for_room_puts_in_the_order_in_which_he_came(made):
    queue = made(1)
    queue.put("a")
    greenlets = parked(*[lambda item=item: queue.put(item) for item in "bcd"])
    assert [queue.get() for _ in "abcd"] == list("abcd")
    gevent.joinall(greenlets)
    assert all(it.successful() for it in greenlets)


def test_all_who_wait_for_room_go_on_when_others_have_taken_what_they_wait_with():
    queue = Queue(1, ["a"])
    greenlets = parked(*[lambda item=item: queue.put(item) for item in "bcd"])
    assert [queue.get(), queue.get()] == ["a", "b"]
    gevent.sleep(0)  # the first goes on, and has the next one woken
    gevent.sleep(0)
    assert [it.ready() for it in greenlets] == [True, True, False]
    assert queue.qsize() == 1
    assert [queue.get(), queue.get()] == ["c", "d"]
    gevent.joinall(greenlets)


def test_who_gets_may_put_again_before_those_who_wait_for_room():
    queue = Queue(1, [1])
    (waiter,) = parked(lambda: queue.put(2))
    assert queue.get() == 1
    queue.put_nowait(3)
    gevent.sleep(0)
    assert not waiter.ready()
    assert [queue.get(), queue.get()] == [3, 2]
    assert queue.unfinished_tasks == 3


# Kills.


def test_a_unit_goes_to_the_next_if_the_one_that_was_woken_for_it_is_killed():
    semaphore = Semaphore(0)
    first, second = parked(semaphore.acquire, semaphore.acquire)
    kill_once_woken(first, semaphore.release)
    assert second.get(timeout=5) is True
    assert (semaphore.counter, semaphore.linkcount()) == (0, 0)


def test_a_unit_stays_if_all_who_were_woken_are_killed():
    semaphore = Semaphore(0)
    (first,) = parked(semaphore.acquire)
    kill_once_woken(first, semaphore.release)
    assert semaphore.counter == 1
    assert semaphore.acquire(blocking=False)


@pytest.mark.parametrize("made", [Event, AsyncResult, lambda: Semaphore(0)])
def test_who_is_killed_in_line_leaves_it(made):
    thing = made()
    greenlets = parked(*[thing.wait] * 5)
    assert thing.linkcount() == 5
    for at in (2, 0, 4, 1, 3):
        greenlets[at].kill()
    assert thing.linkcount() == 0


def test_a_lock_goes_to_the_next_if_the_one_that_was_woken_for_it_is_killed():
    lock = RLock()
    lock.acquire()
    first, second = parked(lock.acquire, lock.acquire)
    kill_once_woken(first, lock.release)
    assert second.get(timeout=5) is True
    assert lock._owner is second


@pytest.mark.parametrize("made", [*QUEUES, Hooked])
def test_an_item_goes_to_the_next_if_the_one_that_was_woken_for_it_is_killed(made):
    queue = made()
    first, second = parked(queue.get, queue.get)
    kill_once_woken(first, queue.put, "item")
    assert second.get(timeout=5) == "item"


@pytest.mark.parametrize("made", [*QUEUES, Hooked])
def test_room_goes_to_the_next_if_the_one_that_was_woken_for_it_is_killed(made):
    queue = made(1)
    queue.put(1)
    first, second = parked(lambda: queue.put(2), lambda: queue.put(3))
    assert kill_once_woken(first, queue.get) == 1
    second.get(timeout=5)
    assert queue.get() == 3
    assert queue.empty()


def test_who_looks_at_an_item_leaves_it_for_the_next():
    queue = Queue()
    greenlets = parked(queue.peek, queue.peek, queue.get)
    queue.put("item")
    assert [it.get(timeout=5) for it in greenlets] == ["item"] * 3
    assert queue.empty()


def test_what_a_killed_one_offers_in_a_channel_is_not_had():
    channel = Channel()
    first, second = parked(lambda: channel.put(1), lambda: channel.put(2))
    first.kill()
    assert channel.get() == 2
    second.get(timeout=5)
    assert channel.balance == 0


def test_an_offer_in_a_channel_goes_to_the_next_if_the_one_that_was_woken_for_it_is_killed():
    channel = Channel()
    first, second = parked(channel.get, channel.get)
    putter = gevent.spawn(channel.put, "item")
    kill_once_woken(first, gevent.sleep, 0)
    assert second.get(timeout=5) == "item"
    putter.get(timeout=5)
    assert first.dead


def test_what_the_hub_puts_into_a_channel_is_for_who_waits():
    channel, results = Channel(), []
    (greenlet,) = parked(channel.get)

    def put():
        for item in "ab":
            try:
                results.append(channel.put_nowait(item))
            except Full as full:
                results.append(type(full))

    get_hub().loop.run_callback(put)
    assert greenlet.get(timeout=5) == "a"
    assert results == [None, Full]


def test_a_timeout_that_is_raised_while_an_item_is_on_its_way_loses_nothing():
    queue = Queue()

    def get():
        with gevent.Timeout(0.01, False):
            queue.get()
            return True
        return False

    taken = 0
    for _ in range(20):
        greenlet = gevent.spawn(get)
        gevent.sleep(0.0095)
        queue.put("item")
        taken += greenlet.get()
    assert taken + queue.qsize() == 20
