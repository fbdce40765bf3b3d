"""Classes of programs that inherit from ours."""

from __future__ import annotations

from typing import Any

import pytest
from support import Engine, Hand

SUBCLASSABLE = ["Condition", "Semaphore", "BoundedSemaphore", "Event", "Barrier", "RLock"]


@pytest.fixture(params=SUBCLASSABLE)
def base(request: pytest.FixtureRequest, engine: Engine) -> Any:
    found = getattr(engine.threading, request.param)
    # In the stdlib, RLock is a function that makes instances of this class.
    return found if isinstance(found, type) else type(found())


def arguments(base: Any) -> tuple[int, ...]:
    return (2,) if base.__name__ == "Barrier" else ()


def test_a_subclass_can_have_attributes_and_methods(base: Any) -> None:
    class Mine(base):
        shared = "shared"

        def method(self) -> Any:
            return self.own

    thing = Mine(*arguments(base))
    thing.own = "own"
    assert (thing.method(), thing.shared) == ("own", "shared")
    assert isinstance(thing, base)
    del thing.own
    with pytest.raises(AttributeError):
        thing.method()


def test_a_subclass_can_have_a_constructor_of_its_own(base: Any) -> None:
    class Mine(base):
        def __init__(self, name: str, *, size: int = 3) -> None:
            super().__init__(*arguments(base))
            self.name, self.size = name, size

    thing = Mine("name", size=4)
    assert (thing.name, thing.size) == ("name", 4)


def test_a_subclass_can_have_slots(base: Any) -> None:
    class Mine(base):
        __slots__ = ("first", "second")

    thing = Mine(*arguments(base))
    thing.first = 1
    assert thing.first == 1
    with pytest.raises(AttributeError):
        _ = thing.second


def test_a_subclass_can_be_one_of_several_bases(base: Any) -> None:
    class Named:
        name = "default"

    class First(base, Named):
        pass

    class Second(Named, base):
        def __init__(self) -> None:
            base.__init__(self, *arguments(base))

    assert First(*arguments(base)).name == Second().name == "default"


def test_a_subclass_can_override_new(base: Any) -> None:
    class Mine(base):
        def __new__(cls, *args: Any) -> Any:
            made = super().__new__(cls)
            made.made = True
            return made

    assert Mine(*arguments(base)).made


def test_an_rlock_subclass_works_as_a_lock_of_a_condition(engine: Engine) -> None:
    class Counting(type(engine.threading.RLock())):
        count = 0

        def acquire(self, *args: Any, **kwargs: Any) -> Any:
            self.count += 1
            return super().acquire(*args, **kwargs)

    lock = Counting()
    condition = engine.threading.Condition(lock)
    condition.acquire()
    assert lock.count == 1
    assert not condition.wait(0.001)
    condition.release()


def test_with_calls_an_overridden_release_of_a_semaphore(engine: Engine) -> None:
    class Mine(engine.threading.Semaphore):
        released = 0

        def release(self, n: int = 1) -> None:
            self.released += 1
            super().release(n)

    semaphore = Mine()
    with semaphore:
        assert semaphore.released == 0
    assert semaphore.released == 1
    assert semaphore.acquire(False)


def test_a_bounded_semaphores_release_overrides_the_other(engine: Engine) -> None:
    class Mine(engine.threading.BoundedSemaphore):
        pass

    semaphore = Mine(1)
    with semaphore, pytest.raises(ValueError, match="too many"):
        semaphore.release(2)
    with pytest.raises(ValueError, match="too many"):
        semaphore.release()


def test_wait_for_calls_an_overridden_wait(engine: Engine) -> None:
    class Mine(engine.threading.Condition):
        waits = 0

        def wait(self, timeout: float | None = None) -> Any:
            self.waits += 1
            return super().wait(0.001)

    condition = Mine()
    with condition:
        assert condition.wait_for(lambda: condition.waits >= 2)


def test_notify_all_calls_an_overridden_notify(engine: Engine) -> None:
    class Mine(engine.threading.Condition):
        notified: Any = None

        def notify(self, n: int = 1) -> None:
            self.notified = n
            super().notify(n)

    condition = Mine()

    def wait() -> Any:
        with condition:
            return condition.wait()

    hands = [Hand(wait).blocks(), Hand(wait).blocks()]
    with condition:
        condition.notify_all()
    assert [hand.result() for hand in hands] == [True, True]
    assert condition.notified == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_names_call_overridden_new_ones(engine: Engine) -> None:
    class MyEvent(engine.threading.Event):
        def is_set(self) -> Any:
            return "mine"

    class MyCondition(engine.threading.Condition):
        called = False

        def notify_all(self) -> None:
            self.called = True

    condition = MyCondition()
    condition.notifyAll()
    assert condition.called
    assert MyEvent().isSet() == "mine"


def test_overridden_methods_can_call_those_they_override(base: Any) -> None:
    class Mine(base):
        def __repr__(self) -> str:
            return "mine: " + super().__repr__()

    assert repr(Mine(*arguments(base))).startswith("mine: <")


def test_a_subclass_may_do_without_the_constructor() -> None:
    """Ours only: the stdlib's objects lack their parts then."""
    from manyhands import threading

    class MyEvent(threading.Event):
        def __init__(self, name: str) -> None:
            self.name = name

    class MyCondition(threading.Condition):
        def __init__(self, name: str) -> None:
            self.name = name

    class MySemaphore(threading.Semaphore):
        def __init__(self, name: str) -> None:
            self.name = name

    class MyBarrier(threading.Barrier):
        def __init__(self) -> None:
            pass

    event = MyEvent("a")
    event.set()
    assert event.wait()
    with MyCondition("b") as entered:
        assert entered
    assert MySemaphore("c").acquire()
    repr(MyBarrier())


def test_the_lock_class_cannot_be_inherited_from(engine: Engine) -> None:
    lock = type(engine.threading.Lock())
    with pytest.raises(TypeError, match="not an acceptable base type"):
        type("Mine", (lock,), {})


def test_attributes_can_be_set_where_the_stdlib_lets_one(engine: Engine) -> None:
    for name in ("Condition", "Semaphore", "BoundedSemaphore", "Event"):
        thing = getattr(engine.threading, name)()
        thing.note = "mine"
        assert vars(thing)["note"] == "mine"
    for name in ("Lock", "RLock"):
        with pytest.raises(AttributeError):
            getattr(engine.threading, name)().note = "mine"


def test_methods_can_be_replaced_on_an_instance(engine: Engine) -> None:
    event = engine.threading.Event()
    event.set = lambda: "replaced"
    assert event.set() == "replaced"
    assert not event.is_set()


def test_a_subclass_of_thread_uses_our_primitives() -> None:
    from manyhands import threading

    class Worker(threading.Thread):
        def __init__(self) -> None:
            super().__init__()
            self.ready = threading.Event()

        def run(self) -> None:
            self.ready.set()

    worker = Worker()
    worker.start()
    assert worker.ready.wait()
    worker.join()
