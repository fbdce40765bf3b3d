"""What gevent's tests do not say of groups and pools."""

import pytest

pytest.importorskip("greenlet")

import manyhands.gevent as gevent
from manyhands.gevent.event import Event
from manyhands.gevent.pool import Group, Pool, PoolFull


@pytest.fixture
def quiet():
    """Greenlets may fail without a word."""
    hub = gevent.get_hub()
    hub.handle_error = lambda *_: None
    yield
    del hub.handle_error


def test_every_greenlet_passes_through_the_methods_of_a_subclass():
    seen = []

    class Watched(Pool):
        def add(self, greenlet, *args, **kwargs):
            seen.append("add")
            super().add(greenlet, *args, **kwargs)

        def _discard(self, greenlet):
            seen.append("discard")
            super()._discard(greenlet)

    pool = Watched(2)
    assert pool.map(str, range(4)) == ["0", "1", "2", "3"]
    pool.join()
    assert sorted(seen) == ["add"] * 4 + ["discard"] * 4


def test_never_more_than_the_size_at_once():
    running, most = [], []

    def task(number):
        running.append(number)
        most.append(len(running))
        gevent.sleep(0)
        running.remove(number)
        return number

    pool = Pool(3)
    assert list(pool.imap(task, range(20))) == list(range(20))
    assert max(most) == 3
    pool.join()
    assert pool.free_count() == 3


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
def test_iterating_goes_on_after_a_task_that_failed(quiet, name):
    def half(number):
        if number == 1:
            raise ValueError("odd")
        return number // 2

    results = getattr(Pool(1), name)(half, [0, 1, 2])
    assert next(results) == 0
    with pytest.raises(ValueError, match="odd"):
        next(results)
    assert next(results) == 1
    with pytest.raises(StopIteration):
        next(results)


def test_a_task_that_is_killed_gives_its_place_back(quiet):
    pool = Pool(1)
    task = pool.spawn(Event().wait)
    gevent.sleep(0)
    with pytest.raises(PoolFull):
        pool.add(gevent.Greenlet(str), blocking=False)
    task.kill()
    assert pool.wait_available(timeout=60)
    assert pool.apply(str, (1,)) == "1"


def test_apply_in_a_full_pool_does_not_wait_for_itself():
    pool = Pool(1)
    assert pool.apply(lambda: pool.apply(str, (1,))) == "1"


def test_kill_ends_those_that_come_in_the_meantime():
    group = Group()
    started = []

    def stubborn():
        started.append(gevent.getcurrent())
        try:
            gevent.sleep(60)
        except gevent.GreenletExit:
            if len(started) < 3:
                group.spawn(stubborn)
                gevent.sleep(0)
            raise

    group.spawn(stubborn)
    gevent.sleep(0)
    group.kill()
    assert len(group) == 0
    assert len(started) >= 2
    assert all(task.dead for task in started)


def test_join_raises_what_a_member_raised(quiet):
    group = Group()
    group.spawn(int, "x")
    with pytest.raises(ValueError, match="invalid literal"):
        group.join(raise_error=True)
