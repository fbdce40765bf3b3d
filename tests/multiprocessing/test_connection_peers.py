"""The standard library of each version at the other end."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from connections import FAMILIES, echoed, free_address, interpreter, ours, peer, stock
from support import Hand

__all__ = ["free_address", "stock"]

SIZES = [0, 1, 64, 16384, 16385, 65536, 1 << 20, 3_000_001]


def _talk(end: Any) -> None:
    for size in SIZES:
        echoed(end, bytes(range(256)) * (size // 256) + b"x" * (size % 256))
    end.send_bytes(b"quit")
    said = end.recv()
    assert said["made"] == [1, 2.5, None, "text", b"bytes"]
    with pytest.raises(EOFError):
        end.recv()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("key", ["", "a key"], ids=["open", "key"])
def test_we_listen(stock: str, family: str, key: str, free_address: Any) -> None:
    authkey = key.encode() or None
    with (
        ours.Listener(free_address(family), family, authkey=authkey) as listener,
        peer(stock, "connect", family, key, listener.address) as other,
    ):
        with listener.accept() as end:
            assert isinstance(end, ours.Connection)
            _talk(end)
        other.finish()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("key", ["", "a key"], ids=["open", "key"])
def test_we_connect(stock: str, family: str, key: str, free_address: Any) -> None:
    with peer(stock, "listen", family, key, free_address(family)) as other:
        with ours.Client(other.address(), family, authkey=key.encode() or None) as end:
            _talk(end)
        other.finish()


def test_a_client_with_a_wrong_key_is_refused_and_told(stock: str, free_address: Any) -> None:
    with ours.Listener(free_address("AF_INET"), authkey=b"right") as listener:
        with peer(stock, "connect", "AF_INET", "wrong", listener.address) as other:
            with pytest.raises(ours.AuthenticationError, match="digest received was wrong"):
                listener.accept()
            assert "AuthenticationError: digest sent was rejected" in other.errors()
        # The next one is welcome.
        with peer(stock, "connect", "AF_INET", "right", listener.address) as other:
            with listener.accept() as end:
                _talk(end)
            other.finish()


def test_a_listener_with_a_wrong_key_refuses_us(stock: str, free_address: Any) -> None:
    with peer(stock, "listen", "AF_INET", "right", free_address("AF_INET")) as other:
        with pytest.raises(ours.AuthenticationError, match="digest sent was rejected"):
            ours.Client(other.address(), authkey=b"wrong")
        assert "AuthenticationError: digest received was wrong" in other.errors()


def test_a_client_that_asks_for_no_key_breaks_the_handshake(stock: str, free_address: Any) -> None:
    """It takes the challenge for a message and sends it back."""
    with (
        ours.Listener(free_address("AF_INET"), authkey=b"key") as listener,
        peer(stock, "connect", "AF_INET", "", listener.address),
        pytest.raises(ours.AuthenticationError),
    ):
        listener.accept()


def test_a_client_that_goes_away_in_the_handshake(free_address: Any) -> None:
    with ours.Listener(free_address("AF_INET"), authkey=b"key") as listener:
        ours.Client(listener.address).close()
        with pytest.raises((EOFError, ConnectionError)):
            listener.accept()
        connecting = Hand(ours.Client, listener.address, authkey=b"key")
        with listener.accept() as end, connecting.result() as client:
            client.send("still here")
            assert end.recv() == "still here"


def test_all_versions_of_a_challenge(stock: str) -> None:
    """Each computes and accepts the other's responses, with each digest that it knows."""
    import subprocess

    program = (
        "import hmac, sys\n"
        "key, name = b'a key', sys.argv[1]\n"
        "message = (b'{%s}' % name.encode() if name else b'') + bytes(range(20))\n"
        "print((message, hmac.new(key, message, name or 'md5').digest()))\n"
    )
    for name in ["", "md5", "sha256", "sha384", "sha3_256", "sha3_384"]:
        printed = subprocess.run(
            [stock, "-I", "-c", program, name], check=True, capture_output=True, text=True
        ).stdout
        message, mac = ast.literal_eval(printed)
        response = (b"{%s}" % name.encode() if name else b"") + mac
        assert ours._create_response(b"a key", message) == response
        ours._verify_challenge(b"a key", message, response)
        for wrong in (response[:-1] + bytes([response[-1] ^ 1]), response[:-1], response + b"x"):
            with pytest.raises(ours.AuthenticationError):
                ours._verify_challenge(b"a key", message, wrong)


def test_there_is_a_standard_library_to_talk_to() -> None:
    assert any(interpreter(version) for version in ["3.10", "3.11", "3.12", "3.13", "3.14"])
