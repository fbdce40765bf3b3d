"""Clients of SSH, each with the same few methods."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from bench.ssh_server import server

#: A path on the server, and one here.
Pairs = Iterable[tuple[str, str]]


class Paramiko:
    """A connection by paramiko, or what has its names."""

    def __init__(self, package: str, kind: str = "ed25519") -> None:
        paramiko: Any = import_module(package)
        self.client = paramiko.SSHClient()
        self.client.set_missing_host_key_policy(paramiko.AutoAddPolicy)
        self.client.connect(
            "127.0.0.1",
            server().port,
            username=server().user,
            key_filename=server().key(kind),
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
    def __init__(self, kind: str = "ed25519") -> None:
        import asyncio

        import asyncssh

        self.loop = asyncio.new_event_loop()
        connecting = asyncssh.connect(
            "127.0.0.1",
            server().port,
            username=server().user,
            client_keys=[server().key(kind)],
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
