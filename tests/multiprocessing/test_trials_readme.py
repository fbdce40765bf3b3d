"""The programs that the README shows and names, in both ways to run them."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import pytest
from programs import Place, environment

ROOT = Path(__file__).resolve().parent.parent.parent
METHODS = ["fork", "spawn", "forkserver"]
WAYS = ["run", "import"]


@pytest.fixture
def place(tmp_path: Path) -> Any:
    return Place(tmp_path)


def shown() -> str:
    """The README's program of processes."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (found,) = [block for block in blocks if block.startswith("import multiprocessing")]
    return str(found)


def call(place: Any, way: str, method: str, source: str, *arguments: str) -> Any:
    """What comes of a program with `manyhands run`, or with its import changed."""
    if way == "run":
        place.write("program.py", source)
        return place.run("--start-method", method, "program.py", *arguments)
    changed, count = re.subn(
        "^import multiprocessing", "from manyhands import multiprocessing", source, flags=re.M
    )
    assert count == 1
    place.write("program.py", changed)
    settings = environment(MANYHANDS_START_METHOD=method)
    return place.plain("program.py", *arguments, env=settings)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("way", WAYS)
def test_the_readmes_program_of_processes(place: Any, way: str, method: str) -> None:
    done = call(place, way, method, shown())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{sum(number * number for number in range(1000))}\n"


@pytest.mark.parametrize("kill", [(), ("--kill",)], ids=["", "kill"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("way", WAYS)
def test_the_ticket_office_sells_all_its_tickets(
    place: Any, way: str, method: str, kill: tuple[str, ...]
) -> None:
    source = (ROOT / "examples" / "ticket_office.py").read_text()
    done = call(place, way, method, source, *kill)
    assert done.returncode == 0, done
    assert done.stdout.startswith("10000 tickets sold by ")
    if kill and f"{-signal.SIGKILL}" in done.stdout:
        assert "AbandonedLockWarning" in done.stderr
    else:
        # Where the others were so quick that the first seller never came to sell so many.
        assert done.stderr == ""
