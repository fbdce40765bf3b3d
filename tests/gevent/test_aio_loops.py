"""The event loop that lets greenlets run: what it can do, and how it ends."""

import asyncio
import os
import signal
import socket as _blocking
import sys
import threading

import pytest

pytest.importorskip("greenlet")

import manyhands.gevent as gevent
from coroutines import LIMIT, Cleaning, in_thread, value, with_hub
from manyhands.gevent import aio, socket
from manyhands.gevent.event import Event


@pytest.fixture(autouse=True)
def limit():
    """A watchdog, never a measure."""
    with gevent.Timeout(LIMIT):
        yield


# What greenlets do with the loop


def test_an_idle_loop_sees_what_greenlets_add():
    loop = aio.get_event_loop()
    gevent.sleep(0.01)  # it waits for good
    for add in (loop.call_soon, lambda call: loop.call_later(0.001, call)):
        called = Event()
        add(called.set)
        called.wait()
    task = loop.create_task(value(6))
    done = Event()
    task.add_done_callback(lambda _: done.set())
    done.wait()
    assert task.result() == 6


def test_other_greenlets_are_in_no_loop():
    seen = []

    async def main():
        await aio.as_future(gevent.spawn(lambda: seen.append(asyncio._get_running_loop())))
        return asyncio.get_running_loop()

    assert aio.run(main()) is aio.get_event_loop()
    assert seen == [None]
    assert asyncio._get_running_loop() is None


def test_a_coroutine_that_waits_as_greenlets_do_stops_its_loop_only():
    ran = []

    def other():
        loop = aio.EventLoop()
        ran.append(loop.run_until_complete(value("loop")))
        loop.close()

    async def main():
        gevent.spawn(other).join()
        return asyncio.get_running_loop()

    assert aio.run(main()) is aio.get_event_loop()
    assert ran == ["loop"]


def test_loops_of_several_greenlets():
    loops = [aio.EventLoop() for _ in range(3)]
    meeting = []

    async def main(loop, peers):
        meeting.append(loop)
        while len(meeting) < len(peers):
            assert asyncio.get_running_loop() is loop
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        return asyncio.get_running_loop() is loop

    tasks = [gevent.spawn(it.run_until_complete, main(it, loops)) for it in loops]
    assert [task.get() for task in tasks] == [True] * 3
    for loop in loops:
        loop.close()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio.run has no loop_factory")
def test_asyncio_runs_it():
    assert asyncio.run(value(9), loop_factory=aio.EventLoop) == 9


# What is refused


def test_a_coroutine_cannot_wait_as_a_greenlet():
    async def main():
        aio.run(value(1))

    with pytest.raises(RuntimeError, match="await what is to be done"):
        aio.run(main())


def test_the_loop_of_somebody_else_occupies_the_thread():
    async def main():
        with pytest.raises(RuntimeError, match="await what is to be done"):
            aio.run(value(1))
        with pytest.raises(RuntimeError, match=r"use manyhands.gevent.aio.EventLoop"):
            aio.as_future(Event())
        other, coroutine = aio.EventLoop(), value(1)
        with pytest.raises(RuntimeError, match="await what is to be done"):
            other.run_until_complete(coroutine)
        coroutine.close()
        other.close()

    loop = asyncio.SelectorEventLoop()
    loop.run_until_complete(main())
    loop.close()


def test_the_loop_of_a_hub_cannot_be_stopped_or_run_otherwise():
    loop = aio.get_event_loop()
    with pytest.raises(RuntimeError, match="ends with the hub"):
        loop.stop()
    with pytest.raises(RuntimeError, match="running"):
        loop.close()
    coroutine = value(1)
    with pytest.raises(RuntimeError, match="running"):
        loop.run_until_complete(coroutine)
    coroutine.close()
    assert aio.run(value(1)) == 1


# What else an event loop can do


def test_executors():
    def thread():
        return threading.get_ident()

    async def main():
        return await asyncio.get_running_loop().run_in_executor(None, thread)

    assert with_hub(lambda: aio.run(main()) != threading.get_ident())


def test_calls_from_other_threads():
    loop = aio.get_event_loop()
    future = loop.create_future()
    thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(future.set_result, 1))
    gevent.spawn_later(0.01, thread.start)  # when everybody waits
    assert aio.run(future) == 1
    thread.join()


