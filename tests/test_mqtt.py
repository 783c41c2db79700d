import logging
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from doorbell.config import DeviceSection, MqttSection
from doorbell.daemon import is_somebodys
from doorbell.domain import FaceSample, Recognized, Visit
from doorbell.errors import ConfigError
from doorbell.outputs.mqtt import Mqtt
from doorbell.outputs.mqtt_client import keepalive_seconds
from doorbell.outputs.outbox import Outbox
from doorbell.recognition.gallery import EnrolledSample, Gallery


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


@pytest.mark.parametrize(
    ("keepalive", "late", "expected"),
    [(30, 30.0, 20), (10, 30.0, 10), (30, 1.0, 5), (60, 90.0, 60)],
)
def test_a_silent_broker_is_given_up_before_its_events_are_late(
    keepalive: int, late: float, expected: int
) -> None:
    section = MqttSection(keepalive_seconds=keepalive, late_seconds=late)
    assert keepalive_seconds(section) == expected


def test_a_merge_loses_no_event_and_forgetting_leaves_none(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    faces = [EnrolledSample(FaceSample(face, "any", 0.5)) for face in np.eye(128, dtype=np.float32)]
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        names = ("Anna", "Ann", "Ben")
        people = [gallery.enroll(*each).person for each in zip(names, zip(faces), strict=False)]

        def run() -> Mqtt:
            return Mqtt(
                DeviceSection(),
                MqttSection(host="127.0.0.1", port=1),
                outbox_path=path,
                people=gallery.people(),
                is_kept=partial(is_somebodys, gallery),
                on_command=lambda _: None,
            )

        def waiting() -> int:
            with closing(Outbox(path, MqttSection())) as outbox:
                return len(outbox)

        with closing(run()) as mqtt:
            for person in people:
                visit = Visit(f"v{person.person_id}", 1000.0, 1000.0, visitor=person)
                gallery.save_visit(visit)
                mqtt.handle(Recognized(f"e{person.person_id}", 1000.0, visit))
            gallery.merge("Ann", "Anna")
            mqtt.set_people(gallery.people())
        assert waiting() == 3
        run().close()  # and at a start
        assert waiting() == 3
        with closing(run()) as mqtt:
            gallery.forget("Ben")
            mqtt.set_people(gallery.people())
        assert waiting() == 2
        gallery.forget("Anna")  # while no doorbell runs
        run().close()
        assert waiting() == 0
