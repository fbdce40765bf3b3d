"""`signal`, where SIGCHLD is concerned: its handler is called, in a greenlet, when a child that
is watched ends.

For handlers of other signals that may wait see `gevent.signal_handler`.
"""

import signal as _signal

from manyhands.gevent import os as _os
from manyhands.gevent._util import copy_globals

__implements__ = []
__extensions__ = []
# Only with `waitpid` are children watched.
(__implements__ if "waitpid" in _os.__implements__ else __extensions__).extend(
    ["getsignal", "set_wakeup_fd", "signal"]
)

_real_signal = _signal.signal
_real_getsignal = _signal.getsignal
_real_set_wakeup_fd = _signal.set_wakeup_fd

_UNKNOWN = object()
_child_handler = _UNKNOWN
_wakeup_fd = -1
_warns_when_full = True


def getsignal(signalnum):
    """`signal.getsignal`; for SIGCHLD what was given to `signal` here."""
    global _child_handler
    if signalnum != _signal.SIGCHLD:
        return _real_getsignal(signalnum)
    if _child_handler is _UNKNOWN:
        _child_handler = _real_getsignal(signalnum)
    return _child_handler


def signal(signalnum, handler):
    """`signal.signal`; a handler of SIGCHLD is called for the children that the hub watches."""
    global _child_handler
    if signalnum != _signal.SIGCHLD:
        return _real_signal(signalnum, handler)
    plain = handler in (_signal.SIG_IGN, _signal.SIG_DFL)
    if not plain and not callable(handler):
        raise TypeError(
            "signal handler must be signal.SIG_IGN, signal.SIG_DFL, or a callable object"
        )
    before, _child_handler = getsignal(signalnum), handler
    if plain:
        from manyhands.gevent.hub import get_hub

        _real_signal(signalnum, handler)
        get_hub().loop.reset_sigchld()
    return before


def set_wakeup_fd(fd, /, *, warn_on_full_buffer=True):
    """`signal.set_wakeup_fd`, for SIGCHLD too."""
    global _wakeup_fd, _warns_when_full
    before = _real_set_wakeup_fd(fd, warn_on_full_buffer=warn_on_full_buffer)
    _wakeup_fd, _warns_when_full = fd, warn_on_full_buffer
    return before


def _on_child_hook():
    # Called in the hub, which must not wait: a greenlet for each, begun at once.
    if callable(_child_handler):
        from manyhands.gevent.greenlet import Greenlet

        if _wakeup_fd >= 0:
            Greenlet(_wake_up, _wakeup_fd, _warns_when_full).switch()
        Greenlet(_child_handler, _signal.SIGCHLD, None).switch()


def _wake_up(fd, warns_when_full):
    try:
        _os._write(fd, bytes([_signal.SIGCHLD]))
    except OSError as error:
        if warns_when_full or error.errno not in _os.ignored_errors:
            from manyhands.gevent.hub import get_hub

            get_hub().handle_error("set_wakeup_fd", None, None, None)


if "waitpid" in _os.__implements__:
    _os._on_child_hook = _on_child_hook

__imports__ = copy_globals(
    _signal, globals(), names_to_ignore=__implements__ + __extensions__, dunder_names_to_keep=()
)
__all__ = __implements__ + __extensions__
