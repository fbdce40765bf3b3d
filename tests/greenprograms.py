"""Programs of greenlets, for gevent on the engine, and for gevent itself where it is at hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent

#: Where ci/test-gevent.sh puts gevent.
WHEEL = ROOT / "build" / "gevent-{}.{}".format(*sys.version_info[:2])

TIMEOUT = 50  # a watchdog, shorter than that of a test; never a measure

#: What every program begins with: `gevent` and what it needs most, descriptors, memory.
BEGIN = """\
import faulthandler, gc, json, os, sys, time
from importlib import import_module
PACKAGE = {package!r}
gevent = import_module(PACKAGE)
def module(name):
    return import_module(f"{{PACKAGE}}.{{name}}")
def descriptors():
    return len(os.listdir("/proc/self/fd"))
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
def tell(**figures):
    print(json.dumps(figures), flush=True)
faulthandler.dump_traceback_later({limit} - 5, exit=True)
"""


def implementations() -> list[Any]:
    path = os.environ.get("MANYHANDS_TEST_GEVENT", str(WHEEL))
    there = Path(path, "gevent", "hub.py").is_file()
    mark = pytest.mark.skipif(not there, reason="gevent itself is not at hand: ci/test-gevent.sh")
    ours = pytest.param(("manyhands.gevent", None), id="manyhands")
    return [ours, pytest.param(("gevent", path), id="stock", marks=mark)]


class Programs:
    """Runs programs, with what `gevent` means in them."""

    def __init__(self, package: str, path: str | None, folder: Path) -> None:
        self.package, self.path, self.folder = package, path, folder
        self.timeout = TIMEOUT
        self.is_ours = package != "gevent"

    def start(self, source: str, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        begin = BEGIN.format(package=self.package, limit=self.timeout)
        program = self.folder / "program.py"
        program.write_text(begin + textwrap.dedent(source))
        environment = {**os.environ, **variables}
        environment.pop("PYTHONPATH", None)
        if self.path is not None:
            environment["PYTHONPATH"] = self.path
        return subprocess.Popen(
            [sys.executable, "-u", program, *arguments],
            env=environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finished(self, source: str, *arguments: str, **variables: str) -> tuple[str, str]:
        """What the program has said, on both ways, after it has ended well."""
        with self.start(source, *arguments, **variables) as process:
            try:
                out, err = process.communicate(timeout=self.timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert process.returncode == 0, f"status {process.returncode}\n{out}\n{err}"
        return out, err

    def told(self, source: str, *arguments: str, **variables: str) -> dict[str, Any]:
        """What the program has said by `tell`, after it has ended well and without a complaint."""
        out, err = self.finished(source, *arguments, **variables)
        assert err == ""
        return json.loads(out.splitlines()[-1])


both = pytest.mark.parametrize("implementation", implementations(), indirect=True)
ours_only = pytest.mark.parametrize("implementation", implementations()[:1], indirect=True)
