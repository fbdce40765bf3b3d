"""What a test has started and a program would keep until its end ends with the test."""

from __future__ import annotations

import gc
import logging
import multiprocessing as stdlib
import os
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from keeping import Kept
from manyhands import multiprocessing
from manyhands._stdlib import original
from manyhands.multiprocessing import _nursery
from support import Leftovers

MODULES = {"stdlib": stdlib, "manyhands": multiprocessing}
METHODS = ["fork", "forkserver", "spawn"]

TESTS_ALL = bool(os.environ.get("MANYHANDS_TEST_ALL"))


def stop_helpers() -> None:
    """End zygotes, and the standard library's fork server and resource tracker."""
    _nursery.stop()
    multiprocessing.active_children()
    if "multiprocessing.forkserver" in sys.modules:
        original("multiprocessing.forkserver")._forkserver._stop()
    if "multiprocessing.resource_tracker" in sys.modules:
        original("multiprocessing.resource_tracker")._resource_tracker._stop()


@pytest.fixture(autouse=True)
def helpers_end(nothing_is_left: None) -> Iterator[None]:
    yield
    stop_helpers()


@pytest.fixture(scope="module", autouse=True)
def helpers_of_modules_end() -> Iterator[None]:
    before = Leftovers.now()
    yield
    stop_helpers()
    left = Leftovers.since(before)
    assert not left, f"left behind: {left}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The standard library's pools hang now and then: only ours are tried unless all is wanted."""
    reason = "the standard library's Pool is tried with MANYHANDS_TEST_ALL=1"
    for item in items:
        if "pool" in item.path.name and "stdlib" in item.name and not TESTS_ALL:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(params=[stdlib, multiprocessing], ids=["stdlib", "manyhands"])
def mp(request: pytest.FixtureRequest) -> Any:
    """The fork context of the standard library and ours, for what must hold of both."""
    return request.param.get_context("fork")


@pytest.fixture(params=MODULES.values(), ids=list(MODULES))
def module(request: pytest.FixtureRequest) -> Any:
    """The standard library's module and ours."""
    return request.param


@pytest.fixture(params=[(name, method) for name in MODULES for method in METHODS], ids="-".join)
def context(request: pytest.FixtureRequest) -> Any:
    """The contexts of both modules, of all start methods."""
    name, method = request.param
    return MODULES[name].get_context(method)


@pytest.fixture
def pool(mp: Any) -> Iterator[Any]:
    with mp.Pool(2) as pool:
        # Until all is put away pytest keeps what it was given.
        yield weakref.proxy(pool)
        # The standard library's may hang if it is terminated while results are on their ways.
        pool.close()
        pool.join()


@pytest.fixture
def pools_are_collected(helpers_end: None) -> Iterator[None]:
    """Pools are gone before the processes that look after what they keep."""
    yield
    gc.collect()


@pytest.fixture
def our() -> Any:
    """Our fork context."""
    return multiprocessing.get_context("fork")


@pytest.fixture
def kept() -> Iterator[Kept]:
    """A handler of the root logger; loggers are as new afterwards."""
    handler = Kept()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)
    logging.disable(logging.NOTSET)
    for logger in list(logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger) and logger.name.startswith("kitchen"):
            logger.setLevel(logging.NOTSET)
            logger.disabled, logger.propagate = False, True
            logger.handlers.clear()
            logger.filters.clear()
