"""The names of the module: all of the stdlib's, and the same objects where they are not ours."""

from __future__ import annotations

import pickle
import sys
import threading as stdlib
import types
import unittest.mock
import warnings
from typing import Any

import pytest
from manyhands import threading as ours
from support import Engine, Hand, run_script

OURS = {
    "Lock",
    "RLock",
    "Condition",
    "Semaphore",
    "BoundedSemaphore",
    "Event",
    "Barrier",
    "Timer",
}


def test_all_public_names_are_there() -> None:
    assert ours.__all__ == stdlib.__all__
    missing = [name for name in stdlib.__all__ if not hasattr(ours, name)]
    assert missing == []


def test_private_and_old_names_are_there_too() -> None:
    missing = [name for name in vars(stdlib) if not hasattr(ours, name)]
    assert missing == []


def test_what_is_ours_is_of_our_module() -> None:
    for name in OURS:
        found = getattr(ours, name)
        assert found is not getattr(stdlib, name)
        assert found.__doc__
        if name == "Lock":
            # As in the stdlib, its class is called `lock`, and until 3.13 this is a function.
            found = type(found())
        else:
            assert found.__name__ == found.__qualname__ == name
        assert isinstance(found, type)
        assert found.__module__ == "manyhands.threading"


def test_everything_else_is_the_interpreters_own() -> None:
    for name in set(stdlib.__all__) - OURS:
        assert getattr(ours, name) is getattr(stdlib, name), name
    assert ours.current_thread() is stdlib.current_thread()
    assert ours.main_thread() is stdlib.main_thread()
    assert ours.BrokenBarrierError is stdlib.BrokenBarrierError
    assert ours.TIMEOUT_MAX == stdlib.TIMEOUT_MAX


def test_a_thread_is_the_same_object_for_both() -> None:
    seen: list[Any] = []
    thread = ours.Thread(target=lambda: seen.extend([ours.current_thread(), ours.enumerate()]))
    thread.start()
    thread.join()
    assert seen[0] is thread
    assert thread in seen[1]
    assert isinstance(thread, stdlib.Thread)


def test_star_import_gives_all_names() -> None:
    scope: dict[str, Any] = {}
    exec("from manyhands.threading import *", scope)
    assert {name: scope[name] for name in stdlib.__all__} == {
        name: getattr(ours, name) for name in stdlib.__all__
    }
    assert not [name for name in scope if name not in stdlib.__all__ and name != "__builtins__"]


def test_dir_lists_the_names() -> None:
    listed = dir(ours)
    assert set(vars(stdlib)) <= set(listed)
    assert listed == sorted(listed)


def test_an_unknown_name_is_an_attribute_error_of_this_module() -> None:
    with pytest.raises(AttributeError, match=r"manyhands\.threading.*no attribute 'nonsense'"):
        _ = ours.nonsense
    with pytest.raises(ImportError, match="nonsense"):
        exec("from manyhands.threading import nonsense")


def test_it_is_a_module_with_a_docstring_and_a_spec() -> None:
    assert isinstance(ours, types.ModuleType)
    assert ours.__doc__
    assert ours.__name__ == ours.__spec__.name == "manyhands.threading"
    assert sys.modules["manyhands.threading"] is ours


def test_an_excepthook_assigned_here_is_used() -> None:
    seen: list[Any] = []
    old = ours.excepthook
    ours.excepthook = seen.append
    try:
        assert stdlib.excepthook == seen.append
        thread = ours.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
    finally:
        ours.excepthook = old
    assert [args.exc_type for args in seen] == [ZeroDivisionError]
    assert stdlib.excepthook is old


def test_trace_and_profile_functions_set_here_are_used() -> None:
    events: list[str] = []

    def note(frame: Any, event: str, argument: Any) -> None:
        events.append(event)

    for set_function in (ours.setprofile, ours.settrace):
        events.clear()
        set_function(note)
        try:
            Hand(lambda: None).result()
        finally:
            set_function(None)
        assert "call" in events


