"""What tests of greenlets get; see greenprograms.py."""

import asyncio
import signal

import pytest
from greenprograms import Programs


@pytest.fixture(scope="module", autouse=True)
def hub():
    """That of the main thread, and the loop of its coroutines, which takes Ctrl-C. Only while tests
    of this folder run: those of others are for threads that have none."""
    if not importable("greenlet"):
        yield
        return
    from manyhands import gevent
    from manyhands.gevent import aio

    gevent.get_hub()
    aio.run(asyncio.sleep(0))
    yield
    gevent.get_hub().destroy(destroy_loop=True)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def importable(name):
    try:
        __import__(name)
    except ImportError:
        return False
    return True


@pytest.fixture
def implementation(request, tmp_path):
    return Programs(*request.param, tmp_path)
