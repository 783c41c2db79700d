from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from doorbell.config import MqttSection
from doorbell.errors import ConfigError
from doorbell.outputs.mqtt.client import configured_client, describe_failure, is_local


def configure(**section: Any) -> None:
    configured_client(MqttSection.model_validate(section), "doorbell-test")


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "10.255.0.1", "172.16.0.1"),
        *("172.31.255.255", "192.168.1.2", "::ffff:192.168.1.2", "169.254.7.7", "fe80::1"),
        *("fe80::1%eth0", "fd00::7", "100.64.0.1", "100.127.255.255"),
    ],
)
def test_addresses_of_the_home(address: str) -> None:
    assert is_local(address)


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "172.15.255.255", "172.32.0.1", "192.169.0.1", "11.0.0.1", "100.128.0.1"),
        *("203.0.113.7", "2001:db8::1", "2a00::1", "::ffff:8.8.8.8", "64:ff9b::a00:1", "fec0::1"),
        *("::", "224.0.0.1", "255.255.255.255", "ff02::1", "localhost", ""),
    ],
)
def test_no_address_of_the_home(address: str) -> None:
    assert not is_local(address)


@pytest.mark.parametrize("host", ["203.0.113.7", "2001:db8::1"])
def test_a_public_address_takes_tls_or_the_household_s_word(host: str) -> None:
    with pytest.raises(ConfigError, match=r"mqtt\.tls = true.*mqtt\.allow_unencrypted") as caught:
        configure(host=host)
    assert caught.value.exit_code == 2
    assert describe_failure(caught.value) == str(caught.value)
    configure(host=host, tls=True)
    configure(host=host, allow_unencrypted=True)


@pytest.mark.parametrize("host", ["localhost", "192.168.1.2", "nowhere.invalid", "core-mosquitto"])
def test_no_name_is_looked_up_at_the_start(host: str) -> None:
    configure(host=host)


def test_a_password_from_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mqtt-password"
    path.write_text("swordfish")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    section = MqttSection.model_validate(
        {"username": "doorbell", "password_file": "$CREDENTIALS_DIRECTORY/mqtt-password"}
    )
    assert configured_client(section, "doorbell-test").password == path.read_text()


def test_a_password_that_everybody_can_read_is_said_and_not_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "password"
    path.write_text("swordfish")
    path.chmod(0o644)
    with caplog.at_level(logging.DEBUG):
        configure(username="doorbell", password_file=path)
    assert f"everybody on this machine can read {path}" in caplog.text
    assert "swordfish" not in caplog.text
