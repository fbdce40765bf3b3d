"""What a client does with a server that knows sessions, as ours."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from typing import Any

import pytest
from manyhands.multiprocessing import managers
from sessions import Raw, Server, server
from support import Hand, alarm, in_fork

__all__ = ["server"]


def numbers(server: Server) -> list[int]:
    return [request[4] for request in server.requests if len(request) == 5]


def test_all_goes_over_one_connection(server: Server) -> None:
    manager = server.manager()
    thing = manager.thing()
    thing.put(1)
    del thing
    again = manager.thing()
    manager._number_of_objects()
    assert len(server.hellos) == 1
    assert server.hellos[0] == {"name": "MainProcess"}
    # The reference that comes with a new object is the proxy's.
    assert server.methods() == ["create", "put", "#decref", "create", "number_of_objects"]
    assert server.requests[2] == (None, "#decref", ("x",), {})
    assert numbers(server) == [1, 2, 3, 4]
    del again, manager


def test_each_thread_has_a_connection_of_its_own(server: Server) -> None:
    thing = server.manager().thing()
    Hand(thing.put, 1).result()
    Hand(thing.put, 2).result()
    thing.put(3)
    assert len(server.hellos) == 3
    assert server.hellos[1]["name"].startswith("MainProcess|Thread-")
    assert numbers(server) == [1, 1, 1, 2]


def test_a_fork_has_a_connection_of_its_own(server: Server) -> None:
    thing = server.manager().thing()

    def child() -> None:
        thing.put("child")

    in_fork(child)
    thing.put("parent")
    assert [request[2] for request in server.requests[1:]] == [("child",), ("parent",)]
    assert len(server.hellos) == 2
    assert "session" not in server.hellos[1]


def test_a_call_that_was_not_carried_out_is_sent_again(server: Server) -> None:
    thing = server.manager().thing()
    server.answer = lambda method, item: item
    server.cut_before = "put"
    assert thing.put("once") == "once"
    assert server.hellos[1] == {"name": "MainProcess", "session": 1, "given_up": False}
    assert numbers(server) == [1, 2, 2]


def test_a_call_that_was_carried_out_is_not_carried_out_again(server: Server) -> None:
    thing = server.manager().thing()
    done = []
    server.answer = lambda method, item: done.append(item) or len(done)
    server.cut_after = "put"
    assert thing.put("once") == 1
    assert thing.put("twice") == 2
    assert done == ["once", "twice"]
    assert numbers(server) == [1, 2, 2, 3]


def test_a_connection_that_was_cut_between_calls_is_made_again(server: Server) -> None:
    thing = server.manager().thing()
    for count in range(3):
        server.cut()
        server.answer = lambda *args, count=count: count
        assert thing.get() == count
    assert len(server.hellos) == 4


def test_another_server_is_told_from_the_one_before(server: Server) -> None:
    manager = server.manager()
    thing = manager.thing()
    thing.get()
    server.forget()
    server.cut()
    with pytest.raises(managers.ServerLost, match="another one than before") as raised:
        thing.get()
    assert repr(server.address) in str(raised.value)
    assert "get" not in server.methods()[3:]
    # What is made there anew is good.
    server.answer = lambda *args: "new"
    assert manager.thing().get() == "new"


def test_the_next_object_may_come_from_another_server(server: Server) -> None:
    manager = server.manager()
    manager._number_of_objects()
    server.forget()
    server.cut()
    manager.thing().get()
    assert numbers(server)[1:] == [1, 2]


def test_a_server_that_does_not_come_back_is_given_up(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("manyhands.multiprocessing._manager_link._PERSISTENCE", 0.2)
    thing = server.manager().thing()
    server.close()
    with pytest.raises(managers.ServerLost) as raised:
        thing.get()
    assert repr(server.address) in str(raised.value)
    assert "'get'" in str(raised.value)
    assert isinstance(raised.value, ConnectionError)
    assert isinstance(raised.value, EOFError)


def test_an_exception_of_a_signal_handler_does_not_mix_up_answers(server: Server) -> None:
    class Enough(Exception):
        pass

    def enough() -> None:
        raise Enough

    thing = server.manager().thing()
    late = threading.Event()
    server.answer = lambda *args: late.wait() and "late"
    with pytest.raises(Enough), alarm(enough):
        thing.get()
    server.answer = lambda *args: "right"
    late.set()
    assert thing.get() == "right"
    assert server.hellos[1]["session"] == 1


def test_a_signal_handler_may_call_meanwhile(server: Server) -> None:
    thing = server.manager().thing()
    inner: list[Any] = []
    late = threading.Event()

    def answer(method: str, *args: Any) -> Any:
        return args if method == "put" else late.wait()

    def handle() -> None:
        inner.append(thing.put("inner"))
        late.set()

    server.answer = answer
    with alarm(handle):
        assert thing.get() is True
    assert inner == [("inner",)]
    assert len(server.hellos) == 2
    assert thing.put("outer") == ("outer",)


def test_what_is_dropped_during_a_call_is_let_go_of_after_it(server: Server) -> None:
    manager = server.manager()
    dropped = [manager.thing()]
    thing = manager.thing()

    class Dropping:
        def __reduce__(self) -> Any:
            dropped.clear()
            return int, (5,)

    server.answer = lambda method, item: item
    assert thing.put(Dropping()) == 5
    thing.put(6)
    assert server.methods() == ["create", "create", "put", "#decref", "put"]


def test_what_cannot_be_pickled_does_no_harm(server: Server) -> None:
    thing = server.manager().thing()
    for _ in range(2):
        with pytest.raises(Exception, match="pickle"):
            thing.put(lambda: None)
    thing.put(1)
    assert len(server.hellos) == 1
    assert server.methods() == ["create", "put"]


def test_what_cannot_be_unpickled_does_no_harm(server: Server) -> None:
    thing = server.manager().thing()
    server.answer = lambda *args: Unloadable()
    with pytest.raises(ZeroDivisionError):
        thing.get()
    server.answer = lambda *args: 5
    assert thing.get() == 5
    assert len(server.hellos) == 1


class Unloadable:
    def __reduce__(self) -> Any:
        return divmod, (1, 0)


def test_an_abandoned_lock_is_told_of(server: Server) -> None:
    thing = server.manager().thing()
    server.answer = lambda *args: Raw(("#RETURN", True, {"abandoned": True}))
    with pytest.warns(managers.AbandonedLockWarning, match="thing") as told:
        assert thing.acquire() is True
    assert told[0].filename == __file__


def test_a_lost_update_is_told_of(server: Server) -> None:
    thing = server.manager().thing()
    server.answer = lambda *args: Raw(("#RETURN", None, {"raced": "key"}))
    with pytest.warns(managers.LostUpdateWarning, match="'key'.*increment"):
        thing.put("key", 1)


def test_a_value_is_changed_as_a_whole(server: Server) -> None:
    """Until nobody has come in between."""
    stamp, value = 0, None
    others = [10, 20]

    def answer(method: str, key: str, *args: Any) -> Any:
        nonlocal stamp, value
        assert key == "key"
        if method == "increment":
            return ("sum", *args)
        if method == "#PEEK":
            return stamp, value
        assert method == "#SWAP"
        if others:
            stamp, value = stamp + 1, others.pop(0)
        if args[0] != stamp:
            return False
        stamp, value = stamp + 1, args[1]
        return True

    shared = server.manager().dict()
    server.answer = answer
    seen = []
    assert shared.update_with("key", lambda old: seen.append(old) or old + 1, default=1) == 21
    assert seen == [1, 10, 20]
    assert shared.update_with("key", str) == "21"
    assert shared.increment("key") == ("sum", 1)
    assert shared.increment("key", by=2.5) == ("sum", 2.5)


def test_an_exception_is_raised_with_its_cause(server: Server) -> None:
    from multiprocessing.pool import ExceptionWithTraceback

    def fail() -> Any:
        try:
            raise ValueError("no")
        except ValueError as error:
            return ExceptionWithTraceback(error, error.__traceback__)

    thing = server.manager().thing()
    server.answer = lambda *args: Raw(("#ERROR", fail()))
    with pytest.raises(ValueError, match="no") as raised:
        thing.get()
    assert type(raised.value.__cause__).__name__ == "RemoteTraceback"
    assert "in fail" in str(raised.value.__cause__)
    server.answer = lambda *args: Raw(("#TRACEBACK", "so it went\n"))
    with pytest.raises(managers.RemoteError, match="so it went"):
        thing.get()
    server.answer = lambda *args: Raw(("#WHAT", 1))
    with pytest.raises(ValueError, match="Unrecognized message type '#WHAT'"):
        thing.get()


def test_letting_go_does_not_wait_for_a_server_that_is_stopped(server: Server) -> None:
    """Who has no connection of its own opens one for it, but not for ever."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        way = managers.Way(managers.connection.Client, b"key", "pickle")
        peer = managers.peer_at(silent.getsockname())
        with pytest.raises(TimeoutError, match="does not answer in time"):
            peer.give_back(way, "x")


