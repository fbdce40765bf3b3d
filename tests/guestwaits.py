"""Ways to wait in primitives of threads and of processes."""

import threading as real_threading

import manyhands.concurrent.futures as futures
import manyhands.multiprocessing as mp
import manyhands.queue as queue
import manyhands.threading as threading
from manyhands._native import others_run_until as _others_run_until
from manyhands.multiprocessing import connection, pool

fork = mp.get_context("fork")


class Case:
    """A way to wait: `wait(timeout)` says whether it was for something, which `give` brings."""

    def __init__(self, wait, give, has_timeout=True, is_spoiled=False):
        self.wait, self.give, self.has_timeout = wait, give, has_timeout
        #: Whether who is killed spoils it, as one whom a signal handler's exception hits.
        self.is_spoiled = is_spoiled


def acquired(lock):
    lock.acquire()
    return Case(
        lambda timeout=None: lock.acquire(True, -1 if timeout is None else timeout), lock.release
    )


def acquired_of_processes(lock):
    lock.acquire()
    return Case(lambda timeout=None: lock.acquire(True, timeout), lock.release)


def got(source, empty):
    def wait(timeout=None):
        try:
            return source.get(True, timeout) == "item"
        except empty:
            return False

    return Case(wait, lambda: source.put("item"))


def put(target, full):
    target.put("first")

    def wait(timeout=None):
        try:
            target.put("second", True, timeout)
        except full:
            return False
        return True

    return Case(wait, target.get)


def noticed(event):
    return Case(event.wait, event.set)


def notified(condition):
    def wait(timeout=None):
        with condition:
            return condition.wait(timeout)

    def give():
        with condition:
            condition.notify()

    return Case(wait, give)


def joined(tasks):
    tasks.put("item")
    tasks.get()

    def wait(timeout=None):
        tasks.join()
        return True

    return Case(wait, tasks.task_done, has_timeout=False)


def future_of(executor, ended):
    go = threading.Event()
    ended(go.set)
    future = executor.submit(go.wait)

    def wait(timeout=None):
        try:
            return future.result(timeout)
        except futures.TimeoutError:
            return False

    return Case(wait, go.set)


def threads(ended):
    executor = futures.ThreadPoolExecutor(1)
    ended(executor.shutdown)
    return executor


def awaited(ended):
    go = threading.Event()
    future = threads(ended).submit(go.wait)
    ended(go.set)
    return Case(lambda timeout=None: bool(futures.wait([future], timeout).done), go.set)


def completed(ended):
    go = threading.Event()
    future = threads(ended).submit(go.wait)
    ended(go.set)

    def wait(timeout=None):
        try:
            return next(futures.as_completed([future], timeout)) is future
        except futures.TimeoutError:
            return False

    return Case(wait, go.set)


def called(workers, ended, go):
    ended(workers.join)
    ended(workers.terminate)
    ended(go.set)
    result = workers.apply_async(go.wait)

    def wait(timeout=None):
        try:
            return result.get(timeout)
        except mp.TimeoutError:
            return False

    return Case(wait, go.set)


def called_in_process(ended):
    go = fork.Event()
    return called(fork.Pool(1, _keep, (go,)), ended, _Kept(go))


class _Kept:
    """An event that workers have got as they began, and a function that waits for it there."""

    def __init__(self, go):
        self.set, self.wait = go.set, _wait_for_kept


_kept = None


def _keep(go):
    global _kept
    _kept = go


def _wait_for_kept():
    return _kept.wait(30)


def process_future(ended):
    go = fork.Event()
    executor = futures.ProcessPoolExecutor(1, mp_context=fork, initializer=_keep, initargs=(go,))
    ended(executor.shutdown)
    ended(go.set)
    future = executor.submit(_wait_for_kept)

    def wait(timeout=None):
        try:
            return future.result(timeout)
        except futures.TimeoutError:
            return False

    return Case(wait, go.set)


def process(ended):
    go = fork.Event()
    child = fork.Process(target=go.wait, args=(30,))
    child.start()
    ended(child.close)
    ended(child.join)
    ended(go.set)

    def wait(timeout=None):
        child.join(timeout)
        return child.exitcode == 0

    return Case(wait, go.set)


def received(ended):
    here, there = mp.Pipe()
    ended(here.close)
    ended(there.close)

    def wait(timeout=None):
        return here.recv() == "item"

    return Case(wait, lambda: there.send("item"), has_timeout=False)


def polled(ended):
    here, there = mp.Pipe(duplex=False)
    ended(here.close)
    ended(there.close)
    return Case(lambda timeout=None: here.poll(timeout), lambda: there.send("item"))


def one_of(ended):
    (here, there), (other, end) = mp.Pipe(), mp.Pipe()
    for each in here, there, other, end:
        ended(each.close)
    return Case(
        lambda timeout=None: connection.wait([other, here], timeout) == [here],
        lambda: there.send("item"),
    )


def met(barrier):
    def wait(timeout=None):
        try:
            barrier.wait(timeout)
        except real_threading.BrokenBarrierError:
            barrier.reset()
            return False
        return True

    def give():
        thread = real_threading.Thread(target=barrier.wait)
        thread.start()
        _others_run_until(lambda: not thread.is_alive())
        thread.join()

    return Case(wait, give, is_spoiled=True)


CASES = {
    "threading.Lock": lambda ended: acquired(threading.Lock()),
    "threading.Semaphore": lambda ended: acquired_of_processes(threading.Semaphore(1)),
    "threading.Event": lambda ended: noticed(threading.Event()),
    "threading.Condition": lambda ended: notified(threading.Condition()),
    "threading.Barrier": lambda ended: met(threading.Barrier(2)),
    "queue.Queue.get": lambda ended: got(queue.Queue(), queue.Empty),
    "queue.Queue.put": lambda ended: put(queue.Queue(1), queue.Full),
    "queue.Queue.join": lambda ended: joined(queue.Queue()),
    "queue.LifoQueue.get": lambda ended: got(queue.LifoQueue(), queue.Empty),
    "queue.PriorityQueue.get": lambda ended: got(queue.PriorityQueue(), queue.Empty),
    "queue.SimpleQueue.get": lambda ended: got(queue.SimpleQueue(), queue.Empty),
    "ThreadPoolExecutor": lambda ended: future_of(threads(ended), ended),
    "futures.wait": awaited,
    "futures.as_completed": completed,
    "ProcessPoolExecutor": process_future,
    "ThreadPool": lambda ended: called(pool.ThreadPool(1), ended, threading.Event()),
    "Pool": called_in_process,
    "Process.join": process,
    "Connection.recv": received,
    "Connection.poll": polled,
    "connection.wait": one_of,
    "mp.Lock": lambda ended: acquired_of_processes(mp.Lock()),
    "mp.Semaphore": lambda ended: acquired_of_processes(mp.Semaphore(1)),
    "mp.Event": lambda ended: noticed(mp.Event()),
    "mp.Condition": lambda ended: notified(mp.Condition()),
    "mp.Barrier": lambda ended: met(mp.Barrier(2)),
    "mp.Queue.get": lambda ended: got(mp.Queue(), queue.Empty),
    "mp.Queue.put": lambda ended: put(mp.Queue(1), queue.Full),
    "mp.JoinableQueue.join": lambda ended: joined(mp.JoinableQueue()),
}
