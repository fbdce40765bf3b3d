"""`subprocess`, where only the greenlet waits for children and what they write.

Children are started by the standard library's code, natively; the hub watches them, and their
pipes.
"""

import fcntl
import os
import signal
import subprocess as __subprocess__
import sys
import types
from contextlib import suppress
from io import BytesIO, TextIOWrapper
from subprocess import PIPE, STDOUT, CalledProcessError, CompletedProcess, TimeoutExpired

from manyhands.gevent._util import copy_globals
from manyhands.gevent.event import AsyncResult
from manyhands.gevent.greenlet import Greenlet, joinall, killall
from manyhands.gevent.hub import get_hub, getcurrent, sleep
from manyhands.gevent.os import _close, _raw_posix_spawn, _waitpid, _watch_child

__implements__ = [
    "Popen",
    "call",
    "check_call",
    "check_output",
    "getoutput",
    "getstatusoutput",
    "run",
]
#: The standard library would wait for what it starts by posix_spawn itself.
__implements__ += ["_USE_POSIX_SPAWN"] if __subprocess__._USE_POSIX_SPAWN else []
_USE_POSIX_SPAWN = False

_RealPopen = __subprocess__.Popen

#: Where the handles of `_get_handles` stand among the arguments of `_execute_child`.
_FIRST_HANDLE = _RealPopen._execute_child.__code__.co_varnames.index("p2cread") - 1

#: How much of what a child says is read at a time.
_CHUNK = 1 << 16


def FileObject(*args, **kwargs):
    """`gevent.fileobject.FileObject`; which that is may be configured until the first is made."""
    from manyhands.gevent import fileobject

    return fileobject.FileObject(*args, **kwargs)


class _RawOs:
    """`os` as it was before it was patched, for the code that starts children."""

    close = staticmethod(_close)
    posix_spawn = staticmethod(_raw_posix_spawn)
    waitpid = staticmethod(_waitpid)

    def __getattr__(self, name):
        return getattr(os, name)


_raw_os = _RawOs()