def test_names_can_be_patched_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    original = stdlib.current_thread
    with unittest.mock.patch("manyhands.threading.current_thread", return_value="me"):
        assert ours.current_thread() == stdlib.current_thread() == "me"
    assert ours.current_thread is stdlib.current_thread is original
    real = ours.Lock
    with unittest.mock.patch.object(ours, "Lock") as fake:
        assert ours.Lock is fake
    assert ours.Lock is real
    with monkeypatch.context() as patch:
        patch.setattr(ours, "a_new_name", 1, raising=False)
        assert ours.a_new_name == 1
    assert not hasattr(ours, "a_new_name")
    assert not hasattr(stdlib, "a_new_name")


def test_our_names_patched_here_leave_the_interpreters_alone() -> None:
    with unittest.mock.patch.object(ours, "Event", "something"):
        assert stdlib.Event is not ours.Event


def test_an_autospec_can_be_made_of_one(engine: Engine) -> None:
    mock = unittest.mock.create_autospec(engine.threading.Semaphore(1), instance=True)
    mock.acquire(True, timeout=1)
    mock.release(n=2)
    with pytest.raises(AttributeError):
        mock.nonsense()


OLD_NAMES = [
    ("currentThread", "current_thread", lambda module: module.currentThread()),
    ("activeCount", "active_count", lambda module: module.activeCount()),
    ("isSet", "is_set", lambda module: module.Event().isSet()),
    ("notifyAll", "notify_all", lambda module: _notify_all(module.Condition())),
    ("setDaemon", "daemon", lambda module: module.Thread().setDaemon(True)),
    ("isDaemon", "daemon", lambda module: module.Thread().isDaemon()),
    ("getName", "name", lambda module: module.Thread().getName()),
    ("setName", "name", lambda module: module.Thread().setName("x")),
    ("setDaemon of a Timer", "daemon", lambda module: module.Timer(1, print).setDaemon(True)),
]


def _notify_all(condition: Any) -> None:
    with condition:
        condition.notifyAll()


@pytest.mark.parametrize(("old", "new", "call"), OLD_NAMES, ids=[row[0] for row in OLD_NAMES])
def test_old_names_work_and_warn_the_caller(engine: Engine, old: str, new: str, call: Any) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(engine.threading)
    assert len(caught) == 1
    assert caught[0].category is DeprecationWarning
    assert old.split()[0] in str(caught[0].message)
    assert new in str(caught[0].message)
    # The warning is about the caller's line, so that it is shown there.
    assert caught[0].filename == __file__


@pytest.mark.parametrize(("old", "call"), [("isSet", OLD_NAMES[2][2]), ("notifyAll", _notify_all)])
def test_old_names_warn_with_the_stdlibs_words(old: str, call: Any) -> None:
    messages = []
    for module in (stdlib, ours):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call(module if old == "isSet" else module.Condition())
        messages.append(str(caught[0].message))
    assert messages[0] == messages[1]


def test_a_warning_made_an_error_is_raised(engine: Engine) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DeprecationWarning):
            engine.threading.Event().isSet()


def test_the_lock_is_a_class_where_the_stdlibs_is() -> None:
    assert isinstance(ours.Lock, type) == isinstance(stdlib.Lock, type)
    if not isinstance(stdlib.Lock, type):
        with pytest.raises(TypeError, match="cannot create"):
            type(ours.Lock())()


def test_classes_can_be_pickled_where_the_stdlibs_can() -> None:
    for name in OURS:
        try:
            pickle.dumps(getattr(stdlib, name))
        except (pickle.PicklingError, AttributeError, TypeError):
            continue
        assert pickle.loads(pickle.dumps(getattr(ours, name))) == getattr(ours, name)


def test_the_modules_can_be_imported_in_any_order() -> None:
    for first, second in (("queue", "threading"), ("threading", "queue"), ("watch", "queue")):
        run_script(f"import manyhands.{first}, manyhands.{second}")


def test_it_can_be_imported_in_a_thread() -> None:
    run_script(
        "import _thread, threading, time\n"
        "done = []\n"
        "def work():\n"
        "    import manyhands.threading, manyhands.queue\n"
        "    done.append(manyhands.queue.Queue())\n"
        "_thread.start_new_thread(work, ())\n"
        "while not done: time.sleep(0.001)\n"
        "assert threading.main_thread() is threading.current_thread()\n"
    )
