"""Machines that are reached by SSH, as `ssh` would, and whether workers can run there."""

import contextlib
import getpass
import io
import json
import os
import shlex
import sys
import tarfile
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: How long to wait for a connection, and for an answer, in seconds.
PATIENCE = 30.0

#: What tells of the Python of another machine.
_PROBE = """\
import json, os, sys, sysconfig
version = path = None
try:
    import manyhands
    version, path = manyhands.__version__, manyhands.__file__
    from manyhands._native import multiprocessing
except ImportError as error:
    path = str(error)
processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
print(json.dumps([version, path, sys.version_info[:2], sys.implementation.cache_tag,
                  sysconfig.get_platform(), processors]))
"""

#: What keeps a package in a folder of its own as long as its standard input lasts.
_KEEPER = """\
import io, shutil, signal, sys, tarfile, tempfile
for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *ignored: sys.exit())
folder = tempfile.mkdtemp(prefix="manyhands-")
try:
    size = int(sys.stdin.buffer.readline())
    tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read(size))).extractall(folder)
    print("manyhands is in:" + folder, flush=True)
    sys.stdin.buffer.read()
finally:
    shutil.rmtree(folder, ignore_errors=True)
"""


class HostError(ConnectionError):
    """A machine cannot be used for workers; it says which, why, and what to do."""


HostError.__module__ = "manyhands.multiprocessing.pool"


class Host:
    """A machine, and how workers are started there."""

    def __init__(self, address: str, python: str = "python3") -> None:
        self.address, self.python = address, python
        #: What stands before the command of a worker.
        self.prefix = ""
        self.processors = 1

    def __repr__(self) -> str:
        return f"<Host {self.address}>"

    def connect(self) -> "Any":
        """A client of SSH that is connected; HostError if that fails."""
        try:
            return _connect(self.address)
        except Exception as error:
            raise HostError(f"{self.address}: {_reason(error)}") from error

    def command(self, module: str, *arguments: str) -> str:
        """The shell's command that runs a module there, with the Python of this host."""
        given = " ".join(map(shlex.quote, arguments))
        return f"{self.prefix}exec {self.python} -m {module} {given}".rstrip()

    def prepare(self, bootstrap: bool) -> "Any":
        """Find out whether workers can run there; with `bootstrap` a copy of this package is
        brought there if there is none. What is returned is to be closed when they have ended."""
        client = self.connect()
        try:
            version, path, python, tag, platform, processors = self._ask(client)
            self.processors = processors or 1
            if version == _own_version() and path is not None and path.endswith(".py"):
                client.close()
                return None
            if not bootstrap:
                found = f"manyhands {version}" if version else "no manyhands"
                raise HostError(
                    f"{self.address}: {self.python} has {found}, {_own_version()} is needed:"
                    f" {self.python} -m pip install manyhands=={_own_version()} there, or pass"
                    " bootstrap=True (--bootstrap)"
                )
            own = [list(sys.version_info[:2]), sys.implementation.cache_tag, _own_platform()]
            if [python, tag, platform] != own:
                raise HostError(
                    f"{self.address}: {self.python} is {tag} on {platform}, the manyhands of here"
                    f" is for {own[1]} on {own[2]}: install it there, or pass another python"
                )
            self._bring(client)
        except BaseException as error:
            client.close()
            if isinstance(error, HostError) or not isinstance(error, Exception):
                raise
            raise HostError(f"{self.address}: {_reason(error)}") from error
        return client

    def _ask(self, client: "Any") -> "list[Any]":
        command = f"exec {self.python} -c {shlex.quote(_PROBE)}"
        _, stdout, stderr = client.exec_command(command, timeout=PATIENCE)
        said = stdout.read()
        status = stdout.channel.recv_exit_status()
        try:
            facts: list[Any] = json.loads(said.splitlines()[-1])
        except (ValueError, IndexError):
            why = stderr.read().decode(errors="replace").strip().splitlines()[-1:]
            raise HostError(
                f"{self.address}: {self.python} cannot be run there (exit status {status})"
                f"{': ' if why else ''}{''.join(why)}; pass the path of one as python"
            ) from None
        return facts

    def _bring(self, client: "Any") -> None:
        """Copy this package to a folder there, which is removed when the connection ends."""
        command = f"exec {self.python} -c {shlex.quote(_KEEPER)}"
        stdin, stdout, stderr = client.exec_command(command, timeout=PATIENCE)
        package = _package()
        stdin.write(b"%d\n" % len(package))
        stdin.write(package)
        stdin.flush()
        folder = ""
        while not folder and (line := stdout.readline()):
            # The files of a shell may have written something before.
            folder = line.strip().partition("manyhands is in:")[2]
        if not folder:
            why = stderr.read().decode(errors="replace").strip().splitlines()[-1:]
            raise HostError(f"{self.address}: manyhands cannot be copied there: {''.join(why)}")
        self.prefix = f"PYTHONPATH={shlex.quote(folder)}${{PYTHONPATH:+:$PYTHONPATH}} "
        # Its end is that of the folder.
        client._kept_open = (stdin, stdout, stderr)


