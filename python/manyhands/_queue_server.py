"""The command `manyhands serve`: queues for programs and workers on many machines."""

import argparse
import contextlib
import ipaddress
import os
import signal
import socket
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Address = tuple[str, int] | str

#: What is exposed of a queue.
_METHODS = [
    "empty",
    "full",
    "get",
    "get_nowait",
    "join",
    "put",
    "put_nowait",
    "qsize",
    "shutdown",
    "task_done",
]

#: What the commands say about a key.
AUTHKEY_HELP = """the file with the key that both ends must know; a newline at its end does not
count. Whoever has the key can run code in your workers, as what travels are pickles: keep it as
secret as a password"""


def parse_address(text: str) -> "Address":
    """The address in `tcp://HOST:PORT` or `unix:///PATH`.

    Raises:
        ValueError: if it is none.
    """
    kind, separator, rest = text.partition("://")
    if separator and kind == "unix" and rest.startswith("/"):
        return rest
    host, colon, port = rest.rpartition(":")
    if separator and kind == "tcp" and colon and host and port.isdecimal() and int(port) < 65536:
        if ":" in host:
            raise ValueError(f"{text!r} is an address of IPv6, which multiprocessing does not know")
        return host, int(port)
    raise ValueError(f"{text!r} is no address: tcp://HOST:PORT or unix:///PATH")


def format_address(address: "Address") -> str:
    """The text that `parse_address` reads."""
    if isinstance(address, str):
        return f"unix://{address}"
    host, port = address
    return f"tcp://{host}:{port}"


def _is_local(address: "Address") -> bool:
    """Whether only this machine reaches an address that is listened at."""
    if isinstance(address, str):
        return True
    try:
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(entry[4][0])).is_loopback for entry in found)


@contextlib.contextmanager
def _listening(address: "Address", *, is_private: bool) -> "Iterator[socket.socket]":
    """A socket that listens there; one in the file system may be for this user only."""
    path = address if isinstance(address, str) else None
    family = socket.AF_INET if path is None else socket.AF_UNIX
    with socket.socket(family) as listener:
        if path is None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        mask = os.umask(0o077)
        try:
            if not is_private:
                os.umask(mask)
            listener.bind(address)
        finally:
            os.umask(mask)
        try:
            listener.listen(1024)
            yield listener
        finally:
            if path is not None:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)


def read_key(parser: argparse.ArgumentParser, path: str | None) -> bytes:
    """The key in a file; none without one."""
    if path is None:
        return b""
    try:
        with open(path, "rb") as file:
            key = file.read().rstrip(b"\r\n")
            mode = os.fstat(file.fileno()).st_mode
    except OSError as error:
        parser.error(f"cannot read the key in {path!r}: {error.strerror}")
    if not key:
        parser.error(f"there is no key in {path!r}")
    if mode & 0o077:
        print(
            f"manyhands: warning: other users may read the key in {path!r}: chmod 600 {path}",
            file=sys.stderr,
        )
    return key


def _read_identity(
    parser: argparse.ArgumentParser, cert: str | None, key: str | None, address: "Address"
) -> tuple[bytes, bytes] | None:
    """What the server shows by TLS; None if connections are plain."""
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        parser.error("--tls-cert and --tls-key are given together")
    if isinstance(address, str):
        parser.error("TLS is for tcp://HOST:PORT: nobody reads what goes over unix:///PATH")

    from manyhands.multiprocessing.managers import TLS

    try:
        return TLS(cert, key).identity()
    except OSError as error:
        parser.error(f"cannot read {error.filename!r}: {error.strerror}")
    except ValueError as error:
        parser.error(str(error))


def serve(arguments: "Sequence[str]") -> None:
    """The command `manyhands serve`."""
    parser = argparse.ArgumentParser(
        prog="manyhands serve",
        description="Keep queues that programs and workers on this machine and others put into "
        "and take from: with register() and connect() of multiprocessing.managers.BaseManager, or "
        "as manyhands worker does.",
    )
    parser.add_argument(
        "--bind", required=True, metavar="ADDRESS", help="tcp://HOST:PORT or unix:///PATH"
    )
    parser.add_argument("--authkey-file", metavar="FILE", help=AUTHKEY_HELP)
    parser.add_argument(
        "--queue",
        action="append",
        default=[],
        metavar="NAME",
        help="a queue of that name; may be given several times",
    )
    parser.add_argument(
        "--ack-queue",
        action="append",
        default=[],
        metavar="NAME",
        help="as --queue, but what a process took that dies before its task_done() is given to "
        "another",
    )
    parser.add_argument(
        "--silence",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long another machine may not be heard of before it is taken for gone "
        "(%(default)g)",
    )
    parser.add_argument(
        "--tls-cert",
        metavar="FILE",
        help="have connections encrypted: the server's certificate, in PEM; clients of the "
        "standard library cannot connect then",
    )
    parser.add_argument("--tls-key", metavar="FILE", help="the private key to it, in PEM")
    options = parser.parse_args(arguments)
    names = options.queue + options.ack_queue
    if not names:
        parser.error("there is nothing to serve: give a --queue or an --ack-queue")
    if len(set(names)) < len(names):
        parser.error("two queues have the same name")
    for name in names:
        if not name.isidentifier():
            parser.error(
                f"a queue's name is one that Python methods can have, which {name!r} is not"
            )
    if not 1 <= options.silence <= 86400:
        parser.error("--silence is from 1 to 86400 seconds")
    try:
        address = parse_address(options.bind)
    except ValueError as error:
        parser.error(str(error))
    key = read_key(parser, options.authkey_file)
    if not key and not _is_local(address):
        parser.error(
            f"others than this machine could connect to {options.bind} without a key: give an "
            "--authkey-file, or bind to 127.0.0.1"
        )

    identity = _read_identity(parser, options.tls_cert, options.tls_key, address)

    import pickle
    import resource
    from datetime import timedelta

    from manyhands import _native

    # Each connection is a descriptor.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with contextlib.ExitStack() as stack:
        try:
            listener = stack.enter_context(_listening(address, is_private=not key))
        except OSError as error:
            why = error.strerror or error
            raise SystemExit(f"manyhands: cannot listen at {options.bind}: {why}") from None
        silence = timedelta(seconds=options.silence)
        handle = listener.fileno()
        server = _native.multiprocessing.ManagerServer(handle, key, {}, False, silence, identity)
        for name in names:
            keywords = {"ack": True} if name in options.ack_queue else {}
            server.share(name, "Queue", _METHODS, pickle.dumps(((), keywords), 4))
        server.start()
        if not key and not isinstance(address, str):
            print(
                f"manyhands: warning: every user of this machine can use {options.bind} without a "
                "key: give an --authkey-file, or bind to unix:///PATH",
                file=sys.stderr,
            )
        print(
            f"manyhands: serving {', '.join(names)} at {format_address(listener.getsockname())}",
            file=sys.stderr,
            flush=True,
        )
        ended.wait()
        server.stop()
