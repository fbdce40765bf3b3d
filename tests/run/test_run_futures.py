"""`concurrent.futures` of programs that `manyhands run` runs."""

import pytest
from manyhands._start_imports import SUBMODULES

OURS = [f"concurrent.futures.{name}" for name in SUBMODULES["concurrent.futures"]]


@pytest.mark.parametrize("name", ["concurrent.futures", *OURS])
def test_each_name_gives_our_module(place, name):
    """Whichever is imported first."""
    done = place.run(
        "-c",
        f"""
import sys
import {name}, concurrent.futures, asyncio
assert sys.modules["{name}"] is sys.modules["manyhands.{name}"]
assert {name}.__name__ == "manyhands.{name}"
futures = concurrent.futures
assert futures.ThreadPoolExecutor is futures.thread.ThreadPoolExecutor
assert futures.ProcessPoolExecutor is futures.process.ProcessPoolExecutor
assert futures._base.Future is futures.Future
for name in futures.__all__:
    getattr(futures, name)
print("ours")
""",
    )
    assert (done.stdout, done.stderr) == ("ours\n", "")


def test_programs_get_our_executors(place):
    place.code(
        """
        import asyncio
        import concurrent.futures
        from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, wait

        def square(number):
            return number * number

        async def main(executor):
            loop = asyncio.get_running_loop()
            assert await loop.run_in_executor(executor, square, 3) == 9
            assert await loop.run_in_executor(None, square, 4) == 16
            later = asyncio.run_coroutine_threadsafe(asyncio.sleep(0, "slept"), loop)
            assert isinstance(later, Future)
            assert await asyncio.wrap_future(later) == "slept"

        if __name__ == "__main__":
            for kind in (ThreadPoolExecutor, ProcessPoolExecutor):
                assert kind.__module__.startswith("manyhands."), kind
                with kind(2) as executor:
                    futures = [executor.submit(square, number) for number in range(5)]
                    assert wait(futures).not_done == set()
                    assert [future.result() for future in futures] == [0, 1, 4, 9, 16]
                    assert all(isinstance(future, Future) for future in futures)
                    asyncio.run(main(executor))
            assert isinstance(concurrent.futures._base.Future(), Future)
        """
    )


def test_modules_are_left_to_who_patches_them(place):
    """Also those that were imported before; of others the standard library's is found."""
    place.write(
        "program.py",
        """
        import sys, types
        import concurrent.futures as before
        from concurrent.futures import thread

        sys.modules["gevent"] = types.ModuleType("gevent", "a package that is not there")
        sys.modules["gevent"].__path__ = []
        try:
            import gevent.monkey
        except ImportError:
            pass
        import concurrent.futures as after
        from concurrent.futures import process

        assert after.__name__ == before.__name__ == "concurrent.futures"
        assert after.Future.__module__ == "concurrent.futures._base"
        assert not hasattr(after.Future, "__slots__")
        assert thread.ThreadPoolExecutor.__module__ == "concurrent.futures.thread"
        assert process.ProcessPoolExecutor.__module__ == "concurrent.futures.process"
        assert before.ThreadPoolExecutor is thread.ThreadPoolExecutor
        """,
    )
    done = place.run("program.py")
    assert done.returncode == 0, done
    assert "are left to it" in done.stderr


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_what_workers_log_comes_by_the_handlers_of_the_program(place, method):
    place.write(
        "program.py",
        f"""
        import logging, multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        logger = logging.getLogger("kitchen")

        def cook(number):
            for step in range(3):
                logger.info("dish %d, step %d", number, step)
            return number

        class Shown(logging.Handler):
            def emit(self, record):
                print(record.processName != "MainProcess", self.format(record))

        if __name__ == "__main__":
            logging.basicConfig(level="INFO", format="%(message)s", handlers=[Shown()])
            context = multiprocessing.get_context("{method}")
            with ProcessPoolExecutor(1, context) as executor:
                print(list(executor.map(cook, range(2))))
            with context.Pool(1) as pool:
                print(pool.map(cook, range(2)))
        """,
    )
    done = place.run("program.py")
    steps = [f"True dish {number}, step {step}" for number in range(2) for step in range(3)]
    assert done.stdout.splitlines() == [*steps, "[0, 1]", *steps, "[0, 1]"], done
    assert done.stderr == ""
