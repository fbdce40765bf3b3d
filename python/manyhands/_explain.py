"""What only the interpreter knows of a process that observers look at: the names of its threads and
of what they wait for, and where they are.

Called in a thread of the engine, while the program's threads are wherever they are.
"""

import gc
import json
import linecache
import os
import signal
import sys
from _thread import get_ident

from manyhands._native import watched_id
from manyhands._stdlib import original

#: So many items of a container, and so many variables of a call, are looked at for a name.
MOST = 200

_STDLIB = os.path.dirname(os.__file__)

#: The files, and the beginnings of files, whose calls are not what a user looks for.
_HIDDEN = (
    os.path.join(os.path.dirname(__file__), ""),
    *(os.path.join(_STDLIB, name) for name in ("threading.py", "queue.py", "runpy.py")),
    os.path.join(_STDLIB, "multiprocessing", ""),
    os.path.join(_STDLIB, "concurrent", "futures", ""),
)

#: Where a process forks.
_FORKS = os.path.join("manyhands", "multiprocessing", "popen_fork.py")


def describe(text, stacks):
    """The process that `text` (JSON of `manyhands_watch::state`) tells of, with names, stacks."""
    process = json.loads(text)
    threading = original("threading")
    frames = sys._current_frames()
    frames.pop(get_ident(), None)
    known = {thread["id"]: thread for thread in process["threads"] if not thread["greenlet"]}
    rest = [thread for thread in process["threads"] if thread["greenlet"]]
    told = []
    for ident, thread in list(threading._active.items()):
        frame = frames.get(ident)
        if frame is None and ident not in known:
            continue
        entry = known.get(ident) or {"thread": thread.native_id or 0, "greenlet": 0, "wait": None}
        entry.update(id=ident, name=thread.name, daemon=thread.daemon)
        told.append((entry, thread, frame))
    told.sort(key=lambda item: item[1] is not threading._main_thread)
    objects = {entry["id"]: entry for entry in process["objects"]}
    natives = {entry["id"]: entry["thread"] for entry, _, _ in told}
    for entry, _, frame in told:
        if entry["wait"] is None and frame is not None:
            _note_join(threading, process, entry, frame, told)
        if stacks and frame is not None:
            entry["stack"] = _stack(frame)
    for entry in objects.values():
        owner = entry["owner"]
        if owner and not entry["shared"] and not owner["thread"]:
            owner["thread"] = natives.get(entry["thread_id"], 0)
    if stacks:
        _name(objects, told)
    shown = {entry["thread"] for entry, _, _ in told}
    helpers = [
        entry for entry in _helpers_of_pools(process, frames) if entry["thread"] not in shown
    ]
    shown.update(entry["thread"] for entry in helpers)
    unnamed = [entry for entry in known.values() if entry["thread"] not in shown]
    if stacks and "greenlet" in sys.modules:
        _describe_greenlets(natives, rest)
    process["threads"] = [entry for entry, _, _ in told] + helpers + unnamed + rest
    process["handles_signals"] = _handles_signals()
    watched = sys.modules.get("manyhands._watched_pools")
    process["pools"] = watched.pools() if watched else []
    return json.dumps(process)


def _describe_greenlets(natives, entries):
    """Add the greenlets that are parked to those of which it is known what they wait for: so many
    as are looked at, of those that nothing is known of."""
    greenlet = sys.modules["greenlet"].greenlet
    known = {entry["greenlet"]: entry for entry in entries}
    parked = (each for each in gc.get_objects() if isinstance(each, greenlet))
    for each in [each for each in parked if each.gr_frame is not None][:MOST]:
        entry = known.get(id(each))
        if entry is None:
            thread = natives.get(_thread_of(each), 0)
            entry = {"thread": thread, "greenlet": id(each), "wait": None, "id": 0, "daemon": True}
            entries.append(entry)
        entry["name"] = str(getattr(each, "name", type(each).__name__))
        entry["stack"] = _stack(each.gr_frame)


def _thread_of(greenlet):
    """The identifier of the thread that a greenlet runs in, as far as its hub tells."""
    while greenlet is not None:
        ident = getattr(greenlet, "thread_ident", None)
        if ident is not None:
            return ident
        greenlet = greenlet.parent
    return None


