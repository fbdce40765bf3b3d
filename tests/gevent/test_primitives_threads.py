"""Semaphores, locks and events that several threads use, with and without hubs."""

import threading

import pytest

pytest.importorskip("greenlet")

from manyhands import gevent
from manyhands.gevent._hub_local import get_hub_if_exists
from manyhands.gevent.event import Event
from manyhands.gevent.hub import get_hub
from manyhands.gevent.lock import BoundedSemaphore, RLock, Semaphore


@pytest.fixture
def threads():
    started = []

    def start(function):
        thread = threading.Thread(target=function)
        thread.start()
        started.append(thread)
        return thread

    yield start
    for thread in started:
        thread.join()


def test_threads_with_and_without_hubs_share_a_semaphore(threads):
    semaphore, inside, most = BoundedSemaphore(2), [], []

    def use():
        for _ in range(200):
            with semaphore:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    def use_in_greenlets():
        gevent.joinall([gevent.spawn(use) for _ in range(3)])
        get_hub().destroy(destroy_loop=True)

    started = [threads(use), threads(use), threads(use_in_greenlets), threads(use_in_greenlets)]
    gevent.joinall([gevent.spawn(use) for _ in range(3)])
    for thread in started:
        thread.join()
    assert max(most) <= 2
    assert (semaphore.counter, semaphore.linkcount()) == (2, 0)


def test_a_thread_without_a_hub_waits_with_a_limit_and_gets_none(threads):
    semaphore, hubs, waited = Semaphore(1), [], []
    semaphore.acquire()

    def wait():
        waited.append(semaphore.acquire(timeout=0.01))
        waited.append(semaphore.acquire())
        hubs.append(get_hub_if_exists())

    thread = threads(wait)
    while semaphore.linkcount() == 0 or not waited:
        gevent.sleep(0.001)
    semaphore.release()
    thread.join()
    assert (waited, hubs) == ([False, True], [None])


def test_an_event_that_another_thread_sets_is_seen_and_its_links_run_in_their_own(threads):
    event, called = Event(), []
    event.rawlink(lambda it: called.append(threading.get_ident()))
    threads(event.set)
    assert event.wait(30)
    while not called:
        gevent.sleep(0)
    assert called == [threading.get_ident()]


def test_a_lock_belongs_to_a_greenlet_of_a_thread(threads):
    lock, seen = RLock(), []
    lock.acquire()
    lock.acquire()
    threads(lambda: seen.append(lock.acquire(blocking=False))).join()
    greenlet = gevent.spawn(lock.acquire, blocking=False)
    assert greenlet.get() is False
    assert seen == [False]

    def release():
        with pytest.raises(RuntimeError, match="un-acquired"):
            lock.release()
        return True

    assert gevent.spawn(release).get()
    lock.release()
    lock.release()
    assert not lock.locked()


def test_a_condition_gives_a_lock_back_as_it_was():
    lock, order = RLock(), []
    condition = threading.Condition(lock)

    def other():
        with lock:
            order.append(lock._owner is gevent.getcurrent())

    with lock, lock:
        greenlet = gevent.spawn(other)
        state = condition._release_save()
        greenlet.join()
        condition._acquire_restore(state)
        order.append((lock._is_owned(), lock._count))
    assert order == [True, (True, 2)]
    assert not lock.locked()
