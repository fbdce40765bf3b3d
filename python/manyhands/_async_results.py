"""What `manyhands.asyncio` makes tasks of, and what those of an iteration come to."""

import asyncio
import itertools
from collections.abc import AsyncIterable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from manyhands.concurrent.futures import Future

_T = TypeVar("_T")

#: How many tasks are sent at a time.
BATCH = 64


class Results(Generic[_T]):
    """What the tasks of an iteration come to, in their order; at most so many are under way."""

    def __init__(self, limit: int) -> None:
        self._room = limit
        self._has_room = asyncio.Event()
        #: None at the end.
        self._come: asyncio.Queue[asyncio.Future[list[_T]] | None] = asyncio.Queue()
        self._left: set[asyncio.Future[list[_T]]] = set()
        self._last: asyncio.Future[list[_T]] | None = None

    async def has_room(self) -> int:
        """Wait until there is room for tasks; return for how many."""
        while self._room <= 0:
            self._has_room.clear()
            await self._has_room.wait()
        return min(self._room, BATCH)

    def add(self, futures: "list[Future[list[_T]]]") -> None:
        for future in futures:
            self._room -= 1
            outcome = asyncio.wrap_future(future)
            self._left.add(outcome)
            self._put(outcome)

    def _put(self, outcome: "asyncio.Future[list[_T]]") -> None:
        self._come.put_nowait(outcome)

    def end(self, error: Exception | None) -> None:
        """There will be no more; the last outcome is that error, if there is one."""
        if error is not None:
            self._last = asyncio.get_running_loop().create_future()
            self._last.set_exception(error)
            self._left.add(self._last)
        self._put_end()

    def _put_end(self) -> None:
        if self._last is not None:
            self._come.put_nowait(self._last)
        self._come.put_nowait(None)

    async def next(self) -> list[_T] | None:
        """Return the results of the next task; None if there is none."""
        outcome = await self._come.get()
        if outcome is None:
            return None
        results = await outcome
        self._left.discard(outcome)
        self._room += 1
        self._has_room.set()
        return results

    def drop(self) -> None:
        """Take back what no worker has begun: nobody wants it."""
        drop(self._left)


class UnorderedResults(Results[_T]):
    """The same in the order in which they come."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._under_way = 0
        self._is_all_sent = False

    def _put(self, outcome: "asyncio.Future[list[_T]]") -> None:
        self._under_way += 1
        outcome.add_done_callback(self._comes)

    def _comes(self, outcome: "asyncio.Future[list[_T]]") -> None:
        self._under_way -= 1
        self._come.put_nowait(outcome)
        self._put_end()

    def end(self, error: Exception | None) -> None:
        self._is_all_sent = True
        super().end(error)

    def _put_end(self) -> None:
        if self._is_all_sent and not self._under_way:
            super()._put_end()


def drop(outcomes: "Iterable[asyncio.Future[Any]]") -> None:
    """Take back what is not done, and ask for the others, so that asyncio does not complain."""
    for outcome in outcomes:
        if not outcome.cancel() and not outcome.cancelled():
            outcome.exception()


def chunks(items: Iterator[_T], size: int) -> Iterator[list[_T]]:
    while chunk := list(itertools.islice(items, size)):
        yield chunk


def checked(chunksize: int) -> int:
    if chunksize < 1:
        raise ValueError(f"Chunksize must be 1+, not {chunksize:n}")
    return chunksize


async def listed(iterable: Iterable[_T] | AsyncIterable[_T]) -> list[_T]:
    if isinstance(iterable, AsyncIterable):
        return [item async for item in iterable]
    return list(iterable)


def take(items: Iterator[_T], count: int) -> tuple[list[_T], Exception | None]:
    """Return the next items, at most so many, and what was raised instead of another."""
    taken = []
    try:
        for item in itertools.islice(items, count):
            taken.append(item)
    except Exception as error:
        return taken, error
    return taken, None
