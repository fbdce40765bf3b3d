"""Makes the standard library cooperative: what waits in it lets other greenlets run.

To be called first of all in a program, on its main thread, before anything else is imported::

    from gevent import monkey
    monkey.patch_all()

What comes too late for a module is told in a `MonkeyPatchWarning`. Subscribers of `gevent.events`
and plugins (entry points) are told of each step and may forbid it; ``python -m gevent.monkey
program.py`` runs a program that knows nothing of it.
"""

from manyhands.gevent.monkey._early import early_warning as _early_warning
from manyhands.gevent.monkey._errors import MonkeyPatchWarning, _BadImplements as _BadImplements
from manyhands.gevent.monkey._notices import (
    notify as _notify,
    process_warnings as _process_warnings,
    queue_warning as _queue_warning,
    vetoable as _vetoable,
)
from manyhands.gevent.monkey._state import (
    is_anything_patched as is_anything_patched,
    is_module_patched,
    is_object_patched,
    saved as saved,
)
from manyhands.gevent.monkey.api import (
    get_original,
    patch_by_name as _patch,
    patch_item as patch_item,
    patch_module,
    remove_item as remove_item,
)

__all__ = [
    "MonkeyPatchWarning",
    "get_original",
    "is_module_patched",
    "is_object_patched",
    "main",
    "patch_all",
    "patch_builtins",
    "patch_dns",
    "patch_module",
    "patch_os",
    "patch_queue",
    "patch_select",
    "patch_signal",
    "patch_socket",
    "patch_ssl",
    "patch_subprocess",
    "patch_sys",
    "patch_thread",
    "patch_time",
]

#: Where `saved` has what patch_all() was asked for: programs look at all of `saved`, so it has
#: gevent's name.
_SETTINGS = "_gevent_saved_patch_all_module_settings"


@_vetoable
def patch_os():
    """`os.fork`, `forkpty`, `waitpid`, `posix_spawn` and `close`. Belongs together with
    `patch_signal`.
    """
    _patch("os")


@_vetoable
def patch_queue():
    """All classes of `queue`; `Queue` itself not if ``GEVENT_MONKEY_DISABLE_QUEUE_QUEUE`` is
    set.
    """
    import os

    from manyhands.gevent._config import validate_bool
    from manyhands.gevent.monkey._engine import release

    release("queue")
    items = ["SimpleQueue", "PriorityQueue", "LifoQueue"]
    if not validate_bool(os.environ.get("GEVENT_MONKEY_DISABLE_QUEUE_QUEUE", "false")):
        items.append("Queue")
    _patch("queue", items=items)


@_vetoable
def patch_time():
    """`time.sleep`."""
    _patch("time")


@_vetoable
def patch_thread(
    threading=True,
    _threading_local=True,
    Event=True,
    logging=True,
    existing_locks=True,
    _warnings=None,
):
    """`_thread` and `threading`: threads become greenlets, locks make only greenlets wait.

    `existing_locks`: locks of the import system and of `threading` that are held while this is
    called can be released by who holds them. `logging`: its locks are replaced, too.
    """
    from manyhands.gevent.monkey._threads import ThreadPatch

    ThreadPatch(_warnings).apply(threading, _threading_local, Event, logging, existing_locks)


@_vetoable
def patch_socket(dns=True, aggressive=True):
    """`socket`; with `dns`, its functions that look names up, too."""
    from manyhands.gevent import socket

    names = list(socket.__implements__)
    if not dns:
        names = [name for name in names if name not in socket.__dns__]
    _patch("socket", items=names)
    if aggressive and "ssl" not in socket.__implements__:
        remove_item(socket, "ssl")


@_vetoable
def patch_dns():
    """The functions of `socket` that look names up."""
    from manyhands.gevent import socket

    _patch("socket", items=socket.__dns__)


@_vetoable
def patch_ssl(_warnings=None, _first_time=True):
    """`ssl`; comes too late for modules that have taken its classes already, and warns of these."""
    import sys

    was_there = _first_time and hasattr(sys.modules.get("ssl"), "SSLContext")
    _patch("ssl", _warnings=_warnings)
    if was_there:
        from manyhands.gevent.monkey._ssl_users import users_warning

        message = users_warning(get_original("ssl", "SSLContext"))
        if message is not None:
            _queue_warning(message, _warnings)


