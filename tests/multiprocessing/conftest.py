"""Tests that start processes."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from manyhands import multiprocessing
from manyhands.multiprocessing import forkserver


@pytest.fixture(scope="session", autouse=True)
def zygotes() -> Iterator[None]:
    """What children come from stays when they have ended: it is there before the first test."""
    for method in ("spawn", "forkserver"):
        process = multiprocessing.get_context(method).Process(target=os.getpid)
        process.start()
        process.join()
        process.close()
    yield
    forkserver._forkserver._stop()
