"""Pools for coroutines."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any

import pytest
from manyhands import asyncio as our_asyncio, multiprocessing
from manyhands.concurrent.futures import ThreadPoolExecutor
from pooltasks import fail_at, identity, keep, kept, pid, say_and_pass_gate, square, subtract, tell
from support import PATIENCE

fork: Any = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What threads are given to keep they keep in this process."""
    monkeypatch.setattr("pooltasks.KEPT", ())


@pytest.fixture(params=["processes", "threads"])
def kind(request: pytest.FixtureRequest) -> Any:
    """Makes a pool of so many workers."""
    if request.param == "threads":
        return our_asyncio.ThreadPool
    return lambda *args: our_asyncio.Pool(*args, context=fork)


@pytest.fixture
def tools() -> Iterator[tuple[Any, Any]]:
    """A queue of what workers say, and a gate."""
    said, gate = fork.Queue(), fork.Event()
    yield said, gate
    gate.set()
    said.close()


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, PATIENCE))


async def aside(call: Any, *args: Any) -> Any:
    """What a call returns that waits, without making the loop wait."""
    executor = ThreadPoolExecutor(1)
    try:
        return await asyncio.wrap_future(executor.submit(call, *args))
    finally:
        executor.shutdown(wait=False)


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        await asyncio.sleep(0)
        yield number


def test_calls_are_awaited(kind: Any) -> None:
    async def main() -> None:
        async with kind(2) as pool:
            assert await pool.apply(subtract, (5, 3)) == 2
            assert await pool.apply(tell, [1], {"a": 2}) == ((1,), {"a": 2})
            assert await pool.apply(len, ("abc",)) == 3
            with pytest.raises(ZeroDivisionError):
                await pool.apply(fail_at, (1, 1))
            both = pool.apply(square, (3,)), pool.apply(square, (4,))
            assert await asyncio.gather(*both) == [9, 16]

    run(main())


@pytest.mark.parametrize("size", [None, 1, 7, 1000])
def test_maps_give_results_in_their_order(kind: Any, size: int | None) -> None:
    async def main() -> None:
        async with kind(2) as pool:
            squares = [number * number for number in range(50)]
            assert await pool.map(square, range(50), size) == squares
            assert await pool.map(square, numbers(50), size) == squares
            pairs = [(number, 1) for number in range(50)]
            assert await pool.starmap(subtract, pairs, size) == list(range(-1, 49))
            assert await pool.map(square, [], size) == []
            with pytest.raises(ZeroDivisionError):
                await pool.starmap(fail_at, [(number, 7) for number in range(50)], size)

    run(main())


@pytest.mark.parametrize("source", [range, numbers, lambda count: (n for n in range(count))])
@pytest.mark.parametrize("size", [1, 7])
def test_iterations_give_all_results(kind: Any, source: Any, size: int) -> None:
    async def main() -> None:
        async with kind(2) as pool:
            squares = [number * number for number in range(500)]
            ordered = pool.imap(square, source(500), size)
            assert [result async for result in ordered] == squares
            unordered = pool.imap_unordered(square, source(500), size)
            assert sorted([result async for result in unordered]) == squares
            assert [result async for result in pool.imap(square, source(0), size)] == []
            assert [result async for result in pool.imap_unordered(square, source(0), size)] == []

    run(main())


@pytest.mark.parametrize("how", ["imap", "imap_unordered"])
def test_endless_input_is_asked_for_some_way_ahead(kind: Any, how: str) -> None:
    asked = 0

    async def endless() -> AsyncIterator[int]:
        nonlocal asked
        while True:
            asked += 1
            yield asked

    async def main() -> None:
        async with kind(2) as pool:
            results = getattr(pool, how)(identity, endless())
            got = {await results.__anext__() for _ in range(100)}
            assert len(got) == 100
            await results.aclose()
            assert 100 <= asked < 200

    run(main())


@pytest.mark.parametrize("how", ["imap", "imap_unordered"])
def test_results_come_before_the_input_ends(kind: Any, how: str) -> None:
    async def main() -> None:
        async with kind(2) as pool:
            goes_on = asyncio.Event()

            async def source() -> AsyncIterator[int]:
                yield 2
                await goes_on.wait()
                yield 3

            results = getattr(pool, how)(square, source())
            assert await results.__anext__() == 4
            goes_on.set()
            assert [result async for result in results] == [9]

    run(main())


@pytest.mark.parametrize("how", ["imap", "imap_unordered"])
def test_what_the_input_raises_comes_after_the_results(kind: Any, how: str) -> None:
    def source() -> Iterator[int]:
        yield 2
        raise LookupError("no more")

    async def asynchronous() -> AsyncIterator[int]:
        for number in source():
            yield number

    async def main() -> None:
        async with kind(2) as pool:
            for items in (source(), asynchronous()):
                results = getattr(pool, how)(square, items)
                assert await results.__anext__() == 4
                with pytest.raises(LookupError, match="no more"):
                    await results.__anext__()

    run(main())


@pytest.mark.parametrize("how", ["apply", "map", "imap", "imap_unordered"])
def test_cancelling_who_waits_takes_back_what_has_not_begun(
    kind: Any, how: str, tools: tuple[Any, Any]
) -> None:
    said, gate = tools

    async def main() -> None:
        pool = kind(1, keep, (said, gate))
        first = asyncio.ensure_future(pool.apply(say_and_pass_gate, ("first",)))
        assert await aside(said.get) == "first"

        async def wait() -> None:
            if how == "apply":
                await pool.apply(say_and_pass_gate, ("second",))
            elif how == "map":
                await pool.map(say_and_pass_gate, range(10), 1)
            else:
                async for _ in getattr(pool, how)(say_and_pass_gate, range(10)):
                    pass

        second = asyncio.ensure_future(wait())
        await pool._send(identity, [], pool._submit_call)  # after what it sends
        for _ in range(10):
            await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.set()
        assert await first == "first"
        pool.close()
        await pool.join()
        assert said.empty()

    run(main())


