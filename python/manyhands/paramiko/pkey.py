"""Keys: what is common to all types, and which class a file or a blob is for."""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from manyhands._native import ssh_keys

from .common import o600
from .message import Message
from .ssh_exception import PasswordRequiredException, SSHException
from .util import b

if TYPE_CHECKING:
    from collections.abc import Hashable

    from typing_extensions import Self

# An object of the package `cryptography`, which need not be there.
PrivateKey = Any

OPENSSH_AUTH_MAGIC = b"openssh-key-v1\x00"
_CERTIFICATE = "-cert-v01@openssh.com"
_CERTIFICATE_FILE = "-cert.pub"


class UnknownKeyType(Exception):
    """A key of a type that there is no class for."""

    def __init__(self, key_type: Any = None, key_bytes: bytes | None = None) -> None:
        super().__init__(key_type, key_bytes)
        self.key_type = key_type
        self.key_bytes = key_bytes

    def __str__(self) -> str:
        return f"UnknownKeyType(type={self.key_type!r}, bytes=<{len(self.key_bytes or b'')}>)"


class FileFormat(NamedTuple):
    """How a private key is written."""

    format: str
    encoding: str


PEM = FileFormat("TraditionalOpenSSL", "PEM")
OPENSSH = FileFormat("OpenSSH", "PEM")


class _NoKey(SSHException, ValueError):
    """`PKey.from_path` cannot read it; a ValueError as in paramiko."""


class _NoPassword(PasswordRequiredException, TypeError):
    """`PKey.from_path` needs a passphrase; a TypeError as in paramiko."""


def read_private(data: str | bytes, password: str | bytes | None, source: str, tag: str) -> Any:
    """The native key that a file has; `source` and `tag` are for the errors.

    Raises `PasswordRequiredException` if there has to be a passphrase, `SSHException` for anything
    else.
    """
    raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    try:
        return ssh_keys.Key.read(raw, None if password is None else b(password))
    except ssh_keys.Error as error:
        kind, message = error.args
        if kind == "encrypted":
            raise PasswordRequiredException(f"{source}: {message}") from None
        if not raw:
            raise SSHException(f"{source}: no lines in {tag} private key file") from None
        if kind == "none":
            raise SSHException(f"{source}: not a valid {tag} private key file") from None
        raise SSHException(f"{source}: {message}") from None


