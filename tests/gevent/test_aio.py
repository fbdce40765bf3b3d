"""Greenlets and coroutines that wait for each other."""

import asyncio
import contextvars
import gc
import threading
import weakref

import pytest

pytest.importorskip("greenlet")

import manyhands.gevent as gevent
from coroutines import LIMIT, Cleaning, value, with_hub
from manyhands.gevent import aio
from manyhands.gevent.event import AsyncResult, Event
from manyhands.gevent.lock import Semaphore

variable = contextvars.ContextVar("variable", default="nothing")


@pytest.fixture(autouse=True)
def limit():
    """A watchdog, never a measure."""
    with gevent.Timeout(LIMIT):
        yield


@pytest.fixture
def complaints():
    """What the hub is told of."""
    told = []
    hub = gevent.get_hub()
    hub.handle_error = lambda *error: told.append(error[1:3])
    yield told
    del hub.handle_error


async def fail(error):
    await asyncio.sleep(0)
    raise error


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
