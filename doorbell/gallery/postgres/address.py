"""Where the PostgreSQL server is, and how it is spoken to: never in the clear over a network.

The password is in no message: an address is shown as server and database alone.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from doorbell.config.gallery import GallerySection
from doorbell.config.secrets import read_secret, secret_path
from doorbell.errors import ConfigError

# The tables have a schema of their own; pgvector is wherever it was installed.
SCHEMA = "doorbell"

# Somebody may be enrolling at another door.
BUSY_SECONDS = 5.0

# A server that does not answer is given up after this.
ANSWER_SECONDS = 5

# What the server does for each session. A door that vanished within a transaction is to keep the
# others waiting no longer than this.
_SESSION = {
    "search_path": f"{SCHEMA},public",
    "lock_timeout": f"{round(BUSY_SECONDS * 1000)}",
    "idle_in_transaction_session_timeout": "30000",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "15000",
}

# What the address may say; whatever else libpq knows could undo what is decided here.
_MAY_SAY = frozenset({"host", "hostaddr", "port", "dbname", "user", "password", "sslmode"})


@dataclass(frozen=True, slots=True)
class Address:
    """A server and a database on it.

    Attributes:
        name: how it is shown.
        conninfo: as libpq reads it, with the password.
    """

    name: str
    conninfo: str

    def __repr__(self) -> str:
        return f"Address({self.name!r})"


def address_of(section: GallerySection) -> Address:
    """The server that the configuration names.

    Raises:
        ConfigError: the address is none, the password cannot be read, or it would be spoken to over
            a network without verified TLS.
    """
    try:
        said = {key: str(value) for key, value in conninfo_to_dict(section.url or "").items()}
    except ProgrammingError:
        raise ConfigError(  # without the cause, which may show the password
            "gallery.url is no address of PostgreSQL; write postgresql://USER@HOST/DATABASE, and "
            "the password into gallery.password_file"
        ) from None
    if unknown := said.keys() - _MAY_SAY:
        raise ConfigError(f"gallery.url says {min(unknown)!r}, which is decided here; leave it out")
    hosts = said.get("hostaddr") or said.get("host") or os.environ.get("PGHOST", "")
    name = _name(said, hosts)
    if not all(map(is_of_this_machine, hosts.split(","))):
        said |= _tls(section, said.get("sslmode"), name)
    if section.password_file is not None:
        said["password"] = read_secret("gallery.password_file", section.password_file)
    session = " ".join(f"-c {key}={value}" for key, value in _SESSION.items())
    return Address(
        name,
        make_conninfo(
            **said,
            application_name="doorbell",
            client_encoding="UTF8",
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=ANSWER_SECONDS * 1000,
            gssencmode="disable",
            target_session_attrs="read-write",
            options=session,
        ),
    )


def _name(said: dict[str, str], hosts: str) -> str:
    port, database = said.get("port"), said.get("dbname", "")
    place = hosts if port is None or hosts.startswith("/") else f"{hosts}:{port}"
    return f"postgresql://{place}/{database}"


def is_of_this_machine(host: str) -> bool:
    """Whether a host is a Unix socket or the loopback device, which nobody else can listen to."""
    if host in ("", "localhost") or host.startswith(("/", "@")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _tls(section: GallerySection, mode: str | None, name: str) -> dict[str, str]:
    if section.allow_unencrypted:
        return {} if section.tls_ca_file is None else {"sslrootcert": _authorities(section)}
    if mode not in (None, "verify-full"):
        raise ConfigError(
            f"gallery.url says sslmode={mode} for {name}, over a network: without a verified "
            "certificate anybody on the way could read and change who is known; leave sslmode out, "
            "with the certificate of its authority in gallery.tls_ca_file; "
            "gallery.allow_unencrypted = true does without"
        )
    return {"sslmode": "verify-full", "sslrootcert": _authorities(section)}


def _authorities(section: GallerySection) -> str:
    if section.tls_ca_file is None:
        return "system"
    return str(secret_path("gallery.tls_ca_file", section.tls_ca_file))
