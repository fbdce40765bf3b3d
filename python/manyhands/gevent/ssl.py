"""`gevent.ssl`: the standard library's, whose sockets let other greenlets run while they wait."""

import errno
import ssl as __ssl__
import weakref
from socket import AF_INET, SO_TYPE, SOCK_STREAM, SOL_SOCKET
from ssl import (
    CERT_NONE,
    CERT_REQUIRED,
    PROTOCOL_TLS,
    SSL_ERROR_EOF,
    DER_cert_to_PEM_cert,
    SSLEOFError,
    SSLError,
    SSLWantReadError,
    SSLWantWriteError,
    SSLZeroReturnError,
)

from manyhands.gevent._socket3 import _RawSocket
from manyhands.gevent._ssl_context import SSLContext
from manyhands.gevent.socket import create_connection as _connection, socket, timeout_default

_ssl = __ssl__._ssl
orig_SSLContext = __ssl__.SSLContext

__implements__ = ["SSLContext", "SSLSocket", "get_server_certificate"]
__extra__ = []
(__implements__ if hasattr(__ssl__, "wrap_socket") else __extra__).append("wrap_socket")
__imports__ = [
    name
    for name in vars(__ssl__)
    if not name.startswith("__") and name not in (*__implements__, "socket", "wrap_socket")
]
globals().update((name, getattr(__ssl__, name)) for name in __imports__ if name not in globals())
__all__ = [name for name in (*__implements__, *__imports__, *__extra__) if name != "namedtuple"]


class _KnownSocket(_RawSocket):
    """The raw socket that OpenSSL has, and whose it is."""

    __slots__ = ("_front",)


def _no_time_to_read():
    return TimeoutError("The read operation timed out")


def _no_time_to_write():
    return TimeoutError("The write operation timed out")


def _no_time_to_shake_hands():
    return TimeoutError("The handshake operation timed out")


