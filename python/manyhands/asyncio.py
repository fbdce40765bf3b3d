"""Pools of processes and of threads for coroutines.

`Pool` and `ThreadPool` have the methods of `multiprocessing.Pool`, to be awaited, and iterated over
with `async for`. The event loop never waits: what can take long, as to start workers, to pickle
arguments, and to wait until there is room for more, is done by a thread of the pool's own.

Who is cancelled while awaiting calls takes back those that no worker has begun.
"""

import asyncio
import itertools
import signal
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from multiprocessing.context import BaseContext
from types import TracebackType
from typing import Any, TypeVar

from manyhands import _native
from manyhands._async_results import (
    Results,
    UnorderedResults,
    checked,
    chunks,
    drop,
    listed,
    take,
)
from manyhands.concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from manyhands.concurrent.futures.thread import _break

__all__ = ["Pool", "ThreadPool"]

_T = TypeVar("_T")
_S = TypeVar("_S")

#: How many tasks an iteration may have under way for each worker.
_AHEAD = 16

_RUN, _CLOSE, _TERMINATE = range(3)


class _Base:
    """What both kinds of pools have in common."""

    _executor: Any
    _processes: int

    def __init__(self) -> None:
        self._state = _RUN
        #: How many iterations have more to send.
        self._feeding = 0
        self._all_sent = asyncio.Event()
        self._all_sent.set()
        self._ending: Future[None] | None = None

    async def apply(
        self,
        func: Callable[..., _T],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] | None = None,
    ) -> _T:
        """Return the result of `func(*args, **kwds)`."""
        self._check_running()
        (future,) = await self._send(func, [(args, kwds or {})], self._submit_call)
        return await asyncio.wrap_future(future)

    async def map(
        self,
        func: Callable[[_S], _T],
        iterable: Iterable[_S] | AsyncIterable[_S],
        chunksize: int | None = None,
    ) -> list[_T]:
        """Return the results of `func` for each item.

        If one raises, those that no worker has begun are taken back.
        """
        return await self._map(func, [(item,) for item in await listed(iterable)], chunksize)

    async def starmap(
        self,
        func: Callable[..., _T],
        iterable: Iterable[Iterable[Any]] | AsyncIterable[Iterable[Any]],
        chunksize: int | None = None,
    ) -> list[_T]:
        """As `map`, with the items of each item as arguments."""
        return await self._map(func, [tuple(item) for item in await listed(iterable)], chunksize)

    async def _map(
        self, func: Callable[..., _T], calls: list[tuple[Any, ...]], chunksize: int | None
    ) -> list[_T]:
        self._check_running()
        size = -(-len(calls) // (self._processes * 4)) or 1 if chunksize is None else chunksize
        sent = chunks(iter(calls), checked(size))
        futures = await self._send(func, list(sent), self._submits_chunks())
        outcomes = list(map(asyncio.wrap_future, futures))
        try:
            return list(itertools.chain.from_iterable(await asyncio.gather(*outcomes)))
        finally:
            drop(outcomes)

    def imap(
        self,
        func: Callable[[_S], _T],
        iterable: Iterable[_S] | AsyncIterable[_S],
        chunksize: int = 1,
    ) -> AsyncIterator[_T]:
        """Iterate over the results of `func` for each item, in their order.

        Items are asked for some way ahead of the results that were taken. If a call raises, or
        nobody iterates any more, those that no worker has begun are taken back.
        """
        self._check_running()
        return self._imap(func, iterable, checked(chunksize), Results)

    def imap_unordered(
        self,
        func: Callable[[_S], _T],
        iterable: Iterable[_S] | AsyncIterable[_S],
        chunksize: int = 1,
    ) -> AsyncIterator[_T]:
        """As `imap`, but with the results in the order in which they come."""
        self._check_running()
        return self._imap(func, iterable, checked(chunksize), UnorderedResults)

    async def _imap(
        self,
        func: Callable[[_S], _T],
        iterable: Iterable[_S] | AsyncIterable[_S],
        chunksize: int,
        kind: "type[Results[_T]]",
    ) -> AsyncIterator[_T]:
        results = kind(self._processes * _AHEAD)
        self._feeding += 1
        self._all_sent.clear()
        feeder = asyncio.ensure_future(self._feed(func, iterable, chunksize, results))
        feeder.add_done_callback(self._fed)
        try:
            while (chunk := await results.next()) is not None:
                for result in chunk:
                    yield result
        finally:
            feeder.cancel()
            results.drop()

    async def _feed(
        self,
        func: Callable[[_S], _T],
        iterable: Iterable[_S] | AsyncIterable[_S],
        chunksize: int,
        results: "Results[_T]",
    ) -> None:
        """Send what an iterable gives, as there is room."""
        error = None
        submit = self._submits_chunks()
        try:
            if isinstance(iterable, AsyncIterable):
                chunk = []
                async for item in iterable:
                    chunk.append((item,))
                    if len(chunk) == chunksize:
                        await results.has_room()
                        results.add(await self._send(func, [chunk], submit))
                        chunk = []
                if chunk:
                    results.add(await self._send(func, [chunk], submit))
            else:
                sent = chunks(((item,) for item in iterable), chunksize)
                while error is None:
                    batch, error = take(sent, await results.has_room())
                    if not batch:
                        break
                    results.add(await self._send(func, batch, submit))
        except Exception as why:
            error = why
        results.end(error)

    def _fed(self, feeder: "asyncio.Future[None]") -> None:
        """An iteration has sent all that it will."""
        self._feeding -= 1
        if not self._feeding:
            self._all_sent.set()
            if self._state == _CLOSE:
                self._finish()

    async def _send(
        self,
        func: Callable[..., Any],
        tasks: list[Any],
        submit: "Callable[[Callable[..., Any], Any], Future[Any]]",
    ) -> "list[Future[Any]]":
        """Submit tasks, without making the loop wait; return their futures."""
        raise NotImplementedError

    def _submit_call(self, func: Callable[..., Any], call: Any) -> "Future[Any]":
        args, kwds = call
        future: Future[Any] = self._executor.submit(func, *args, **kwds)
        return future

    def _submits_chunks(self) -> "Callable[[Callable[..., Any], Any], Future[Any]]":
        """Return what submits the tasks of one map."""
        raise NotImplementedError

    def _check_running(self) -> None:
        if self._state != _RUN:
            raise ValueError("Pool not running")

    def close(self) -> None:
        """Take no more calls; workers end when those that there are have been done."""
        if self._state == _RUN:
            self._state = _CLOSE
            if not self._feeding:
                self._finish()

    def terminate(self) -> None:
        """Take no more calls, and have those fail that were not done."""
        if self._state != _TERMINATE:
            self._state = _TERMINATE
            self._ending = _in_thread(self._end)

    async def join(self) -> None:
        """Wait for the end of all workers, after close() or terminate()."""
        if self._state == _RUN:
            raise ValueError("Pool is still running")
        if self._state == _CLOSE:
            await self._all_sent.wait()
        if self._ending is not None:
            await asyncio.shield(asyncio.wrap_future(self._ending))
        await asyncio.wrap_future(_in_thread(self._wait))

    async def __aenter__(self: "_Self") -> "_Self":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.terminate()
        await self.join()

    def _finish(self) -> None:
        """Have the workers end when all that was sent is done."""
        raise NotImplementedError

    def _end(self) -> None:
        """End the workers, as far as that can be done; this may take a while."""
        raise NotImplementedError

    def _wait(self) -> None:
        """Wait for the end of the workers."""
        raise NotImplementedError


_Self = TypeVar("_Self", bound=_Base)


class Pool(_Base):
    """Worker processes for coroutines; the arguments are those of `multiprocessing.Pool`.

    `async with` it ends the workers at the end, as `with` a `multiprocessing.Pool` does.
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: BaseContext | None = None,
    ) -> None:
        super().__init__()
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._executor = ProcessPoolExecutor(
            processes,
            context,
            _begin,
            (initializer, tuple(initargs)),
            max_tasks_per_child=maxtasksperchild,
        )
        self._processes = self._executor._max_workers
        #: Sends, and starts workers for that: one thing after the other.
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="manyhands.asyncio")
        self._workers: Any = None

    async def _send(
        self,
        func: Callable[..., Any],
        tasks: list[Any],
        submit: "Callable[[Callable[..., Any], Any], Future[Any]]",
    ) -> "list[Future[Any]]":
        sending = self._sender.submit(_submit_all, submit, func, tasks)
        try:
            return await asyncio.wrap_future(sending)
        except asyncio.CancelledError:
            sending.add_done_callback(_take_back)
            raise

    def _submits_chunks(self) -> "Callable[[Callable[..., Any], Any], Future[Any]]":
        # By which an array that is in many tasks is copied once.
        repeats = _native.multiprocessing.Repeats()

        def submit(func: Callable[..., Any], chunk: Any) -> "Future[Any]":
            future: Future[Any] = self._executor._submit(func, chunk, None, repeats)
            return future

        return submit

    def _finish(self) -> None:
        self._sender.submit(self._shut_down)

    def _shut_down(self) -> None:
        with self._executor._shutdown_lock:
            # The executor takes no more, and is about to forget them.
            self._executor._shutdown_thread = True
            self._workers = self._workers or self._executor._pool
        self._executor.shutdown(wait=False)

    def _end(self) -> None:
        self._shut_down()
        if self._workers is not None:
            self._workers.give_up()

    def _wait(self) -> None:
        self._sender.shutdown()
        if self._workers is not None:
            self._workers.finish()


class ThreadPool(_Base):
    """Worker threads for coroutines; `join()` waits for calls that a thread has begun, always."""

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
    ) -> None:
        super().__init__()
        self._executor = ThreadPoolExecutor(
            processes, initializer=initializer, initargs=tuple(initargs)
        )
        self._processes = self._executor._max_workers

    async def _send(
        self,
        func: Callable[..., Any],
        tasks: list[Any],
        submit: "Callable[[Callable[..., Any], Any], Future[Any]]",
    ) -> "list[Future[Any]]":
        # Nothing of it takes long.
        return _submit_all(submit, func, tasks)

    def _submits_chunks(self) -> "Callable[[Callable[..., Any], Any], Future[Any]]":
        def submit(func: Callable[..., Any], chunk: Any) -> "Future[Any]":
            future: Future[Any] = self._executor.submit(_call_each, func, chunk)
            return future

        return submit

    def _finish(self) -> None:
        self._executor.shutdown(wait=False)

    def _end(self) -> None:
        self._executor.shutdown(wait=False)
        _break(self._executor._jobs, "the pool was terminated before the call was done")

    def _wait(self) -> None:
        self._executor.shutdown()


def _take_back(sending: "Future[list[Future[Any]]]") -> None:
    """Take back what was sent for somebody who was cancelled meanwhile."""
    if not sending.cancelled() and sending.exception() is None:
        for future in sending.result():
            future.cancel()


def _submit_all(
    submit: "Callable[[Callable[..., Any], Any], Future[Any]]",
    func: Callable[..., Any],
    tasks: list[Any],
) -> "list[Future[Any]]":
    return [submit(func, task) for task in tasks]


def _call_each(func: Callable[..., _T], calls: list[tuple[Any, ...]]) -> list[_T]:
    return [func(*call) for call in calls]


def _in_thread(call: Callable[[], None]) -> "Future[None]":
    """Have a thread of its own make a call."""
    executor = ThreadPoolExecutor(1)
    future: Future[None] = executor.submit(call)
    executor.shutdown(wait=False)
    return future


def _begin(initializer: Callable[..., object] | None, initargs: tuple[Any, ...]) -> None:
    """Prepare a worker process: where it is a fork, the parent's loop would handle its signals."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        handler = signal.getsignal(number)
        module = getattr(getattr(handler, "func", handler), "__module__", None)
        if str(module).startswith("asyncio."):
            is_interrupt = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if is_interrupt else signal.SIG_DFL)
    if initializer is not None:
        initializer(*initargs)
