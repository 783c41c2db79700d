"""Throw-away certificates, and an address of this machine that is not loopback's."""

import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest


def make_certificates(folder: Path, days: Mapping[str, int], subject: str) -> None:
    """An authority (``ca.pem``) and certificates of it, each NAME.pem with NAME.key.

    Args:
        folder: for all of them.
        days: for how long each is valid, by its name; negative for one that has expired.
        subject: whose they are, as in subjectAltName.
    """

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    out = ("-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-x509", *key, "-subj", "/CN=ca", "-days", "2", *out)
    for name, valid in days.items():
        openssl(
            *("req", *key, "-subj", f"/CN={name}", "-addext", f"subjectAltName={subject}"),
            *("-keyout", f"{name}.key", "-out", f"{name}.csr"),
        )
        openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
            *("-days", str(valid), "-CAcreateserial", "-copy_extensions", "copy"),
            *("-out", f"{name}.pem"),
        )


def own_address() -> str:
    """An address of this machine by which others reach it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no network")
        return str(probe.getsockname()[0])
