"""`Pool(hosts=...)`: a pool whose workers are on other machines, which are reached by SSH.

To the pool each of them is a process of this machine (`_host_worker.py`), which hands the calls on.
"""

import contextlib
from collections import Counter
from typing import Any

from manyhands.multiprocessing import _hosts, util
from manyhands.multiprocessing._died import exception_of
from manyhands.multiprocessing._host_worker import UNREACHABLE, work
from manyhands.multiprocessing._last_words import LastWords
from manyhands.multiprocessing.pool import INIT, Pool


class _LastWords(LastWords):
    """Tells of which machine a worker was, too."""

    def __init__(self):
        super().__init__()
        #: The machines of the seats, and what was said at the end of each worker.
        self.hosts = {}
        self.reasons = {}

    def exception_of(self, *, pid, exitcode, seat, **facts):
        address = self.hosts[seat].address
        reason = self.reasons.pop(pid, None) or self.said(seat)
        how = None if reason is None else f"lost its line: {reason.removeprefix(UNREACHABLE)}"
        error = exception_of(pid, exitcode, **facts, how=how)
        error.args = (f"{address}: {error.args[0]}",)
        error.host = address
        return error


class HostPool(Pool):
    """Workers on machines that are reached as `ssh` would: by its configuration, agent and keys.

    `hosts` are `[user@]host[:port]`, `python` the command that starts Python there, `procs` how
    many workers there are on each (None: as many as there are processors), `bootstrap` whether
    this package is copied to a machine that does not have it, for as long as the pool is there. A
    machine that has been out of reach for half a minute is given up, and the pool with the last
    one.

    Raises HostError, a ConnectionError, if one cannot be reached at first, or cannot have workers.
    """

    _worker_name = "HostPoolWorker"
    _work: Any = staticmethod(work)
    _LastWords = _LastWords

    def __init__(
        self,
        hosts,
        python="python3",
        procs=None,
        bootstrap=False,
        initializer=None,
        initargs=(),
        maxtasksperchild=None,
        context=None,
    ):
        self._state = INIT
        addresses = [hosts] if isinstance(hosts, str) else list(hosts)
        if not addresses:
            raise ValueError("hosts must have at least one host")
        if procs is not None and (not isinstance(procs, int) or procs < 1):
            raise ValueError(f"procs must be a positive int or None, not {procs!r}")
        self._hosts, kept = _hosts.reach(addresses, python, bootstrap)
        self._seats_of = {host: procs or host.processors for host in self._hosts}
        # After the pool's own end.
        self._release = util.Finalize(self, _close_all, args=(kept,), exitpriority=14)
        try:
            super().__init__(
                sum(self._seats_of.values()), initializer, initargs, maxtasksperchild, context
            )
        except BaseException:
            self._release()
            raise

    def _told(self, seat, start_method):
        taken = Counter(self._last_words.hosts.get(worker._seat) for worker in self._pool)
        host = min(self._seats_of, key=lambda host: taken[host] / self._seats_of[host])
        self._last_words.hosts[seat] = host
        self._seat = seat
        # Those there are no copies, however those here begin.
        return (*super()._told(seat, "spawn"), host)

    def _start_worker(self):
        super()._start_worker()
        self._pool[-1]._seat = self._seat

    def _worker_ended(self, pid):
        with self._lock:
            for worker in self._pool:
                if worker.pid == pid:
                    self._learn(worker)
        return super()._worker_ended(pid)

    def _learn(self, worker):
        """Learn of the last words of a worker whether its machine can be reached."""
        reason = self._last_words.said(worker._seat)
        if reason is None:
            return
        self._last_words.reasons[worker.pid] = reason
        host = self._last_words.hosts[worker._seat]
        util.info(f"a worker of {host.address} was lost: {reason}")
        if reason.startswith(UNREACHABLE) and host in self._seats_of:
            self._processes -= self._seats_of.pop(host)
            self._gone = _hosts.HostError(
                f"no host is left, the last one was given up: {reason.removeprefix(UNREACHABLE)}"
            )

    def _replace_workers(self):
        if self._seats_of:
            super()._replace_workers()
        else:
            self._scheduler.give_up(self._gone)

    def terminate(self):
        """End the workers, whatever they do."""
        super().terminate()
        self._release()

    def join(self):
        """Wait for the end of all workers, after close() or terminate()."""
        super().join()
        self._release()


def _close_all(kept):
    for each in kept:
        with contextlib.suppress(Exception):
            each.close()
