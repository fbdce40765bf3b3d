"""Starts the engine in an interpreter that is to run on it.

The file `00-manyhands.pth`, which each interpreter reads when it starts, calls `start()` unless
it sees at a glance that the engine is off. An interpreter is switched on in one of three ways:

- The environment variable `MANYHANDS_RUN` is set; `0` or nothing switches off.
- The process is marked. Children inherit the environment unless somebody empties it, and a
  process that replaces itself by another program, with an emptied environment, leaves nothing
  that could be asked. So the engine sets its process's timer slack to a value that nobody else
  would choose: 21 ns more than the kernel's 50 us, which nobody notices. It goes to all children
  and survives `exec`.
- The parent was switched on by its environment, as far as `/proc` tells; for systems where the
  mark cannot be set.

Nothing here imports anything that the interpreter has not imported already.
"""

import os
import sys

from manyhands._start_imports import MirrorFinder
from manyhands._start_stand_ins import STAND_INS, StandInFinder

#: The modules that the engine puts ours in the place of.
MIRRORED = ("threading", "queue", "multiprocessing", "concurrent.futures")

#: How the commands begin by which the standard library's own `multiprocessing` starts helpers and
#: children. Ours has other ones, so if it did, this process talks to the standard library's.
_STDLIB_CHILDREN = tuple(
    f"from multiprocessing.{module} import "
    for module in ("spawn", "forkserver", "resource_tracker")
)

SWITCH = "MANYHANDS_RUN"
#: The switch's value that asks for the table of modules, in the first process only.
WITH_REPORT = "report"

#: Says that this program's pools are to be shown, but not those of its children.
PROGRESS = "MANYHANDS_PROGRESS"

#: The process whose pools are to be shown.
shows_progress_in: int | None = None

#: Says that this is the program itself, which answers to `manyhands why` from its start.
ANSWERS = "MANYHANDS_ANSWERS"

#: The process that is to answer from its start, as soon as it has a module of ours.
_answers_in: int | None = None

_SLACK = "/proc/self/timerslack_ns"
_DEFAULT_SLACK = b"50000"
_MARK = b"50021"


def start() -> None:
    """Put our modules where the program will import the standard library's from."""
    if not _switched_on() or any(isinstance(finder, MirrorFinder) for finder in sys.meta_path):
        return
    _mark()
    early = [name for name in MIRRORED if name in sys.modules]
    if early:
        say(_imported_early(early))
    stand_ins = StandInFinder([name for name in STAND_INS if name not in sys.modules])
    left = [*early, "multiprocessing"] if _is_stdlib_child() else early
    mirrors = MirrorFinder([name for name in MIRRORED if name not in left])
    sys.meta_path[:0] = [stand_ins, mirrors]
    global shows_progress_in, _answers_in
    if os.environ.pop(PROGRESS, None) is not None:
        shows_progress_in = os.getpid()
    if os.environ.pop(ANSWERS, None) is not None:
        _answers_in = os.getpid()
    if os.environ.get(SWITCH) == WITH_REPORT:
        os.environ[SWITCH] = "1"
        from manyhands._start_report import report

        say(report(MIRRORED))


def begin_to_answer() -> None:
    """Have the program answer to `manyhands why`; called when a module of ours was imported."""
    global _answers_in
    if _answers_in == os.getpid():
        _answers_in = None
        from manyhands._native import begin_watch

        begin_watch()


def say(text: str) -> None:
    """Tell the user, where there is a way to."""
    if sys.stderr is not None:
        try:
            sys.stderr.write(f"manyhands: {text}\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            pass


def _switched_on() -> bool:
    switch = os.environ.get(SWITCH)
    if switch is not None:
        return switch not in ("", "0")
    slack = _read(_SLACK)
    if slack.strip() == _MARK:
        return True
    for variable in _read(f"/proc/{os.getppid()}/environ").split(b"\0"):
        if variable.startswith(f"{SWITCH}=".encode()):
            if variable.partition(b"=")[2] in (b"", b"0"):
                return False
            os.environ[SWITCH] = "1"  # for this process's children: there is no mark
            return True
    return False


def _is_stdlib_child() -> bool:
    return any(argument.startswith(_STDLIB_CHILDREN) for argument in sys.orig_argv)


def _mark() -> None:
    if _read(_SLACK).strip() == _DEFAULT_SLACK:  # not where somebody has chosen one
        try:
            with open(_SLACK, "wb", buffering=0) as file:
                file.write(_MARK)
        except OSError:
            pass  # forbidden in this sandbox: the environment has to do


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _imported_early(names: list[str]) -> str:
    """What to tell about modules that somebody else has imported, and perhaps changed, before."""
    modules = list(sys.modules)
    after = modules[min(modules.index(name) for name in names) :]
    # `sys.modules` has the order in which modules were finished: an importer follows.
    known = {"__main__", "manyhands", *sys.stdlib_module_names}
    importers = [name for name in after if name.partition(".")[0] not in known]
    by = f" (it seems by {importers[0]})" if importers else ""
    were, they = ("was", "it stays") if len(names) == 1 else ("were", "they stay")
    return (
        f"{' and '.join(names)} {were} imported before the engine could start{by}; "
        f"{they} the standard library's"
    )
