"""The same for worlds of coroutines (bench/greens.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from bench.greens import BATCH, RIVALS, Taken, naps, timed


async def nothing(*_: Any) -> None:
    pass


class Coroutines:
    """What is written alike, upon `together`, `run` and a few names of the world."""

    name: str
    sleep: Callable[[float], Awaitable[None]]
    run: Callable[..., Any]

    async def together(self, *functions: Callable[[], Awaitable[Any]]) -> None:
        raise NotImplementedError

    def semaphore(self, value: int) -> Any:
        raise NotImplementedError

    def measured(self, main: Callable[[], Awaitable[Any]]) -> Taken:
        async def run() -> list[float]:
            with timed() as taken:
                await main()
            return taken

        cpu, wall = self.run(run)
        return cpu, wall

    def all_at_once(self, count: int) -> Taken:
        return self.measured(lambda: self.together(*[nothing] * count))

    def batches(self, count: int) -> Taken:
        async def main() -> None:
            for _ in range(count // BATCH):
                await self.together(*[nothing] * BATCH)

        return self.measured(main)

    def pool_map(self, count: int) -> Taken:
        async def main() -> None:
            semaphore, results = self.semaphore(BATCH), [None] * count

            async def work(number: int) -> None:
                async with semaphore:
                    results[number] = await nothing(number)

            await self.together(*[partial(work, number) for number in range(count)])

        return self.measured(main)

    def switches(self, count: int) -> Taken:
        async def switch() -> None:
            sleep = self.sleep
            for _ in range(count // 2):
                await sleep(0)

        return self.measured(lambda: self.together(switch, switch))

    def contended(self, count: int) -> Taken:
        async def main() -> None:
            semaphore, sleep = self.semaphore(1), self.sleep

            async def rival() -> None:
                for _ in range(count // RIVALS):
                    async with semaphore:
                        await sleep(0)

            await self.together(*[rival] * RIVALS)

        return self.measured(main)

    def free(self, count: int) -> Taken:
        async def main() -> None:
            semaphore = self.semaphore(1)
            for _ in range(count):
                await semaphore.acquire()
                semaphore.release()

        return self.measured(main)

    def sleeps(self, count: int) -> Taken:
        async def main() -> None:
            await self.together(*[lambda nap=nap: self.sleep(nap) for nap in naps(count)])

        return self.measured(main)


class Asyncios(Coroutines):
    sleep = staticmethod(asyncio.sleep)

    def __init__(self, name: str, new_loop: Callable[[], Any]) -> None:
        self.name, self.new_loop = name, new_loop
        if hasattr(asyncio, "timeout"):
            self.timeouts = self._timeouts

    def run(self, main: Callable[[], Any]) -> Any:
        loop = self.new_loop()
        try:
            return loop.run_until_complete(main())
        finally:
            loop.close()

    async def together(self, *functions: Callable[[], Any]) -> None:
        await asyncio.gather(*[asyncio.ensure_future(function()) for function in functions])

    def semaphore(self, value: int) -> Any:
        return asyncio.Semaphore(value)

    def ping_pong(self, count: int) -> Taken:
        async def main() -> None:
            there: Any = asyncio.Queue()
            back: Any = asyncio.Queue()

            async def ask() -> None:
                for _ in range(count):
                    await there.put(None)
                    await back.get()

            async def answer() -> None:
                for _ in range(count):
                    await there.get()
                    await back.put(None)

            await self.together(ask, answer)

        return self.measured(main)

    def bounded(self, count: int) -> Taken:
        async def main() -> None:
            fifo: Any = asyncio.Queue(1)

            async def produce() -> None:
                for _ in range(count):
                    await fifo.put(None)

            async def consume() -> None:
                for _ in range(count):
                    await fifo.get()

            await self.together(produce, consume)

        return self.measured(main)

    def events(self, count: int) -> Taken:
        async def main() -> None:
            there, back = asyncio.Event(), asyncio.Event()

            async def ask() -> None:
                for _ in range(count):
                    there.set()
                    await back.wait()
                    back.clear()

            async def answer() -> None:
                for _ in range(count):
                    await there.wait()
                    there.clear()
                    back.set()

            await self.together(ask, answer)

        return self.measured(main)

    def _timeouts(self, count: int) -> Taken:
        async def main() -> None:
            for _ in range(count):
                async with asyncio.timeout(10):
                    pass

        return self.measured(main)


class Trios(Coroutines):
    name = "trio"

    def __init__(self) -> None:
        import trio

        self.trio = trio
        self.sleep = trio.sleep
        self.run = trio.run

    async def together(self, *functions: Callable[[], Any]) -> None:
        async with self.trio.open_nursery() as nursery:
            for function in functions:
                nursery.start_soon(function)

    def semaphore(self, value: int) -> Any:
        return self.trio.Semaphore(value)

    def ping_pong(self, count: int) -> Taken:
        async def main() -> None:
            put_there, get_there = self.trio.open_memory_channel(BATCH)
            put_back, get_back = self.trio.open_memory_channel(BATCH)

            async def ask() -> None:
                for _ in range(count):
                    await put_there.send(None)
                    await get_back.receive()

            async def answer() -> None:
                for _ in range(count):
                    await get_there.receive()
                    await put_back.send(None)

            await self.together(ask, answer)

        return self.measured(main)

    def bounded(self, count: int) -> Taken:
        async def main() -> None:
            put, get = self.trio.open_memory_channel(1)

            async def produce() -> None:
                for _ in range(count):
                    await put.send(None)

            async def consume() -> None:
                for _ in range(count):
                    await get.receive()

            await self.together(produce, consume)

        return self.measured(main)

    def timeouts(self, count: int) -> Taken:
        async def main() -> None:
            for _ in range(count):
                with self.trio.move_on_after(10):
                    pass

        return self.measured(main)
