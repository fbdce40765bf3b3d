"""Attributes of greenlets go when the greenlets do, however they end."""

import gc
import weakref

import pytest

pytest.importorskip("greenlet")

import greenlet
import manyhands.gevent as gevent
from manyhands.gevent.local import all_local_dicts_for_greenlet, local


class Thing:
    """Can be asked whether it is still there."""


def fill(box, things):
    box.thing = Thing()
    things.append(weakref.ref(box.thing))


def test_of_a_greenlet_that_is_collected_while_it_waits():
    box, things = local(), []

    def waits():
        fill(box, things)
        greenlet.getcurrent().parent.switch()

    raw = greenlet.greenlet(waits)
    raw.switch()
    assert things[0]() is not None
    del raw
    gc.collect()
    assert things[0]() is None


def test_of_a_greenlet_that_has_ended_and_is_kept():
    box, things = local(), []
    kept = gevent.spawn(fill, box, things)
    kept.join()
    gevent.sleep(0)
    assert things[0]() is None
    assert all_local_dicts_for_greenlet(kept) == []


def test_nothing_is_left_of_many_greenlets():
    box = local()
    gevent.joinall([gevent.spawn(setattr, box, "x", number) for number in range(500)])
    gevent.sleep(0)
    assert [
        values
        for (_, ident), values in all_local_dicts_for_greenlet(gevent.getcurrent())
        if ident == id(box)
    ] == [{}]
    values = type(box)._local__state.__get__(box).values
    assert len(values) == len(values.leavers) == 1


def test_init_that_fails_is_tried_again():
    calls = []

    class Box(local):
        def __init__(self, size):
            calls.append(size)
            if len(calls) == 2:
                raise RuntimeError("not now")
            self.size = size

    box = Box(3)

    def use():
        with pytest.raises(RuntimeError, match="not now"):
            print(box.size)
        return box.size

    assert gevent.spawn(use).get() == 3
    assert calls == [3, 3, 3]


def test_init_may_wait():
    class Box(local):
        def __init__(self):
            gevent.sleep(0)
            self.owner = gevent.getcurrent()

    box = Box()

    def own():
        return box.owner is gevent.getcurrent()

    assert all(task.get() for task in [gevent.spawn(own) for _ in range(3)])
    assert box.owner is gevent.getcurrent()


def test_a_property_that_is_read_in_two_greenlets_at_once():
    class Box(local):
        def __init__(self):
            self.name = str(id(gevent.getcurrent()))

        @property
        def slowly(self):
            gevent.sleep(0)
            return self.name

    box = Box()

    def read():
        return box.slowly == str(id(gevent.getcurrent()))

    assert all(task.get() for task in [gevent.spawn(read) for _ in range(3)])


def test_it_can_be_referred_to_weakly():
    box = local()
    reference = weakref.ref(box)
    assert reference() is box
    del box
    assert reference() is None
