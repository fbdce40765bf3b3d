"""Certificates for tests of TLS."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

OPENSSL = shutil.which("openssl")
if OPENSSL is None:
    pytest.skip("certificates are made by the command openssl", allow_module_level=True)

Files = tuple[str, str]


def made(folder: Path, name: str, names: str) -> Files:
    """A certificate that has signed itself, and the key to it."""
    certificate, key = str(folder / f"{name}.pem"), str(folder / f"{name}.key")
    command = [str(OPENSSL), "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]
    command += ["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=test"]
    command += ["-addext", f"subjectAltName={names}", "-out", certificate, "-keyout", key]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key
