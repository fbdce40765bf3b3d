"""`SSLContext`, whose sockets let the other greenlets run."""

import ssl as __ssl__

_Original = __ssl__.SSLContext


class _Callback:
    """A user's callback. OpenSSL calls it with the raw socket; the user knows another."""

    __slots__ = ("user_function",)

    def __init__(self, user_function):
        self.user_function = user_function

    def __call__(self, sock, *args):
        known = getattr(sock, "_front", None)
        return self.user_function(sock if known is None else known(), *args)


def _wrapped(function):
    return _Callback(function) if callable(function) else function


def _unwrapped(function):
    return function.user_function if isinstance(function, _Callback) else function


def _passed_on(name):
    """The original's property, set by what is above that class: its own setter looks the class up
    by name, and would find ours once that is patched in."""
    original = getattr(_Original, name)

    def set_it(self, value):
        getattr(super(_Original, _Original), name).__set__(self, value)

    return original.setter(set_it)


class SSLContext(_Original):
    """As the standard library's; the sockets that it wraps are of `sslsocket_class`."""

    __slots__ = ()

    sslsocket_class = None

    def wrap_socket(
        self,
        sock,
        server_side=False,
        do_handshake_on_connect=True,
        suppress_ragged_eofs=True,
        server_hostname=None,
        session=None,
    ):
        """The encrypted connection that goes through the socket, which is detached."""
        return self.sslsocket_class(
            sock=sock,
            server_side=server_side,
            do_handshake_on_connect=do_handshake_on_connect,
            suppress_ragged_eofs=suppress_ragged_eofs,
            server_hostname=server_hostname,
            _context=self,
            _session=session,
        )

    for _name in ("options", "verify_flags", "verify_mode", "minimum_version", "maximum_version"):
        locals()[_name] = _passed_on(_name)
    del _name

    @property
    def _msg_callback(self):
        return _unwrapped(super()._msg_callback)

    @_msg_callback.setter
    def _msg_callback(self, value):
        # The original's setter looks its class up by name, and finds this one if it was patched in.
        patched = __ssl__.SSLContext
        __ssl__.SSLContext = _Original
        try:
            super(SSLContext, SSLContext)._msg_callback.__set__(self, _wrapped(value))
        finally:
            __ssl__.SSLContext = patched

    @property
    def sni_callback(self):
        """Called with the name that a client asks for."""
        return _unwrapped(super().sni_callback)

    @sni_callback.setter
    def sni_callback(self, value):
        super(_Original, _Original).sni_callback.__set__(self, _wrapped(value))
