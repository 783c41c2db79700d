"""The connection to a real broker: whom we trust, who we are, and what is never said aloud."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from certificates import make_certificates

from doorbell.config import DeviceSection, MqttSection
from doorbell.outputs.mqtt.output import Mqtt
from doorbell.status import KnownVisitors
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.waiting import eventually

pytestmark = [
    pytest.mark.system,
    # paho leaves the socket of a failed handshake to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning"),
]

# Reserved for documentation (RFC 5737), so public as any.
PUBLIC = "203.0.113.7"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A throw-away authority; of it a broker's, an expired one and a doorbell's own."""
    folder = tmp_path_factory.mktemp("certificates")

    make_certificates(folder, {"broker": 2, "expired": -1, "doorbell": 2}, "IP:127.0.0.1")
    return folder


@contextmanager
def broker(folder: Path, certificates: Path, name: str, *settings: str) -> Iterator[Mosquitto]:
    mosquitto = Mosquitto(
        folder,
        "allow_anonymous true",
        f"certfile {certificates / f'{name}.pem'}",
        f"keyfile {certificates / f'{name}.key'}",
        *settings,
    )
    mosquitto.start()
    try:
        yield mosquitto
    finally:
        mosquitto.stop()


@contextmanager
def running(folder: Path, **section: Any) -> Iterator[Mqtt]:
    mqtt = Mqtt(
        DeviceSection(),
        MqttSection.model_validate({"host": "127.0.0.1", "tls": True, **section}),
        outbox_path=folder / "outbox.sqlite",
        known=KnownVisitors((), set()),
        on_command=lambda _: None,
    )
    try:
        yield mqtt
    finally:
        mqtt.close()
        assert eventually(lambda: "paho" not in str(threading.enumerate()))
        gc.collect()


def test_a_broker_of_our_authority_is_trusted(tmp_path: Path, certificates: Path) -> None:
    with (
        broker(tmp_path, certificates, "broker") as mosquitto,
        running(tmp_path, port=mosquitto.port, tls_ca_file=certificates / "ca.pem") as mqtt,
    ):
        assert eventually(lambda: mqtt.connected)


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        ("broker", {}, "certificate is refused: unable to get local issuer certificate"),
        ("expired", {"tls_ca_file": "ca.pem"}, "certificate is refused: certificate has expired"),
        (
            "broker",
            {"tls_ca_file": "ca.pem", "host": "localhost"},
            "certificate is refused: Hostname mismatch",
        ),
    ],
)
def test_a_broker_that_cannot_prove_who_it_is_is_refused_with_the_reason(
    tmp_path: Path,
    certificates: Path,
    caplog: pytest.LogCaptureFixture,
    *,
    name: str,
    settings: dict[str, str],
    reason: str,
) -> None:
    authority = {key: certificates / file for key, file in settings.items() if key != "host"}
    host = settings.get("host", "127.0.0.1")
    with (
        broker(tmp_path, certificates, name) as mosquitto,
        running(tmp_path, host=host, port=mosquitto.port, **authority) as mqtt,
    ):
        assert eventually(lambda: caplog.records != [])
        assert reason in caplog.records[0].message
        assert not mqtt.connected


def test_a_broker_without_tls_is_not_taken_for_one_with(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mosquitto = Mosquitto(tmp_path, "allow_anonymous true")
    mosquitto.start()
    with running(tmp_path, port=mosquitto.port) as mqtt:
        assert eventually(lambda: caplog.records != [])
        assert not mqtt.connected
    mosquitto.stop()
    assert "check mqtt.host, mqtt.port and mqtt.tls" in caplog.text


def test_a_broker_that_asks_for_a_certificate_gets_ours(
    tmp_path: Path, certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = (f"cafile {certificates / 'ca.pem'}", "require_certificate true")
    ours = {
        "tls_certificate_file": certificates / "doorbell.pem",
        "tls_key_file": certificates / "doorbell.key",
    }
    with broker(tmp_path, certificates, "broker", *settings) as mosquitto:
        common = {"port": mosquitto.port, "tls_ca_file": certificates / "ca.pem"}
        with running(tmp_path, **common, **ours) as mqtt:
            assert eventually(lambda: mqtt.connected)
        with caplog.at_level(logging.WARNING), running(tmp_path, **common) as mqtt:
            assert eventually(lambda: "no broker at" in caplog.text)
            assert not mqtt.connected


def test_a_tls_older_than_1_2_is_refused(
    tmp_path: Path, certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = subprocess.Popen(
        [
            *("openssl", "s_server", "-accept", "0", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
            *("-cert", str(certificates / "broker.pem"), "-key", str(certificates / "broker.key")),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with server:
        assert server.stdout is not None
        accepting = next(line for line in server.stdout if line.startswith("ACCEPT"))
        bound = int(accepting.rsplit(":", 1)[1])
        with running(tmp_path, port=bound, tls_ca_file=certificates / "ca.pem") as mqtt:
            assert eventually(lambda: caplog.records != [])
            assert not mqtt.connected
        server.kill()
    assert "does not speak TLS as we do" in caplog.records[0].message


# In a network of its own, where a public address is this machine's. The host is written so that
# only the resolver knows it for an address, as with a name.
SPEAK = f"""
import logging, socket, subprocess, sys, time
from pathlib import Path
from doorbell.config import DeviceSection, MqttSection
from doorbell.outputs.mqtt.output import Mqtt
from doorbell.status import KnownVisitors
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
subprocess.run(["ip", "address", "add", "{PUBLIC}/32", "dev", "lo"], check=True)
logging.basicConfig(format="%(message)s")
server = socket.create_server(("{PUBLIC}", 1883))
server.settimeout(5)
password_file = Path(sys.argv[1], "password")
password_file.write_text("swordfish")
password_file.chmod(0o600)
section = MqttSection(
    host=str(int.from_bytes(socket.inet_aton("{PUBLIC}"), "big")),
    username="doorbell",
    password_file=password_file,
    allow_unencrypted=sys.argv[2] == "allow",
)
mqtt = Mqtt(
    DeviceSection(), section, outbox_path=Path(sys.argv[1], "outbox.sqlite"),
    known=KnownVisitors((), set()), on_command=print,
)
connection, _ = server.accept()
connection.settimeout(5)
print("heard", connection.recv(4096))
mqtt.close()
"""


@pytest.mark.parametrize("allowed", [False, True])
def test_a_public_address_hears_no_word_without_tls(tmp_path: Path, *, allowed: bool) -> None:
    alone = ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody make a network of their own")
    spoken = subprocess.run(
        [*alone, sys.executable, "-c", SPEAK, str(tmp_path), "allow" if allowed else "refuse"],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    if allowed:
        assert "swordfish" in spoken.stdout
    else:
        assert spoken.stdout == "heard b''\n"
        assert f"is {PUBLIC}, outside the home's network" in spoken.stderr
        assert "mqtt.allow_unencrypted = true" in spoken.stderr