def test_coroutines_run_from_another_thread():
    loop = aio.get_event_loop()
    over = loop.create_future()

    def run():
        result = asyncio.run_coroutine_threadsafe(value(2), loop).result(40)
        loop.call_soon_threadsafe(over.set_result, result)

    thread = threading.Thread(target=run)
    thread.start()
    assert aio.run(over) == 2
    thread.join()


def test_subprocesses():
    async def main():
        program = "print(input())"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stdin=-1, stdout=-1
        )
        out, _ = await process.communicate(b"said\n")
        return out, process.returncode

    assert aio.run(main()) == (b"said\n", 0)


def test_signal_handlers():
    async def main():
        loop = asyncio.get_running_loop()
        came = loop.create_future()
        loop.add_signal_handler(signal.SIGUSR1, came.set_result, "came")
        try:
            loop.call_later(0.01, os.kill, os.getpid(), signal.SIGUSR1)
            return await came
        finally:
            loop.remove_signal_handler(signal.SIGUSR1)

    assert aio.run(main()) == "came"


def test_a_greenlet_talks_to_a_coroutine():
    async def answer(reader, writer):
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    async def serve():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            address = server.sockets[0].getsockname()
            return await asyncio.gather(*(aio.to_greenlet(ask, address) for _ in range(20)))

    def ask(address):
        with socket.create_connection(address) as connection:
            connection.sendall(b"hello\n")
            return connection.makefile("rb").read()

    assert aio.run(serve()) == [b"HELLO\n"] * 20


def test_names_are_found_by_the_resolver_of_the_hub():
    async def main():
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo("localhost", 80, type=_blocking.SOCK_STREAM)
        return found, await loop.getnameinfo(("127.0.0.1", 80), _blocking.NI_NUMERICHOST)

    found, name = with_hub(lambda: aio.run(main()))
    assert {address[0] for *_, address in found} <= {"127.0.0.1", "::1"}
    assert name[0] == "127.0.0.1"


# How it ends


def test_each_thread_has_its_own_which_ends_with_it():
    def run():
        assert aio.run(value(1)) == 1
        return aio.get_event_loop()

    loop = in_thread(run)
    assert loop is not aio.get_event_loop()
    assert loop.is_closed()


def test_tasks_that_are_left_are_cancelled_with_the_thread():
    cleaning = Cleaning()

    def run():
        aio.get_event_loop().create_task(cleaning.main())
        aio.run(value(1))

    in_thread(run)
    assert cleaning.is_clean


def test_a_loop_is_closed_with_its_hub():
    cleaning = Cleaning()

    def run():
        aio.run(value(1))
        descriptors = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            hub, loop = gevent.get_hub(), aio.get_event_loop()
            loop.create_task(cleaning.main())
            cleaning.has_begun.wait()
            hub.destroy(destroy_loop=True)
            assert loop.is_closed()
            assert cleaning.is_clean
            cleaning.__init__()
            assert aio.run(value(2)) == 2
        return len(os.listdir("/proc/self/fd")) - descriptors

    assert in_thread(run) == 0


def test_a_loop_that_has_not_begun_is_closed_too():
    def run():
        loop = aio.get_event_loop()
        gevent.get_hub().destroy()
        return loop.is_closed()

    assert in_thread(run)


def test_an_idle_loop_does_not_keep_the_hub():
    def run():
        aio.run(value(1))
        gevent.sleep(0)
        assert gevent.wait(timeout=30) is True
        with pytest.raises(gevent.hub.LoopExit):
            Event().wait()
        return True

    assert in_thread(run)


def test_a_task_that_a_thread_is_to_wake_keeps_the_hub():
    def run():
        loop = aio.get_event_loop()
        future = loop.create_future()
        task = loop.create_task(asyncio.wait_for(future, None))
        thread = threading.Timer(0.02, loop.call_soon_threadsafe, (future.set_result, 1))
        thread.start()
        assert gevent.wait(timeout=30) is True
        thread.join()
        return task.done()

    assert in_thread(run)


def test_a_task_keeps_the_hub():
    done = []

    async def main():
        await asyncio.sleep(0.02)
        done.append(1)

    def run():
        task = aio.get_event_loop().create_task(main())
        assert gevent.wait(timeout=30) is True
        return task.done()

    assert in_thread(run)
    assert done == [1]