class SSLSocket(socket):
    """As the standard library's; while an operation waits the other greenlets run."""

    def __init__(
        self,
        sock=None,
        keyfile=None,
        certfile=None,
        server_side=False,
        cert_reqs=CERT_NONE,
        ssl_version=PROTOCOL_TLS,
        ca_certs=None,
        do_handshake_on_connect=True,
        family=AF_INET,
        type=SOCK_STREAM,
        proto=0,
        fileno=None,
        suppress_ragged_eofs=True,
        npn_protocols=None,
        ciphers=None,
        server_hostname=None,
        _session=None,
        _context=None,
    ):
        self._sslobj = None
        if _context:
            self._context = _context
        else:
            if server_side and not certfile:
                raise ValueError("certfile must be specified for server-side operations")
            if keyfile and not certfile:
                raise ValueError("certfile must be specified")
            self._context = context = SSLContext(ssl_version)
            context.verify_mode = cert_reqs
            if ca_certs:
                context.load_verify_locations(ca_certs)
            if certfile:
                context.load_cert_chain(certfile, keyfile or certfile)
            if npn_protocols:
                context.set_npn_protocols(npn_protocols)
            if ciphers:
                context.set_ciphers(ciphers)
            self.keyfile = keyfile or certfile
            self.certfile = certfile
            self.cert_reqs = cert_reqs
            self.ssl_version = ssl_version
            self.ca_certs = ca_certs
            self.ciphers = ciphers
        if sock is not None and sock.getsockopt(SOL_SOCKET, SO_TYPE) != SOCK_STREAM:
            raise NotImplementedError("only stream sockets are supported")
        if server_side and server_hostname:
            raise ValueError("server_hostname can only be specified in client mode")
        if server_side and _session is not None:
            raise ValueError("session can only be specified in client mode")
        if self._context.check_hostname and not server_hostname:
            raise ValueError("check_hostname requires server_hostname")
        self._session = _session
        self.server_side = server_side
        self.server_hostname = server_hostname
        self.do_handshake_on_connect = do_handshake_on_connect
        self.suppress_ragged_eofs = suppress_ragged_eofs
        self._connected = False
        timeout = None
        if sock is not None:
            timeout = sock.gettimeout()
            super().__init__(sock.family, sock.type, sock.proto, sock.fileno())
            # Only now that this is the owner: after an error before, its owner has to close it.
            sock.detach()
        elif fileno is not None:
            super().__init__(fileno=fileno)
        else:
            super().__init__(family, type, proto)
        self._connected = self._has_peer()
        self.settimeout(timeout)
        if self._connected:
            self._begin(do_handshake_on_connect)

    def _make_raw(self, family, type, proto, fileno):
        sock = _KnownSocket(family, type, proto, fileno)
        sock._front = weakref.ref(self)
        return sock

    def _has_peer(self):
        try:
            self._sock.getpeername()
            return True
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                self.close()
                raise
            why = error.errno
        # What came before the connection was closed is not encrypted, and must not be taken for it.
        try:
            early = self._sock.recv(1)
        except BlockingIOError:
            raise
        except OSError as error:
            if error.errno not in (errno.ENOTCONN, errno.EINVAL):
                raise
            early = b""
        if early:
            self.close()
            reason = "Closed before TLS handshake with data in recv buffer."
            error = SSLError(why, reason)
            error.reason = reason
            error.library = None
            raise error
        return False

    def _begin(self, shake_hands):
        try:
            self._sslobj = self._make_sslobj(self.server_side, self._session)
            if shake_hands:
                if self.timeout == 0.0:
                    raise ValueError(
                        "do_handshake_on_connect should not be specified for non-blocking sockets"
                    )
                self.do_handshake()
        except OSError:
            self.close()
            raise

    def _make_sslobj(self, server_side, session):
        sock = self._sock
        return self.context._wrap_socket(
            sock, server_side, self.server_hostname, owner=sock, session=session
        )

    def _extra_repr(self):
        cipher = "" if self._sslobj is None else self._sslobj.cipher()
        return f" server={self.server_side}, cipher={cipher!r}"

    # What it is.

    @property
    def context(self):
        """The context that it was made with."""
        return self._context

    @context.setter
    def context(self, context):
        self._context = context
        self._sslobj.context = context

    @property
    def session(self):
        """The session, of a client."""
        return None if self._sslobj is None else self._sslobj.session

    @session.setter
    def session(self, session):
        self._session = session
        if self._sslobj is not None:
            self._sslobj.session = session

    @property
    def session_reused(self):
        """Whether a session of before was continued."""
        return None if self._sslobj is None else self._sslobj.session_reused

    def dup(self):
        raise NotImplementedError(f"Can't dup() {self.__class__.__name__} instances")

    def _checkClosed(self, msg=None):
        """For subclasses that want to know of uses after the end."""

    def _check_connected(self):
        if not self._connected:
            self.getpeername()  # whose error says so; unless it was connected in some other way

    def getpeercert(self, binary_form=False):
        """The other end's certificate; {} if it was not validated, None if there is none."""
        self._checkClosed()
        self._check_connected()
        return self._sslobj.getpeercert(binary_form)

    def selected_npn_protocol(self):
        """The protocol that was agreed upon by NPN; None: none."""
        return

    def _ask(self, name):
        self._checkClosed()
        return None if self._sslobj is None else getattr(self._sslobj, name)()

    def selected_alpn_protocol(self):
        """The protocol that was agreed upon by ALPN; None: none."""
        return self._ask("selected_alpn_protocol")

    def shared_ciphers(self):
        """The ciphers that both ends have; None for a client."""
        return self._ask("shared_ciphers")

    def version(self):
        """The protocol's version; None without connection."""
        return self._ask("version")

    def cipher(self):
        """The cipher's name, protocol and bits; None without connection."""
        return self._ask("cipher")

    def compression(self):
        """How data is compressed; None: not."""
        return self._ask("compression")

    def pending(self):
        """How many bytes can be read without waiting."""
        return self._ask("pending") or 0

    def group(self):
        """How the keys were agreed upon; None without connection."""
        return self._ask("group")

    def client_sigalg(self):
        """The algorithm of the client's signature; None without connection."""
        return self._ask("client_sigalg")

    def server_sigalg(self):
        """The algorithm of the server's signature; None without connection."""
        return self._ask("server_sigalg")

    def get_channel_binding(self, cb_type="tls-unique"):
        """Bytes that only this connection has; None before the handshake."""
        if self._sslobj is not None:
            return self._sslobj.get_channel_binding(cb_type)
        if cb_type not in __ssl__.CHANNEL_BINDING_TYPES:
            raise ValueError(f"{cb_type} channel binding type not implemented")
        return None

    def verify_client_post_handshake(self):
        """Ask a client for its certificate after the handshake."""
        if not self._sslobj:
            raise ValueError(f"No SSL wrapper around {self}")
        return self._sslobj.verify_client_post_handshake()

    def get_verified_chain(self):
        """The certificates that vouch for the other end's."""
        return _encoded(self._sslobj.get_verified_chain())

    def get_unverified_chain(self):
        """The certificates that the other end has sent."""
        return _encoded(self._sslobj.get_unverified_chain())

    # Operations.

    def _until_done(self, error, operation, *args):
        """Call it until it need not wait any more; `error` makes what is raised if time is up."""
        while True:
            try:
                return operation(*args)
            except SSLWantReadError:
                write = False
                if self.timeout == 0.0:
                    raise
            except SSLWantWriteError:
                write = True
                if self.timeout == 0.0:
                    raise
            self._wait_for(write, self.timeout, error)

    def read(self, nbytes=1024, buffer=None):
        """Up to so many bytes, or how many were put into the buffer; nothing at the end."""
        self._checkClosed()
        sslobj = self._sslobj
        if not sslobj:
            raise ValueError("Read on closed or unwrapped SSL socket.")
        if nbytes == 0:
            return b"" if buffer is None else 0
        args = (nbytes,) if buffer is None else (nbytes, buffer)
        try:
            return self._until_done(_no_time_to_read, sslobj.read, *args)
        except SSLZeroReturnError:
            if not self.suppress_ragged_eofs:
                raise
        except SSLError as error:
            if error.args[0] != SSL_ERROR_EOF or not self.suppress_ragged_eofs:
                raise
        return b"" if buffer is None else 0

    def write(self, data):
        """Send of the data what there is room for; how much that was."""
        self._checkClosed()
        if not self._sslobj:
            raise ValueError("Write on closed or unwrapped SSL socket.")
        return self._until_done(_no_time_to_write, self._sslobj.write, data)

    def _no_flags(self, flags, name):
        if flags:
            raise ValueError(f"non-zero flags not allowed in calls to {name}() on {self.__class__}")

    def _never(self, name):
        raise ValueError(f"{name} not allowed on instances of {self.__class__}")

    def send(self, data, flags=0, timeout=timeout_default):
        self._checkClosed()
        if not self._sslobj:
            return super().send(data, flags, timeout)
        self._no_flags(flags, "send")
        try:
            return self._until_done(None, self._sslobj.write, data)
        except (SSLWantReadError, SSLWantWriteError):
            return 0

    def sendall(self, data, flags=0):
        self._checkClosed()
        if not self._sslobj:
            super().sendall(data, flags)
            return
        self._no_flags(flags, "sendall")
        with memoryview(data) as view, view.cast("B") as left:
            sent = 0
            while sent < len(left):
                some = self.send(left[sent:])
                if not some:
                    raise SSLWantWriteError("The operation did not complete (write)")
                sent += some

    def sendto(self, data, flags_or_addr, addr=None):
        self._checkClosed()
        if self._sslobj:
            self._never("sendto")
        args = (data, flags_or_addr) if addr is None else (data, flags_or_addr, addr)
        return super().sendto(*args)

    def sendmsg(self, *args, **kwargs):
        raise NotImplementedError(f"sendmsg not allowed on instances of {self.__class__}")

    def recv(self, buflen=1024, flags=0):
        self._checkClosed()
        if not self._sslobj:
            return super().recv(buflen, flags)
        self._no_flags(flags, "recv")
        return b"" if buflen == 0 else self.read(buflen)

    def recv_into(self, buffer, nbytes=None, flags=0):
        self._checkClosed()
        if nbytes is None:
            if buffer is not None:
                with memoryview(buffer) as view:
                    nbytes = view.nbytes
            nbytes = nbytes or 1024
        if not self._sslobj:
            return super().recv_into(buffer, nbytes, flags)
        self._no_flags(flags, "recv_into")
        return self.read(nbytes, buffer)

    def recvfrom(self, buflen=1024, flags=0):
        self._checkClosed()
        if self._sslobj:
            self._never("recvfrom")
        return super().recvfrom(buflen, flags)

    def recvfrom_into(self, buffer, nbytes=None, flags=0):
        self._checkClosed()
        if self._sslobj:
            self._never("recvfrom_into")
        return super().recvfrom_into(buffer, nbytes or 0, flags)

    def recvmsg(self, *args, **kwargs):
        raise NotImplementedError(f"recvmsg not allowed on instances of {self.__class__}")

    def recvmsg_into(self, *args, **kwargs):
        raise NotImplementedError(f"recvmsg_into not allowed on instances of {self.__class__}")

    def shutdown(self, how):
        self._checkClosed()
        self._sslobj = None
        super().shutdown(how)

    def unwrap(self):
        """End the encryption; the connection, which stays."""
        if not self._sslobj:
            raise ValueError(f"No SSL wrapper around {self}")
        try:
            self._until_done(None, self._sslobj.shutdown)
        except (SSLEOFError, SSLZeroReturnError):
            pass  # the other end has just closed it
        except OSError as error:
            if error.errno != 0:
                raise
        self._sslobj = None
        return self

    def _real_close(self):
        self._sslobj = None
        super()._real_close()

    def do_handshake(self):
        """Agree upon keys with the other end."""
        self._check_connected()
        self._until_done(_no_time_to_shake_hands, self._sslobj.do_handshake)

    def _real_connect(self, address, connect):
        if self.server_side:
            raise ValueError("can't connect in server-side mode")
        if self._connected:
            raise ValueError("attempt to connect already-connected SSLSocket!")
        self._sslobj = self._make_sslobj(False, self._session)
        try:
            result = connect(address)
            if not result:
                if self.do_handshake_on_connect:
                    self.do_handshake()
                self._connected = True
            return result
        except OSError:
            self._sslobj = None
            raise

    def connect(self, addr):
        """Connect, and encrypt the connection."""
        self._real_connect(addr, super().connect)

    def connect_ex(self, addr):
        """As connect(), but the number of an error in connecting is returned."""
        return self._real_connect(addr, super().connect_ex)

    def accept(self):
        """Wait for a connection: its encrypted socket, and the address of its other end."""
        sock, address = super().accept()
        try:
            sock = self._context.wrap_socket(
                sock,
                do_handshake_on_connect=self.do_handshake_on_connect,
                suppress_ragged_eofs=self.suppress_ragged_eofs,
                server_side=True,
            )
        except BaseException:
            sock.close()
            raise
        return sock, address


