"""What traces know only from Python: the names of threads; and where a trace is written."""

import atexit
import os
import sys
from contextlib import contextmanager, suppress

from manyhands._stdlib import original

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

#: Where children find the memory of the trace.
VARIABLE = "MANYHANDS_TRACE"

#: The forms of a trace, by how the name of its file ends.
FORMS = ("json", "html", "svg")


def form_of(path: "str | os.PathLike[str]") -> str:
    """The form of a trace that is to be in a file of that name."""
    form = os.path.splitext(os.fspath(path))[1][1:]
    if form not in FORMS:
        raise ValueError(f"the name of a trace ends in .json, .html or .svg, not as {path!r} does")
    return form


def tell_names() -> None:
    """Tell what this process is called, and have each thread of it, there or to come, do so."""
    from manyhands._native import trace_process, trace_thread

    arguments = getattr(sys, "argv", None)  # not there before the interpreter has begun
    if arguments:
        trace_process(os.path.basename(arguments[0]) or "python")
    threading = original("threading")
    for thread in list(threading._active.values()):
        if thread.native_id is not None:
            trace_thread(thread.native_id, thread.name)
    set_native_id = threading.Thread._set_native_id
    if hasattr(set_native_id, "__wrapped__"):
        return
    # What evaluates text would, at the end, have the interpreter forget that Ctrl-C has ended it.
    import json  # noqa: F401
    import linecache  # noqa: F401

    atexit.register(_end)

    def _set_native_id(self: "Any") -> None:
        set_native_id(self)
        trace_thread(self.native_id, self.name)

    # Called by each thread of its own when it begins.
    _set_native_id.__wrapped__ = set_native_id  # type: ignore[attr-defined]
    threading.Thread._set_native_id = _set_native_id


def _end() -> None:
    """Tell what the program calls its objects, as far as its main module has them."""
    from manyhands._explain import parts
    from manyhands._native import finish_trace, trace_object, watched_id

    finish_trace()
    main = vars(sys.modules.get("__main__", object)).items()
    for name, value in list(main):
        for inner, item in ((name, value), *parts(name, value)):  # type: ignore[no-untyped-call]
            with suppress(Exception):  # objects that do not want to be looked at
                ident = watched_id(item)
                if ident is not None:
                    trace_object(ident, inner)


@contextmanager
def trace(path: "str | os.PathLike[str]") -> "Iterator[None]":
    """Write a timeline of what is done in the block, by all threads and by the processes that are
    started in it, to a file.

    The name of the file says in which form: `.json` for https://ui.perfetto.dev and
    chrome://tracing, `.html` for a page that needs nothing else, `.svg` for a picture.

    Raises ValueError for another name, OSError if the file cannot be written, RuntimeError if there
    is a trace already. Processes that a fork server starts which was there before are not in it.
    """
    form = form_of(path)
    from manyhands._native import Trace, end_trace, why_json

    if os.environ.get(VARIABLE):
        raise RuntimeError("there is a trace of this program already")
    with open(path, "wb"):
        pass
    memory, pid = Trace(), os.getpid()
    os.environ[VARIABLE] = memory.place
    try:
        memory.begin()
        tell_names()
        try:
            yield
        finally:
            end_trace()
            # A forked child that leaves the block has written what it did where its parent reads.
            if os.getpid() == pid:
                memory.write(path, form, names(why_json()))
    finally:
        os.environ.pop(VARIABLE, None)


def names(text: str) -> "list[tuple[str, str]]":
    """The names that a program has for its objects, by their numbers, as `why_json` tells them."""
    import json

    return [
        (entry["id"], entry["name"])
        for process in json.loads(text)
        for entry in process["objects"]
        if entry["name"]
    ]


def summary(path: str, events: int, lost: int) -> str:
    """What to tell of a trace that was written."""
    missing = f", {lost} older or later ones are lost" if lost else ""
    return f"{events} events are in {path}{missing}"
