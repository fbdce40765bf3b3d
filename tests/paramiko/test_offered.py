"""What is not there says so."""

from importlib import import_module

import pytest
from manyhands import paramiko


@pytest.mark.parametrize("name", ["ServerInterface", "GSSAuth", "Packetizer"])
def test_what_is_not_offered(name):
    with pytest.raises(ImportError, match=f"does not offer {name}"):
        getattr(paramiko, name)


def test_from_import_shows_why():
    with pytest.raises(ImportError, match="does not offer SFTPServer"):
        from manyhands.paramiko import SFTPServer  # noqa: F401


@pytest.mark.parametrize("module", ["server", "sftp_si", "packet", "kex_gex"])
def test_modules_that_are_not_offered(module):
    with pytest.raises(ModuleNotFoundError, match=f"does not offer the module {module}: "):
        import_module(f"manyhands.paramiko.{module}")
    with pytest.raises(ModuleNotFoundError, match="No module named"):
        import_module("manyhands.paramiko.bun")


def test_what_paramiko_has_not_either():
    with pytest.raises(AttributeError, match="no attribute 'SSHBun'"):
        paramiko.SSHBun  # noqa: B018