class Popen(_RealPopen):
    """A child process: the standard library's `Popen`, whose waiting makes only the greenlet wait.

    Also has `rawlink(callback)`, and can be given to `gevent.wait()`.
    """

    # Our ends of the pipes, and the child's.
    _handles = None
    # What communicate() is about.
    _communicating_greenlets = None
    # Whether the hub watches it.
    _watched = False

    def __init__(self, args, bufsize=-1, *arguments, threadpool=None, **keywords):
        if threadpool is not None:
            raise ValueError("threadpool is only supported on Windows")
        self._loop = get_hub().loop
        self._buffering = -1 if bufsize is None else bufsize
        self.result = AsyncResult()
        stdout = keywords.get("stdout", arguments[2] if len(arguments) > 2 else None)
        if stdout is STDOUT:
            raise ValueError("STDOUT can only be used for stderr")
        super().__init__(args, bufsize, *arguments, **keywords)

    def _get_handles(self, stdin, stdout, stderr):
        # The original opens our ends of the pipes as files that block. It is told that there are
        # none, and they are opened in `_execute_child`, which it calls next.
        self._handles = handles = super()._get_handles(stdin, stdout, stderr)
        p2cread, _, _, c2pwrite, _, errwrite = handles
        return p2cread, -1, -1, c2pwrite, -1, errwrite

    def _execute_child(self, *arguments):
        p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite = self._handles
        for inherited, fd in enumerate((p2cread, c2pwrite, errwrite)):
            _make_blocking(inherited if fd == -1 else fd)
        if p2cwrite != -1:
            self.stdin = self._open(p2cwrite, "w")
        if c2pread != -1:
            self.stdout = self._open(c2pread, "r")
        if errread != -1:
            self.stderr = self._open(errread, "r")
        end = _FIRST_HANDLE + len(self._handles)
        self._loop.install_sigchld()
        # Until it has closed its end of a pipe, the code waits for ever: not with a close() for
        # later.
        scope = {**vars(__subprocess__), "os": _raw_os}
        start = types.FunctionType(_RealPopen._execute_child.__code__, scope)
        start(self, *arguments[:_FIRST_HANDLE], *self._handles, *arguments[end:])
        self._watched = True
        _watch_child(self.pid, self._on_child, self._loop, True)

    def _open(self, fd, mode):
        if self.text_mode:
            return FileObject(fd, mode, self._buffering, encoding=self.encoding, errors=self.errors)
        return FileObject(fd, f"{mode}b", self._buffering)

    def _on_child(self, watcher):
        watcher.stop()
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(watcher.rstatus)
        self.result.set(self.returncode)

    def __del__(self, *_args, **_keywords):
        # The hub holds it until the child has ended, so there is nobody to warn.
        pass

    def rawlink(self, callback):
        """Have the hub call a function with this when the child has ended."""
        self.result.rawlink(_Link(self, callback))

    def unlink(self, callback):
        """Take a callback back."""
        self.result.unlink(_Link(self, callback))

    def poll(self):
        """The exit status if the child has ended, else None."""
        return self._internal_poll()

    def _internal_poll(self, _deadstate=None):
        is_open = self.returncode is None and self._watched
        if is_open and getcurrent() is not get_hub() and getattr(self._loop, "sig_pending", True):
            sleep(0.00001)  # the hub has a look
        return self.returncode

    def wait(self, timeout=None, _raise_exc=True):
        """Wait until the child has ended; its exit status. `TimeoutExpired` if it has not in
        time.
        """
        if self.returncode is None:
            self.result.wait(timeout=timeout)
            if _raise_exc and timeout is not None and not self.result.ready():
                raise TimeoutExpired(self.args, timeout)
        return self.returncode

    def send_signal(self, sig):
        """Send a signal, unless the child is known to have ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def terminate(self):
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self):
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, input=None, timeout=None):
        """Send the input, read all output, wait for the end; returns (output, errors).

        After a `TimeoutExpired` it may be called again, and nothing is lost.
        """
        if self._communicating_greenlets is None:
            self._communicating_greenlets = _Talk(self, input, timeout is not None)
        talk = self._communicating_greenlets
        if not talk.greenlets and timeout is not None:
            self.wait(timeout=timeout)
        done = joinall(talk.greenlets, timeout=timeout)
        for greenlet in done:
            greenlet.get()
        if timeout is not None and len(done) != len(talk.greenlets):
            raise TimeoutExpired(self.args, timeout, *talk.heard())
        _close_quietly(self.stdout, self.stderr)
        self.wait()
        return talk.heard()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        # A file cannot be closed while a greenlet reads it; those of communicate() close theirs.
        if self._communicating_greenlets is not None:
            speaking = [greenlet for greenlet in self._communicating_greenlets if not greenlet.dead]
            if speaking:
                killall(speaking)
        _close_quietly(self.stdout, self.stderr)
        try:
            if self.stdin:
                self.stdin.close()
        finally:
            self.wait()


class _Link:
    """Calls back with the child, where a link is called with the result."""

    __slots__ = ("_callback", "_popen")

    def __init__(self, popen, callback):
        self._popen = popen
        self._callback = callback

    def __call__(self, _result):
        self._callback(self._popen)

    def __eq__(self, other):
        if not isinstance(other, _Link):
            return NotImplemented
        return (self._popen, self._callback) == (other._popen, other._callback)

    def __hash__(self):
        return hash((id(self._popen), self._callback))


class _Talk:
    """The greenlets that write to a child and read what it says."""

    def __init__(self, popen, input, in_parts):
        self._popen = popen
        self.greenlets = []
        # What was read until now; None where there is nothing to be read.
        self._heard = [None, None]
        if popen.stdin:
            self.greenlets.append(Greenlet.spawn(_write_all, popen.stdin, input))
        for index, file in enumerate((popen.stdout, popen.stderr)):
            if file:
                self._heard[index] = chunks = []
                self.greenlets.append(Greenlet.spawn(_read_all, file, chunks, in_parts))

    def __iter__(self):
        return iter(self.greenlets)

    def heard(self):
        """What the child has said, on its standard output and error."""
        return tuple(chunks if chunks is None else self._join(chunks) for chunks in self._heard)

    def _join(self, chunks):
        if chunks and isinstance(chunks[0], str):
            return "".join(chunks)
        data = b"".join(chunks)
        if not self._popen.text_mode:
            return data
        return TextIOWrapper(BytesIO(data), self._popen.encoding, self._popen.errors).read()


def _write_all(file, data):
    try:
        if data:
            file.write(data)
            file.flush()
    except BrokenPipeError:
        pass  # it does not want to know
    except OSError as error:
        from errno import EINVAL

        if error.errno != EINVAL:
            raise
    finally:
        with suppress(OSError):
            file.close()


def _read_all(file, chunks, in_parts):
    # In parts if the rest may not come in time, so that these are there. Text is decoded as a
    # whole.
    read1 = getattr(getattr(file, "buffer", file), "read1", None)
    try:
        if not in_parts or read1 is None:
            chunks.append(file.read())
            return
        while chunk := read1(_CHUNK):
            chunks.append(chunk)
    finally:
        with suppress(OSError):
            file.close()


def _make_blocking(fd):
    # The child could do nothing with a descriptor that is not.
    try:
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        if flags & os.O_NONBLOCK:
            fcntl.fcntl(fd, fcntl.F_SETFL, flags & ~os.O_NONBLOCK)
    except OSError:
        pass  # the program has closed its own


def _close_quietly(*files):
    for file in files:
        if file:
            # Somebody else may be reading it: it is closed when that one lets go of it.
            with suppress(RuntimeError):
                file.close()


def call(*popenargs, timeout=None, **kwargs):
    """Run a command; its exit status."""
    with Popen(*popenargs, **kwargs) as process:
        try:
            return process.wait(timeout=timeout)
        except BaseException:
            process.kill()
            raise


def check_call(*popenargs, **kwargs):
    """Run a command; `CalledProcessError` unless its exit status is 0."""
    status = call(*popenargs, **kwargs)
    if status:
        raise CalledProcessError(status, kwargs.get("args", popenargs[0] if popenargs else None))
    return 0


def check_output(*popenargs, timeout=None, **kwargs):
    """Run a command; what it writes to stdout. `CalledProcessError` unless its exit status is 0."""
    for name in ("stdout", "check"):
        if name in kwargs:
            raise ValueError(f"{name} argument not allowed, it will be overridden.")
    if "input" in kwargs and kwargs["input"] is None:
        text = any(
            kwargs.get(name) for name in ("text", "universal_newlines", "encoding", "errors")
        )
        kwargs["input"] = "" if text else b""
    return run(*popenargs, stdout=PIPE, timeout=timeout, check=True, **kwargs).stdout


def run(*popenargs, input=None, capture_output=False, timeout=None, check=False, **kwargs):
    """Run a command; a `CompletedProcess`, or `CalledProcessError` with `check`."""
    if input is not None:
        if kwargs.get("stdin") is not None:
            raise ValueError("stdin and input arguments may not both be used.")
        kwargs["stdin"] = PIPE
    if capture_output:
        if kwargs.get("stdout") is not None or kwargs.get("stderr") is not None:
            raise ValueError("stdout and stderr arguments may not be used with capture_output.")
        kwargs["stdout"] = kwargs["stderr"] = PIPE
    with Popen(*popenargs, **kwargs) as process:
        try:
            stdout, stderr = process.communicate(input, timeout=timeout)
        except BaseException:
            process.kill()
            raise
        status = process.poll()
        if check and status:
            raise CalledProcessError(status, process.args, output=stdout, stderr=stderr)
    return CompletedProcess(process.args, status, stdout, stderr)


def getstatusoutput(cmd, *, encoding=None, errors=None):
    """Run a command of the shell; (exit status, what it writes)."""
    done = run(
        cmd, shell=True, text=True, stdout=PIPE, stderr=STDOUT, encoding=encoding, errors=errors
    )
    return done.returncode, done.stdout.removesuffix("\n")


def getoutput(cmd, *, encoding=None, errors=None):
    """Run a command of the shell; what it writes."""
    return getstatusoutput(cmd, encoding=encoding, errors=errors)[1]


def _gevent_did_monkey_patch(target_module, *_args, **_kwargs):
    # The server that newer Pythons start children by talks over sockets that would be patched.
    if sys.version_info >= (3, 14):
        import multiprocessing

        if not multiprocessing.__name__.startswith("manyhands"):
            multiprocessing.set_start_method("fork", force=True)


__imports__ = copy_globals(
    __subprocess__,
    globals(),
    only_names=[name for name in __subprocess__.__all__ if name not in __implements__],
    ignore_missing_names=True,
)
__all__ = [*__implements__, *__imports__]
