"""How managers' connections are secured: what a server shows, and whom a client trusts."""

import os

from manyhands import _native as _engine

_native = _engine.multiprocessing


class TLS:
    """How managers' connections are secured.

    TLS(cert=None, key=None, ca=None)

    A server needs `cert`, the file with its certificate (and those between that one and the CA),
    and `key`, the file with the private key to it, without a password. A client trusts the
    certificates that `ca`, a file or the text that would be in it, vouches for, or else those that
    the system trusts; and only if a certificate is for the host of the address, name or number, as
    the client has it. Who starts a server with start() is its client, too. All is in PEM; a
    certificate that has signed itself is its own CA.

    A pickled proxy has `ca` with it as it was given: the file's name, so that the file has to be
    there on the other machine, too, or the text.
    """

    __slots__ = ("ca", "cert", "key")

    def __init__(self, cert=None, key=None, ca=None):
        if (cert is None) != (key is None):
            raise ValueError("a certificate and the key to it are given together: cert, key")
        self.cert = None if cert is None else os.path.abspath(os.fsdecode(cert))
        self.key = None if key is None else os.path.abspath(os.fsdecode(key))
        if ca is not None:
            ca = os.fsdecode(ca)
            if not is_pem(ca):
                ca = os.path.abspath(ca)
        self.ca = ca

    def __repr__(self):
        ca = "..." if self.ca is not None and is_pem(self.ca) else self.ca
        return f"TLS(cert={self.cert!r}, key={self.key!r}, ca={ca!r})"

    def identity(self):
        """Return what a server shows, certificates and key; ValueError if that is of no use."""
        if self.cert is None:
            raise ValueError("a server that speaks TLS needs a certificate: TLS(cert=..., key=...)")
        contents = []
        for path in (self.cert, self.key):
            with open(path, "rb") as file:
                contents.append(file.read())
        certificates, key = contents
        try:
            _native.check_identity(certificates, key)
        except ValueError as error:
            raise ValueError(f"{error} (in {self.cert!r}, {self.key!r})") from None
        return certificates, key

    def connect(self, address, limit=None):
        """Return a connection to a server that shows that it is the one at the address.

        `limit` is how many seconds the server may take for each step, from now on.
        """
        # Only who has use for it loads OpenSSL.
        from manyhands.multiprocessing import _manager_secured

        return _manager_secured.connect(address, self.ca, limit)


def checked(tls, address, serializer):
    """Raise an error unless that can be used for a manager of that address."""
    if tls is None:
        return
    if not isinstance(tls, TLS):
        raise TypeError(f"tls is a TLS(cert=..., key=..., ca=...), and not {tls!r}")
    if not isinstance(address, tuple):
        raise ValueError(f"TLS is for addresses (host, port), and not for {address!r}")
    if serializer != "pickle":
        raise ValueError(f"TLS is for the serializer 'pickle', and not for {serializer!r}")


def trust(tls):
    """Return what proxies have with them: None without TLS, nothing for whom the system trusts."""
    return None if tls is None else tls.ca or ""


def is_pem(ca):
    """Return whether that is the content of a file, and not its name."""
    return "-----BEGIN" in ca


TLS.__module__ = "manyhands.multiprocessing.managers"
