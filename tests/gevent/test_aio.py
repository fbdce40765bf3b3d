"""Greenlets and coroutines that wait for each other."""

import asyncio
import contextvars
import gc
import os
import signal
import socket as _blocking
import sys
import threading
import weakref

import pytest

pytest.importorskip("greenlet")

import manyhands.gevent as gevent
from manyhands.gevent import aio, socket
from manyhands.gevent.event import AsyncResult, Event
from manyhands.gevent.lock import Semaphore

# Made now, as they stay.
gevent.get_hub()
aio.run(asyncio.sleep(0))

variable = contextvars.ContextVar("variable", default="nothing")


@pytest.fixture(autouse=True)
def limit():
    """A watchdog, never a measure."""
    with gevent.Timeout(40):
        yield


@pytest.fixture
def complaints():
    """What the hub is told of."""
    told = []
    hub = gevent.get_hub()
    hub.handle_error = lambda *error: told.append(error[1:3])
    yield told
    del hub.handle_error


async def value(it):
    await asyncio.sleep(0)
    return it


async def fail(error):
    await asyncio.sleep(0)
    raise error


def in_thread(function):
    """What a thread, which has its own hub, comes to."""
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(function()))
    thread.start()
    thread.join(40)
    return outcome[0]


def with_hub(function):
    """As in_thread(), and nothing of the hub is left, not even its threads."""

    def run():
        try:
            return function()
        finally:
            gevent.get_hub().destroy(destroy_loop=True)

    return in_thread(run)


# A greenlet waits for a coroutine


def test_a_coroutine_gives_what_it_returns():
    assert aio.run(value(1)) == 1
    assert gevent.spawn(aio.run, value(2)).get() == 2


def test_a_coroutine_gives_what_it_raises():
    with pytest.raises(KeyError, match="k"):
        aio.run(fail(KeyError("k")))


def test_greenlets_run_while_a_coroutine_waits():
    loop = aio.get_event_loop()
    future = loop.create_future()

    async def main():
        return await future

    gevent.spawn(lambda: future.set_result("set by a greenlet"))
    assert aio.run(main()) == "set by a greenlet"


def test_greenlets_run_while_coroutines_are_busy():
    is_over = False

    async def main():
        rounds = 0
        while not is_over:
            rounds += 1
            await asyncio.sleep(0)
        return rounds

    def end():
        nonlocal is_over
        gevent.sleep(0.01)
        is_over = True

    gevent.spawn(end)
    assert aio.run(main()) > 1


def test_coroutines_of_several_greenlets_run_at_once():
    there = []
    loop = aio.get_event_loop()
    all_there = loop.create_future()

    async def main(number):
        there.append(number)
        if len(there) == 10:
            all_there.set_result(None)
        await all_there
        return number

    tasks = [gevent.spawn(aio.run, main(number)) for number in range(10)]
    assert [task.get() for task in tasks] == list(range(10))


def test_it_waits_for_tasks_and_futures_too():
    loop = aio.get_event_loop()
    assert aio.run(loop.create_task(value(3))) == 3
    future = loop.create_future()
    future.set_result(4)
    assert aio.run(future) == 4
    future = loop.create_future()
    gevent.spawn(future.set_result, 5)
    assert aio.run(future) == 5


def test_a_future_of_another_loop_is_refused():
    other = aio.EventLoop()
    future = other.create_future()
    with pytest.raises(ValueError, match="loop"):
        aio.run(future)
    other.close()


def test_what_cannot_be_awaited_is_refused():
    with pytest.raises(TypeError):
        aio.run(3)


class Cleaning:
    """A coroutine that is cancelled takes its time to clean up."""

    def __init__(self, error=None):
        self.has_begun = Event()
        self.is_clean = False
        self.error = error

    async def main(self):
        try:
            self.has_begun.set()
            await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(0.01)
            self.is_clean = True
            if self.error is not None:
                raise self.error


def test_who_is_killed_cancels_its_coroutine_and_waits_for_that():
    cleaning = Cleaning()
    task = gevent.spawn(aio.run, cleaning.main())
    cleaning.has_begun.wait()
    task.kill()
    assert cleaning.is_clean
    assert isinstance(task.value, gevent.GreenletExit)


def test_a_timeout_cancels_the_coroutine():
    cleaning = Cleaning()
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.02):
        aio.run(cleaning.main())
    assert cleaning.is_clean


def test_a_failure_while_it_is_cancelled_is_told_of():
    loop = aio.get_event_loop()
    told = []
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    try:
        with gevent.Timeout(0.02, False):
            aio.run(Cleaning(OSError("unclean")).main())
        assert [str(error) for error in told] == ["unclean"]
    finally:
        loop.set_exception_handler(None)


