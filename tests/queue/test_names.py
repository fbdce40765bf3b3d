"""Names, signatures, types, reprs of the module."""

from __future__ import annotations

import inspect
import queue as stdlib
import sys
import types
from typing import Any, ClassVar

import pytest
from manyhands import queue as ours
from support import OURS, STDLIB, Engine

KINDS = ["Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"]


def test_all_public_names_are_there_and_shutdown_on_every_version() -> None:
    assert set(stdlib.__all__) | {"ShutDown"} == set(ours.__all__)
    assert all(hasattr(ours, name) for name in ours.__all__)


def test_exceptions_are_the_stdlibs() -> None:
    import _queue

    assert ours.Empty is stdlib.Empty is _queue.Empty
    assert ours.Full is stdlib.Full
    assert issubclass(ours.ShutDown, Exception)
    if sys.version_info >= (3, 13):
        assert ours.ShutDown is stdlib.ShutDown


def test_star_import_gives_all_names() -> None:
    scope: dict[str, Any] = {}
    exec("from manyhands.queue import *", scope)
    assert set(ours.__all__) <= set(scope)


def test_classes_belong_to_the_module() -> None:
    for name in KINDS:
        cls = getattr(ours, name)
        assert (cls.__module__, cls.__name__, cls.__qualname__) == ("manyhands.queue", name, name)
        assert inspect.getdoc(cls)


def test_kinds_inherit_as_in_the_stdlib(engine: Engine) -> None:
    module = engine.queue
    assert issubclass(module.LifoQueue, module.Queue)
    assert issubclass(module.PriorityQueue, module.Queue)
    assert not issubclass(module.SimpleQueue, module.Queue)
    assert not isinstance(module.LifoQueue(), module.PriorityQueue)


@pytest.mark.parametrize("kind", KINDS)
def test_methods_take_what_the_stdlibs_take(kind: str) -> None:
    theirs, mine = (getattr(engine.queue, kind) for engine in (STDLIB, OURS))
    for name in ("put", "get", "put_nowait", "get_nowait", "qsize", "empty", "full", "task_done"):
        if hasattr(theirs, name):
            for expected, found in (
                (getattr(theirs, name), getattr(mine, name)),
                (getattr(theirs(), name), getattr(mine(), name)),
            ):
                shape, wanted = (
                    [(parameter.name, parameter.default) for parameter in it.parameters.values()]
                    for it in (inspect.signature(found), inspect.signature(expected))
                )
                assert shape == wanted, name
            assert inspect.getdoc(getattr(mine, name))


@pytest.mark.parametrize("kind", KINDS[:3])
def test_constructors_take_maxsize(kind: str) -> None:
    for engine in (STDLIB, OURS):
        cls = getattr(engine.queue, kind)
        assert str(inspect.signature(cls)) == "(maxsize=0)"
        assert cls(3).maxsize == cls(maxsize=3).maxsize == 3
        assert cls().maxsize == 0
        with pytest.raises(TypeError):
            cls(1, 2)


def test_a_simple_queue_takes_no_arguments(engine: Engine) -> None:
    with pytest.raises(TypeError):
        engine.queue.SimpleQueue(1)


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_can_be_given_by_name(engine: Engine, kind: str) -> None:
    queue = getattr(engine.queue, kind)()
    queue.put(item=1, block=True, timeout=None)
    assert queue.get(block=True, timeout=1) == 1
    queue.put_nowait(item=1)
    assert queue.get_nowait() == 1
    for call in (
        lambda: queue.put(),
        lambda: queue.put(1, True, None, None),
        lambda: queue.get(True, None, None),
        lambda: queue.put(1, nonsense=1),
        lambda: queue.get(nonsense=1),
        lambda: queue.put_nowait(1, 2),
        lambda: queue.get_nowait(1),
        lambda: queue.qsize(1),
    ):
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize("kind", KINDS)
def test_bad_timeouts_raise_what_the_stdlib_raises(kind: str) -> None:
    for timeout in ("1", 1e300, 10**400, -1, -0.5, []):
        errors = []
        for engine in (STDLIB, OURS):
            with pytest.raises((TypeError, ValueError, OverflowError)) as caught:
                getattr(engine.queue, kind)().get(timeout=timeout)
            errors.append(type(caught.value))
        assert errors[0] is errors[1], timeout


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_generic(engine: Engine, kind: str) -> None:
    cls = getattr(engine.queue, kind)
    alias = cls[int]
    assert isinstance(alias, types.GenericAlias)
    assert alias.__origin__ is cls
    assert alias.__args__ == (int,)
    made = alias(*([] if kind == "SimpleQueue" else [2]))
    assert type(made) is cls

    class Mine(cls[str]):
        pass

    assert isinstance(Mine(), cls)


