"""Makes `_thread` and `threading` run greenlets in the place of threads."""

import sys

from manyhands.gevent.monkey._engine import release
from manyhands.gevent.monkey._notices import notify, queue_warning
from manyhands.gevent.monkey._state import is_object_patched
from manyhands.gevent.monkey.api import patch_by_name, patch_item

#: From Python 3.13 on a thread has a handle, not a lock, by which others join it.
HAS_HANDLES = sys.version_info >= (3, 13)


class ThreadPatch:
    """One call of patch_thread()."""

    def __init__(self, warnings):
        self.warnings = warnings
        release("threading", "queue")
        # Before `_thread` is patched, as it copies from there what is to be remembered.
        self.module = __import__("threading")
        self.current = self.module.current_thread()
        self.main = self.module.main_thread()

    def apply(self, threading, local, event, logging, existing_locks):
        """Patch what is asked for, and tell the subscribers when all is done."""
        from manyhands.gevent import events

        source, target = patch_by_name(
            "thread", _warnings=self.warnings, _notify_did_subscribers=False
        )
        done = [("thread", source, target)]
        if threading:
            source, _ = patch_by_name(
                "threading", _warnings=self.warnings, _notify_did_subscribers=False
            )
            done.append(("threading", source, self.module))
            if event:
                from manyhands.gevent.event import Event

                patch_item(self.module, "Event", Event)
            if existing_locks and len(self.module.enumerate()) == 1:
                from manyhands.gevent.monkey._held_locks import hand_over

                hand_over(self.module)
            if logging and "logging" in sys.modules:
                self._patch_logging()
        if local:
            from manyhands.gevent.local import local as green_local

            patch_item(__import__("_threading_local"), "local", green_local)
        if threading:
            self._make_threads_joinable()
        self._patch_shutdown()
        for name, source, target in done:
            notify(events.GeventDidPatchModuleEvent(name, source, target), self.warnings)

    def _patch_logging(self):
        logging = sys.modules["logging"]
        patch_item(logging, "_lock", self.module.RLock())
        for reference in logging._handlerList:
            handler = reference()
            if handler is not None and getattr(handler, "lock", None) is not None:
                handler.lock = self.module.RLock()

    def _make_threads_joinable(self):
        """Let greenlets wait for the threads that are there already, without stopping each
        other.
        """
        from manyhands.gevent.threading import join_native

        for thread in list(self.module._active.values()):
            if thread is not self.main:
                thread.join = join_native(thread)
            elif HAS_HANDLES:
                from manyhands.gevent.thread import handle_of_current
                from manyhands.gevent.threading import HANDLE

                thread._after_fork = lambda new_ident=None: new_ident
                handle = handle_of_current()
                setattr(thread, HANDLE, handle)
                thread._ident = handle.ident

    def _patch_shutdown(self):
        if is_object_patched("threading", "_shutdown"):
            return
        from manyhands.gevent.monkey import _shutdown

        if self.current is not self.main:
            queue_warning(
                "Monkey-patching not on the main thread; threading.main_thread().join() "
                "will hang from a greenlet",
                self.warnings,
            )
            _shutdown.patch_elsewhere(self.module, self.main)
            return
        if HAS_HANDLES:
            _shutdown.patch_with_handles(self.module, self.main)
        else:
            _shutdown.patch_with_locks(self.module, self.main)
        self._rename_main_thread()

    def _rename_main_thread(self):
        # It is referred to by what was made for it here: `threading` would say that it was never
        # collected.
        self.module._dangling.discard(self.main)
        active, old = self.module._active, self.main.ident
        self.main._ident = new = self.module.get_ident()
        if old != new and old in active:
            active[new] = active.pop(old)