def _helpers_of_pools(process, frames):
    """The threads that look after the workers of pools: what they do, workers bring about,
    unless they are in a function of the program."""
    pool = sys.modules.get("manyhands.multiprocessing.pool")
    entries = []
    for ident, native in list(pool._helpers.items()) if pool else ():
        wait = None
        frame = frames.get(ident)
        if frame is None or frame.f_code is pool._Helper._run.__code__:
            wait = {"number": native, "object": f"{process['pid']}-workers", "operation": "look"}
        entry = {"thread": native, "id": ident, "name": "helper of a pool", "wait": wait}
        entries.append({"greenlet": 0, "daemon": True, **entry})
    if entries:
        workers = {"id": f"{process['pid']}-workers", "kind": "Workers", "shared": True}
        process["objects"].append(workers)
    return entries


def _note_join(threading, process, entry, frame, told):
    """Note for which other thread a thread waits, if it is in the standard library's join()."""
    limited = False
    while frame is not None and frame.f_globals.get("__name__") == "threading":
        name = frame.f_code.co_name
        if name == "join" and isinstance(frame.f_locals.get("self"), threading.Thread):
            awaited = frame.f_locals["self"]
            _note_wait(
                process, entry, awaited, limited or frame.f_locals.get("timeout") is not None
            )
            return
        if name == "_shutdown":
            others = [(other, thread) for other, thread, _ in told if not other["daemon"]]
            others = [item for item in others if item[0] is not entry]
            others.sort(key=lambda item: item[0]["wait"] is None)
            if others:
                _note_wait(process, entry, others[0][1], False)
            return
        if frame.f_locals.get("timeout") not in (None, -1):
            limited = True
        frame = frame.f_back


def _note_wait(process, entry, awaited, limited):
    if awaited.native_id is None:
        return
    ident = f"{process['pid']}-thread-{awaited.native_id}"
    owner = {"pid": process["pid"], "thread": awaited.native_id, "greenlet": 0}
    process["objects"].append({"id": ident, "kind": "Thread", "name": awaited.name, "owner": owner})
    # One join of a thread is like another: it ends when the thread has ended.
    entry["wait"] = {
        "number": awaited.native_id,
        "object": ident,
        "operation": "join",
        "limited": limited,
    }


def _stack(frame):
    """The calls of the program, without those of the modules that make it wait."""
    stack = []
    while frame is not None:
        code = frame.f_code
        if code.co_name == "_launch" and code.co_filename.endswith(_FORKS):
            break  # what follows is of the parent, as it was when it forked
        line = frame.f_lineno or code.co_firstlineno
        stack.append(
            {
                "file": code.co_filename,
                "line": line,
                "function": getattr(code, "co_qualname", code.co_name),
                "text": linecache.getline(code.co_filename, line, frame.f_globals).strip(),
            }
        )
        frame = frame.f_back
    stack.reverse()
    return [call for call in stack if not hidden(call["file"])] or stack[-1:]


def hidden(file):
    """Whether calls in a file are not what a user looks for."""
    return file.startswith(_HIDDEN) or (file.startswith("<frozen ") and "importlib" not in file)


def _name(objects, told):
    """Give objects the names that the program has for them."""
    left = {ident for ident, entry in objects.items() if not entry.get("name")}
    seen = set()
    for _, _, frame in told:
        while frame is not None and left:
            module = frame.f_globals
            if id(module) not in seen:
                seen.add(id(module))
                _find(module, objects, left)
            frame = frame.f_back
    for _, _, frame in told:
        while frame is not None and left:
            if frame.f_locals is not frame.f_globals:
                _find(frame.f_locals, objects, left)
            frame = frame.f_back


def _find(variables, objects, left):
    """Look among variables, the items of containers and the attributes of objects there."""
    plain = list(variables.items())[: MOST * 5]
    for name, value in plain:
        _take(str(name), value, objects, left)
    for name, value in plain:
        if not left:
            return
        for inner, item in parts(name, value):
            _take(inner, item, objects, left)


def parts(name, value):
    """The items of a container, the attributes of an object, with what they are called."""
    kind = type(value)
    if kind in (list, tuple):
        return [(f"{name}[{index}]", item) for index, item in enumerate(value[:MOST])]
    if kind is dict:
        return [(f"{name}[{key!r}]", item) for key, item in list(value.items())[:MOST]]
    attributes = getattr(value, "__dict__", None) if not isinstance(value, type(sys)) else None
    if type(attributes) is not dict or isinstance(value, type):
        return []
    return [(f"{kind.__name__}.{key}", item) for key, item in list(attributes.items())[:MOST]]


def _take(name, value, objects, left):
    try:
        ident = watched_id(value)
    except Exception:  # an object that does not want to be looked at
        return
    if ident in left:
        objects[ident]["name"] = name
        left.discard(ident)


def _handles_signals():
    """Whether a signal may call a function of the program."""
    usual = (None, signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler)
    return any(signal.getsignal(number) not in usual for number in signal.valid_signals())
