"""An OpenSSH server of the tests' own, on the loopback interface."""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from manyhands import paramiko

LIMIT = 30


def make_key(folder, name, *options):
    command = ["ssh-keygen", "-q", "-C", "test", "-f", folder / name, "-t", *options]
    if "-N" not in options:
        command += ["-N", ""]
    subprocess.run(command, check=True, timeout=LIMIT, stdin=subprocess.DEVNULL)
    return folder / name


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Server:
    """An sshd that accepts the key `user` of its folder, and those that are authorized."""

    user = getpass.getuser()

    def __init__(self, folder, *lines, address="127.0.0.1", on=()):
        """`on` is the beginning of commands that are run where that address is, if not here."""
        self.folder, self.address = folder, address
        self.port = free_port()
        folder.chmod(0o700)
        for name, *kind in (
            ("host", "ed25519"),
            ("host_rsa", "rsa", "-b", "2048"),
            ("user", "ed25519"),
            ("other", "ed25519"),
        ):
            make_key(folder, name, *kind)
        shutil.copy(folder / "user.pub", folder / "authorized")
        # What the server insists on, though it is of no use here.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        # Of lines that say the same the first one counts.
        config = (
            *lines,
            f"HostKey {folder}/host",
            f"HostKey {folder}/host_rsa",
            f"ListenAddress {address}:{self.port}",
            f"AuthorizedKeysFile {folder}/authorized",
            # The user's own files, which a shell would read, are not the tests' business.
            f"SetEnv HOME={folder}",
            "PidFile none",
            "StrictModes no",
            "UsePAM no",
            "PermitRootLogin yes",
            "MaxSessions 100",
            "MaxStartups 200",
            "AcceptEnv FRUIT",
            "Subsystem sftp internal-sftp",
        )
        (folder / "config").write_text("\n".join(config) + "\n")
        with open(folder / "log", "w") as log:
            command = [*on, "/usr/sbin/sshd", "-D", "-e", "-f", folder / "config"]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
        end = time.monotonic() + LIMIT
        while "Server listening" not in self.log():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < end, self.log()
            time.sleep(0.01)

    def log(self):
        return (self.folder / "log").read_text()

    def send(self, number):
        """A signal to the processes below the server."""
        for pid in self.tree():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self):
        self.send(signal.SIGKILL)
        self.process.kill()
        self.process.wait(LIMIT)

    def tree(self):
        """The processes below the server."""
        found, new = [], [self.process.pid]
        while new:
            new = [child for parent in new for child in children(parent)]
            found += new
        return found

    def path(self, name):
        return str(self.folder / name)

    def key(self, name="user"):
        return paramiko.PKey.from_path(self.path(name))

    def authorize(self, name):
        with open(self.folder / "authorized", "a") as file:
            file.write((self.folder / f"{name}.pub").read_text())

    def transport(self, **options):
        """A connection that has exchanged keys."""
        transport = paramiko.Transport(("127.0.0.1", self.port), **options)
        try:
            transport.start_client(timeout=LIMIT)
        except BaseException:
            transport.close()
            raise
        return transport

    def client(self, **options):
        """A client that is connected, by the key `user` unless something else is said."""
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(options.pop("policy", paramiko.AutoAddPolicy))
        if not {"pkey", "key_filename", "password", "auth_strategy"} & set(options):
            options["key_filename"] = self.path("user")
        connection = {
            "username": self.user,
            "allow_agent": False,
            "look_for_keys": False,
            "timeout": LIMIT,
            **options,
        }
        try:
            client.connect("127.0.0.1", self.port, **connection)
        except BaseException:
            client.close()
            raise
        return client


class Places:
    """A home folder, whose configuration of SSH names servers that it knows."""

    def __init__(self, home):
        self.home = home
        self.servers = {}
        (home / ".ssh").mkdir()

    def add(self, *names, server=None, options=()):
        """Another server, unless it is there, of those names; clients have these options."""
        if server is None:
            folder = self.home / names[0]
            folder.mkdir()
            server = Server(folder)
        lines = (
            f"Host {' '.join(names)}",
            f"HostName {server.address}",
            f"Port {server.port}",
            f"User {server.user}",
            f"IdentityFile {server.path('user')}",
            "IdentitiesOnly yes",
            *options,
        )
        with open(self.home / ".ssh" / "config", "a") as config:
            config.write("\n ".join(lines) + "\n")
        kind, key, *_ = (server.folder / "host.pub").read_text().split()
        with open(self.home / ".ssh" / "known_hosts", "a") as known:
            known.write(f"[{server.address}]:{server.port} {kind} {key}\n")
        self.servers.update(dict.fromkeys(names, server))
        return server

    def stop(self):
        for server in set(self.servers.values()):
            server.stop()


def children(parent):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The name, which may have anything in it, is in brackets; the parent comes second.
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                    found.append(int(entry.name))
    return found
