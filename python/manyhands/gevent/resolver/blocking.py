"""A resolver that asks the system itself: all greenlets wait meanwhile."""

import _socket

__all__ = ["Resolver"]


class Resolver:
    """Asks the system, and has all greenlets of the thread wait."""

    def __init__(self, hub=None):
        pass

    def close(self):
        """Nothing to give back."""

    gethostbyname = staticmethod(_socket.gethostbyname)
    gethostbyname_ex = staticmethod(_socket.gethostbyname_ex)
    getaddrinfo = staticmethod(_socket.getaddrinfo)
    gethostbyaddr = staticmethod(_socket.gethostbyaddr)
    getnameinfo = staticmethod(_socket.getnameinfo)
