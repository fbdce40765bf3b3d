"""A process of many threads that put into a queue of a server and take from it, until a time.

    python loadusers.py ADDRESS QUEUE SERIAL THREADS SEED UNTIL LOG

What each of them does is written into LOG at once, so that it is known of a process that is killed.
"""

import os
import random
import sys
import threading
import time

from manyhands.multiprocessing.managers import BaseManager


class Queues(BaseManager):
    """Of a server that has no key, as only this machine reaches it."""


Queues.register("items")


def connect(address):
    """The queue at an address."""
    host, colon, port = address.rpartition(":")
    manager = Queues((host, int(port)) if colon else address, b"")
    manager.connect()
    return manager.items()


def content(name, size):
    """What an item is made of: its name, and bytes that depend on it."""
    return name, (name.encode() * (size // len(name) + 1))[:size]


def check(item):
    """The name of an item that is as it was put."""
    name, data = item
    assert item == content(name, len(data)), f"{name} has changed"
    return name


def main(address, acknowledges, serial, threads, seed, until, path):
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(kind, name):
        os.write(log, f"{kind} {name}\n".encode())

    def use(number):
        chance = random.Random(f"{seed} {number}")
        items = connect(address)
        count = 0
        while time.monotonic() < until:
            name = f"{serial}-{number}-{count}"
            size = chance.choice([0, 10, 1000, 1000, 300_000 if chance.random() < 0.1 else 0])
            note("puts", name)
            items.put(content(name, size))
            note("put", name)
            name = check(items.get())
            note("got", name)
            if acknowledges:
                items.task_done()
            count += 1

    def use_and_tell(number):
        try:
            use(number)
        except BaseException as error:
            note("failed", repr(error))
            raise

    users = [threading.Thread(target=use_and_tell, args=(number,)) for number in range(threads)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    note("ended", serial)


if __name__ == "__main__":
    address, kind, serial, threads, seed, until, path = sys.argv[1:]
    main(address, kind == "ack", serial, int(threads), int(seed), float(until), path)
