"""Kills at random moments: nothing is lost, nothing is had twice, nobody is left waiting."""

import os
import random
from collections import Counter

import pytest

pytest.importorskip("greenlet")

from manyhands import gevent
from manyhands.gevent.lock import RLock, Semaphore
from manyhands.gevent.queue import Channel, LifoQueue, PriorityQueue, Queue

#: How many kills there are.
KILLS = int(os.environ.get("MANYHANDS_STRESS", "1")) * 400

SEEDS = range(4)


def kill_at_random(dice, spawn, count):
    """Keep `count` greenlets running, kill one of them again and again; give back the last ones."""
    greenlets = [spawn() for _ in range(count)]
    for _ in range(KILLS):
        at = dice.randrange(count)
        greenlets[at].kill(block=dice.random() < 0.5)
        greenlets[at] = spawn()
        for _ in range(dice.randrange(3)):
            gevent.sleep(0)
        if dice.random() < 0.02:
            gevent.sleep(0.0002)
    return greenlets


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("made", [lambda: Semaphore(2), RLock], ids=["Semaphore", "RLock"])
def test_no_unit_is_lost_or_had_twice(made, seed):
    dice, lock, inside = random.Random(seed), made(), []
    most = 1 if made is RLock else 2

    def use():
        while True:
            if not lock.acquire(timeout=dice.choice([None, 0, 0.0001])):
                continue
            inside.append(1)
            try:
                assert len(inside) <= most
                gevent.sleep(0)
            finally:
                inside.pop()
                lock.release()

    greenlets = kill_at_random(dice, lambda: gevent.spawn(use), 6)
    gevent.killall(greenlets)
    block = getattr(lock, "_block", lock)
    assert (block.counter, block.linkcount(), inside) == (most, 0, [])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("maxsize", [None, 1, 3])
@pytest.mark.parametrize("made", [Queue, LifoQueue, PriorityQueue])
def test_no_item_is_lost_or_had_twice(made, maxsize, seed):
    dice, queue = random.Random(seed), made(maxsize)
    names, put, maybe, got = iter(range(10**9)), set(), set(), Counter()

    def putter():
        while True:
            item = next(names)
            maybe.add(item)
            queue.put(item)
            maybe.discard(item)
            put.add(item)
            gevent.sleep(0)

    def getter():
        while True:
            got[queue.get()] += 1

    greenlets = kill_at_random(dice, lambda: gevent.spawn(dice.choice([putter, getter])), 6)
    gevent.killall(greenlets)
    left = [queue.get_nowait() for _ in range(queue.qsize())]
    got.update(left)
    assert set(got.values()) <= {1}
    assert put <= set(got)
    assert set(got) <= put | maybe


@pytest.mark.parametrize("seed", SEEDS)
def test_no_offer_is_had_twice(seed):
    dice, channel = random.Random(seed), Channel()
    names, put, maybe, got = iter(range(10**9)), set(), set(), Counter()

    def putter():
        while True:
            item = next(names)
            maybe.add(item)
            channel.put(item)
            put.add(item)

    def getter():
        while True:
            got[channel.get()] += 1

    greenlets = kill_at_random(dice, lambda: gevent.spawn(dice.choice([putter, getter])), 6)
    gevent.killall(greenlets)
    assert channel.balance == 0
    assert set(got.values()) <= {1}
    assert put <= set(got) <= maybe
