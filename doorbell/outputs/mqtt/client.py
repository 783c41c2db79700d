"""A paho client by the configuration: credentials, TLS, whom it speaks to without; and its calls.

Reads the password and TLS files, and never logs what is in them.

Without TLS everybody on the way reads the password. In the home's own network that is the
household's choice, and usual; with a broker elsewhere it takes ``mqtt.allow_unencrypted``. A name
may mean another address each time, so what counts is the address that answered: it is looked at
after each connection is made and before anything is sent.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from doorbell.config import MqttSection
from doorbell.config.secrets import read_secret, secret_path, warn_of_readers
from doorbell.errors import ConfigError
from doorbell.outputs.mqtt.delivery import Kind, Outgoing
from doorbell.outputs.mqtt.messages import OFFLINE

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike

# Loopback and this link (RFC 1122, 3927, 4291), private networks (RFC 1918, 4193), and those behind
# a provider's or a VPN's address translation (RFC 6598). Not by ipaddress' is_private, which has
# changed between versions of Python and counts addresses of documentation and tests.
LOCAL_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10"),
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
        "100.64.0.0/10",
    )
)


LEAST_KEEPALIVE_SECONDS = 5  # as of mqtt.keepalive_seconds
STOP_SECONDS = 1.1  # paho's thread sleeps for up to a second between attempts


class PublicBrokerError(ConfigError, OSError):
    """A broker outside the home's network, without TLS.

    An ``OSError`` for paho, which takes it as one more connection that failed.
    """


def is_local(address: str) -> bool:
    """Whether an address is of this machine or of the home's own network; no name is."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in LOCAL_NETWORKS)


def describe_failure(error: BaseException | None) -> str:
    """Say why no connection came about, and what to look at."""
    match error:
        case ConfigError():
            return str(error)
        case ssl.SSLCertVerificationError(verify_message=reason):
            return (
                f"its certificate is refused: {reason}; check mqtt.host and mqtt.tls_ca_file, and "
                "the broker's certificate"
            )
        case ssl.SSLError():
            return f"it does not speak TLS as we do: {error}; check mqtt.port and mqtt.tls"
        case _:
            return f"{error}; check mqtt.host, mqtt.port and mqtt.tls"


def keepalive_seconds(section: MqttSection) -> int:
    """Seconds between two signs of life.

    A broker that is silent is taken as lost after one and a half of that: before what it holds back
    would arrive late, unmarked.
    """
    longest = int(section.late_seconds / 1.5)
    return max(LEAST_KEEPALIVE_SECONDS, min(section.keepalive_seconds, longest))


def configured_client(
    section: MqttSection,
    client_id: str,
    protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311,
) -> Client:
    """Make a client that is configured and not connected.

    Args:
        section: ``[mqtt]``.
        client_id: by which the broker knows it.
        protocol: 3.1.1 is spoken by every broker.

    Raises:
        ConfigError: the host, the password file or a TLS file cannot be used, or the host is a
            public address and there is no TLS.
    """
    try:
        section.host.encode("idna")
    except UnicodeError as exc:
        raise ConfigError(f"mqtt.host = {section.host!r} is no host name or address") from exc
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=protocol)
    if section.username is not None:
        password = None
        if section.password_file is not None:
            password = read_secret("mqtt.password_file", section.password_file)
        client.username_pw_set(section.username, password)
    if section.tls:
        client.tls_set_context(_tls_context(section))
    else:
        _refuse_public_literal(section)
    client.on_socket_open = partial(_before_the_first_word, section)
    return client


def lasting_client(section: MqttSection, client_id: str, availability_topic: str) -> Client:
    """Make the doorbell's own, which says offline there once the broker has lost it.

    Raises:
        ConfigError: as ``configured_client``.
    """
    client = configured_client(section, client_id)
    # Without a bound of paho's: few events are under way at a time, states are small, and a
    # broker that is silent is lost soon.
    client.max_queued_messages_set(0)
    client.will_set(availability_topic, OFFLINE, qos=1, retain=True)
    return client


@contextmanager
def short_lived_client(
    section: MqttSection,
    client_id: str,
    protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311,
) -> Iterator[Client]:
    """Make one for a block, that may connect and start its loop there, and has gone after it.

    Args:
        section: ``[mqtt]``.
        client_id: another than the doorbell's.
        protocol: as for ``configured_client``.

    Raises:
        ConfigError: as ``configured_client``.
    """
    client = configured_client(section, client_id, protocol)
    try:
        yield client
    finally:
        let_go(client)
        client.disconnect()
        client.loop_stop()


