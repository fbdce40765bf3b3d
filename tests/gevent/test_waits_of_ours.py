"""Greenlets that wait in primitives of threads and processes: the others go on meanwhile."""

import os
import signal
import threading as real_threading
import time
from concurrent import futures as standard_futures

import pytest
from guestwaits import CASES, fork

pytest.importorskip("greenlet")

import manyhands.concurrent.futures as futures
import manyhands.multiprocessing as mp
import manyhands.queue as queue
import manyhands.threading as threading
from manyhands import gevent

#: What a wait that is not to be over gets.
SHORT = 0.02


@pytest.fixture
def ended():
    """Things to close at the end."""
    things = []
    yield things.append
    while things:
        things.pop()()


@pytest.fixture(params=CASES)
def case(request, ended):
    made = CASES[request.param](ended)
    yield made
    # pytest keeps it longer than what it is made of may live.
    vars(made).clear()


def counting(rounds=5):
    """A greenlet that counts, and what it counts in."""
    counted = []

    def count():
        for number in range(rounds):
            counted.append(number)
            gevent.sleep(0.001)

    return gevent.spawn(count), counted


def gives_once_more(case):
    waiting = gevent.spawn(case.wait)
    gevent.sleep(0.005)
    case.give()
    assert waiting.get(timeout=30) is True


def test_others_go_on_and_it_comes_back_with_what_it_waited_for(case):
    waiting = gevent.spawn(case.wait)
    counter, counted = counting()
    counter.join()
    assert len(counted) == 5
    assert not waiting.ready()
    case.give()
    assert waiting.get(timeout=30) is True


def test_the_main_greenlet_may_wait_too(case):
    counter, counted = counting()

    def give():
        counter.join()
        case.give()

    giver = gevent.spawn(give)
    assert case.wait() is True
    assert len(counted) == 5
    giver.join()


def test_a_thread_gives_it(case):
    waiting = gevent.spawn(case.wait)
    gevent.sleep(0.005)
    thread = real_threading.Thread(target=case.give)
    thread.start()
    assert waiting.get(timeout=30) is True
    thread.join()


def test_a_time_out_comes_in_time_and_spoils_nothing(case):
    if not case.has_timeout:
        pytest.skip("waits as long as it takes")
    waiting = gevent.spawn(case.wait, SHORT)
    counter, _ = counting()
    assert waiting.get(timeout=30) is False
    counter.join()
    gives_once_more(case)


def test_who_is_killed_takes_nothing_along(case):
    killed = gevent.spawn(case.wait)
    gevent.sleep(0.005)
    killed.kill()
    assert isinstance(killed.value, gevent.GreenletExit)
    if not case.is_spoiled:
        gives_once_more(case)


def test_a_timeout_of_gevent_is_raised_in_the_wait(case):
    def wait():
        with gevent.Timeout(SHORT, False):
            case.wait()
            return "over"
        return "late"

    assert gevent.spawn(wait).get(timeout=30) == "late"


@pytest.mark.parametrize("make", [queue.Queue, queue.SimpleQueue, mp.Queue, mp.SimpleQueue])
def test_a_killed_getter_hands_on_what_it_was_woken_for(make):
    source = make()
    for _ in range(50):
        first, second = gevent.spawn(source.get), gevent.spawn(source.get)
        gevent.sleep(0)
        # The first is notified, and killed before its turn comes.
        source.put("item")
        first.kill(block=False)
        source.put("item")
        assert second.get(timeout=30) == "item"
        first.join()
        if not isinstance(first.value, gevent.GreenletExit):
            assert first.value == "item"
        else:
            assert source.get() == "item"
        assert source.empty()


def test_a_lock_goes_to_one_of_many_after_the_other():
    for lock in threading.Lock(), mp.Lock(), threading.Semaphore(1), mp.Semaphore(1):
        order, inside = [], []

        def work(number, lock=lock, order=order, inside=inside):
            with lock:
                inside.append(number)
                gevent.sleep(0)
                assert inside == [number]
                inside.clear()
                order.append(number)

        gevent.joinall([gevent.spawn(work, number) for number in range(20)], raise_error=True)
        assert sorted(order) == list(range(20))


def test_many_greenlets_wait_for_processes_at_once():
    # More than there are threads that sleep in their place.
    source = mp.Queue()
    getters = [gevent.spawn(source.get) for _ in range(100)]
    counter, _ = counting()
    counter.join()
    for number in range(100):
        source.put(number)
    gevent.joinall(getters, timeout=30)
    assert sorted(getter.value for getter in getters) == list(range(100))