INTEGERS = [0, 1, -1, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -(2**31), 2**63 - 1, 2**63]
TEXTS = ["", "a", "\0", "ä" * 200, "x" * 300, "x" * 5000, "\ud800", b"", b"x" * 255, b"x" * 256]
OTHERS = [None, True, False, 0.0, -1.5, float("inf"), b"x" * 5000, [], (), {}, [1], {"k": 1}]
PLAIN = [*INTEGERS, *TEXTS, *OTHERS, {1, 2}, 1j, range(3), -(2**63), -(2**100), ("a",)]


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: repr(value)[:20])
def test_what_is_sent_comes_and_comes_back(server: Server, value: Any) -> None:
    """The usual values are pickled by us, and read."""
    thing = server.manager().thing()
    server.answer = lambda method, *args: args
    for args in ((value,), (value, 1), ("a", value, None), (1, 2, value, "b"), (value,) * 5):
        returned = thing.put(*args)
        assert returned == args
        assert [type(item) for item in returned] == [type(item) for item in args]
    server.answer = lambda method, value: value
    returned = thing.put(value)
    assert returned == value
    assert type(returned) is type(value)


def test_subclasses_of_the_usual_types_stay_what_they_are(server: Server) -> None:
    thing = server.manager().thing()
    server.answer = lambda method, *args: args[0]
    for value in (signal.SIGINT, os.PathLike, Text("x"), time.gmtime(0)):
        assert type(thing.put(value)) is type(value)
    gc.collect()


class Text(str):
    pass