def hand_to(client: Client, outgoing: Outgoing, qos: int) -> int | None:
    """Hand a message to a client that is connected.

    Args:
        client: that sends it.
        outgoing: the message.
        qos: of what is published, in place of the message's own.

    Returns:
        paho's number for it; None where it was not taken.
    """
    number: int | None
    match outgoing.kind:
        case Kind.PUBLISH:
            published = client.publish(outgoing.topic, outgoing.payload, qos, outgoing.retain)
            code, number = published.rc, published.mid
        case Kind.SUBSCRIBE:
            code, number = client.subscribe(outgoing.topic, 1)
        case Kind.UNSUBSCRIBE:
            code, number = client.unsubscribe(outgoing.topic)
    return number if code == MQTTErrorCode.MQTT_ERR_SUCCESS else None


def stop_client(client: Client) -> None:
    """Disconnect, and end its thread; within little more than a second."""
    client.disconnect()
    # loop_stop waits without a bound, and a look-up of a host name may take long.
    stopping = threading.Thread(target=client.loop_stop, name="mqtt-stop", daemon=True)
    stopping.start()
    stopping.join(STOP_SECONDS)
    let_go(client)


def let_go(client: Client) -> None:
    """Let its thread be the last that keeps a client: its sockets are closed with it."""
    client.on_connect = client.on_message = client.on_publish = None
    client.on_connect_fail = client.on_disconnect = None
    client.on_subscribe = client.on_unsubscribe = None


def _before_the_first_word(
    section: MqttSection, _client: Client, _userdata: Any, opened: SocketLike
) -> None:
    """Refuse a public address without TLS; make an accepted connection quick, also to end.

    Raises:
        PublicBrokerError: to paho, which tries again later.
    """
    if not isinstance(opened, socket.socket):  # paho also knows websockets, which we do not use
        return
    address = opened.getpeername()[0]
    if not (section.tls or section.allow_unencrypted or is_local(address)):
        opened.close()
        raise _public(section, address)
    # Without Nagle's algorithm: a small message need not wait for the answer to another.
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # The system ends a connection before what it holds back would arrive late, unmarked.
    milliseconds = round(section.late_seconds * 1000)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def _refuse_public_literal(section: MqttSection) -> None:
    """Say at the start what no later connection would change."""
    try:
        ipaddress.ip_address(section.host)
    except ValueError:
        return  # a name
    if not (section.allow_unencrypted or is_local(section.host)):
        raise _public(section, section.host)


def _public(section: MqttSection, address: str) -> PublicBrokerError:
    return PublicBrokerError(
        f"mqtt.host = {section.host!r} is {address}, outside the home's network, where everybody "
        "on the way would read the password: set mqtt.tls = true (and mqtt.port, 8883 as a rule), "
        "or an address in the home; mqtt.allow_unencrypted = true does without"
    )


def _tls_context(section: MqttSection) -> ssl.SSLContext:
    """Make a context that verifies the broker's certificate and name."""
    authorities = section.tls_ca_file and secret_path("mqtt.tls_ca_file", section.tls_ca_file)
    try:
        context = ssl.create_default_context(cafile=authorities)
    except OSError as exc:
        raise ConfigError(
            f"mqtt.tls_ca_file: {authorities} is no readable PEM file: {exc}"
        ) from exc
    # Python's default today, and no system's policy may lower it.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if section.tls_certificate_file is not None:
        _load_own_certificate(context, section.tls_certificate_file, section.tls_key_file)
    return context


def _load_own_certificate(
    context: ssl.SSLContext, certificate_file: Path, key_file: Path | None
) -> None:
    certificate = secret_path("mqtt.tls_certificate_file", certificate_file)
    key = key_file and secret_path("mqtt.tls_key_file", key_file)
    try:
        # An empty password: a key that needs one is refused, and not asked for on a terminal.
        context.load_cert_chain(certificate, key, "")
    except OSError as exc:
        raise ConfigError(
            f"mqtt.tls_certificate_file: {certificate} and mqtt.tls_key_file: {key} are no "
            f"readable pair of PEM files: {exc}"
        ) from exc
    if key is not None and key == key_file:
        warn_of_readers("mqtt.tls_key_file", key)