def _own_version() -> str:
    import manyhands

    return manyhands.__version__


def _own_platform() -> str:
    import sysconfig

    return sysconfig.get_platform()


def _package() -> bytes:
    """This package, as it is installed, with what it needs to pickle by value; a tar archive."""
    from importlib.metadata import distribution
    from importlib.util import find_spec

    folders = {}
    for name in ("manyhands", "cloudpickle"):
        spec = find_spec(name)
        if spec is not None and spec.submodule_search_locations:
            folders[name] = spec.submodule_search_locations[0]
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz", compresslevel=1) as archive:
        for name, folder in folders.items():
            archive.add(folder, name, filter=_without_caches)
        metadata = distribution("manyhands").read_text("METADATA") or ""
        entry = tarfile.TarInfo(f"manyhands-{_own_version()}.dist-info/METADATA")
        entry.size = len(metadata.encode())
        archive.addfile(entry, io.BytesIO(metadata.encode()))
    return written.getvalue()


def _without_caches(entry: tarfile.TarInfo) -> "tarfile.TarInfo | None":
    return None if "__pycache__" in entry.name else entry


def _reason(error: BaseException) -> str:
    # Of several attempts the number of an error is None.
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _configuration() -> "Any":
    """That of the user, then that of the system, as `ssh` reads them."""
    from manyhands.paramiko import SSHConfig

    config = SSHConfig()
    for path in ("~/.ssh/config", "/etc/ssh/ssh_config"):
        with contextlib.suppress(FileNotFoundError), open(os.path.expanduser(path)) as file:
            config.parse(file)
    return config


def _connect(address: str, through: "Any" = None) -> "Any":
    """A client that is connected to `[user@]host[:port]`, as the configuration of `ssh` says."""
    from manyhands import paramiko
    from manyhands.paramiko._jumps import parts

    given = parts(address)
    options = _configuration().lookup(given["hostname"])
    client = paramiko.SSHClient()
    known = options.get("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2").split()
    known += options.get("globalknownhostsfile", "/etc/ssh/ssh_known_hosts").split()
    for path in known:
        with contextlib.suppress(OSError):
            client.load_system_host_keys(os.path.expanduser(path))
    if options.get("stricthostkeychecking", "ask").lower() in ("no", "off", "accept-new"):
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy)
    way: dict[str, Any] = {}
    jumps = options.get("proxyjump", "none")
    if through is None and jumps.lower() != "none":
        for jump in jumps.split(","):
            through = _connect(jump.strip().removeprefix("ssh://"), through)
    if through is not None:
        way["proxy_jump"] = through
        # It has no other use.
        client._jump = through
    elif options.get("proxycommand", "none").lower() != "none":
        way["sock"] = paramiko.ProxyCommand(options["proxycommand"])
    user = given.get("username") or options.get("user") or getpass.getuser()
    keys = [path for path in options.get("identityfile", ()) if os.path.exists(path)]
    only = options.get("identitiesonly", "no").lower() == "yes"
    seconds = float(options.get("connecttimeout", PATIENCE))
    try:
        client.connect(
            options["hostname"],
            given.get("port") or int(options.get("port", 22)),
            user,
            key_filename=keys or None,
            allow_agent=not only,
            look_for_keys=not only,
            timeout=seconds,
            banner_timeout=seconds,
            auth_timeout=seconds,
            **way,
        )
    except BaseException:
        client.close()
        raise
    transport = client.get_transport()
    # A line that is dead is to be found out.
    transport.set_keepalive(int(options.get("serveraliveinterval", 15)) or 15)
    return client


def reach(addresses: "list[str]", python: str, bootstrap: bool) -> "tuple[list[Host], list[Any]]":
    """The machines of these addresses, each of which can have workers, and what is to be closed
    when these have ended. HostError if one cannot; then nothing is left."""
    from manyhands.concurrent.futures import ThreadPoolExecutor

    hosts = [Host(address, python) for address in addresses]
    kept: list[Any] = []
    failures: list[BaseException] = []

    def prepare(host: Host) -> None:
        try:
            keeper = host.prepare(bootstrap)
        except BaseException as error:
            failures.append(error)
        else:
            if keeper is not None:
                kept.append(keeper)

    with ThreadPoolExecutor(min(32, len(hosts))) as executor:
        list(executor.map(prepare, hosts))
    if failures:
        for keeper in kept:
            keeper.close()
        raise failures[0]
    return hosts, kept


def connect_again(host: Host, seconds: float) -> "Any":
    """A connection, which may take several attempts; HostError if it takes longer than so long."""
    deadline = time.monotonic() + seconds
    pause = 0.1
    while True:
        try:
            return host.connect()
        except HostError:
            # A server that has many who are not authenticated yet drops some (MaxStartups).
            if time.monotonic() + pause > deadline:
                raise
        time.sleep(pause)
        pause = min(2 * pause, 5.0)
