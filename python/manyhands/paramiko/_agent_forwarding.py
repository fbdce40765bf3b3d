"""The agent of this side, for commands on the other."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .channel import Channel

_CHUNK = 32 * 1024


class AgentClientProxy:
    """Connects a channel of the server to the agent of `SSH_AUTH_SOCK`; closes it if there is
    none."""

    def __init__(self, chanRemote: Channel) -> None:
        from .agent import get_agent_connection

        self._channel = chanRemote
        self._agent = get_agent_connection()
        if self._agent is None:
            chanRemote.close()
            return
        for copy in (self._ask, self._answer):
            threading.Thread(target=copy, name="paramiko agent", daemon=True).start()

    def _ask(self) -> None:
        assert self._agent is not None
        with contextlib.suppress(OSError):
            while data := self._channel.recv(_CHUNK):
                self._agent.sendall(data)
        # Whoever waits for the agent is told, too.
        with contextlib.suppress(OSError):
            self._agent.shutdown(socket.SHUT_RDWR)

    def _answer(self) -> None:
        assert self._agent is not None
        with contextlib.suppress(OSError), self._agent:
            while data := self._agent.recv(_CHUNK):
                self._channel.sendall(data)
        self._channel.close()

    def close(self) -> None:
        """End the connection."""
        self._channel.close()


class AgentRequestHandler:
    """Offers the agent of this side to what is started next on a channel."""

    def __init__(self, chanClient: Channel) -> None:
        self._proxies: list[AgentClientProxy] = []
        chanClient.request_forward_agent(self._connect)

    def _connect(self, channel: Channel) -> None:
        self._proxies.append(AgentClientProxy(channel))

    def close(self) -> None:
        """End the connections that were made to the agent."""
        for proxy in self._proxies:
            proxy.close()
