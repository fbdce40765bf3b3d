"""Places to run programs in; see programs.py."""

import pytest
from programs import Clone, Place
from queue_programs import KEY, key_file


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


@pytest.fixture
def bare(tmp_path):
    """A virtual environment without the package."""
    return Clone(tmp_path, package=False)


@pytest.fixture
def key(tmp_path):
    """A file with the key of queues."""
    return key_file(tmp_path, KEY + "\n")
