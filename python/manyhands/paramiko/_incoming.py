"""Channels that the server opens: of forwarded ports, displays and agents."""

from __future__ import annotations

import queue
import threading
import weakref
from logging import ERROR
from typing import TYPE_CHECKING, Any

from ._ssh_errors import NativeError
from .channel import Channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from .transport import Transport


class Incoming:
    """Takes the channels that a server opens: to the handler for them, or to who accepts.

    A thread does that, from the moment that there is anything to wait for.
    """

    def __init__(self, transport: Transport, native: Any) -> None:
        self._transport = weakref.ref(transport)
        self._native = native
        self._waiting: queue.SimpleQueue[Channel | None] = queue.SimpleQueue()
        self.ports: dict[int, Callable[..., Any] | None] = {}
        self.on_display: Callable[..., Any] | None = None
        self.on_agent: Callable[..., Any] | None = None
        threading.Thread(
            target=self._take_all, name="paramiko incoming channels", daemon=True
        ).start()

    def _take_all(self) -> None:
        while True:
            try:
                native, kind, origin, server = self._native.accept(None)
            except NativeError:
                # The connection has ended, which who accepts is to notice.
                self._waiting.put(None)
                return
            transport = self._transport()
            if transport is not None:
                self._take(Channel(transport, native), kind, origin, server)

    def _take(self, channel: Channel, kind: str, origin: Any, server: Any) -> None:
        channel.origin_addr = origin
        handler, arguments = {
            "forwarded": (self.ports.get(server[1]), (origin, server)),
            "x11": (self.on_display, (origin,)),
            "agent": (self.on_agent, ()),
        }[kind]
        if handler is None:
            self.queue(channel)
            return
        try:
            handler(channel, *arguments)
        except Exception as error:
            channel.transport._log(ERROR, f"The handler of a channel ({kind}) raised {error!r}")
            channel.close()

    def welcome(self) -> None:
        """Let the server open channels; a request to forward ports does that, too."""
        self._native.welcome()

    def queue(self, channel: Channel) -> None:
        """Keep a channel for who accepts."""
        self._waiting.put(channel)

    def accept(self, timeout: float | None) -> Channel | None:
        """The next channel that has no handler; None after the timeout or the connection's end."""
        try:
            channel = self._waiting.get(timeout=timeout)
        except queue.Empty:
            return None
        if channel is None:
            self._waiting.put(None)
        return channel
