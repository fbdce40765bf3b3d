"""Contexts: start methods, and that what they make is ours."""

import inspect
import multiprocessing as stdlib
import os
import subprocess
import sys

import pytest
from manyhands import multiprocessing
from support import run_script

METHODS = ["fork", "spawn", "forkserver"]

#: How to make each object, and whose module it is then of.
FACTORIES = {
    "Lock": ((), "synchronize"),
    "RLock": ((), "synchronize"),
    "Semaphore": ((2,), "synchronize"),
    "BoundedSemaphore": ((2,), "synchronize"),
    "Condition": ((), "synchronize"),
    "Event": ((), "synchronize"),
    "Barrier": ((2,), "synchronize"),
    "Queue": ((3,), "queues"),
    "JoinableQueue": ((3,), "queues"),
    "SimpleQueue": ((), "queues"),
}


def test_the_default_start_method_is_that_of_the_running_version():
    script = (
        "from manyhands import multiprocessing as m; import multiprocessing as s\n"
        "assert m.get_start_method(allow_none=True) is None\n"
        "assert m.get_start_method() == s.get_start_method()\n"
        "assert m.get_start_method(allow_none=True) == s.get_start_method()\n"
        "assert m.get_all_start_methods() == s.get_all_start_methods()"
    )
    run_script(script, env={**os.environ, "MANYHANDS_START_METHOD": ""})


@pytest.mark.parametrize("method", METHODS)
def test_the_environment_may_set_the_default_start_method(method):
    script = (
        "from manyhands import multiprocessing as m\n"
        "assert m.get_start_method(allow_none=True) is None\n"
        "print(m.get_start_method(), m.get_context().get_start_method())\n"
        "m.set_start_method('spawn', force=True)\n"
        "print(m.get_start_method())"
    )
    environment = {**os.environ, "MANYHANDS_START_METHOD": method}
    assert run_script(script, env=environment) == f"{method} {method}\nspawn\n"


def test_the_start_method_can_be_chosen_once():
    run_script(
        "from manyhands import multiprocessing as m\n"
        "m.set_start_method('spawn')\n"
        "assert m.get_start_method() == 'spawn' == m.get_context()._name\n"
        "try:\n m.set_start_method('fork')\n"
        "except RuntimeError as error:\n assert str(error) == 'context has already been set'\n"
        "else:\n raise AssertionError\n"
        "m.set_start_method('forkserver', force=True)\n"
        "assert m.get_start_method() == 'forkserver'\n"
        "m.set_start_method(None, force=True)\n"
        "assert m.get_start_method(allow_none=True) is None"
    )


def test_the_choice_is_not_the_stdlibs():
    run_script(
        "from manyhands import multiprocessing as m; import multiprocessing as s\n"
        "m.set_start_method('spawn')\n"
        "assert s.get_start_method(allow_none=True) is None"
    )


def test_an_unknown_start_method_is_an_error_with_the_stdlibs_words():
    for module in (multiprocessing, stdlib):
        with pytest.raises(ValueError, match=r"^cannot find context for 'telepathy'$"):
            module.get_context("telepathy")
        with pytest.raises(ValueError, match=r"^cannot find context for 'telepathy'$"):
            module.get_context("spawn").get_context("telepathy")
        with pytest.raises(ValueError, match=r"^cannot set start method of concrete context$"):
            module.get_context("spawn").set_start_method("fork")


@pytest.mark.parametrize("method", METHODS)
def test_a_context_is_of_the_stdlibs_kind_and_gives_ours(method):
    context = multiprocessing.get_context(method)
    assert isinstance(context, type(stdlib.get_context(method)))
    assert isinstance(context, stdlib.context.BaseContext)
    assert context.get_context() is context
    assert context.get_context(method) is context
    assert context.get_start_method() == method
    assert issubclass(context.Process, stdlib.get_context(method).Process)
    assert context.Process._start_method == method
    for other in METHODS:
        assert context.get_context(other) is multiprocessing.get_context(other)


