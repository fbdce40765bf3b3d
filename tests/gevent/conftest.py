"""What tests of greenlets get; see greenprograms.py."""

import pytest
from greenprograms import Programs


@pytest.fixture
def implementation(request, tmp_path):
    return Programs(*request.param, tmp_path)