def test_a_shielded_task_goes_on():
    loop = aio.get_event_loop()
    future = loop.create_future()
    task = loop.create_task(asyncio.wait_for(future, None))
    with gevent.Timeout(0.02, False):
        aio.run(asyncio.shield(task))
    assert not task.done()
    future.set_result("went on")
    assert aio.run(task) == "went on"


def test_a_task_that_is_cancelled_otherwise():
    loop = aio.get_event_loop()
    task = loop.create_task(asyncio.sleep(60))
    gevent.spawn(task.cancel)
    with pytest.raises(asyncio.CancelledError):
        aio.run(task)


def test_context_variables_go_along():
    async def main():
        before = variable.get()
        variable.set("coroutine")
        return before

    def greenlet():
        variable.set("greenlet")
        return aio.run(main()), variable.get()

    assert gevent.spawn(greenlet).get() == ("greenlet", "greenlet")


# A coroutine waits for a greenlet


async def awaited(source):
    return await aio.as_future(source)


def test_what_greenlets_return_and_raise(complaints):
    assert aio.run(awaited(gevent.spawn(int, "7"))) == 7
    with pytest.raises(ValueError, match="invalid literal"):
        aio.run(awaited(gevent.spawn(int, "x")))
    assert len(complaints) == 1


def test_one_that_has_ended_before():
    task = gevent.spawn(int, "7")
    task.join()
    assert aio.run(awaited(task)) == 7


def test_one_that_is_killed_has_its_exit_as_value():
    task = gevent.spawn(gevent.sleep, 60)
    gevent.spawn(task.kill)
    assert isinstance(aio.run(awaited(task)), gevent.GreenletExit)


def test_results_and_events():
    result, failure, event = AsyncResult(), AsyncResult(), Event()
    gevent.spawn(result.set, 8)
    assert aio.run(awaited(result)) == 8
    failure.set_exception(KeyError("k"))
    with pytest.raises(KeyError):
        aio.run(awaited(failure))
    gevent.spawn(event.set)
    assert aio.run(awaited(event)) is True


def test_a_stop_iteration_does_not_end_who_awaits():
    result = AsyncResult()
    result.set_exception(StopIteration(1))
    with pytest.raises(RuntimeError, match="StopIteration"):
        aio.run(awaited(result))


@pytest.mark.parametrize("source", [Semaphore(), 3, value])
def test_nothing_else_is_taken(source):
    with pytest.raises(TypeError, match="a Greenlet, an AsyncResult or an Event"):
        aio.run(awaited(source))


def test_who_is_cancelled_kills_the_greenlet_it_awaits():
    task = gevent.spawn(Event().wait)

    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(aio.as_future(task), 0.01)

    aio.run(main())
    task.join()
    assert isinstance(task.value, gevent.GreenletExit)


def test_who_shields_it_only_stops_waiting():
    event = Event()
    task = gevent.spawn(event.wait)

    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(aio.as_future(task)), 0.01)

    aio.run(main())
    assert not task.dead
    event.set()
    assert task.get() is True


def test_who_is_cancelled_lets_go_of_a_result():
    result = AsyncResult()
    futures = []

    async def main():
        future = aio.as_future(result)
        futures.append(weakref.ref(future))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(future, 0.01)

    aio.run(main())
    gc.collect()
    assert futures[0]() is None
    result.set(1)


def test_a_call_in_a_greenlet(complaints):
    def wait(number, *, times):
        gevent.sleep(0.001)
        return number * times, variable.get()

    async def main():
        variable.set("coroutine")
        with pytest.raises(ZeroDivisionError):
            await aio.to_greenlet(lambda: 1 / 0)
        return await asyncio.gather(*(aio.to_greenlet(wait, n, times=2) for n in range(3)))

    assert aio.run(main()) == [(n * 2, "coroutine") for n in range(3)]
    # Who awaits it was told.
    assert complaints == []


def test_who_is_cancelled_ends_the_call_in_a_greenlet():
    ended = Event()

    def wait():
        try:
            Event().wait()
        finally:
            ended.set()

    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(aio.to_greenlet(wait), 0.01)

    aio.run(main())
    ended.wait()


def test_a_greenlet_of_another_thread_can_be_awaited():
    started, go, tasks = threading.Event(), threading.Event(), []

    def run():
        tasks.append(gevent.spawn(gevent.get_hub().threadpool.apply, go.wait))
        started.set()
        tasks[0].join()

    thread = threading.Thread(target=with_hub, args=(run,))
    thread.start()
    started.wait()
    aio.get_event_loop().call_later(0.01, go.set)
    assert aio.run(awaited(tasks[0])) is True
    thread.join()


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
