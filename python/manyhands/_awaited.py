"""Blocking calls that coroutines await.

Each runs in the thread of the event loop, on a stack of its own. Where it would wait, in one of our
primitives or for a connection, the loop goes on; it is told, by a descriptor, when there is
something to go on with. So what waits takes no thread.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from greenlet import getcurrent, greenlet

from ._native import awaited as _native

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_T = TypeVar("_T")

#: How many seconds calls that need not wait may have before others get their turn.
_TURN = 0.005


class _Board:
    """The stacks of an event loop that are parked."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._bell: Any = None
        self.parked: dict[int, _Call] = {}
        self.turn = loop.time()

    def bell(self, loop: asyncio.AbstractEventLoop) -> Any:
        """What wakes the loop; there is one while somebody is parked, or about to be."""
        if self._bell is None:
            self._bell = _native.Bell()
            loop.add_reader(self._bell.fileno(), self._rung)
        return self._bell

    def rest(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let go of the bell if nobody is parked."""
        if self._bell is not None and not self.parked:
            loop.remove_reader(self._bell.fileno())
            self._bell = None

    def _rung(self) -> None:
        # It may have been let go of since this was due.
        for number in () if self._bell is None else self._bell.take():
            stack = self.parked.get(number)
            if stack is not None:
                stack.resume()

    def is_long(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether others have not had their turn for long; then they are about to."""
        now = loop.time()
        if now - self.turn < _TURN:
            return False
        self.turn = now
        return True


#: They know nothing of their loops, which so can be forgotten.
_boards: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Board] = weakref.WeakKeyDictionary()


class _Call(greenlet):  # type: ignore[misc]  # Its package has no types.
    """A call on a stack of its own."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, board: _Board, function: Callable[[], Any]
    ) -> None:
        super().__init__()
        self.loop = loop
        self._board = board
        self._function = function
        self._waiter: asyncio.Future[None] | None = None
        self.result: Any = None
        self.raised: BaseException | None = None
        self.gr_context = contextvars.copy_context()

    @property
    def bell(self) -> Any:
        """What is rung for it, by number, when it is to go on."""
        return self._board.bell(self.loop)

    def run(self) -> None:
        try:
            self.result = self._function()
        except BaseException as error:
            self.raised = error
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def resume(self, error: BaseException | None = None) -> None:
        """Go on until it parks or ends; what parks it looks whether that is over."""
        if self.dead:
            return
        self.parent = getcurrent()
        _native.count(1)
        try:
            if error is None:
                self.switch()
            else:
                self.throw(error)
        finally:
            _native.count(-1)
            self._board.rest(self.loop)

    async def ended(self) -> None:
        """Wait until it has ended. Who is cancelled meanwhile ends what it waits for, by
        CancelledError, and goes on when it has ended."""
        cancelled = None
        while not self.dead:
            self._waiter = self.loop.create_future()
            try:
                await self._waiter
            except asyncio.CancelledError as error:
                cancelled = error
                self.resume(asyncio.CancelledError())
        if cancelled is not None:
            raise cancelled

    # On its own stack.

    def _park(self, number: int, seconds: float | None) -> None:
        """Let the loop go on until the number is rung or so many seconds have passed."""
        timer = None if seconds is None else self.loop.call_later(seconds, self.resume)
        self._board.parked[number] = self
        try:
            self.parent.switch()
        finally:
            del self._board.parked[number]
            if timer is not None:
                timer.cancel()

    def wait_for(self, awaitable: Awaitable[_T]) -> _T:
        """Let the loop go on until this has a result, which is returned."""
        future = asyncio.ensure_future(awaitable, loop=self.loop)
        future.add_done_callback(lambda _: self.resume())
        try:
            while not future.done():
                self.parent.switch()
        except BaseException:
            future.cancel()
            raise
        return future.result()

    def breathe(self) -> None:
        """Let the loop go on for a turn if it has not for long."""
        if self._board.is_long(self.loop):
            self.wait_for(asyncio.sleep(0))


_native.set_class(_Call)


def here() -> _Call | None:
    """The call that runs, if it is one that is awaited."""
    current = getcurrent()
    return current if isinstance(current, _Call) else None


async def call(function: Callable[..., _T], /, *args: Any, **kwargs: Any) -> _T:
    """What a blocking function returns or raises; the event loop goes on while it waits.

    It waits so in the primitives of `manyhands` and for connections of `manyhands.paramiko`; what
    waits by other means, as `time.sleep`, makes the loop wait. The function runs in this thread,
    with a copy of the context variables. Who is cancelled meanwhile ends the wait, by
    CancelledError in the function.
    """
    loop = asyncio.get_running_loop()
    board = _boards.get(loop)
    if board is None:
        board = _boards[loop] = _Board(loop)
    stack = _Call(loop, board, functools.partial(function, *args, **kwargs))
    stack.resume()
    if not stack.dead:
        await stack.ended()
    elif board.is_long(loop):
        await asyncio.sleep(0)
    if stack.raised is None:
        result: _T = stack.result
        return result
    try:
        if isinstance(stack.raised, StopIteration):
            raise RuntimeError(f"{function!r} raised StopIteration") from stack.raised
        raise stack.raised
    finally:
        # Its traceback leads back to it.
        stack.raised = None
