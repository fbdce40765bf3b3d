"""Connections by TLS with managers' servers: the client's end.

It is for servers and clients of ours only; the standard library's do not know of it. Within it
both ends prove that they know the authkey, as ever: a certificate says who the server is, and the
key who may use it.
"""

import errno
import io
import os
import socket
import ssl
import time
from functools import lru_cache

from manyhands._stdlib import original
from manyhands.multiprocessing import connection as _connection
from manyhands.multiprocessing._manager_tls import is_pem

_stdlib = original("multiprocessing.connection")

#: How much is read at once: as much as a record of TLS holds.
_RECORD = 16 * 1024

#: How much is written at once.
_STEP = 1 << 20


def context_for(ca):
    """Return how a client checks servers whose certificates that CA vouches for."""
    if ca is None or is_pem(ca):
        return _context(ca, None)
    # A file that was replaced is read again.
    return _context(ca, os.stat(ca).st_mtime_ns)


@lru_cache(maxsize=16)
def _context(ca, changed):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca is None:
        context.load_default_certs()
        return context
    try:
        if changed is None:
            context.load_verify_locations(cadata=ca)
        else:
            context.load_verify_locations(cafile=ca)
    except ssl.SSLError as error:
        where = "the text of ca" if changed is None else repr(ca)
        raise ValueError(f"there is no certificate in PEM in {where}: {error}") from None
    return context


class TLSConnection(_stdlib.Connection):
    """A connection by TLS. It carries what others do, and is not pickled."""

    def __init__(self, secured):
        super().__init__(secured.fileno())
        self._secured = secured
        # What was read to see whether there is something.
        self._ahead = b""

    def __reduce__(self):
        raise TypeError("a connection by TLS cannot be given to another process")

    def _close(self):
        self._secured.close()

    def _send(self, buf, write=None):
        view = memoryview(buf)
        try:
            for start in range(0, len(view), _STEP):
                self._secured.sendall(view[start : start + _STEP])
        except OSError as error:
            raise _broken(error) from None

    def _recv(self, size, read=None):
        received = io.BytesIO()
        left = size
        while left:
            if self._ahead:
                part, self._ahead = self._ahead[:left], self._ahead[left:]
            else:
                part = self._read(min(left, _RECORD))
            if not part:
                if left == size:
                    raise EOFError
                raise ConnectionResetError(
                    errno.ECONNRESET, "the connection ended in the midst of a message"
                )
            received.write(part)
            left -= len(part)
        return received

    def _read(self, most):
        try:
            return self._secured.recv(most)
        except OSError as error:
            raise _broken(error) from None

    def _poll(self, timeout):
        deadline = None if timeout is None else time.monotonic() + timeout
        before = self._secured.gettimeout()
        while not self._ahead:
            if not self._secured.pending():
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                if not _connection.wait([self._secured], left):
                    return False
            self._secured.settimeout(0)
            try:
                self._ahead = self._secured.recv(_RECORD)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                # What came is not yet, or not at all, a part of a message.
                continue
            except OSError:
                # That is told by what receives.
                return True
            finally:
                self._secured.settimeout(before)
            # Nothing is the end, which is there for what receives, too.
            return True
        return True


def _broken(error):
    """The error that a broken connection is for who uses it."""
    if isinstance(error, ssl.SSLError):
        return ConnectionResetError(errno.ECONNRESET, f"the connection broke: {error}")
    return error


def connect(address, ca, limit=None):
    """Return a connection to a server that shows that it is the one at the address.

    `limit` is how many seconds the server may take for each step, from now on.
    """
    context = context_for(ca)
    secured = socket.socket(getattr(socket, _connection.address_type(address)))
    try:
        secured.settimeout(limit)
        secured.connect(address)
        secured.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        secured = context.wrap_socket(
            secured, server_hostname=address[0], do_handshake_on_connect=False
        )
        _shake_hands(secured, address, ca)
        return TLSConnection(secured)
    except BaseException:
        secured.close()
        raise


def _shake_hands(secured, address, ca):
    try:
        secured.do_handshake()
    except ssl.SSLCertVerificationError as error:
        raise _distrusted(address, ca, error) from None
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError) as error:
        text = f"the server at {address!r} hung up while TLS was being set up: {error}"
        raise ConnectionResetError(errno.ECONNRESET, text) from None
    except ssl.SSLError as error:
        text = f"the server at {address!r} speaks no TLS, or none that is understood here: {error}"
        raise ssl.SSLError(error.errno, text) from None


#: What OpenSSL says where a certificate is for another name, or another number.
_OTHER_HOST = (62, 64)


def _distrusted(address, ca, error):
    if error.verify_code in _OTHER_HOST:
        text = f"the certificate of the server at {address!r} is not for {address[0]!r}: connect "
        text += "by a name or number that is in it"
    else:
        who = "the system" if ca is None else "the CA that was given"
        text = f"the certificate of the server at {address!r} is not trusted by {who}, as TLS(ca=) "
        text += "says whom to trust"
    return ssl.SSLCertVerificationError(error.errno, f"{text} ({error.verify_message})")
