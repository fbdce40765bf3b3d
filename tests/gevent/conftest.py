"""What tests of greenlets get; see greenprograms.py."""

import asyncio

import pytest
from greenprograms import Programs


@pytest.fixture(scope="session", autouse=True)
def hub():
    """That of the main thread, which stays, and the loop of its coroutines. Not made when a module
    is imported: the tests of other modules are for threads that have none."""
    if not importable("greenlet"):
        return
    from manyhands import gevent
    from manyhands.gevent import aio

    gevent.get_hub()
    aio.run(asyncio.sleep(0))


def importable(name):
    try:
        __import__(name)
    except ImportError:
        return False
    return True


@pytest.fixture
def implementation(request, tmp_path):
    return Programs(*request.param, tmp_path)