@pytest.mark.parametrize("kind", KINDS)
def test_repr_names_class_and_address(engine: Engine, kind: str) -> None:
    queue = getattr(engine.queue, kind)()
    assert f"queue.{kind} object at {id(queue):#x}>" in repr(queue)


@pytest.mark.parametrize("kind", KINDS[:3])
def test_attributes_are_those_of_the_stdlib(kind: str) -> None:
    theirs, mine = (getattr(engine.queue, kind)(5) for engine in (STDLIB, OURS))
    public = {name for name in dir(theirs) if not name.startswith("_")}
    assert public <= set(dir(mine))
    for name in ("_init", "_qsize", "_put", "_get"):
        assert callable(getattr(mine, name))
    assert type(mine.queue) is type(theirs.queue)
    assert mine.maxsize == theirs.maxsize == 5
    assert mine.unfinished_tasks == theirs.unfinished_tasks == 0
    assert isinstance(mine.mutex, type(OURS.threading.Lock()))
    for name in ("not_empty", "not_full", "all_tasks_done"):
        assert isinstance(getattr(mine, name), OURS.threading.Condition)


def test_attributes_of_ones_own_can_be_set(engine: Engine) -> None:
    for kind in KINDS[:3]:
        queue = getattr(engine.queue, kind)()
        queue.note = "mine"
        assert vars(queue)["note"] == "mine"
        with pytest.raises(AttributeError):
            _ = queue.nonsense
    with pytest.raises(AttributeError):
        engine.queue.SimpleQueue().note = "mine"


@pytest.mark.parametrize("kind", KINDS)
def test_subclasses_may_have_other_constructors(engine: Engine, kind: str) -> None:
    base = getattr(engine.queue, kind)

    class Mine(base):
        def __init__(self, name: str, *, other: int = 0) -> None:
            super().__init__()
            self.name, self.other = name, other

        def put(self, item: Any, *args: Any, **kwargs: Any) -> None:
            super().put((item, self.name), *args, **kwargs)

    queue = Mine("name", other=2)
    queue.put(1)
    assert queue.get() == (1, "name")
    assert queue.other == 2


def test_nowait_methods_call_the_overridden_ones(engine: Engine) -> None:
    class Mine(engine.queue.Queue):
        calls: ClassVar[list[tuple[Any, ...]]] = []

        def put(self, item: Any, block: bool = True, timeout: Any = None) -> None:
            self.calls.append(("put", item, block, timeout))
            super().put(item, block, timeout)

        def get(self, block: bool = True, timeout: Any = None) -> Any:
            self.calls.append(("get", block, timeout))
            return super().get(block, timeout)

    queue = Mine()
    queue.put_nowait(1)
    assert queue.get_nowait() == 1
    assert queue.calls == [("put", 1, False, None), ("get", False, None)]


@pytest.mark.parametrize("kind", KINDS)
def test_subclasses_may_have_slots(engine: Engine, kind: str) -> None:
    class Mine(getattr(engine.queue, kind)):
        __slots__ = ("own",)

    queue = Mine()
    queue.own = 1
    queue.put(2)
    assert (queue.own, queue.get()) == (1, 2)


def test_odd_bounds_mean_what_they_mean_in_the_stdlib() -> None:
    for maxsize in (True, False, 2.5, float("inf"), 10**30):
        sizes = []
        for engine in (STDLIB, OURS):
            queue = engine.queue.Queue(maxsize)
            try:
                for item in range(5):
                    queue.put_nowait(item)
            except engine.queue.Full:
                pass
            sizes.append((queue.qsize(), queue.full(), queue.maxsize))
        assert sizes[0] == sizes[1]
