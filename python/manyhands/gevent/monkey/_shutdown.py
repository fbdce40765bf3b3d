"""What the interpreter calls when the main thread has ended: greenlets that wait for it go on
first.

`threading._shutdown` is called in the main thread, by the main greenlet. It waits for the threads
that are no daemons, which are greenlets now; who joins the main thread has to be told before
that.
"""

import sys
from contextlib import suppress

from manyhands.gevent.exceptions import LoopExit
from manyhands.gevent.monkey.api import patch_item


def patch_with_handles(threading, main):
    """For Python 3.13 and newer, where a thread has a handle by which it is joined."""
    from greenlet import getcurrent

    from manyhands.gevent.threading import HANDLE

    original = threading._shutdown
    main._greenlet = getcurrent()

    def shutdown():
        getattr(main, HANDLE)._set_done()
        _let_others_run(main)
        setattr(main, HANDLE, _Unfinished())
        # The original would do this before it waits; a thread may wait for what is called here.
        threading._SHUTTING_DOWN = True
        for call in reversed(threading._threading_atexits):
            call()
        threading._threading_atexits.clear()
        for thread in list(threading.enumerate()):
            if not thread.daemon and thread is not main:
                _wait_for(thread, HANDLE)
        _finish(threading, original)

    patch_item(threading, "_shutdown", shutdown)


def patch_with_locks(threading, main):
    """For Python up to 3.12, where a thread has a lock that is released when it ends."""
    from greenlet import getcurrent

    original = threading._shutdown
    main._greenlet = getcurrent()
    # The interpreter knows the real one, and releases it at the very end.
    real, main._tstate_lock = main._tstate_lock, threading.Lock()
    main._tstate_lock.acquire()

    def shutdown():
        if not main._tstate_lock:
            return
        main._tstate_lock.release()
        _let_others_run(main)
        # A greenlet that has joined the main thread has marked it as stopped.
        main._is_stopped = False
        main._tstate_lock = real
        _finish(threading, original)

    patch_item(threading, "_shutdown", shutdown)


def patch_elsewhere(threading, main):
    """For programs that were patched by another thread than the main one."""
    original, get_ident = threading._shutdown, threading.get_ident

    def shutdown():
        # The original lets go of the main thread's lock only if the thread that calls it is that
        # one.
        main._ident = get_ident()
        _finish(threading, original)

    patch_item(threading, "_shutdown", shutdown)


class _Unfinished:
    """The handle of the main thread while the original shuts down: it is not waited for."""

    def is_done(self):
        return False

    def _set_done(self):
        pass

    def join(self, timeout=-1):
        pass


def _let_others_run(main):
    from manyhands.gevent.hub import get_hub, sleep

    try:
        sleep()
    except BaseException:
        # Somebody killed the main greenlet; there is nobody above it whom it could tell.
        get_hub().print_exception(main._greenlet, *sys.exc_info())


def _wait_for(thread, handle_name):
    while thread.is_alive():
        handle = getattr(thread, handle_name)
        try:
            handle.join(0.001)
        except RuntimeError:  # this is the one
            handle._set_done()
            break


def _finish(threading, original):
    with suppress(LoopExit):
        original()
    patch_item(threading, "_shutdown", original)
