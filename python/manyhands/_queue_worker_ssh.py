"""`manyhands worker --ssh`: the same command on another machine, which reaches the queue server
through this one."""

import contextlib
import os
import socket
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from manyhands._queue_server import Address

_LOT = 1 << 16


def work_there(
    there: str,
    python: str,
    bootstrap: bool,
    address: "Address",
    key: bytes,
    arguments: "Sequence[str]",
) -> int:
    """Have the command run on the machine `there`, with these arguments; its exit status.

    It takes the key from its standard input, and ends with that. A port of that machine, which only
    programs there can connect to, leads to the server's address as it is seen from here.
    """
    from manyhands.multiprocessing._hosts import Host, HostError

    host = Host(there, python)
    kept = None
    try:
        kept = host.prepare(bootstrap)
        client = host.connect()
    except HostError as error:
        if kept is not None:
            kept.close()
        raise SystemExit(f"manyhands: {error}") from None
    try:
        transport = client.get_transport()
        port = transport.request_port_forward("127.0.0.1", 0, lambda *got: _serve(got[0], address))
        command = host.command(
            "manyhands", "worker", f"tcp://127.0.0.1:{port}", "--authkey-stdin", *arguments
        )
        stdin, stdout, stderr = client.exec_command(command)
        stdin.write(key + b"\n")
        stdin.flush()
        errors = threading.Thread(target=_pass_on, args=(stderr.channel.recv_stderr, 2))
        errors.start()
        try:
            _pass_on(stdout.channel.recv, 1)
        except KeyboardInterrupt:
            # The end of its standard input is the command's, too.
            stdin.close()
            stdout.channel.shutdown_write()
            _pass_on(stdout.channel.recv, 1)
        errors.join()
        status = int(stdout.channel.recv_exit_status())
        if status < 0:
            print(f"manyhands: {there}: the connection was lost", file=sys.stderr)
            return 1
        return status
    finally:
        client.close()
        if kept is not None:
            kept.close()


def _serve(channel: "Any", address: "Address") -> None:
    """Connect a channel of the other machine with the server."""
    from manyhands.paramiko._pump import join_with

    try:
        if isinstance(address, str):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.connect(address)
        else:
            sock = socket.create_connection(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        print(f"manyhands: cannot connect to the server: {error}", file=sys.stderr)
        channel.close()
        return
    join_with(sock, channel)


def _pass_on(receive: "Any", descriptor: int) -> None:
    with contextlib.suppress(OSError):
        while data := receive(_LOT):
            os.write(descriptor, data)