class PKey:
    """A key of any type; private if `can_sign()`.

    Keys are equal if their public parts are.
    """

    name: ClassVar[str] = ""
    # What the errors call the kind of file that a class reads.
    _tag: ClassVar[str] = ""
    public_blob: PublicBlob | None = None
    _native: Any = None

    @staticmethod
    def from_path(path: str | os.PathLike[str], password: str | bytes | None = None) -> PKey:
        """The key of a file, with the certificate beside it (`path-cert.pub`) if there is one;
        either may be named.

        Raises `OSError` if it cannot be read, `UnknownKeyType`, `PasswordRequiredException` (also
        a TypeError) if it is
        encrypted, `SSHException` (also a ValueError) if it is no key, or the passphrase is wrong.
        """
        name = str(path).removesuffix(_CERTIFICATE_FILE)
        key_path = Path(name).expanduser()
        cert_path = Path(name + _CERTIFICATE_FILE).expanduser()
        data = key_path.read_bytes()
        try:
            native = ssh_keys.Key.read(data, None if password is None else b(password))
        except ssh_keys.Error as error:
            kind, message = error.args
            if kind == "type":
                raise UnknownKeyType(message, data) from None
            wrong = _NoPassword if kind == "encrypted" else _NoKey
            raise wrong(f"{key_path}: {message}") from None
        key = _class_of(native.name, data)._of(native)
        if cert_path.exists():
            key.load_certificate(str(cert_path))
        return key

    @staticmethod
    def from_type_string(
        key_type: str, key_bytes: bytes, password: str | bytes | None = None
    ) -> PKey:
        """The key, or certificate, that public bytes of a type are.

        Raises `UnknownKeyType` if no class has the type, `SSHException` if the bytes are not of it.
        """
        return _class_of(key_type, key_bytes)(data=key_bytes, password=password)

    @classmethod
    def identifiers(cls) -> list[str]:
        """The names of types that this class is for."""
        return [cls.name]

    def __init__(self, msg: Message | None = None, data: bytes | None = None, **kwargs: Any):
        """A public key, from a message or bytes; the classes of a type take more."""

    @classmethod
    def _of(cls, native: Any) -> Self:
        key = cls.__new__(cls)
        key._native = native
        return key

    def _load(
        self,
        msg: Message | None,
        data: bytes | None,
        filename: str | None,
        password: str | bytes | None,
        file_obj: Any,
    ) -> None:
        """Let the key be that of the first of these which is given."""
        if file_obj is not None:
            source = str(getattr(file_obj, "name", "private key"))
            self._native = read_private(file_obj.read(), password, source, self._tag)
        elif filename is not None:
            with open(filename, "rb") as file:
                self._native = read_private(file.read(), password, str(filename), self._tag)
        else:
            blob = data if msg is None else msg.asbytes()
            if blob is None:
                raise SSHException("Key object may not be empty")
            self._native = self._from_blob(blob)
        if self._native.name not in self.identifiers():
            raise SSHException(f"encountered {self._native.name} key, expected {self._tag} key")

    def _from_blob(self, blob: bytes) -> Any:
        try:
            native = ssh_keys.Key.public(bytes(blob))
        except ssh_keys.Error as error:
            raise SSHException(f"Invalid key: {error.args[1]}") from None
        message = Message(blob)
        key_type = message.get_text()
        if key_type.endswith(_CERTIFICATE):
            self.public_blob = PublicBlob(key_type, bytes(blob))
        return native

    def __repr__(self) -> str:
        comment = getattr(self, "comment", "")
        said = f", comment={comment!r}" if comment else ""
        return (
            f"PKey(alg={self.algorithm_name}, bits={self.get_bits()}, fp={self.fingerprint}{said})"
        )

    def asbytes(self) -> bytes:
        """The public part, as SSH writes it."""
        return bytes(self._native.blob) if self._native is not None else b""

    def __bytes__(self) -> bytes:
        return self.asbytes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PKey) and bool(self._fields == other._fields)

    def __hash__(self) -> int:
        return hash(self._fields)

    @property
    def _fields(self) -> Hashable:
        return (self.get_name(), self.asbytes())

    def get_name(self) -> str:
        """The type, by SSH's name."""
        return str(self._native.name) if self._native is not None else self.name

    @property
    def algorithm_name(self) -> str:
        """The type, by the name that OpenSSH shows people: RSA, ECDSA, ED25519, with -CERT for
        certificates."""
        name = self.get_name().replace("ssh-", "")
        if _CERTIFICATE in name:
            return name.replace(_CERTIFICATE, "-cert").upper()
        return name.split("-")[0].upper()

    def get_bits(self) -> int:
        """How many bits the key has; 0 if that is not known."""
        return int(self._native.bits) if self._native is not None else 0

    def can_sign(self) -> bool:
        """Whether the private part is here."""
        return self._native is not None and bool(self._native.can_sign)

    def get_fingerprint(self) -> bytes:
        """The MD5 of the public part: 16 bytes."""
        from hashlib import md5

        return md5(self.asbytes(), usedforsecurity=False).digest()

    @property
    def fingerprint(self) -> str:
        """The fingerprint as OpenSSH shows it: `SHA256:` and base64."""
        from hashlib import sha256

        digest = sha256(self.asbytes()).digest()
        return "SHA256:" + b64encode(digest).decode().rstrip("=")

    def get_base64(self) -> str:
        """The public part in base64, as `known_hosts` and `.pub` files have it."""
        return b64encode(self.asbytes()).decode()

    def sign_ssh_data(self, data: bytes, algorithm: str | None = None) -> Any:
        """The signature of data, as a `Message`; `algorithm` is for keys that have several.

        Raises `SSHException` if there is no private part, or the key has no such algorithm.
        """
        if self._native is None:
            raise SSHException("There is no key to sign with")
        try:
            return Message(self._native.sign(bytes(data), _without_certificate(algorithm)))
        except ssh_keys.Error as error:
            raise SSHException(error.args[1]) from None

    def verify_ssh_sig(self, data: bytes, msg: Message) -> bool:
        """Whether a message, from where it was read to, is this key's signature of the data."""
        return bool(self._native.verify(bytes(data), msg.get_remainder()))

    @property
    def private_key(self) -> Any:
        """The private part as an object of the package `cryptography`, which has to be there; None
        for a public key."""
        return self._in_cryptography() if self.can_sign() else None

    def _in_cryptography(self) -> Any:
        from cryptography.hazmat.primitives.serialization import load_ssh_private_key

        return load_ssh_private_key(self._native.write("openssh", None).encode(), None)

    @classmethod
    def _of_cryptography(cls, key: Any) -> Any:
        """The native key of an object of the package `cryptography`, public or private."""
        from cryptography.hazmat.primitives import serialization as forms

        if hasattr(key, "private_bytes"):
            written = key.private_bytes(
                forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption()
            )
            return read_private(written, None, type(key).__name__, cls._tag)
        written = key.public_bytes(forms.Encoding.OpenSSH, forms.PublicFormat.OpenSSH)
        return ssh_keys.Key.public(b64decode(written.split()[1]))

    @classmethod
    def from_private_key_file(cls, filename: str, password: str | bytes | None = None) -> Self:
        """The private key of a file, if it is of this class's type.

        Raises `OSError` if it cannot be read, `PasswordRequiredException` if it is encrypted,
        `SSHException` if it is
        no such key, or the passphrase is wrong.
        """
        return cls(filename=filename, password=password)

    @classmethod
    def from_private_key(cls, file_obj: Any, password: str | bytes | None = None) -> Self:
        """The private key of an open file; errors as of `from_private_key_file`."""
        return cls(file_obj=file_obj, password=password)

    def write_private_key_file(
        self, filename: str, password: str | bytes | None = None, file_format: FileFormat = PEM
    ) -> None:
        """Write the private key to a file that only its owner can read, encrypted if there is a
        passphrase.

        Types that PEM does not have are written in OpenSSH's format. `OSError`, or `SSHException`
        if there is no
        private part.
        """
        with os.fdopen(
            os.open(filename, flags=os.O_WRONLY | os.O_TRUNC | os.O_CREAT, mode=o600), "w"
        ) as file:
            self._write_private_key(file, file_format, password)

    def write_private_key(
        self, file_obj: Any, password: str | bytes | None = None, file_format: FileFormat = PEM
    ) -> None:
        """Write the private key into an open file of text; as `write_private_key_file`."""
        self._write_private_key(file_obj, file_format, password)

    def _write_private_key(
        self, file: Any, file_format: FileFormat, password: str | bytes | None
    ) -> None:
        form = "openssh" if file_format.format == OPENSSH.format else "pem"
        try:
            written = self._native.write(form, None if password is None else b(password))
        except ssh_keys.Error as error:
            raise SSHException(error.args[1]) from None
        file.write(written)

    def load_certificate(self, value: Message | str) -> None:
        """Offer a certificate for this key to servers: a `Message`, a file's path, or what is in
        such a file.

        Raises ValueError if it is not one for a key of this type.
        """
        if isinstance(value, Message):
            blob = PublicBlob.from_message(value)
        elif os.path.isfile(value):
            blob = PublicBlob.from_file(value)
        else:
            blob = PublicBlob.from_string(value)
        if not blob.key_type.startswith(self.get_name()):
            raise ValueError(
                f"PublicBlob type {blob.key_type} incompatible with key type {self.get_name()}"
            )
        self.public_blob = blob