# What only newer interpreters can tell.
for _name in (
    "get_verified_chain",
    "get_unverified_chain",
    "group",
    "client_sigalg",
    "server_sigalg",
):
    if not hasattr(__ssl__.SSLSocket, _name):
        delattr(SSLSocket, _name)
del _name

SSLContext.sslsocket_class = SSLSocket


def _encoded(chain):
    return [certificate.public_bytes(_ssl.ENCODING_DER) for certificate in chain or ()]


def wrap_socket(
    sock,
    keyfile=None,
    certfile=None,
    server_side=False,
    cert_reqs=CERT_NONE,
    ssl_version=PROTOCOL_TLS,
    ca_certs=None,
    do_handshake_on_connect=True,
    suppress_ragged_eofs=True,
    ciphers=None,
):
    """The encrypted connection that goes through the socket, which is detached."""
    return SSLSocket(
        sock=sock,
        keyfile=keyfile,
        certfile=certfile,
        server_side=server_side,
        cert_reqs=cert_reqs,
        ssl_version=ssl_version,
        ca_certs=ca_certs,
        do_handshake_on_connect=do_handshake_on_connect,
        suppress_ragged_eofs=suppress_ragged_eofs,
        ciphers=ciphers,
    )


def get_server_certificate(addr, ssl_version=PROTOCOL_TLS, ca_certs=None):
    """The certificate of a server, as PEM; with `ca_certs` validated by those."""
    cert_reqs = CERT_NONE if ca_certs is None else CERT_REQUIRED
    host, port = addr
    with (
        _connection((host, port)) as sock,
        wrap_socket(
            sock, ssl_version=ssl_version, cert_reqs=cert_reqs, ca_certs=ca_certs
        ) as encrypted,
    ):
        return DER_cert_to_PEM_cert(encrypted.getpeercert(True))
