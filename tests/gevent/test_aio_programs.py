"""Whole programs with coroutines and greenlets: their end, signals, forks, patches."""

import json
import signal
import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("greenlet")

from greenprograms import both, ours_only

BEGIN = """
import asyncio
from manyhands.gevent import aio
async def value(it):
    await asyncio.sleep(0)
    return it
"""


@ours_only
def test_nothing_is_left_at_the_end(implementation):
    program = """
    cleaned = []
    async def left():
        try:
            await asyncio.sleep(600)
        finally:
            await asyncio.sleep(0)
            tell(cleaned=True)
    async def generator():
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
    async def main():
        asyncio.get_running_loop().create_task(left())
        async for it in generator():
            break
        return await asyncio.get_running_loop().run_in_executor(None, int, "3")
    assert aio.run(main()) == 3
    """
    assert implementation.told(indented(program), PYTHONDEVMODE="1") == {"cleaned": True}


def test_a_thread_that_is_the_first_to_import_it():
    program = """
    import threading
    def run():
        import asyncio
        from manyhands.gevent import aio
        told.append(aio.run(asyncio.sleep(0, 1)))
    told = []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    print(*told)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert (told.stdout, told.stderr) == ("1\n", "")


@ours_only
def test_debug_mode(implementation):
    program = """
    import logging, threading
    logging.basicConfig(level=logging.ERROR)
    loop = aio.get_event_loop()
    assert loop.get_debug()
    called = []
    def other_thread():
        try:
            loop.call_soon(print)
        except RuntimeError as error:
            called.append(str(error))
    aio.run(value(1))
    loop.call_soon(called.append, 1)
    gevent.sleep(0.01)
    thread = threading.Thread(target=other_thread)
    thread.start()
    thread.join()
    handle = loop.call_later(600, print)
    made = handle._source_traceback[-1].line
    handle.cancel()
    tell(called=called, made=made)
    """
    told = implementation.told(indented(program), PYTHONASYNCIODEBUG="1")
    assert told["called"][0] == 1
    assert "call_soon_threadsafe" in told["called"][1]
    assert "loop.call_later" in told["made"]


@ours_only
@pytest.mark.parametrize("patched", [False, True])
def test_everything_works_under_patches(implementation, patched):
    program = """
    import socket, subprocess, threading, time
    async def all():
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, time.sleep, 0.001)
        process = await asyncio.create_subprocess_exec("echo", "said", stdout=-1)
        out, _ = await process.communicate()
        future = loop.create_future()
        gevent.get_hub().threadpool.spawn(loop.call_soon_threadsafe, future.set_result, 1)
        return out.decode(), process.returncode, await future, loop.get_debug()
    tell(all=aio.run(all()))
    """
    begin = "from manyhands.gevent import monkey\nmonkey.patch_all()\n" if patched else ""
    told = implementation.told(begin + indented(program), PYTHONASYNCIODEBUG="1")
    assert told == {"all": ["said\n", 0, 1, True]}


@ours_only
def test_a_thread_of_an_executor_is_one_under_patches(implementation):
    program = """
    from manyhands.gevent import monkey
    monkey.patch_all()
    ident = monkey.get_original("_thread", "get_ident")
    async def main():
        return await asyncio.get_running_loop().run_in_executor(None, ident)
    tell(is_other=aio.run(main()) != ident())
    """
    assert implementation.told(indented(program)) == {"is_other": True}


@both
def test_asyncio_lets_greenlets_run_under_patches(implementation):
    program = """
    module("monkey").patch_all()
    import asyncio
    ran = []
    async def main():
        while len(ran) < 3:
            await asyncio.sleep(0.001)
        return len(ran)
    def other():
        for _ in range(3):
            gevent.sleep(0.001)
            ran.append(1)
    gevent.spawn(other)
    tell(ran=asyncio.run(main()))
    """
    assert implementation.told(program) == {"ran": 3}


@ours_only
def test_greenlets_run_asyncio_at_once_under_patches(implementation):
    program = """
    module("monkey").patch_all()
    import asyncio
    there = []
    async def main(number):
        loop = asyncio.get_running_loop()
        there.append(number)
        while len(there) < 3:
            await asyncio.sleep(0.001)
        assert asyncio.get_running_loop() is loop
        return number
    tasks = [gevent.spawn(asyncio.run, main(number)) for number in range(3)]
    tell(numbers=[task.get() for task in tasks])
    """
    assert implementation.told(program) == {"numbers": [0, 1, 2]}


@ours_only
def test_a_loop_of_asyncio_s_own_awaits_greenlets_under_patches(implementation):
    program = """
    from manyhands.gevent import monkey
    monkey.patch_all()
    async def main():
        return await aio.to_greenlet(lambda: gevent.sleep(0.001) or 3)
    tell(value=asyncio.run(main()))
    """
    assert implementation.told(indented(program)) == {"value": 3}


@ours_only
@pytest.mark.parametrize("wait", ["asyncio.sleep(600)", "busy()"])
@pytest.mark.parametrize("greenlet", ["main", "other"])
def test_ctrl_c_cancels_what_the_main_greenlet_waits_for(implementation, wait, greenlet):
    program = f"""
    async def busy():
        while True:
            await asyncio.sleep(0)
    async def forever():
        try:
            print("ready", flush=True)
            await {wait}
        except asyncio.CancelledError:
            tell(cancelled=True)
            raise
    try:
        if {greenlet == "main"}:
            aio.run(forever())
        else:
            task = gevent.spawn(aio.run, forever())
            task.join()
    except KeyboardInterrupt:
        tell(interrupted=True)
    tell(after=aio.run(value(1)))
    """
    with implementation.start(indented(program)) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=implementation.timeout)
        except BaseException:
            process.kill()
            raise
    told = [json.loads(line) for line in out.splitlines()]
    if greenlet == "main":
        assert told == [{"cancelled": True}, {"interrupted": True}, {"after": 1}], err
    else:
        # The other greenlet waits on, until the end of the program.
        assert told == [{"interrupted": True}, {"after": 1}, {"cancelled": True}], err
    assert process.returncode == 0, err
    assert "failed" not in err


@ours_only
@pytest.mark.parametrize("where", ["greenlet", "coroutine"])
def test_a_forked_child_has_a_loop_of_its_own(implementation, where):
    program = f"""
    import socket, threading, warnings
    # The watchdog is a thread, of which newer Pythons warn.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded")
    ours, theirs = socket.socketpair()
    loop = aio.get_event_loop()
    aio.run(value(1))
    readable = loop.create_future()
    ours.setblocking(False)
    def read():
        loop.remove_reader(ours)
        readable.set_result("readable")
    loop.add_reader(ours, read)
    pending = loop.create_task(asyncio.sleep(600))
    gevent.sleep(0.01)
    def child():
        global pending
        del pending
        gc.collect()
        assert loop.is_closed()
        assert aio.get_event_loop() is not loop
        assert aio.run(value(2)) == 2
    def fork():
        pid = os.fork()
        if pid == 0:
            try:
                if {where == "greenlet"}:
                    child()
                else:
                    assert loop.is_closed()
                os._exit(7)
            finally:
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    async def main():
        return fork()
    status = fork() if {where == "greenlet"} else aio.run(main())
    theirs.send(b"x")
    told = loop.create_future()
    thread = threading.Timer(0.02, loop.call_soon_threadsafe, (told.set_result, 1))
    thread.start()
    assert aio.run(told) == 1
    thread.join()
    tell(status=status, here=aio.run(readable), same=aio.get_event_loop() is loop)
    pending.cancel()
    ours.close(), theirs.close()
    """
    told = implementation.told(indented(program), PYTHONDEVMODE="1")
    assert told == {"status": 7, "here": "readable", "same": True}


def indented(program):
    return BEGIN + "\n".join(line.removeprefix("    ") for line in program.splitlines())