@_vetoable
def patch_select(aggressive=True):
    """`select.select` and `select.poll`; with `aggressive`, takes `epoll` and its kin away."""
    _patch("select", _patch_kwargs={"aggressive": aggressive})


@_vetoable
def patch_selectors(aggressive=True):
    """`selectors.DefaultSelector`; with `aggressive`, takes selectors away that would block."""
    _patch("selectors", _patch_kwargs={"aggressive": aggressive})


@_vetoable
def patch_subprocess():
    """`subprocess.Popen` and the functions that use it."""
    _patch("subprocess")


@_vetoable
def patch_signal():
    """`signal.signal` and `getsignal`, for SIGCHLD. Belongs together with `patch_os`."""
    _patch("signal")


def patch_sys(stdin=True, stdout=True, stderr=True):
    """Does nothing: the standard streams belong to the interpreter."""


def patch_builtins():
    """Does nothing: imports need no patching."""


def patch_contextvars():
    """Does nothing: greenlets have contexts of their own."""


def _what_is_new(settings, warnings):
    """Remembers what was asked for; returns what of it was not asked for before."""
    before = saved.setdefault(_SETTINGS, {})
    if before and before != settings:
        _queue_warning(
            "Patching more than once will result in the union of all True parameters being patched",
            warnings,
        )
    new = {}
    for name, value in settings.items():
        if name not in before or (value and not before[name]):
            new[name] = before[name] = value
    return new


def _subscribe_signal_os(event):
    """Warns of what does not go together; an installed gevent has it among its plugins, too."""
    if event.will_patch_module("signal") and not event.will_patch_module("os"):
        message = (
            "Patching signal but not os will result in SIGCHLD handlers installed after this not "
            "being called and os.waitpid may not function correctly if gevent.subprocess is used."
        )
        if message not in event._warnings:
            _queue_warning(message, event._warnings)


def patch_all(
    socket=True,
    dns=True,
    time=True,
    select=True,
    thread=True,
    os=True,
    ssl=True,
    subprocess=True,
    sys=False,
    aggressive=True,
    Event=True,
    builtins=True,
    signal=True,
    queue=True,
    contextvars=True,
    **kwargs,
):
    """Patch everything, but for what is given as False. Other keywords are for plugins.

    May be called again: what was not patched then is patched now; nothing is ever taken back.
    Returns a true value, or False if a subscriber has forbidden it.
    """
    settings = {name: value for name, value in locals().items() if name != "kwargs"}
    warnings = []
    is_first = not saved.get(_SETTINGS)
    new = _what_is_new(settings, warnings)
    if not new:
        _process_warnings(warnings)
        return None

    from manyhands.gevent import events

    event = events.GeventWillPatchAllEvent(new, kwargs)
    try:
        _notify(event, warnings)
    except events.DoNotPatch:
        return False
    _subscribe_signal_os(event)
    _patch_in_order(settings, is_first, warnings)
    _notify(events.GeventDidPatchBuiltinModulesEvent(new, kwargs), warnings)
    _notify(events.GeventDidPatchAllEvent(new, kwargs), warnings)
    if is_first:
        late = _early_warning()
        if late is not None:
            warnings.append(late)
    _process_warnings(warnings)
    return True


def _patch_in_order(wanted, is_first, warnings):
    if wanted["os"]:
        patch_os()
    if wanted["thread"]:
        patch_thread(Event=wanted["Event"], _warnings=warnings)
    if wanted["time"]:  # what threads are patched with wants the real one
        patch_time()
    if wanted["sys"]:
        patch_sys()
    if wanted["socket"]:
        patch_socket(dns=wanted["dns"], aggressive=wanted["aggressive"])
    if wanted["select"]:
        # In this order: from Python 3.14 on, `selectors` tries the selectors out, which would
        # make a hub.
        patch_selectors(aggressive=wanted["aggressive"])
        patch_select(aggressive=wanted["aggressive"])
    if wanted["ssl"]:
        patch_ssl(_warnings=warnings, _first_time=is_first)
    if wanted["subprocess"]:
        patch_subprocess()
    if wanted["builtins"]:
        patch_builtins()
    if wanted["signal"]:
        patch_signal()
    if wanted["queue"]:
        patch_queue()
    if wanted["contextvars"]:
        patch_contextvars()


def __getattr__(name):
    if name == "main":
        from manyhands.gevent.monkey._command import main

        return main
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
