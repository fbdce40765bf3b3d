"""Managers as programs use them, the standard library's and ours."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import queue
import signal
import sys
import threading
import weakref
from collections.abc import Iterator
from multiprocessing import managers as stdlib
from typing import Any

import managed_types
import pytest
from manyhands.multiprocessing import managers as ours
from support import Hand


@pytest.fixture
def managers(module: Any) -> Any:
    return module.managers


@pytest.fixture
def manager(module: Any) -> Iterator[Any]:
    with module.get_context("fork").Manager() as made:
        # Until all is put away pytest keeps what it was given.
        yield weakref.proxy(made)


@pytest.fixture
def custom(module: Any) -> Iterator[Any]:
    """A manager of other types."""
    made = customised(module.managers)(ctx=module.get_context("fork"))
    with made:
        yield weakref.proxy(made)


def customised(managers: Any) -> Any:
    class Custom(managers.BaseManager):
        pass

    Custom.register("Counter", managed_types.Counter)
    Custom.register("one", managed_types.one)
    Custom.register("exposed", managed_types.Counter, exposed=("add", "_hidden"))
    Custom.register("typed", managed_types.Counter, method_to_typeid={"numbers": "Iterator"})
    Custom.register("proxied", managed_types.Counter, proxied(managers))
    Custom.register("Iterator", proxytype=managers.IteratorProxy, create_method=False)
    return Custom


def proxied(managers: Any) -> Any:
    class Proxied(managers.BaseProxy):
        _exposed_ = ("add",)

        def twice(self) -> Any:
            return self._callmethod("add"), self._callmethod("add", (), {"by": 5})

    return Proxied


def test_ours_inherit_from_theirs() -> None:
    for name in dir(stdlib):
        there = getattr(stdlib, name)
        if isinstance(there, type) and there.__module__ == stdlib.__name__:
            assert issubclass(getattr(ours, name), there), name
    for name in ("Namespace", "RemoteError", "State", "Token", "Value"):
        assert getattr(ours, name) is getattr(stdlib, name)


def test_signatures_are_theirs() -> None:
    for name in ("dispatch", "AutoProxy", "MakeProxyType", "RebuildProxy", "Array"):
        found = inspect.signature(getattr(ours, name))
        expected = inspect.signature(getattr(stdlib, name))
        assert list(found.parameters) == list(expected.parameters), name
    for name in ("BaseManager", "BaseProxy", "SyncManager", "Server"):
        for method in ("__init__", "connect", "start", "register", "get_server", "join"):
            if not hasattr(getattr(stdlib, name), method):
                continue
            found = inspect.signature(getattr(getattr(ours, name), method))
            expected = inspect.signature(getattr(getattr(stdlib, name), method))
            parameters = dict(found.parameters)
            if sys.version_info < (3, 11):
                parameters.pop("shutdown_timeout", None)
            # Ours alone, and by name only.
            tls = parameters.pop("tls", None)
            assert tls is None or tls.kind is tls.KEYWORD_ONLY
            assert str(list(parameters.values())) == str(list(expected.parameters.values()))


def test_all_types_are_registered() -> None:
    assert set(stdlib.SyncManager._registry) <= set(ours.SyncManager._registry)
    for name, (_, exposed, typeids, proxytype) in stdlib.SyncManager._registry.items():
        found = ours.SyncManager._registry[name]
        assert found[1:3] == (exposed, typeids)
        assert found[3].__name__ == proxytype.__name__
    assert ours.BaseManager._registry == {}


def test_a_proxy_shows_its_object(manager: Any) -> None:
    shared = manager.dict(a=[1])
    assert str(shared) == "{'a': [1]}"
    assert repr(shared) == f"<DictProxy object, typeid 'dict' at {id(shared):#x}>"
    assert repr(shared._token).startswith("Token(typeid='dict', address=")
    copied = copy.deepcopy(shared)
    assert type(copied) is dict
    assert copied == {"a": [1]}
    fifo = manager.Queue()
    assert type(fifo).__name__ == "AutoProxy[Queue]"


def test_a_proxy_whose_server_is_gone_says_so(module: Any) -> None:
    manager = module.get_context("fork").Manager()
    shared = manager.list()
    manager.shutdown()
    assert str(shared) == repr(shared)[:-1] + "; '__str__()' failed>"
    with pytest.raises((OSError, EOFError)):
        shared.append(1)


def test_methods_of_an_unregistered_kind(custom: Any, managers: Any) -> None:
    counter = custom.Counter(1)
    assert counter.add() == 2
    assert counter.add(by=3) == 5
    assert not hasattr(counter, "_hidden")
    with pytest.raises(KeyError, match="5"):
        counter.fail()
    with pytest.raises(managers.RemoteError, match="Unserializable message") as raised:
        counter.unpicklable()
    assert str(raised.value).startswith("\n" + "-" * 75)
    with pytest.raises(managers.RemoteError):
        counter.raises_unpicklable()
    with pytest.raises(managers.RemoteError, match="KeyError: '_hidden'"):
        counter._callmethod("_hidden")
    assert counter.add() == 6


def test_a_callable_may_return_what_is_there(custom: Any) -> None:
    assert custom.one().add() == 6
    assert custom.one().add() == 7
    assert managed_types.ONE.value == 5


def test_what_is_exposed_is_as_it_was_registered(custom: Any) -> None:
    exposed = custom.exposed()
    assert exposed._exposed_ == ("add", "_hidden")
    assert exposed._hidden() == "hidden"
    assert not hasattr(exposed, "fail")


def test_a_method_may_return_a_proxy(custom: Any, managers: Any) -> None:
    numbers = custom.typed(3).numbers()
    assert isinstance(numbers, managers.IteratorProxy)
    assert next(numbers) == 0
    assert list(numbers) == [1, 2]
    with pytest.raises(StopIteration):
        next(numbers)


def test_proxies_may_be_of_a_class_of_the_programs(custom: Any) -> None:
    assert custom.proxied(1).twice() == (2, 7)


def test_a_class_of_proxies_is_made_once(managers: Any) -> None:
    made = managers.MakeProxyType("Some", ["one", "two"])
    assert made is managers.MakeProxyType("Some", ("one", "two"))
    assert made._exposed_ == ("one", "two")
    assert made.one.__name__ == "one"
    assert issubclass(made, managers.BaseProxy)
    assert managers.public_methods(managed_types.ONE)[:2] == ["add", "end"]


def test_registering_checks_what_methods_return(managers: Any) -> None:
    class Custom(managers.BaseManager):
        pass

    with pytest.raises(AssertionError, match="1 is not a string"):
        Custom.register("x", list, method_to_typeid={"pop": 1})
    assert "x" not in managers.BaseManager._registry


def test_a_class_does_not_register_for_its_base(managers: Any) -> None:
    class One(managers.SyncManager):
        pass

    One.register("x", list)
    assert "x" in One._registry
    assert "x" not in managers.SyncManager._registry
    assert not hasattr(managers.SyncManager, "x")


def test_states(module: Any, managers: Any) -> None:
    error = module.ProcessError
    manager = managers.SyncManager(ctx=module.get_context("fork"))
    assert manager.address is None
    with pytest.raises(AssertionError, match="server not yet started"):
        manager.list()
    with pytest.raises(TypeError, match="initializer must be a callable"):
        manager.start(initializer=5)
    with manager as entered:
        assert entered is manager
        assert manager.address
        assert manager._process.name.startswith("SyncManager-")
        with pytest.raises(error, match="Already started server"):
            manager.start()
        with pytest.raises(error, match="Already started server"):
            manager.get_server()
        with manager:
            pass
    for use in (manager.start, manager.get_server, manager.__enter__):
        with pytest.raises(error, match="Manager has shut down"):
            use()
    manager.join()
    manager.join()


def test_a_wrong_key_is_refused(module: Any, managers: Any, manager: Any) -> None:
    other = managers.SyncManager(manager.address, authkey=b"wrong")
    with pytest.raises(module.AuthenticationError):
        other.connect()
    with pytest.raises(TypeError):
        managers.BaseManager(authkey="text")


def test_somebody_else_may_connect(managers: Any, manager: Any) -> None:
    other = managers.SyncManager(manager.address, authkey=bytes(manager._authkey))
    other.connect()
    shared = other.list([1])
    assert shared.pop() == 1
    assert manager._number_of_objects() == 1
    assert "refcount=1" in manager._debug_info()
    del shared
    assert manager._number_of_objects() == 0


def test_an_initializer_runs_in_the_server(module: Any, managers: Any) -> None:
    manager = customised(managers)(ctx=module.get_context("fork"))
    manager.start(managed_types.set_one, (20,))
    with manager:
        assert manager.one().add() == 21


def test_an_interrupt_is_not_for_the_server(manager: Any) -> None:
    import os

    os.kill(manager._process.pid, signal.SIGINT)
    assert list(manager.list([1])) == [1]


def test_a_manager_that_is_dropped_shuts_its_server_down(module: Any) -> None:
    manager = module.get_context("fork").Manager()
    process = manager._process
    del manager
    gc.collect()
    assert not process.is_alive()


def test_objects_within_objects(manager: Any) -> None:
    outer, inner = manager.list(), manager.dict()
    outer.append(inner)
    outer[0]["key"] = "value"
    assert inner["key"] == "value"
    assert str(outer[0]) == "{'key': 'value'}"
    outer[0]["self"] = outer
    assert len(inner["self"]) == 1


def use_in_a_child(shared: Any, results: Any, number: int) -> None:
    shared[number] = number
    results.put(sorted(shared.copy()))


def test_proxies_in_children(context: Any) -> None:
    with context.Manager() as manager:
        shared, results = manager.dict(), manager.Queue()
        before = manager._number_of_objects()
        for number in range(2):
            args = (shared, results, number)
            child = context.Process(target=use_in_a_child, args=args)
            child.start()
            child.join()
            assert child.exitcode == 0
            assert results.get(timeout=30) == list(range(number + 1))
        assert manager._number_of_objects() == before
        refcounts = [line for line in manager._debug_info().splitlines() if "refcount" in line]
        assert all(line.endswith("refcount=1") for line in refcounts), refcounts


def test_proxies_in_a_pool(mp: Any) -> None:
    with mp.Manager() as manager, mp.Pool(2) as pool:
        shared = manager.list()
        pool.map(shared.append, range(10))
        assert sorted(shared) == list(range(10))
        pool.close()
        pool.join()


def test_a_pickled_proxy_counts(manager: Any) -> None:
    import multiprocessing

    key = multiprocessing.current_process().authkey
    assert key == manager._authkey
    shared = manager.list([1])
    again = pickle.loads(pickle.dumps(shared))
    assert type(again) is type(shared)
    del shared
    assert manager._number_of_objects() == 1
    assert again[0] == 1
    del again
    assert manager._number_of_objects() == 0


def test_references_are_given_back(manager: Any) -> None:
    for _ in range(3):
        kept = [manager.list(), manager.dict(), manager.Queue(), manager.Lock()]
        iterator = iter(manager.dict(a=1))
        assert list(iterator) == ["a"]
        assert manager._number_of_objects() == len(kept) + 1
        del kept, iterator
        assert manager._number_of_objects() == 0


def test_a_thread_that_drops_a_proxy_gives_its_reference_back(manager: Any) -> None:
    proxies = [manager.list()]
    Hand(proxies.clear).result()
    assert manager._number_of_objects() == 0


def test_threads_call_at_the_same_time(manager: Any) -> None:
    fifo, lock, shared = manager.Queue(), manager.Lock(), manager.Value("i", 0)
    getter = Hand(fifo.get)
    getter.blocks()

    def add() -> None:
        for _ in range(50):
            with lock:
                shared.value += 1

    hands = [Hand(add) for _ in range(4)]
    for hand in hands:
        hand.result()
    assert shared.value == 200
    fifo.put("waited for")
    assert getter.result() == "waited for"


def test_an_rlock_belongs_to_a_thread(manager: Any) -> None:
    lock = manager.RLock()
    lock.acquire()
    assert Hand(lock.acquire, False).result() is False
    with pytest.raises(RuntimeError):
        Hand(lock.release).result()
    lock.release()
    assert Hand(lock.acquire, False).result() is True


def test_a_condition(manager: Any) -> None:
    condition, items = manager.Condition(), manager.list()

    def consume() -> Any:
        with condition:
            assert condition.wait_for(lambda: len(items), 30)
            return items.pop()

    hands = [Hand(consume).blocks() for _ in range(2)]
    for number in range(2):
        with condition:
            items.append(number)
            condition.notify_all()
    assert sorted(hand.result() for hand in hands) == [0, 1]


def test_a_barrier(manager: Any) -> None:
    barrier = manager.Barrier(3)
    hands = [Hand(barrier.wait, 30) for _ in range(2)]
    places = [barrier.wait(30), *(hand.result() for hand in hands)]
    assert sorted(places) == [0, 1, 2]
    hand = Hand(barrier.wait)
    hand.blocks()
    barrier.abort()
    with pytest.raises(threading.BrokenBarrierError):
        hand.result()


def test_errors_are_those_of_the_modules(manager: Any) -> None:
    fifo = manager.Queue(1)
    with pytest.raises(queue.Empty):
        fifo.get_nowait()
    fifo.put(1)
    with pytest.raises(queue.Full):
        fifo.put(2, timeout=0.001)
    with pytest.raises(threading.BrokenBarrierError):
        manager.Barrier(2).wait(0.001)


def test_over_xml(module: Any, managers: Any) -> None:
    made = customised(managers)(serializer="xmlrpclib", ctx=module.get_context("fork"))
    with made:
        counter = made.Counter(1)
        assert counter.add() == 2
        assert Hand(counter.add, 5).result() == 7
        del counter
        assert made._number_of_objects() == 0


def test_segments_of_a_manager_end_with_it(module: Any, managers: Any) -> None:
    memory = pytest.importorskip(f"{module.__name__}.shared_memory")
    with managers.SharedMemoryManager(ctx=module.get_context("fork")) as manager:
        segment = manager.SharedMemory(100)
        segment.buf[0] = 5
        listed = manager.ShareableList([1, "two"])
        assert list(listed) == [1, "two"]
        names = [segment.name, listed.shm.name]
        again = memory.SharedMemory(names[0])
        assert again.buf[0] == 5
        for each in (again, segment, listed.shm):
            each.close()
    for name in names:
        with pytest.raises(FileNotFoundError):
            memory.SharedMemory(name)
    with pytest.raises(module.ProcessError, match="SharedMemoryManager has shut down"):
        manager.get_server()
