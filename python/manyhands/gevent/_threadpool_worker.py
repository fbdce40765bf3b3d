"""The threads of pools: what each of them runs."""

import sys

from greenlet import greenlet as RawGreenlet

from manyhands.gevent import monkey
from manyhands.gevent._hub_local import get_hub_if_exists
from manyhands.gevent._threading import EmptyTimeout, get_thread_ident, start_new_thread
from manyhands.gevent.hub import getcurrent

__all__ = ["WorkerGreenlet", "describe", "get_thread_profile", "get_thread_trace"]


def get_thread_profile(_sys=sys):
    """What was given to `threading.setprofile`."""
    return getattr(_sys.modules.get("threading"), "_profile_hook", None)


def get_thread_trace(_sys=sys):
    """What was given to `threading.settrace`."""
    return getattr(_sys.modules.get("threading"), "_trace_hook", None)


def describe(hub):
    """What is said of a hub in the descriptions of pools."""
    if hub is None:
        return "<missing>"
    return f"<{type(hub).__name__} at {id(hub):#x} thread_ident={hub.thread_ident:#x}>"


class WorkerGreenlet(RawGreenlet):
    """What a thread of a pool runs: a greenlet, so that lists of greenlets show what it is."""

    greenlet_tree_is_root = True

    _thread_ident = 0
    # The hub that a task has made in this thread, if one has.
    _hub_of_worker = None

    def __init__(self, threadpool):
        super().__init__()
        self._hub = threadpool.hub
        self._stderr = monkey.get_original("sys", "stderr")
        self._queue = threadpool.task_queue
        self._cookie = self._queue.allocate_cookie()
        self._pool_forgets = threadpool._unregister_worker
        self._replace = threadpool._on_worker_exit
        self._idle_task_timeout = threadpool._idle_task_timeout
        threadpool._register_worker(self)
        try:
            start_new_thread(self._begin, ())
        except BaseException:
            self._pool_forgets(self)
            raise

    # The interpreter may have lost its globals when a thread comes to an end.
    def _begin(self, _getcurrent=getcurrent, _get_ident=get_thread_ident):
        self.parent = _getcurrent()
        self.parent.greenlet_tree_is_ignored = True
        self._thread_ident = _get_ident()
        try:  # noqa: SIM105  (when the interpreter ends, globals may be gone)
            self.switch()
        except BaseException:
            pass  # told already, as far as that was possible

    def run(self, _exc_info=sys.exc_info):
        """Do the tasks of the queue until there is None, or nothing for too long."""
        dismissed = False
        task = None
        try:
            while True:
                self._look_for_hub()
                try:
                    task = self._queue.get(self._cookie, self._idle_task_timeout)
                except EmptyTimeout:
                    break
                try:
                    if task is None:
                        dismissed = True
                        break
                    self._run_task(*task)
                except BaseException:
                    task = repr(task)
                    raise
                finally:
                    if not isinstance(task, str):
                        task = None
                    self._queue.task_done()
        except Exception as error:
            self._tell(f"Failed to run worker thread. Task={task!r} Exception={error!r}")
        finally:
            self._look_for_hub()
            self.cleanup(self._hub_of_worker)
            if not dismissed:
                self._replace()

    def _look_for_hub(self, _get_hub_if_exists=get_hub_if_exists):
        hub = _get_hub_if_exists()
        if hub is not None:
            hub.name = "ThreadPool Worker Hub"
            monitor = hub.periodic_monitoring_thread
            if monitor is not None:  # threads of pools are there to be stopped
                monitor.ignore_current_greenlet_blocking()
            self._hub_of_worker = hub

    def _run_task(self, func, args, kwargs, result):
        try:
            self._before_run_task(func, args, kwargs, result)
        except BaseException:
            # Nobody knows what has been set by now: the thread ends, the next one is clean.
            result.handle_error((self, func), sys.exc_info())
            raise
        try:
            result.set(func(*args, **kwargs))
        except BaseException:
            result.handle_error((self, func), sys.exc_info())
        finally:
            self._after_run_task(func, args, kwargs, result)
            del func, args, kwargs, result

    def _before_run_task(
        self,
        func,
        args,
        kwargs,
        thread_result,
        _sys=sys,
        _get_thread_profile=get_thread_profile,
        _get_thread_trace=get_thread_trace,
    ):
        # Only where there is one: to set None is an event that audit hooks see.
        profile = _get_thread_profile()
        if profile is not None:
            _sys.setprofile(profile)
        trace = _get_thread_trace()
        if trace is not None:
            _sys.settrace(trace)

    def _after_run_task(self, func, args, kwargs, thread_result, _sys=sys):
        if _sys.getprofile() is not None:
            _sys.setprofile(None)
        if _sys.gettrace() is not None:
            _sys.settrace(None)

    def _tell(self, message, _exc_info=sys.exc_info):
        # Without the module traceback: while the interpreter ends it may be gone.
        print(message, file=self._stderr)
        traceback = _exc_info()[2]
        while traceback is not None:
            code = traceback.tb_frame.f_code
            print(
                f'  File "{code.co_filename}", line {traceback.tb_lineno}, in {code.co_name}',
                file=self._stderr,
            )
            traceback = traceback.tb_next

    def cleanup(self, hub_of_worker):
        """Let go of everything; also of a thread that is gone, as its process was forked."""
        if self._hub is not None:
            self._hub = None
            self._pool_forgets(self)
            self._pool_forgets = lambda worker: None
            self._queue = self._cookie = None
        if hub_of_worker is not None:
            hub_of_worker.destroy(True)

    def __repr__(self, describe=describe):
        return (
            f"<ThreadPoolWorker at {id(self):#x} thread_ident={self._thread_ident:#x} "
            f"threadpool-hub={describe(self._hub)}>"
        )