#: What ours take besides, by name only.
OURS = {"Pool": ["hosts", "python", "procs", "bootstrap"]}


def without_ours(name, signature):
    parameters = signature.parameters
    added = [each for each in parameters if each in OURS.get(name, [])]
    assert added == OURS.get(name, [])
    assert all(parameters[each].kind is inspect.Parameter.KEYWORD_ONLY for each in added)
    return signature.replace(
        parameters=[parameters[each] for each in parameters if each not in added]
    )


def test_methods_take_what_the_stdlibs_take():
    for name in dir(stdlib.context.DefaultContext):
        theirs = getattr(stdlib.context.DefaultContext, name)
        if inspect.isfunction(theirs):
            ours = getattr(multiprocessing.context.DefaultContext, name)
            signature = without_ours(name, inspect.signature(ours))
            assert signature == inspect.signature(theirs), name
            assert name.startswith("_") or ours.__doc__ or not theirs.__doc__


@pytest.mark.parametrize("name", FACTORIES)
@pytest.mark.parametrize("method", [None, *METHODS])
def test_what_a_context_makes_is_ours(name, method):
    arguments, module = FACTORIES[name]
    made = getattr(multiprocessing.get_context(method), name)(*arguments)
    kind = getattr(getattr(multiprocessing, module), name)
    assert type(made) is kind
    assert kind is not getattr(getattr(stdlib, module), name)


def test_a_pipe_and_shared_values_are_ours():
    ends = multiprocessing.Pipe()
    with ends[0], ends[1]:
        assert {type(end) for end in ends} == {multiprocessing.connection.Connection}
    assert multiprocessing.Value("i", 3).value == 3
    assert multiprocessing.Array("i", [1, 2])[:] == [1, 2]
    assert multiprocessing.RawValue("d", 0.5).value == 0.5
    assert multiprocessing.RawArray("b", 4)[:] == [0, 0, 0, 0]


def test_a_reducer_is_set_for_all():
    run_script(
        "from manyhands import multiprocessing as m; import multiprocessing as s\n"
        "assert m.get_context().reducer is s.get_context().reducer\n"
        "m.get_context().reducer = 'mine'\n"
        "assert m.context.reduction == 'mine' == s.context.reduction == s.get_context().reducer"
    )


def test_a_program_that_is_not_frozen_goes_on():
    multiprocessing.freeze_support()
    multiprocessing.get_context("spawn").freeze_support()
    multiprocessing.allow_connection_pickling()


def test_loggers_are_the_stdlibs():
    assert multiprocessing.get_logger() is stdlib.get_logger()


def test_who_uses_the_pipe_of_a_simple_queue_gets_the_stdlibs():
    made = {}
    code = "queue = context.SimpleQueue()"
    for name in ("multiprocessing.pool", "concurrent.futures.process", "kitchen"):
        space = {"__name__": name, "context": multiprocessing.get_context("fork")}
        exec(code, space)
        made[name] = space["queue"]
    assert made["multiprocessing.pool"]._reader.fileno() >= 0
    assert made["concurrent.futures.process"]._writer.fileno() >= 0
    assert type(made["kitchen"]) is multiprocessing.queues.SimpleQueue
    for name in ("multiprocessing.pool", "concurrent.futures.process"):
        made[name].close()


def test_a_start_method_that_is_none_is_told() -> None:
    environment = {**os.environ, "MANYHANDS_START_METHOD": "Spawn"}
    run = subprocess.run(
        [sys.executable, "-c", "import manyhands.multiprocessing"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (
        "MANYHANDS_START_METHOD=Spawn is ignored: the start methods are fork, spawn" in run.stderr
    )


def test_modules_that_come_on_the_way_are_there() -> None:
    run_script(
        "from manyhands import multiprocessing\n"
        "assert multiprocessing.connection.wait and multiprocessing.queues.Queue\n"
        "assert multiprocessing.synchronize.Lock\n"
    )
