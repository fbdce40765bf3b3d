"""Context variables: what a greenlet begins with."""

import contextvars
import decimal

import pytest

pytest.importorskip("greenlet")

import manyhands.gevent as gevent
from manyhands.gevent import config
from manyhands.gevent.pool import Group, Pool
from manyhands.gevent.threadpool import ThreadPool

variable = contextvars.ContextVar("variable", default="nothing")


class Copying(gevent.Greenlet):
    copy_context = True


@pytest.fixture(autouse=True)
def here():
    """Something is set where greenlets are started."""
    token = variable.set("here")
    yield
    variable.reset(token)


@pytest.fixture
def all_copy():
    config.copy_context = True
    yield
    config.copy_context = False


def seen():
    return variable.get()


def change(value):
    variable.set(value)
    gevent.sleep(0)
    return variable.get()


# The default is gevent's


@pytest.mark.parametrize("start", [gevent.spawn, lambda f: gevent.spawn_later(0, f)])
def test_nothing_is_set_at_first(start):
    assert start(seen).get(timeout=30) == "nothing"


def test_groups_and_pools_do_not_copy_unless_they_are_told_to():
    assert Group().spawn(seen).get(timeout=30) == "nothing"
    assert Pool(1).map(lambda _: seen(), [1]) == ["nothing"]


def test_keywords_are_still_the_function_s():
    assert gevent.spawn(dict, copy_context=True).get(timeout=30) == {"copy_context": True}


# A class, a greenlet, the setting


@pytest.mark.parametrize("start", [Copying.spawn, lambda f: Copying.spawn_later(0, f)])
def test_a_class_says_it_for_its_objects(start):
    assert start(seen).get(timeout=30) == "here"


def test_a_class_with_a_run_of_its_own():
    class Task(gevent.Greenlet):
        copy_context = True

        def _run(self):
            return seen()

    assert Task.spawn().get(timeout=30) == "here"


def test_one_of_a_class_may_say_otherwise():
    task = Copying(seen)
    task.copy_context = False
    task.start()
    assert task.get(timeout=30) == "nothing"


@pytest.mark.parametrize("kind", [gevent.Greenlet, type("Plain", (gevent.Greenlet,), {})])
@pytest.mark.parametrize("start", ["start", "start_later"])
def test_a_greenlet_is_told_before_it_is_started(kind, start):
    task = kind(seen)
    assert task.copy_context is False
    task.copy_context = True
    assert task.copy_context is True
    getattr(task, start)(*[0] * (start == "start_later"))
    with pytest.raises(RuntimeError, match="before the greenlet is started"):
        task.copy_context = False
    assert task.get(timeout=30) == "here"


def test_something_else_of_that_name_says_nothing():
    class Task(gevent.Greenlet):
        def copy_context(self):
            raise AssertionError("nobody calls this")

    assert Task.spawn(seen).get(timeout=30) == "nothing"


def test_the_setting_says_it_for_all_that_do_not(all_copy):
    assert gevent.Greenlet(seen).copy_context is True
    assert gevent.spawn(seen).get(timeout=30) == "here"
    assert gevent.spawn_later(0, seen).get(timeout=30) == "here"
    assert Pool(1).map(lambda _: seen(), [1]) == ["here"]
    task = gevent.Greenlet(seen)
    task.copy_context = False
    task.start()
    assert task.get(timeout=30) == "nothing"


def test_the_setting_of_another_configuration_is_not_ours():
    other = type(config)()
    other.copy_context = True
    assert gevent.spawn(seen).get(timeout=30) == "nothing"


# What is copied, and when


def test_it_is_copied_when_it_is_started():
    task = Copying(seen)
    variable.set("started")
    task.start()
    variable.set("after")
    assert task.get(timeout=30) == "started"


def test_start_later_copies_at_once():
    task = Copying.spawn_later(0.01, seen)
    variable.set("after")
    assert task.get(timeout=30) == "here"


def test_what_a_greenlet_sets_is_its_own():
    tasks = [Copying.spawn(change, value) for value in ("one", "two")]
    assert [task.get(timeout=30) for task in tasks] == ["one", "two"]
    assert variable.get() == "here"


def test_those_that_it_starts_inherit_in_turn():
    def outer():
        variable.set("outer")
        return Copying.spawn(seen).get(timeout=30)

    assert Copying.spawn(outer).get(timeout=30) == "outer"


def test_a_context_that_was_given_is_kept():
    context = contextvars.Context()
    context.run(variable.set, "given")
    task = Copying(seen)
    task.gr_context = context
    task.start()
    assert task.get(timeout=30) == "given"


def test_decimal_contexts_are_inherited_and_each_has_its_own():
    def divide(precision):
        if precision is not None:
            decimal.getcontext().prec = precision
        gevent.sleep(0)
        return str(decimal.Decimal(1) / 3)

    with decimal.localcontext() as context:
        context.prec = 4
        tasks = [Copying.spawn(divide, precision) for precision in (None, 6, None)]
        assert [task.get(timeout=30) for task in tasks] == ["0.3333", "0.333333", "0.3333"]
        assert decimal.getcontext().prec == 4
        assert gevent.spawn(divide, None).get(timeout=30) != "0.3333"


# Groups and pools


@pytest.mark.parametrize("make", [Group, lambda **options: Pool(2, **options)])
@pytest.mark.parametrize(
    "call",
    [
        lambda group: [group.spawn(seen).get(timeout=30)],
        lambda group: [group.apply(seen)],
        lambda group: [group.apply_async(seen).get(timeout=30)],
        lambda group: group.map(lambda _: seen(), [1, 2, 3])[:1],
        lambda group: group.map_async(lambda _: seen(), [1]).get(timeout=30),
        lambda group: list(group.imap(lambda _: seen(), [1])),
        lambda group: list(group.imap_unordered(lambda _: seen(), [1])),
    ],
)
def test_a_group_copies_that_of_who_calls_it(make, call):
    assert call(make(copy_context=True)) == ["here"]


def test_a_full_pool_copies_too():
    pool = Pool(1, copy_context=True)
    first = pool.spawn(gevent.sleep, 0)
    later = pool.apply_async(seen)
    assert later.get(timeout=30) == "here"
    first.join()


def test_a_pool_that_overrides_add_copies_too():
    class Watched(Pool):
        def add(self, *args, **kwargs):
            super().add(*args, **kwargs)

    assert Watched(1, copy_context=True).spawn(seen).get(timeout=30) == "here"


def test_those_that_are_added_say_it_themselves():
    pool = Pool(2, copy_context=True)
    task = gevent.Greenlet(seen)
    pool.start(task)
    assert task.get(timeout=30) == "nothing"


def test_a_pool_of_threads_has_no_context_to_copy():
    pool = ThreadPool(1)
    assert pool.map(lambda _: seen(), [1]) == ["nothing"]
    pool.kill()
