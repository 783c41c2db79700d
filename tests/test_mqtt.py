import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from doorbell.config import DeviceSection, MqttSection
from doorbell.domain import FaceSample, Left, Person, Stranger, Visit, Visitor
from doorbell.errors import ConfigError
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.household.visit_files import is_kept
from doorbell.outputs.mqtt.client import keepalive_seconds
from doorbell.outputs.mqtt.gallery_view import GalleryView
from doorbell.outputs.mqtt.messages import EventSubject
from doorbell.outputs.mqtt.outbox import Outbox
from doorbell.outputs.mqtt.output import Mqtt
from doorbell.status import KnownVisitors, MuteState, VisitsForgotten

FACES = [FaceSample(face, "any", 0.5) for face in np.eye(128, dtype=np.float32)]


def open_mqtt(folder: Path, **section: Any) -> Mqtt:
    return Mqtt(
        DeviceSection(),
        MqttSection.model_validate({"host": "127.0.0.1", "port": 1, **section}),
        outbox_path=folder / "outbox.sqlite",
        known=KnownVisitors((), set()),
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


def test_closed_it_has_no_socket_open(tmp_path: Path) -> None:
    def sockets() -> set[str]:
        links = [file.readlink() for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
        return {str(link) for link in links if str(link).startswith("socket:")}

    before = sockets()
    mqtt = open_mqtt(tmp_path)
    assert not sockets() <= before
    mqtt.close()
    assert sockets() <= before


@contextmanager
def waiting_for(gallery: Gallery, outbox_path: Path, *visitors: Visitor) -> Iterator[Mqtt]:
    """The output of a daemon with that gallery, without a broker, told that these have come."""
    mqtt = Mqtt(
        DeviceSection(),
        MqttSection(host="127.0.0.1", port=1),
        outbox_path=outbox_path,
        known=KnownVisitors(
            tuple(gallery.people.all()),
            {each.stranger_id for each in gallery.strangers.all()},
        ),
        gallery=GalleryView(partial(is_kept, gallery)),
        on_command=lambda _: None,
    )
    with closing(mqtt):
        for visitor in visitors:
            visit = Visit(f"v{visitor.label}", 1000.0, 1000.0, visitor=visitor)
            gallery.visits.save(visit)
            mqtt.handle(Left(f"e{visitor.label}", 1000.0, visit))
        yield mqtt
        mqtt.handle(
            KnownVisitors(
                tuple(gallery.people.all()), {each.stranger_id for each in gallery.strangers.all()}
            )
        )


def test_whose_a_visit_is_is_asked_while_nobody_waits_for_the_answer(tmp_path: Path) -> None:
    """The gallery may take its time: meanwhile paho's thread and the sender's go on."""
    asked: list[tuple[EventSubject, bool]] = []

    def is_kept(subject: EventSubject) -> bool:
        other = threading.Thread(target=mqtt.handle, args=(MuteState(True),))
        other.start()
        other.join(2.0)
        asked.append((subject, other.is_alive()))
        return True

    anna = Person(1, "Anna")
    mqtt = Mqtt(
        DeviceSection(),
        MqttSection(host="127.0.0.1", port=1),
        outbox_path=tmp_path / "outbox.sqlite",
        known=KnownVisitors((anna,), set()),
        gallery=GalleryView(is_kept),
        on_command=lambda _: None,
    )
    with closing(mqtt):
        for number in range(3):
            visit = Visit("v1", 1000.0, 1000.0, visitor=anna)
            mqtt.handle(Left(f"e{number}", 1000.0, visit))
        mqtt.handle(KnownVisitors((), set()))
    assert asked == [(EventSubject(1, None, "v1"), False)]  # once for all that tell the same


def test_only_who_goes_is_overwritten_on_the_disk_which_takes_its_time(tmp_path: Path) -> None:
    """With each newcomer it would keep the main thread for as long as the disk takes."""
    mqtt = open_mqtt(tmp_path)
    log = next(tmp_path.rglob("*-wal"))
    somebody = Stranger(7, 1000.0, 1000.0, visits=1)
    with closing(mqtt):
        visit = Visit("v1", 1000.0, 1000.0, visitor=somebody)
        mqtt.handle(Left("e1", 1000.0, visit))
        mqtt.handle(KnownVisitors((), {7}))
        mqtt.handle(KnownVisitors((), {7, 8}))
        assert log.stat().st_size > 0
        mqtt.handle(KnownVisitors((), {7}, gone=1))  # whose events were sent
        assert log.stat().st_size == 0


def test_a_visit_that_is_forgotten_waits_no_longer_and_is_no_last_visit(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        names = ("Anna", "Ben")
        people = [
            gallery.people.enroll(name, [EnrolledSample(face)]).person
            for name, face in zip(names, FACES, strict=False)
        ]
        with waiting_for(gallery, path, *people) as mqtt:
            mqtt.handle(VisitsForgotten(("vAnna",)))  # for its age: Anna is still known
        assert waiting(path) == ["Ben"]


def waiting(outbox_path: Path) -> list[str]:
    """The events that wait, each about one visitor."""
    with closing(Outbox(outbox_path, MqttSection())) as outbox:
        numbers = range(1, 10)
        events = [outbox.read(n) for n in numbers if outbox.next_unsent(set(numbers) - {n}) == n]
    return [json.loads(event.document)["event_id"][1:] for event in events if event]


def test_a_merge_loses_no_event_and_forgetting_leaves_none(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        names = ("Anna", "Ann", "Ben")
        people = [
            gallery.people.enroll(name, [EnrolledSample(face)]).person
            for name, face in zip(names, FACES, strict=False)
        ]
        with waiting_for(gallery, path, *people):
            gallery.people.merge("Ann", "Anna")
        assert waiting(path) == ["Anna", "Ann", "Ben"]
        with waiting_for(gallery, path):  # and at a start
            assert waiting(path) == ["Anna", "Ann", "Ben"]
            gallery.people.forget("Ben")
        assert waiting(path) == ["Anna", "Ann"]
        gallery.people.forget("Anna")  # while no doorbell runs
        with waiting_for(gallery, path):
            pass
        assert waiting(path) == []


def test_a_stranger_who_is_forgotten_waits_no_longer_and_one_who_is_named_does(
    tmp_path: Path,
) -> None:
    path = tmp_path / "outbox.sqlite"
    unstored = Stranger(-5, 1000.0, 1000.0, 1)
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        strangers = [gallery.strangers.add([face], 1000.0) for face in FACES[:4]]
        everybody = [stranger.label for stranger in (*strangers, unstored)]
        with waiting_for(gallery, path, *strangers, unstored):
            gallery.strangers.name(1, "Anna")
        assert waiting(path) == everybody
        with waiting_for(gallery, path):
            gallery.strangers.forget(2)
        assert waiting(path) == [label for label in everybody if label != "stranger-2"]
        gallery.strangers.forget(3)  # while no doorbell runs
        with waiting_for(gallery, path):
            assert waiting(path) == ["stranger-1", "stranger-4", unstored.label]
            gallery.people.forget("Anna")  # who came as a stranger
        assert waiting(path) == ["stranger-4", unstored.label]
