"""A paho client from the configuration: credentials and TLS.

Enters: ``[mqtt]``. Leaves: a client that is not connected yet. Reads the password and TLS files,
and never logs what is in them.
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from doorbell.config import MqttSection
from doorbell.errors import ConfigError

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike


def configured_client(section: MqttSection, client_id: str) -> Client:
    """Make a client that is configured and not connected.

    Raises:
        ConfigError: the host, the password file or a TLS file cannot be used.
    """
    try:
        section.host.encode("idna")
    except UnicodeError as exc:
        raise ConfigError(f"mqtt.host = {section.host!r} is no host name or address") from exc
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id)
    if section.username is not None:
        password = None if section.password_file is None else _password(section.password_file)
        client.username_pw_set(section.username, password)
    if section.tls:
        client.tls_set_context(_tls_context(section))
    client.on_socket_open = _send_at_once
    return client


def _send_at_once(_client: Client, _userdata: Any, opened: SocketLike) -> None:
    """Switch off Nagle's algorithm: a small message need not wait for the answer to another."""
    if isinstance(opened, socket.socket):  # paho also knows websockets
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _password(path: Path) -> str:
    try:
        password = path.read_text("utf-8").rstrip("\r\n")
    except OSError as exc:
        raise ConfigError(
            f"mqtt.password_file: cannot read {path}: {exc.strerror}; check its path and owner"
        ) from exc
    except UnicodeDecodeError:
        password = ""
    if not password:
        # Without the cause: it would show what the file holds.
        raise ConfigError(f"mqtt.password_file: {path} holds no password in UTF-8 text")
    return password


def _tls_context(section: MqttSection) -> ssl.SSLContext:
    """Make a context that verifies the broker's certificate and name."""
    try:
        context = ssl.create_default_context(cafile=section.tls_ca_file)
    except OSError as exc:
        raise ConfigError(
            f"mqtt.tls_ca_file: {section.tls_ca_file} is no readable PEM file: {exc}"
        ) from exc
    if section.tls_certificate_file is not None:
        try:
            # An empty password: a key that needs one is refused, and not asked for on a terminal.
            context.load_cert_chain(section.tls_certificate_file, section.tls_key_file, "")
        except OSError as exc:
            raise ConfigError(
                f"mqtt.tls_certificate_file: {section.tls_certificate_file} and mqtt.tls_key_file: "
                f"{section.tls_key_file} are no readable pair of PEM files: {exc}"
            ) from exc
    return context