def test_a_call_that_fails_takes_back_the_rest_of_its_map(
    kind: Any, tools: tuple[Any, Any]
) -> None:
    said, gate = tools

    async def main() -> None:
        async with kind(1, keep, (said, gate)) as pool:
            with pytest.raises(ZeroDivisionError):
                await pool.starmap(fail_at, [(number, 0) for number in range(1000)], 1)
            with pytest.raises(ZeroDivisionError):
                async for _ in pool.imap(_fail_at_zero, range(1000)):
                    pass
            assert await pool.apply(square, (3,)) == 9

    run(main())


def _fail_at_zero(number: int) -> int:
    return fail_at(number, 0)


def test_a_closed_pool_does_what_it_has(kind: Any, tools: tuple[Any, Any]) -> None:
    said, gate = tools

    async def main() -> None:
        pool = kind(1, keep, (said, gate))
        with pytest.raises(ValueError, match="still running"):
            await pool.join()
        results = pool.imap(say_and_pass_gate, numbers(100))
        first = asyncio.ensure_future(results.__anext__())
        assert await aside(said.get) == 0
        pool.close()
        pool.close()
        for call in (pool.apply(square, (3,)), pool.map(square, [3])):
            with pytest.raises(ValueError, match="not running"):
                await call
        with pytest.raises(ValueError, match="not running"):
            pool.imap(square, [3])
        gate.set()
        assert await first == 0
        assert [result async for result in results] == list(range(1, 100))
        await pool.join()

    run(main())


def test_terminate_fails_what_is_not_done(tools: tuple[Any, Any]) -> None:
    said, gate = tools

    async def main() -> None:
        pool = our_asyncio.Pool(1, keep, (said, gate), context=fork)
        calls = [asyncio.ensure_future(pool.apply(say_and_pass_gate, (n,))) for n in range(5)]
        assert await aside(said.get) == 0
        pool.terminate()
        await pool.join()
        for call in calls:
            with pytest.raises(Exception, match=r"ended|shutdown"):
                await call
        assert said.empty()

    run(main())


def test_terminate_fails_what_no_thread_has_begun(tools: tuple[Any, Any]) -> None:
    said, gate = tools

    async def main() -> None:
        pool = our_asyncio.ThreadPool(1, keep, (said, gate))
        calls = [asyncio.ensure_future(pool.apply(say_and_pass_gate, (n,))) for n in range(5)]
        assert await aside(said.get) == 0
        pool.terminate()
        for call in calls[1:]:
            with pytest.raises(Exception, match="terminated"):
                await call
        gate.set()
        await pool.join()
        assert await calls[0] == 0

    run(main())


def test_the_loop_goes_on_while_calls_are_sent(tools: tuple[Any, Any]) -> None:
    """A call whose arguments take their time, until the loop has made a turn."""
    turned = threading.Event()

    class Slow:
        def __reduce__(self) -> Any:
            assert turned.wait(PATIENCE)
            return int, ()

    async def main() -> None:
        async with our_asyncio.Pool(1, context=fork) as pool:
            call = asyncio.ensure_future(pool.apply(identity, (Slow(),)))
            await asyncio.sleep(0)
            turned.set()
            assert await call == 0

    run(main())


def test_workers_of_a_loop_that_handles_signals_end_by_them() -> None:
    handled = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, handled.append, "here")
        pool = our_asyncio.Pool(1, context=fork)
        worker = await pool.apply(pid)
        with pytest.raises(Exception, match="SIGTERM"):
            await asyncio.gather(pool.apply(signal.pause), aside(_terminate_when_it_waits, worker))
        assert await pool.apply(pid) != worker
        pool.terminate()
        await pool.join()

    run(main())
    assert handled == []


def _terminate_when_it_waits(process: int) -> None:
    from support import until_blocked

    until_blocked(process, process)
    os.kill(process, signal.SIGTERM)


def test_initializers_and_wrong_arguments(kind: Any) -> None:
    async def main() -> None:
        async with kind(1, keep, ("salt",)) as pool:
            assert await pool.apply(kept) == ("salt",)
            with pytest.raises(ValueError, match="Chunksize"):
                pool.imap(square, [1], 0)
            with pytest.raises(ValueError, match="Chunksize"):
                await pool.map(square, [1], 0)
        with pytest.raises(ValueError, match="greater than 0"):
            kind(0)
        with pytest.raises(TypeError):
            kind(1, "salt")

    run(main())


PROGRAM = """
import asyncio
import sys
from manyhands.asyncio import Pool

async def main():
    async with Pool(2) as pool:
        print(await pool.map(abs, [-1, -2]), sorted([x async for x in pool.imap(abs, range(3))]))

if __name__ == "__main__":
    assert asyncio.__name__ == "asyncio" and asyncio.run.__module__ == "asyncio.runners"
    assert sys.modules["asyncio"] is asyncio
    asyncio.run(main())
"""


@pytest.mark.parametrize("command", [[], ["-m", "manyhands", "run"]], ids=["python", "run"])
def test_the_stdlibs_asyncio_stays_what_it_is(tmp_path: Any, command: list[str]) -> None:
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    done = subprocess.run(
        [sys.executable, *command, "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.stdout, done.stderr) == ("[1, 2] [0, 1, 2]\n", "")
