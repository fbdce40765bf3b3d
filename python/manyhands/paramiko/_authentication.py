"""How a connection proves who its user is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _ssh_errors as errors
from .ssh_exception import AuthenticationException, BadAuthenticationType, SSHException
from .util import u

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from .pkey import PKey

_Prompts = list[tuple[str, bool]]


class Authentication:
    """The methods of a `Transport` that authenticate.

    All return the methods that the server wants on top, mostly none, and raise
    BadAuthenticationType if it does not take this one, AuthenticationException if it does not
    accept what it was shown, and SSHException if the connection fails. With an event they return
    at once, and set it when they are done.
    """

    auth_timeout: float | None
    _can_use_rsa: Callable[[], bool]
    _username: str | None
    _session: Callable[..., Any]
    _later: Callable[..., None]

    def auth_none(self, username: str) -> list[str]:
        """Try without proof. What servers say to that has the methods that they take."""
        return self._auth("none", "auth_none", username)

    def auth_password(
        self,
        username: str,
        password: str | bytes,
        event: threading.Event | None = None,
        fallback: bool = True,
    ) -> list[str]:
        """Authenticate by a password, which also answers a single question if the server wants that
        instead and `fallback` is true."""
        self._session()
        if event is not None:
            self._later(event, self._auth, "password", "auth_password", username, u(password))
            return []
        try:
            return self._auth("password", "auth_password", username, u(password))
        except BadAuthenticationType as refusal:
            if not fallback or "keyboard-interactive" not in refusal.allowed_types:
                raise
            try:
                return self._answer(username, u(password))
            except SSHException:
                raise refusal from None

    def _answer(self, username: str, password: str) -> list[str]:
        """Authenticate by a password as the answer to the only question."""

        def answer(_title: str, _text: str, fields: _Prompts) -> list[str]:
            if len(fields) > 1:
                raise SSHException("the server has more than one question")
            return [password] if fields else []

        return self.auth_interactive(username, answer)

    def auth_publickey(
        self, username: str, key: PKey, event: threading.Event | None = None
    ) -> list[str]:
        """Authenticate by a key, and its certificate if it has one."""
        self._session()
        if event is not None:
            self._later(event, self._auth_key, username, key)
            return []
        return self._auth_key(username, key)

    def _auth_key(self, username: str, key: PKey) -> list[str]:
        def sign(data: bytes, algorithm: str | None) -> bytes:
            signature: Any = key.sign_ssh_data(data, algorithm)
            return bytes(signature.asbytes() if hasattr(signature, "asbytes") else signature)

        if key.get_name() == "ssh-rsa" and not self._can_use_rsa():
            raise SSHException("An RSA key was specified, but no RSA pubkey algorithms are left")
        blob = key.public_blob
        certificate = blob.key_blob if blob is not None else None
        try:
            return self._auth("publickey", "auth_key", username, key.asbytes(), certificate, sign)
        except ValueError as error:
            raise SSHException(f"This key cannot be used: {error}") from None

    def auth_interactive(
        self, username: str, handler: Callable[..., Any], submethods: str = ""
    ) -> list[str]:
        """Authenticate by answers: `handler(title, instructions, [(prompt, echo)])` gives them."""

        def answer(title: str, text: str, prompts: _Prompts) -> list[str]:
            return [u(each) for each in handler(title, text, prompts)]

        return self._auth("keyboard-interactive", "auth_interactive", username, submethods, answer)

    def auth_interactive_dumb(
        self, username: str, handler: Callable[..., Any] | None = None, submethods: str = ""
    ) -> list[str]:
        """As `auth_interactive`; without a handler whoever sits at the terminal is asked."""

        def ask(title: str, text: str, prompts: _Prompts) -> list[str]:
            for line in (title, text):
                if line:
                    print(line.strip())
            return [input(f"{prompt.strip()} ") for prompt, _ in prompts]

        return self.auth_interactive(username, handler or ask, submethods)

    def _auth(self, kind: str, method: str, username: str, *args: Any) -> list[str]:
        native = self._session()
        self._username = username
        with errors.of_proofs():
            outcome, methods = getattr(native, method)(username, *args, self.auth_timeout)
        if outcome == "success":
            return []
        if outcome == "partial":
            return list(methods)
        told = f"{native.host} does not "
        if kind not in methods:
            raise BadAuthenticationType(
                f"Bad authentication type: {told}let {username!r} in by {kind}", list(methods)
            )
        raise AuthenticationException(
            f"Authentication failed: {told}accept this {_PROOFS[kind]} of {username!r}; "
            f"it takes {', '.join(methods)}"
        )


_PROOFS = {
    "none": "lack of proof",
    "password": "password",
    "publickey": "key",
    "keyboard-interactive": "answer",
}
