"""How connections are encrypted, and for which names and addresses."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from pathlib import Path

from doorbell.config.console import ConsoleSection, machine_name
from doorbell.config.secrets import secret_path, warn_of_readers
from doorbell.errors import ConfigError


def names_of(section: ConsoleSection) -> list[str]:
    """What the console's own certificate is for: the configured names, and this machine's."""
    machine = machine_name()
    return [*section.names, f"{machine}.local", machine, "localhost", *own_addresses(section)]


def own_addresses(section: ConsoleSection) -> list[str]:
    """The addresses of this machine that a browser in the house may use.

    One that the whole internet could reach changes often, and nobody types it.
    """
    listened = ipaddress.ip_address(section.host)
    if not listened.is_unspecified:
        return [str(listened)]
    found = ["127.0.0.1", "::1"]
    for family, far in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        # Nothing is sent: the kernel only says from which address it would.
        with socket.socket(family, socket.SOCK_DGRAM) as asked:
            try:
                asked.connect((far, 9))
            except OSError:
                continue  # no network of that family
            found.append(str(asked.getsockname()[0]))
    return [each for each in found if ipaddress.ip_address(each).is_private]


def given_files(section: ConsoleSection) -> tuple[Path, Path] | None:
    """The certificate and key that the configuration names; None where the console makes its own.

    Raises:
        ConfigError: one is a credential of systemd, and none were passed to this process.
    """
    if section.certificate_file is None or section.key_file is None:
        return None
    certificate = secret_path("console.certificate_file", section.certificate_file)
    key = secret_path("console.key_file", section.key_file)
    if key == section.key_file and key.exists():  # systemd looks after its own
        warn_of_readers("console.key_file", key)
    return certificate, key


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """How connections are encrypted: TLS 1.2 or later.

    Raises:
        ConfigError: the files do not belong together, or cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_certificate(context, certificate, key)
    return context


def load_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Use a certificate for connections from now on; those that are open keep theirs.

    Raises:
        ConfigError: the files do not belong together, or cannot be read.
    """
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else exc
        raise ConfigError(
            f"the certificate {certificate} with the key {key} cannot be used: {why}; both must be "
            "PEM files that belong together, readable by the console's user, the key without a "
            "password"
        ) from exc


def _no_password() -> str:
    msg = "the key asks for a password"
    raise ValueError(msg)
