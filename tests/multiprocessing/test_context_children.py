"""Children that our contexts start, and what of the standard library works on them."""

import concurrent.futures
import functools
import multiprocessing as stdlib
import os

import pytest
from manyhands import multiprocessing
from support import PATIENCE, run_script

METHODS = ["fork", "spawn", "forkserver"]
pytestmark = pytest.mark.patience(180)


@pytest.fixture(params=METHODS)
def context(request):
    return multiprocessing.get_context(request.param)


def tell(queue):
    process = multiprocessing.current_process()
    parent = multiprocessing.parent_process()
    queue.put(
        (
            type(process).__module__,
            process.name,
            os.getpid(),
            parent.pid,
            multiprocessing.get_start_method(),
        )
    )


def test_a_child_knows_itself_its_parent_and_how_it_was_started(context):
    queue = context.SimpleQueue()
    process = context.Process(target=tell, args=(queue,), name="Cook")
    process.start()
    told = queue.get()
    process.join(PATIENCE)
    assert process.exitcode == 0
    assert told == (
        "manyhands.multiprocessing.context",
        "Cook",
        process.pid,
        os.getpid(),
        context.get_start_method(),
    )
    assert process not in multiprocessing.active_children()
    process.close()


def test_children_of_both_packages_are_each_others(context):
    queue = context.Queue()
    process = context.Process(target=queue.get, daemon=True)
    process.start()
    assert multiprocessing.active_children() == stdlib.active_children() == [process]
    queue.put(None)
    process.join(PATIENCE)
    assert process.exitcode == 0
    process.close()
    queue.close()
    queue.join_thread()


def square(number):
    return number * number


def fail(number):
    raise ZeroDivisionError(number)


def test_a_pool_works(context):
    with context.Pool(2) as pool:
        assert pool.map(square, range(10)) == [n * n for n in range(10)]
        assert sorted(pool.imap_unordered(square, range(5), 2)) == [0, 1, 4, 9, 16]
        assert pool.apply_async(square, (3,)).get(PATIENCE) == 9
        with pytest.raises(ZeroDivisionError, match="7"):
            pool.apply(fail, (7,))
        pool.close()
        pool.join()


def test_a_pool_that_is_terminated_says_nothing():
    script = (
        "from manyhands import multiprocessing\n"
        "import time\n"
        "if __name__ == '__main__':\n"
        "    for _ in range(5):\n"
        "        with multiprocessing.Pool(4) as pool:\n"
        "            pool.map(abs, range(8))\n"
    )
    done = run_script(script + "    print('done')")
    assert done == "done\n"


def set_up(number):
    square.number = number


def test_an_executor_works(context):
    with concurrent.futures.ProcessPoolExecutor(
        2, mp_context=context, initializer=set_up, initargs=(1,)
    ) as pool:
        assert list(pool.map(square, range(10), chunksize=3)) == [n * n for n in range(10)]
        failed = pool.submit(fail, 7)
        assert isinstance(failed.exception(PATIENCE), ZeroDivisionError)
        # What cannot be pickled fails alone.
        broken = pool.submit(functools.partial(square, lambda: None))
        assert broken.exception(PATIENCE) is not None
        assert pool.submit(square, 4).result(PATIENCE) == 16


def test_an_executor_whose_worker_dies_is_broken(context):
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        future = pool.submit(os._exit, 3)
        with pytest.raises(concurrent.futures.process.BrokenProcessPool):
            future.result(PATIENCE)


def add(shared, lock, count):
    for _ in range(count):
        with lock:
            shared["sum"] = shared.get("sum", 0) + 1


def test_a_manager_works(context):
    with context.Manager() as manager:
        shared, lock, queue = manager.dict(), manager.Lock(), manager.Queue()
        workers = [context.Process(target=add, args=(shared, lock, 20)) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(PATIENCE)
            assert worker.exitcode == 0
            worker.close()
        assert shared["sum"] == 40
        queue.put("bun")
        assert queue.get() == "bun"
        with manager.Pool(1) as pool:
            assert pool.apply(square, (3,)) == 9


def test_threads_instead_of_processes_work():
    from manyhands.multiprocessing import dummy
    from manyhands.multiprocessing.pool import ThreadPool

    with ThreadPool(2) as pool:
        assert pool.map(square, range(4)) == [0, 1, 4, 9]
        pool.close()
        pool.join()
    queue = dummy.Queue()
    process = dummy.Process(target=queue.put, args=(1,))
    process.start()
    process.join()
    assert queue.get() == 1
