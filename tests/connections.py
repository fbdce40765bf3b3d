"""What tests of connections share: both implementations, standard libraries at the other end."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing import connection as stdlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from manyhands.multiprocessing import connection as ours
from support import PATIENCE

#: The implementations, by name.
MODULES: dict[str, ModuleType] = {"stdlib": stdlib, "manyhands": ours}

#: A fixture's parameters for what must hold of both.
both = pytest.mark.parametrize("module", MODULES.values(), ids=MODULES.keys())

FAMILIES = ["AF_INET", "AF_UNIX"]

VERSIONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]

#: Sends back what it gets until that is b"quit", whichever end it is.
PEER = """
import sys
from multiprocessing import connection
role, family, key, address = sys.argv[1:]
key = key.encode() or None
if role == "listen":
    with connection.Listener(eval(address), family, authkey=key) as listener:
        print(repr(listener.address), flush=True)
        end = listener.accept()
else:
    end = connection.Client(eval(address), authkey=key)
while True:
    message = end.recv_bytes()
    if message == b"quit":
        break
    end.send_bytes(message)
end.send({"version": sys.version_info[:2], "made": [1, 2.5, None, "text", b"bytes"]})
end.close()
"""


@functools.cache
def interpreter(version: str) -> str | None:
    """A standard library of that version, and nothing of ours."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [str(path) for path in sorted(root.glob(f"{version}.*/bin/python3"))]
    named = shutil.which(f"python{version}")
    for candidate in [*([named] if named else []), *found]:
        command = [candidate, "-I", "-c", "import multiprocessing.connection"]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
            return candidate
    return None


@pytest.fixture(params=VERSIONS)
def stock(request: pytest.FixtureRequest) -> str:
    """An interpreter of each version that is to be found."""
    version: str = request.param
    found = interpreter(version)
    if found is None:
        pytest.skip(f"there is no CPython {version}")
    return found


class Peer:
    """The program above in an interpreter of its own."""

    def __init__(self, python: str, role: str, family: str, key: str, address: Any) -> None:
        command = [python, "-I", "-c", PEER, role, family, key, repr(address)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def address(self) -> Any:
        """Where it listens."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.errors()
        return eval(line)

    def errors(self) -> str:
        """What it had to say when it ended."""
        return self.process.communicate(timeout=PATIENCE)[1]

    def finish(self) -> None:
        errors = self.errors()
        assert self.process.returncode == 0, errors


@contextlib.contextmanager
def peer(python: str, role: str, family: str, key: str, address: Any) -> Iterator[Peer]:
    found = Peer(python, role, family, key, address)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            found.process.kill()
        found.process.communicate()


@pytest.fixture
def free_address(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Gives addresses of a family; a path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="mh-") as folder:
        numbers = iter(range(sys.maxsize))

        def give(family: str) -> Any:
            if family == "AF_INET":
                return ("127.0.0.1", 0)
            return os.path.join(folder, f"socket{next(numbers)}")

        yield give


def echoed(end: Any, message: bytes) -> None:
    end.send_bytes(message)
    assert end.recv_bytes() == message


@pytest.fixture(params=[True, False], ids=["duplex", "simplex"])
def ends(request: pytest.FixtureRequest) -> Any:
    """A reader and a writer of ours."""
    reader, writer = ours.Pipe(request.param)
    yield reader, writer
    reader.close()
    writer.close()
