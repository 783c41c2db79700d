import logging
import time
from pathlib import Path
from typing import Any

import pytest

from doorbell.config import DeviceSection, MqttSection
from doorbell.errors import ConfigError
from doorbell.outputs.mqtt import Mqtt


def open_mqtt(folder: Path, **section: Any) -> Mqtt:
    return Mqtt(
        DeviceSection(),
        MqttSection.model_validate({"host": "127.0.0.1", "port": 1, **section}),
        outbox_path=folder / "outbox.sqlite",
        people=(),
        on_command=lambda _: None,
    )


def test_a_missing_password_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing"
    with pytest.raises(ConfigError, match=r"mqtt\.password_file: cannot read .*missing: No such"):
        open_mqtt(tmp_path, username="doorbell", password_file=path)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe secret"])
def test_a_password_file_without_a_password_is_refused_and_not_shown(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="holds no password") as caught:
        open_mqtt(tmp_path, username="doorbell", password_file=path)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_an_unusable_authority_file_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"mqtt\.tls_ca_file: .*ca\.pem is no readable PEM"):
        open_mqtt(tmp_path, tls=True, tls_ca_file=path)


def test_an_unusable_client_certificate_is_named(tmp_path: Path) -> None:
    path = tmp_path / "own.pem"
    path.write_text("not a certificate")
    with pytest.raises(ConfigError, match=r"mqtt\.tls_certificate_file: .*own\.pem"):
        open_mqtt(tmp_path, tls=True, tls_certificate_file=path)


@pytest.mark.parametrize("host", ["broker..local", "x" * 64 + ".local"])
def test_a_host_that_is_no_name_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError, match=r"mqtt\.host = .* is no host name"):
        open_mqtt(tmp_path, host=host)


def test_nobody_listening_is_said_once_and_close_is_bounded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        mqtt = open_mqtt(tmp_path)
        time.sleep(1.5)  # two attempts
        assert not mqtt.connected
        started = time.monotonic()
        mqtt.close()
        assert time.monotonic() - started < 2.0
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert "no broker at 127.0.0.1:1, and the doorbell goes on" in record.message
