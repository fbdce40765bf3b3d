"""Clients of SSH, each with the same few methods."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from bench.ssh_server import server

#: A path on the server, and one here.
Pairs = Iterable[tuple[str, str]]


class Paramiko:
    """A connection by paramiko, or what has its names."""

    takes_password = True

    def __init__(self, package: str, kind: str = "ed25519") -> None:
        paramiko: Any = import_module(package)
        self.client = paramiko.SSHClient()
        self.client.set_missing_host_key_policy(paramiko.AutoAddPolicy)
        secret = {"password": server().password}
        if kind != "password":
            secret = {"key_filename": server().key(kind)}
        self.client.connect(
            "127.0.0.1",
            server().port,
            username=server().user,
            **secret,
            allow_agent=False,
            look_for_keys=False,
        )
        self.files: Any = None

    def close(self) -> None:
        self.client.close()

    def run(self, command: str) -> int:
        """How many bytes it has written."""
        _, stdout, _ = self.client.exec_command(command)
        count = 0
        while data := stdout.channel.recv(1 << 20):
            count += len(data)
        stdout.channel.recv_exit_status()
        return count

    def sftp(self) -> Any:
        if self.files is None:
            self.files = self.client.open_sftp()
        return self.files

    def get(self, pairs: Pairs) -> None:
        for remote, local in pairs:
            self.sftp().get(remote, local)

    def put(self, pairs: Pairs) -> None:
        for remote, local in pairs:
            self.sftp().put(local, remote)

    def read(self, path: str) -> int:
        with self.sftp().open(path, "rb") as file:
            return len(file.read())

    def write(self, path: str, data: bytes) -> None:
        with self.sftp().open(path, "wb") as file:
            for begin in range(0, len(data), 32768):
                file.write(data[begin : begin + 32768])


class Manyhands(Paramiko):
    def get_many(self, pairs: Pairs) -> None:
        assert all(isinstance(it, int) for it in self.sftp().get_many(pairs))

    def put_many(self, pairs: Pairs) -> None:
        turned = [(local, remote) for remote, local in pairs]
        assert all(isinstance(it, int) for it in self.sftp().put_many(turned))


class AsyncSSH:
    takes_password = True

    def __init__(self, kind: str = "ed25519") -> None:
        import asyncio

        import asyncssh

        self.loop = asyncio.new_event_loop()
        connecting = asyncssh.connect(
            "127.0.0.1",
            server().port,
            username=server().user,
            password=server().password if kind == "password" else None,
            client_keys=None if kind == "password" else [server().key(kind)],
            known_hosts=None,
            agent_path=None,
            config=None,
        )
        self.connection = self.wait(connecting)
        self.files: Any = None

    def wait(self, what: Any) -> Any:
        return self.loop.run_until_complete(what)

    def close(self) -> None:
        self.connection.close()
        self.wait(self.connection.wait_closed())
        self.loop.close()

    def run(self, command: str) -> int:
        return len(self.wait(self.connection.run(command, encoding=None)).stdout)

    def sftp(self) -> Any:
        if self.files is None:
            self.files = self.wait(self.connection.start_sftp_client())
        return self.files

    def get(self, pairs: Pairs) -> None:
        for remote, local in pairs:
            self.wait(self.sftp().get(remote, local))

    def put(self, pairs: Pairs) -> None:
        for remote, local in pairs:
            self.wait(self.sftp().put(local, remote))


class SSH2:
    """`ssh2-python`, which is libssh2."""

    takes_password = True

    def __init__(self, kind: str = "ed25519") -> None:
        from ssh2 import sftp
        from ssh2.session import Session

        self.sock = socket.create_connection(("127.0.0.1", server().port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.session: Any = Session()
        self.session.handshake(self.sock)
        if kind == "password":
            self.session.userauth_password(server().user, server().password)
        else:
            self.session.userauth_publickey_fromfile(server().user, server().key(kind))
        self.files: Any = None
        self.reading = sftp.LIBSSH2_FXF_READ
        self.writing = sftp.LIBSSH2_FXF_WRITE | sftp.LIBSSH2_FXF_CREAT | sftp.LIBSSH2_FXF_TRUNC

    def close(self) -> None:
        self.session.disconnect()
        self.sock.close()

    def run(self, command: str) -> int:
        channel = self.session.open_session()
        channel.execute(command)
        count = 0
        while (got := channel.read(1 << 20)[0]) > 0:
            count += got
        channel.close()
        channel.wait_closed()
        return count

    def sftp(self) -> Any:
        if self.files is None:
            self.files = self.session.sftp_init()
        return self.files

    def get(self, pairs: Pairs) -> None:
        for remote, local in pairs:
            with open(local, "wb") as target, self.sftp().open(remote, self.reading, 0) as source:
                for _, data in source:
                    target.write(data)

    def put(self, pairs: Pairs) -> None:
        for remote, local in pairs:
            opened = self.sftp().open(remote, self.writing, 0o600)
            with open(local, "rb") as source, opened as target:
                while data := source.read(1 << 20):
                    target.write(data)


class Hussh:
    """`hussh`, which is libssh2 by way of Rust."""

    takes_password = True

    def __init__(self, kind: str = "ed25519") -> None:
        import hussh

        secret = {"password": server().password}
        if kind != "password":
            secret = {"private_key": server().key(kind)}
        self.connection: Any = hussh.Connection(
            host="127.0.0.1", port=server().port, username=server().user, **secret
        )

    def close(self) -> None:
        self.connection.close()

    def run(self, command: str) -> int:
        return len(self.connection.execute(command).stdout)

    def get(self, pairs: Pairs) -> None:
        for remote, local in pairs:
            self.connection.sftp_read(remote, local)

    def put(self, pairs: Pairs) -> None:
        for remote, local in pairs:
            self.connection.sftp_write(local, remote)


class OpenSSH:
    """The system's own commands, over one connection that a first one keeps open."""

    def __init__(self, kind: str = "ed25519") -> None:
        at = server()
        self.control = f"{at.folder}/control-{os.getpid()}"
        self.options = ["-F", "none", "-i", at.key(kind), "-o", "StrictHostKeyChecking=no"]
        self.options += ["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
        self.options += ["-o", f"ControlPath={self.control}"]
        self.there = f"{at.user}@127.0.0.1"
        command = ["ssh", *self.options, "-p", str(at.port), "-fNM", self.there]
        subprocess.run(command, check=True)

    def close(self) -> None:
        command = ["ssh", *self.options, "-O", "exit", self.there]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)

    def run(self, command: str) -> int:
        arguments = ["ssh", *self.options, self.there, command]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            count = 0
            while data := process.stdout.read(1 << 20):
                count += len(data)
        return count

    def get(self, pairs: Pairs) -> None:
        self.batch("".join(f"get {remote} {local}\n" for remote, local in pairs))

    def put(self, pairs: Pairs) -> None:
        self.batch("".join(f"put {local} {remote}\n" for remote, local in pairs))

    def batch(self, commands: str) -> None:
        arguments = ["sftp", "-q", *self.options, "-b", "-", self.there]
        subprocess.run(arguments, input=commands, text=True, check=True, stdout=subprocess.DEVNULL)
