"""The package has the standard library's modules and names, and shares what there can be one of."""

import importlib
import multiprocessing as stdlib
import multiprocessing.dummy as stdlib_dummy
import pickle
import pkgutil
import sys

import pytest
from manyhands import multiprocessing
from manyhands._start_imports import SUBMODULES
from support import SHARED, run_script

OURS = list(SUBMODULES["multiprocessing"])

#: Public by their names, but how the stdlib's own arena travels.
INTERNAL = {"heap": {"rebuild_arena", "reduce_arena"}}


def load(name):
    """Our module of that name, and the standard library's."""
    return [
        importlib.import_module(f"{package}.{name}")
        for package in ("manyhands.multiprocessing", "multiprocessing")
    ]


def test_the_package_exports_what_the_stdlib_exports():
    assert sorted(multiprocessing.__all__) == sorted(stdlib.__all__)
    assert set(multiprocessing.__all__) <= set(vars(multiprocessing))
    assert (multiprocessing.SUBDEBUG, multiprocessing.SUBWARNING) == (5, 25)


def test_no_module_of_the_stdlib_is_missing():
    there = {module.name for module in pkgutil.iter_modules(stdlib.__path__)}
    there |= {f"dummy.{module.name}" for module in pkgutil.iter_modules(stdlib_dummy.__path__)}
    assert there - {"popen_spawn_win32"} == {*SHARED, *OURS}


@pytest.mark.parametrize("name", SHARED)
def test_what_holds_state_is_the_stdlibs_own_module(name):
    ours, theirs = load(name)
    assert ours is theirs


@pytest.mark.parametrize("name", OURS)
def test_what_is_ours_has_all_public_names(name):
    ours, theirs = load(name)
    assert ours is not theirs
    assert ours.__name__ == f"manyhands.multiprocessing.{name}"
    exported = getattr(theirs, "__all__", ())
    assert set(exported) <= set(getattr(ours, "__all__", ()))
    made_there = {
        key
        for key, value in vars(theirs).items()
        if getattr(value, "__module__", None) == theirs.__name__ and not key.startswith("_")
    }
    missing = {key for key in {*exported, *made_there} if not hasattr(ours, key)}
    assert missing <= INTERNAL.get(name, set())


@pytest.mark.parametrize("name", ["pool", "managers", "util", "dummy", "process"])
def test_a_module_can_be_imported_from_the_package(name):
    found = {}
    exec(f"from manyhands.multiprocessing import {name}", found)
    exec(f"import manyhands.multiprocessing.{name} as again", found)
    assert found[name] is found["again"] is getattr(multiprocessing, name)


def test_errors_are_the_stdlibs():
    for name in ("ProcessError", "BufferTooShort", "TimeoutError", "AuthenticationError"):
        assert getattr(multiprocessing, name) is getattr(stdlib, name)
        assert getattr(multiprocessing.context, name) is getattr(stdlib, name)


def test_the_current_process_is_the_stdlibs():
    assert multiprocessing.current_process() is stdlib.current_process()
    assert multiprocessing.parent_process() is stdlib.parent_process()


def test_classes_are_pickled_by_reference():
    for method in ("fork", "spawn", "forkserver"):
        kind = multiprocessing.get_context(method).Process
        assert pickle.loads(pickle.dumps(kind)) is kind
        assert pickle.loads(pickle.dumps(type(multiprocessing.get_context(method))))
    assert pickle.loads(pickle.dumps(multiprocessing.Process)) is multiprocessing.Process


def test_the_main_module_has_the_name_that_children_know_it_by():
    run_script(
        "import sys; from manyhands import multiprocessing\n"
        "assert sys.modules['__mp_main__'] is sys.modules['__main__']"
    )


@pytest.mark.parametrize("first", [*SHARED, *OURS])
def test_any_module_may_be_the_first_to_be_imported(first):
    run_script(
        f"import manyhands.multiprocessing.{first} as first\n"
        "import manyhands.multiprocessing as package\n"
        "import multiprocessing.context as theirs\n"
        "assert theirs.reduction.context is theirs\n"
        f"assert package.{first} is first\n"
        "assert package.Process is package.context.Process"
    )


def test_modules_that_the_stdlib_has_at_once_are_there():
    run_script(
        "import sys; from manyhands import multiprocessing as m; import multiprocessing as s\n"
        "names = [name for name, value in vars(s).items() if type(value) is type(sys)]\n"
        "assert {'context', 'process', 'reduction'} <= set(names) <= set(vars(m)), names"
    )


def test_the_import_loads_none_of_what_is_not_used():
    loaded = run_script(
        "import sys; from manyhands import multiprocessing; print(*sys.modules)"
    ).split()
    for name in ("connection", "queues", "synchronize", "sharedctypes", "managers", "pool"):
        assert f"manyhands.multiprocessing.{name}" not in loaded
        assert f"multiprocessing.{name}" not in loaded
    assert "cloudpickle" not in loaded


def test_logging_names_the_process():
    assert (
        run_script(
            "import logging, sys; from manyhands import multiprocessing\n"
            "multiprocessing.current_process().name = 'Kitchen'\n"
            "logging.basicConfig(format='%(processName)s %(message)s', stream=sys.stdout)\n"
            "logging.warning('bun')"
        )
        == "Kitchen bun\n"
    )


def test_all_is_a_list_of_what_is_there():
    for name in OURS:
        ours, _ = load(name)
        for exported in getattr(ours, "__all__", ()):
            assert hasattr(ours, exported), (name, exported)
    assert "manyhands.multiprocessing" in sys.modules


def test_modules_that_the_standard_library_imports_on_the_way_are_attributes():
    source = (
        "from manyhands import multiprocessing\n"
        "print(multiprocessing.util.__name__, hasattr(multiprocessing, 'nothing'))\n"
    )
    assert run_script(source) == "multiprocessing.util False\n"
