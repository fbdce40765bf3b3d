"""A program as users write it, for the type checker: `mypy --strict tests/typing/program.py`."""

import contextlib
import sys
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any

from manyhands import asyncio as our_asyncio, multiprocessing, queue, threading, watch
from manyhands.concurrent import futures
from manyhands.multiprocessing import pool as pool_module, queues, shared_memory, synchronize

if sys.version_info >= (3, 11):
    from typing import assert_type
else:
    from typing_extensions import assert_type

numbers: queue.Queue[int] = queue.Queue(maxsize=3)
numbers.put(1)
numbers.put("one")  # type: ignore[arg-type]
assert_type(numbers.get(timeout=1.5), int)
assert_type(numbers.get_nowait(), int)
words = queue.PriorityQueue[tuple[int, str]]()
assert_type(words.get(), tuple[int, str])
assert_type(queue.SimpleQueue[bytes]().get(), bytes)
assert_type(numbers.shutdown(immediate=True), None)
with numbers.mutex:
    numbers.queue.clear()
    numbers.not_full.notify_all()
numbers.maxsize += 1


class Unique(queue.Queue[str]):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def _init(self, maxsize: int) -> None:
        self.queue: set[str] = set()

    def _put(self, item: str) -> None:
        self.queue.add(item)

    def _get(self) -> str:
        return self.queue.pop()


assert_type(Unique("name").get(), str)


class Guarded:
    lock: threading.Lock
    again: threading.RLock

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.again = threading.RLock()
        self.changed = threading.Condition(self.lock)

    def __enter__(self) -> "Guarded":
        assert_type(self.lock.acquire(timeout=1), bool)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.lock.release()

    def wait(self) -> int:
        with self.changed:
            return self.changed.wait_for(lambda: 3, timeout=0.5)


def work(stop: threading.Event, ready: threading.Barrier) -> None:
    assert_type(ready.wait(), int)
    assert_type(stop.wait(0.1), bool)
    with threading.Semaphore(2), threading.BoundedSemaphore():
        pass


thread = threading.Thread(target=work, args=(threading.Event(), threading.Barrier(1)), daemon=True)
thread.start()
thread.join()
timer = threading.Timer(0.1, print, ["late"], {"end": "\n"})
timer.finished.set()
assert_type(threading.current_thread(), threading.Thread)
for seen in watch.snapshot():
    kind: str = seen["kind"]
    owner: int | None = seen["owner"]
    longest: float = seen["waiters"][0]["waited"]


def hook(arguments: threading.ExceptHookArgs) -> Any:
    raise queue.ShutDown from arguments.exc_value


threading.excepthook = hook
with contextlib.suppress(queue.Full, queue.Empty, queue.ShutDown, threading.BrokenBarrierError):
    numbers.put_nowait(1)


def cook(orders: "queues.Queue[str]", stove: synchronize.Lock) -> None:
    with stove:
        assert_type(orders.get(timeout=1), str)
        if stove.abandoned:
            stove.abandoned = False


spawning = multiprocessing.get_context("spawn")
orders: "queues.Queue[str]" = spawning.Queue(3)
process = spawning.Process(target=cook, args=(orders, multiprocessing.Lock()), daemon=True)
assert_type(orders.lost, int)
orders.shutdown(immediate=True)
assert_type(process.exitcode, int | None)
assert_type(multiprocessing.get_start_method(), str)
receiving, sending = multiprocessing.Pipe(duplex=False)
receiving.recv_bytes(maxlength=3)
with multiprocessing.Pool(2) as pool:
    assert_type(pool.map(len, ["a", "b"], progress=True), list[int])
assert_type(shared_memory.SharedMemory(create=True, size=10).name, str)
warned: type[Warning] = synchronize.AbandonedLockWarning
with pool_module.ThreadPool(2) as threads:
    assert_type(threads.map(len, ["a", "b"], progress=True), list[int])
    assert_type(next(threads.imap_unordered(len, ["a", "b"], progress="words")), int)
with futures.ThreadPoolExecutor(2) as executor:
    assert_type(list(executor.map(len, ["a", "b"], progress=True)), list[int])
    for future in futures.as_completed([executor.submit(len, "a")], progress="words"):
        assert_type(future.result(), int)


async def fan_out(items: AsyncIterator[str]) -> None:
    async with our_asyncio.Pool(2) as pool, our_asyncio.ThreadPool(2) as threads:
        assert_type(await pool.apply(len, ("a",)), int)
        assert_type(await threads.map(len, items), list[int])
        async for length in pool.imap_unordered(len, ["a"], chunksize=2):
            assert_type(length, int)
        pool.close()
        await pool.join()