def test_large_messages_between_greenlets_of_one_thread():
    for duplex in (True, False):
        reader, writer = mp.Pipe(duplex)
        message = os.urandom(3 << 20)
        sending = gevent.spawn(writer.send_bytes, message)
        assert gevent.spawn(reader.recv_bytes).get(timeout=30) == message
        sending.get(timeout=30)
        reader.close()
        writer.close()


def test_a_connection_that_is_closed_lets_its_reader_go():
    here, there = mp.Pipe()
    reading = gevent.spawn(here.recv)
    gevent.sleep(0.005)
    here.close()
    with pytest.raises(OSError, match=r"Bad file descriptor|handle is closed"):
        reading.get(timeout=30)
    there.close()


def test_processes_answer_many_greenlets():
    with fork.Pool(2) as workers:
        asking = [gevent.spawn(workers.apply, pow, (number, 2)) for number in range(20)]
        mapping = gevent.spawn(workers.map, abs, range(-50, 0))
        gevent.joinall([*asking, mapping], timeout=30, raise_error=True)
        assert [each.value for each in asking] == [number**2 for number in range(20)]
        assert mapping.value == list(range(50, 0, -1))


def test_an_executor_is_shut_down_while_others_go_on():
    for executor in futures.ThreadPoolExecutor(2), futures.ProcessPoolExecutor(1, mp_context=fork):
        executor.submit(time.sleep, 0.05)
        closing = gevent.spawn(executor.shutdown)
        counter, _ = counting()
        counter.join()
        assert not closing.ready()
        closing.get(timeout=30)


def test_proxies_of_a_manager():
    with mp.Manager() as manager:
        items, lock = manager.Queue(), manager.RLock()

        def hold():
            with lock:
                gevent.sleep(0.005)
                return items.get()

        waiting = [gevent.spawn(hold) for _ in range(3)]
        counter, _ = counting()
        counter.join()
        assert not any(each.ready() for each in waiting)
        for number in range(3):
            items.put(number)
        gevent.joinall(waiting, timeout=30, raise_error=True)
        assert sorted(each.value for each in waiting) == [0, 1, 2]
        killed = gevent.spawn(items.get)
        gevent.sleep(0.01)
        killed.kill()
        items.put("kept")
        assert gevent.spawn(items.get, True, 30).get(timeout=30) == "kept"


def test_a_signal_ends_the_wait_of_the_main_greenlet():
    class Called(Exception):
        pass

    def handler(*_):
        raise Called

    before = signal.signal(signal.SIGALRM, handler)
    here, there = mp.Pipe()
    try:
        for wait in queue.Queue().get, mp.Queue().get, threading.Event().wait, here.recv:
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            with pytest.raises(Called):
                wait()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        here.close()
        there.close()


def test_a_task_that_leaves_a_greenlet_behind_does_its_worker_no_harm():
    source, seen = queue.Queue(), []

    def leave():
        gevent.spawn(lambda: seen.append(source.get()))
        gevent.sleep(0)
        return real_threading.get_ident()

    with futures.ThreadPoolExecutor(1) as executor:
        for _ in range(3):
            executor.submit(leave).result(30)
        # In a call that waits they go on.
        for number in range(3):
            source.put(number)
        executor.submit(gevent.sleep, 0.02).result(30)
        assert sorted(seen) == [0, 1, 2]
        executor.submit(leave).result(30)
    assert source.empty()


def test_greenlets_end_with_their_thread_wherever_they_wait():
    source, ended, kept = queue.Queue(), [], []

    def wait():
        try:
            source.get()
        finally:
            ended.append(real_threading.get_ident())

    def leave():
        kept.append(gevent.spawn(wait))
        gevent.sleep(0)

    thread = real_threading.Thread(target=leave)
    thread.start()
    thread.join()
    assert ended == [thread.ident]
    source.put("kept")
    assert source.get(timeout=30) == "kept"


def test_greenlets_do_not_go_on_in_children():
    counted = fork.Value("i", 0)
    source = fork.SimpleQueue()

    def count():
        while True:
            counted.value += os.getpid() != parent
            gevent.sleep(0)

    parent = os.getpid()
    counter = gevent.spawn(count)
    gevent.sleep(0)
    child = fork.Process(target=source.get)
    child.start()
    gevent.sleep(0.05)
    source.put(None)
    child.join()
    counter.kill()
    assert (child.exitcode, counted.value) == (0, 0)


def test_the_standard_librarys_wait_knows_our_futures():
    with futures.ThreadPoolExecutor(1) as executor:
        go = threading.Event()
        future = executor.submit(go.wait)
        gevent.spawn_later(0.005, go.set)
        assert isinstance(future, standard_futures.Future)
        assert future.result(30) is True
