"""A line to a server that is slow, and counts round trips."""

import contextlib
import queue
import socket
import threading
import time

CHUNK = 1 << 20


class SlowLink:
    """Forwards connections to a port; all arrives so many seconds after it was sent.

    `trips` is how many times, one after the other, something has gone there and back: what the
    client sends counts as caused by all that has arrived before. So it tells how often somebody
    has waited for the other side, whatever the time that anything takes.
    """

    def __init__(self, port, delay):
        self.delay = delay
        self._target = port
        self._lock = threading.Lock()
        #: Lengths of the longest chains of causes that have come to the client and to the server.
        self._depths = {"client": 0, "server": 0}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets = [self._listener]
        self._threads = []
        self._start(self._accept)

    @property
    def trips(self):
        return self._depths["client"] / 2

    def _start(self, work, *args):
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                for sock in (near, far):
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets += near, far
                for names, source, target in (
                    (("client", "server"), near, far),
                    (("server", "client"), far, near),
                ):
                    line = queue.SimpleQueue()
                    self._start(self._take, source, names[0], line)
                    self._start(self._give, target, names[1], line)

    def _take(self, source, name, line):
        data = b"begin"
        while data:
            try:
                data = source.recv(CHUNK)
            except OSError:
                data = b""
            with self._lock:
                depth = self._depths[name]
            line.put((time.monotonic() + self.delay, data, depth))

    def _give(self, target, name, line):
        with contextlib.suppress(OSError):
            while True:
                due, data, depth = line.get()
                time.sleep(max(0, due - time.monotonic()))
                with self._lock:
                    self._depths[name] = max(self._depths[name], depth + 1)
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(data)

    def close(self):
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(30)
