"""An OpenSSH server on loopback, with keys and a configuration of its own."""

from __future__ import annotations

import atexit
import contextlib
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

SSHD = "/usr/sbin/sshd"
SHARED = Path("/dev/shm")


class Server:
    """It runs until this process ends; `files` is a folder for what is copied, in memory if that is
    possible, as making files on a disk takes how long the disk likes."""

    user = getpass.getuser()

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="manyhands-bench-"))
        self.files = Path(tempfile.mkdtemp(dir=SHARED if SHARED.is_dir() else self.folder))
        for name, kind in (("host", "ed25519"), ("ed25519", "ed25519"), ("rsa", "rsa")):
            command = ["ssh-keygen", "-q", "-N", "", "-t", kind, "-f", self.folder / name]
            subprocess.run([*command, *(["-b", "3072"] * (kind == "rsa"))], check=True)
        public = [(self.folder / f"{kind}.pub").read_text() for kind in ("ed25519", "rsa")]
        (self.folder / "authorized").write_text("".join(public))
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        config = f"""
            HostKey {self.folder}/host
            ListenAddress 127.0.0.1:{self.port}
            AuthorizedKeysFile {self.folder}/authorized
            SetEnv HOME={self.folder}
            PidFile none
            StrictModes no
            UsePAM no
            PermitRootLogin yes
            MaxSessions 1000
            MaxStartups 1000
            Subsystem sftp internal-sftp
        """
        (self.folder / "config").write_text(config)
        with contextlib.suppress(OSError):
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        command = [SSHD, "-D", "-f", str(self.folder / "config")]
        self.password = secrets.token_hex(8) if os.getuid() == 0 else None
        if self.password is not None:
            command = self.with_password(command)
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        atexit.register(self.stop, os.getpid())
        for _ in range(500):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            time.sleep(0.01)
        raise RuntimeError(f"{SSHD} does not start")

    def with_password(self, command: list[str]) -> list[str]:
        """The command for a server that takes our password for the user's: to it, and to nobody
        else, another file is at the place of that with the passwords."""
        crypted = subprocess.run(
            ["openssl", "passwd", "-6", "-stdin"],
            input=self.password,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        ).stdout.strip()
        others = Path("/etc/shadow").read_text().splitlines()
        ours = [f"{self.user}:{crypted}:19000:0:99999:7:::"]
        ours += [line for line in others if not line.startswith(f"{self.user}:")]
        shadow = self.folder / "shadow"
        shadow.touch(0o600)
        shadow.write_text("\n".join(ours) + "\n")
        script = 'mount --bind "$0" /etc/shadow && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, str(shadow), *command]

    def key(self, kind: str) -> str:
        return str(self.folder / kind)

    def stop(self, owner: int) -> None:
        if os.getpid() == owner:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
            shutil.rmtree(self.folder, ignore_errors=True)
            shutil.rmtree(self.files, ignore_errors=True)


@cache
def server() -> Server:
    """That of this process."""
    return Server()
