"""What tests of greenlets and coroutines have in common."""

import asyncio
import threading

import manyhands.gevent as gevent
from manyhands.gevent.event import Event

#: A watchdog, in seconds, never a measure.
LIMIT = 40


async def value(it):
    await asyncio.sleep(0)
    return it


def in_thread(function):
    """What a thread, which has its own hub, comes to."""
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(function()))
    thread.start()
    thread.join(LIMIT)
    return outcome[0]


def with_hub(function):
    """As in_thread(), and nothing of the hub is left, not even its threads."""

    def run():
        try:
            return function()
        finally:
            gevent.get_hub().destroy(destroy_loop=True)

    return in_thread(run)


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
