"""The same for coroutines: clients, channels and files whose methods are awaited.

Each class has the methods of that of its name in `manyhands.paramiko`; those that may wait are
awaited, files are iterated over with `async for`. A connection, or a call that waits, takes no
thread. Who is cancelled ends the wait: of `connect` there is no connection then, of a transfer the
part that was copied.

    async with aio.SSHClient() as client:
        client.load_system_host_keys()
        await client.connect("host.example", username="ann")
        _, stdout, _ = await client.exec_command("make test")
        async for line in stdout:
            print(line, end="")

Reading and writing files of this machine, reading keys, and asking the agent is done in the thread
of the event loop.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

from manyhands._awaited import call, here

from . import _many, channel as _channel, client as _client, sftp_client as _sftp_client
from ._many import HostResult
from ._policies import RejectPolicy
from .file import BufferedFile
from .sftp_file import SFTPFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from types import TracebackType

__all__ = ["Channel", "File", "HostResult", "SFTPClient", "SSHClient", "call", "run_many"]


def _awaited(function: Callable[..., Any]) -> Any:
    """A method that awaits the one of this name of what is behind."""
    name = function.__name__

    @functools.wraps(function)
    async def method(self: _Twin, *args: Any, **kwargs: Any) -> Any:
        return _twin(await call(getattr(self.blocking, name), *args, **kwargs))

    return method


def _at_once(function: Callable[..., Any]) -> Any:
    """A method that calls the one of this name of what is behind, which does not wait."""
    name = function.__name__

    @functools.wraps(function)
    def method(self: _Twin, *args: Any, **kwargs: Any) -> Any:
        return _twin(getattr(self.blocking, name)(*args, **kwargs))

    return method


class _Twin:
    """What all have in common."""

    def __init__(self, blocking: Any) -> None:
        #: The object whose methods wait; to be used in other threads, or by `call`.
        self.blocking = blocking

    def __repr__(self) -> str:
        return f"<manyhands.paramiko.aio of {self.blocking!r}>"

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await call(self.blocking.close)


class SSHClient(_Twin):
    """As `paramiko.SSHClient`."""

    def __init__(self) -> None:
        super().__init__(_client.SSHClient())

    _of = _client.SSHClient
    load_system_host_keys = _at_once(_of.load_system_host_keys)
    load_host_keys = _at_once(_of.load_host_keys)
    save_host_keys = _at_once(_of.save_host_keys)
    get_host_keys = _at_once(_of.get_host_keys)
    set_log_channel = _at_once(_of.set_log_channel)
    set_missing_host_key_policy = _at_once(_of.set_missing_host_key_policy)
    get_transport = _at_once(_of.get_transport)
    close = _at_once(_of.close)
    exec_command = _awaited(_of.exec_command)
    invoke_shell = _awaited(_of.invoke_shell)
    open_sftp = _awaited(_of.open_sftp)

    async def connect(
        self, hostname: str, port: int = 22, *args: Any, proxy_jump: Any = None, **named: Any
    ) -> Any:
        """As `paramiko.SSHClient.connect`; `proxy_jump` may be an `SSHClient` of either kind."""
        jump = proxy_jump.blocking if isinstance(proxy_jump, SSHClient) else proxy_jump
        connect = self.blocking.connect
        try:
            return await call(connect, hostname, port, *args, proxy_jump=jump, **named)
        except asyncio.CancelledError:
            self.blocking.close()
            raise


class Channel(_Twin):
    """As `paramiko.Channel`."""

    _of = _channel.Channel
    get_pty = _awaited(_of.get_pty)
    invoke_shell = _awaited(_of.invoke_shell)
    exec_command = _awaited(_of.exec_command)
    invoke_subsystem = _awaited(_of.invoke_subsystem)
    resize_pty = _awaited(_of.resize_pty)
    update_environment = _awaited(_of.update_environment)
    set_environment_variable = _awaited(_of.set_environment_variable)
    recv = _awaited(_of.recv)
    recv_stderr = _awaited(_of.recv_stderr)
    recv_exit_status = _awaited(_of.recv_exit_status)
    send = _awaited(_of.send)
    send_stderr = _awaited(_of.send_stderr)
    sendall = _awaited(_of.sendall)
    sendall_stderr = _awaited(_of.sendall_stderr)
    shutdown = _awaited(_of.shutdown)
    shutdown_read = _awaited(_of.shutdown_read)
    shutdown_write = _awaited(_of.shutdown_write)
    close = _at_once(_of.close)
    exit_status_ready = _at_once(_of.exit_status_ready)
    fileno = _at_once(_of.fileno)
    get_id = _at_once(_of.get_id)
    get_name = _at_once(_of.get_name)
    get_transport = _at_once(_of.get_transport)
    getpeername = _at_once(_of.getpeername)
    gettimeout = _at_once(_of.gettimeout)
    makefile = _at_once(_of.makefile)
    makefile_stderr = _at_once(_of.makefile_stderr)
    makefile_stdin = _at_once(_of.makefile_stdin)
    recv_ready = _at_once(_of.recv_ready)
    recv_stderr_ready = _at_once(_of.recv_stderr_ready)
    send_ready = _at_once(_of.send_ready)
    set_combine_stderr = _at_once(_of.set_combine_stderr)
    set_name = _at_once(_of.set_name)
    settimeout = _at_once(_of.settimeout)

    @property
    def closed(self) -> bool:
        """Whether it is closed, by either side."""
        return bool(self.blocking.closed)

    @property
    def eof_received(self) -> bool:
        """Whether no more output will come."""
        return bool(self.blocking.eof_received)


class File(_Twin):
    """A file of a channel, or of a server; the latter has the methods of `paramiko.SFTPFile`."""

    _of = BufferedFile
    read = _awaited(_of.read)
    readinto = _awaited(_of.readinto)
    readline = _awaited(_of.readline)
    readlines = _awaited(_of.readlines)
    write = _awaited(_of.write)
    writelines = _awaited(_of.writelines)
    flush = _awaited(_of.flush)
    close = _awaited(_of.close)
    seek = _awaited(_of.seek)
    tell = _at_once(_of.tell)
    stat = _awaited(SFTPFile.stat)
    chmod = _awaited(SFTPFile.chmod)
    chown = _awaited(SFTPFile.chown)
    utime = _awaited(SFTPFile.utime)
    truncate = _awaited(SFTPFile.truncate)
    check = _awaited(SFTPFile.check)

    @property
    def channel(self) -> Channel:
        """That of a file of a command."""
        return Channel(self.blocking.channel)

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return bool(self.blocking.closed)

    def __aiter__(self) -> File:
        return self

    async def __anext__(self) -> Any:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line


class SFTPClient(_Twin):
    """As `paramiko.SFTPClient`. Any number of tasks may use it at once."""

    _of = _sftp_client.SFTPClient
    chdir = _awaited(_of.chdir)
    chmod = _awaited(_of.chmod)
    chown = _awaited(_of.chown)
    listdir = _awaited(_of.listdir)
    listdir_attr = _awaited(_of.listdir_attr)
    lstat = _awaited(_of.lstat)
    mkdir = _awaited(_of.mkdir)
    normalize = _awaited(_of.normalize)
    open = _awaited(_of.open)
    file = open
    posix_rename = _awaited(_of.posix_rename)
    readlink = _awaited(_of.readlink)
    remove = _awaited(_of.remove)
    rename = _awaited(_of.rename)
    rmdir = _awaited(_of.rmdir)
    stat = _awaited(_of.stat)
    symlink = _awaited(_of.symlink)
    truncate = _awaited(_of.truncate)
    unlink = _awaited(_of.remove)
    utime = _awaited(_of.utime)
    close = _at_once(_of.close)
    getcwd = _at_once(_of.getcwd)
    get_channel = _at_once(_of.get_channel)

    async def listdir_iter(self, path: Any = b".") -> AsyncIterator[Any]:
        """As `listdir_attr`, as they come, by `async for`."""
        entries = await call(self.blocking.listdir_iter, path)
        while (entry := await call(next, entries, None)) is not None:
            yield entry

    async def _transfer(self, name: str, *args: Any, callback: Any, **named: Any) -> Any:
        def progress(done: int, whole: int) -> None:
            if callback is not None:
                callback(done, whole)
            stack = here()
            if stack is not None:
                stack.breathe()

        return await call(getattr(self.blocking, name), *args, callback=progress, **named)

    async def get(self, remotepath: Any, localpath: Any, callback: Any = None) -> None:
        """Copy a file from the server; see `paramiko.SFTPClient.get`."""
        await self._transfer("get", remotepath, localpath, callback=callback)

    async def getfo(self, remotepath: Any, fl: Any, callback: Any = None) -> int:
        """Copy a file from the server to what has `write(bytes)`; the number of bytes."""
        return int(await self._transfer("getfo", remotepath, fl, callback=callback))

    async def put(
        self, localpath: Any, remotepath: Any, callback: Any = None, confirm: bool = True
    ) -> Any:
        """Copy a file to the server; see `paramiko.SFTPClient.put`."""
        return await self._transfer(
            "put", localpath, remotepath, callback=callback, confirm=confirm
        )

    async def putfo(
        self,
        fl: Any,
        remotepath: Any,
        file_size: int = 0,
        callback: Any = None,
        confirm: bool = True,
    ) -> Any:
        """As `put`, from what has `read(count)`."""
        return await self._transfer(
            "putfo", fl, remotepath, file_size, callback=callback, confirm=confirm
        )

    async def get_many(self, pairs: Iterable[Any], **named: Any) -> list[int | Exception]:
        """Copy many files from the server; see `paramiko.SFTPClient.get_many`."""
        return list(await self._transfer("get_many", pairs, **{"callback": None, **named}))

    async def put_many(self, pairs: Iterable[Any], **named: Any) -> list[int | Exception]:
        """Copy many files to the server; see `paramiko.SFTPClient.put_many`."""
        return list(await self._transfer("put_many", pairs, **{"callback": None, **named}))


async def run_many(
    hosts: Iterable[str],
    command: str,
    *,
    at_once: int = 64,
    timeout: float | None = None,
    policy: Any = RejectPolicy,
    **options: Any,
) -> list[HostResult]:
    """As `paramiko.run_many`. Who is cancelled gives up those that are under way."""
    turns = asyncio.Semaphore(_many.checked(at_once))
    jump = options.get("proxy_jump")
    if isinstance(jump, SSHClient):
        options["proxy_jump"] = jump.blocking

    async def one(host: str, way: dict[str, Any]) -> HostResult:
        async with turns:
            return await call(_many.outcome, host, command, timeout, policy, way)

    options.setdefault("timeout", timeout)
    wanted = list(hosts)
    jump = await call(_many.way, wanted, policy, options)
    tasks = [asyncio.ensure_future(one(host, options)) for host in wanted]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        if jump is not None:
            jump.close()


_TWINS: tuple[tuple[type, type[_Twin]], ...] = (
    (_channel.Channel, Channel),
    (BufferedFile, File),
    (_sftp_client.SFTPClient, SFTPClient),
)


def _twin(result: Any) -> Any:
    if type(result) is tuple:
        return tuple(map(_twin, result))
    for blocking, twin in _TWINS:
        if isinstance(result, blocking):
            return twin(result)
    return result