def _without_certificate(algorithm: str | None) -> str | None:
    return algorithm.removesuffix(_CERTIFICATE) if algorithm else None


def _class_of(key_type: str, key_bytes: bytes) -> type[PKey]:
    from .ecdsakey import ECDSAKey
    from .ed25519key import Ed25519Key
    from .rsakey import RSAKey

    plain = _without_certificate(key_type)
    for key_class in (RSAKey, Ed25519Key, ECDSAKey):
        known = key_class.identifiers()
        if key_type in known or plain in known:
            return key_class
    raise UnknownKeyType(key_type=key_type, key_bytes=key_bytes)


class PublicBlob:
    """A public key or a certificate as it is sent, with its type."""

    def __init__(self, type_: str, blob: bytes, comment: str | None = None) -> None:
        self.key_type = type_
        self.key_blob = blob
        self.comment = comment

    @classmethod
    def from_file(cls, filename: str) -> PublicBlob:
        """What a `.pub` file has."""
        with open(filename) as file:
            return cls.from_string(file.read())

    @classmethod
    def from_string(cls, string: str) -> PublicBlob:
        """What a line of a `.pub` file has.

        Raises ValueError if it has too few fields, or the type does not agree with the bytes.
        """
        fields = string.split(None, 2)
        if len(fields) < 2:
            raise ValueError(f"Not enough fields for public blob: {fields}")
        key_type, blob = fields[0], b64decode(fields[1])
        blob_type = Message(blob).get_text()
        if blob_type != key_type:
            raise ValueError(
                f"Invalid PublicBlob contents: key type={key_type!r}, but blob type={blob_type!r}"
            )
        return cls(key_type, blob, fields[2].strip() if len(fields) > 2 else None)

    @classmethod
    def from_message(cls, message: Message) -> PublicBlob:
        """What a message has, which was not read yet."""
        return cls(message.get_text(), message.asbytes())

    def __str__(self) -> str:
        comment = f"- {self.comment}" if self.comment else ""
        return f"{self.key_type} public key/certificate{comment}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicBlob) and self.key_blob == other.key_blob

    def __hash__(self) -> int:
        return hash(self.key_blob)
