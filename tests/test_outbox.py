"""What waits for the broker: order, limits, kills, full disks and damaged files."""

import json
import logging
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from doorbell.clock import BootTime
from doorbell.config import DeviceSection, MqttSection
from doorbell.domain import Ring
from doorbell.errors import EncryptionError
from doorbell.outputs.mqtt.connection import BrokerConnection
from doorbell.outputs.mqtt.image import RetainedImage
from doorbell.outputs.mqtt.image_record import ImageRecord
from doorbell.outputs.mqtt.messages import EventSubject, encode, late_event
from doorbell.outputs.mqtt.outbox import Outbox
from doorbell.outputs.mqtt.outbox_sender import OutboxSender
from doorbell.outputs.mqtt.outbox_store import OutboxFile, QueuedEvent
from doorbell.outputs.mqtt.retained import RetainedMessages
from doorbell.outputs.mqtt.topics import Topics
from doorbell.status import KnownVisitors
from doorbell.storage.encryption import NO_CIPHER, AesSivCipher, Cipher

NOW = BootTime(1_000_000.0, 500.0, "this boot")
DAY = 86400.0
SECTION = MqttSection(outbox_events=100, outbox_megabytes=1, outbox_days=7)
PICTURE = b"\xff\xd8" + bytes(100_000)


def later(seconds: float) -> BootTime:
    return replace(
        NOW, wall_seconds=NOW.wall_seconds + seconds, boot_seconds=NOW.boot_seconds + seconds
    )


def waiting(outbox: Outbox) -> list[QueuedEvent]:
    found: list[QueuedEvent] = []
    while (number := outbox.next_unsent([event.number for event in found])) is not None:
        event = outbox.read(number)
        assert event is not None
        found.append(event)
    return found


def documents(outbox: Outbox) -> list[bytes]:
    return [event.document for event in waiting(outbox)]


@contextmanager
def opened(
    path: Path, section: MqttSection = SECTION, cipher: Cipher = NO_CIPHER
) -> Iterator[Outbox]:
    with closing(Outbox(path, section, cipher)) as outbox:
        yield outbox


def test_what_waits_is_found_again_in_order_and_numbered_on(tmp_path: Path) -> None:
    path = tmp_path / "made" / "outbox.sqlite"
    with opened(path) as outbox:
        first = outbox.append(b"one", PICTURE, NOW)
        outbox.append(b"two", None, NOW)
        outbox.append(b"three", None, NOW)
        outbox.remove(first.number + 1)
    with opened(path) as outbox:
        outbox.append(b"four", None, later(1))
        assert [(e.document, e.picture) for e in waiting(outbox)] == [
            (b"one", PICTURE),
            (b"three", None),
            (b"four", None),
        ]
        assert waiting(outbox)[0].kept == NOW


def test_its_files_are_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "made" / "outbox.sqlite"
    with opened(path) as outbox:
        outbox.append(b"one", None, NOW)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert set(modes.values()) == {0o600}
        assert {"outbox.sqlite", "outbox.sqlite-wal"} <= modes.keys()
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o644)
    with opened(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_kill_loses_nothing_that_was_appended(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from doorbell.config import MqttSection\n"
        "from doorbell.outputs.mqtt.outbox import Outbox\n"
        "from doorbell.clock import BootTime\n"
        "outbox = Outbox(Path(sys.argv[1]), MqttSection())\n"
        "for number in range(50):\n"
        "    outbox.append(b'%d' % number, b'picture', BootTime.now())\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    with opened(path) as outbox:
        assert documents(outbox) == [b"%d" % number for number in range(50)]
        assert {event.picture for event in waiting(outbox)} == {b"picture"}


def test_the_oldest_pictures_go_before_any_event(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "outbox.sqlite"
    with opened(path) as outbox:
        for number in range(14):
            outbox.append(b"%d" % number, PICTURE, NOW)
        kept = waiting(outbox)
        assert [event.document for event in kept] == [b"%d" % number for number in range(14)]
        assert [event.picture is not None for event in kept] == [False] * 5 + [True] * 9
        assert (outbox.events_dropped, outbox.pictures_dropped) == (0, 5)
        # One event alone may be larger than all that fits: it goes, and nothing else is kept long.
        outbox.append(bytes(1_000_001), None, NOW)
        assert documents(outbox) == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "the oldest pictures are dropped" in caplog.records[0].message
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM pictures").fetchone() == (0,)


def test_too_many_and_too_old_events_are_dropped_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with opened(tmp_path / "outbox.sqlite") as outbox:
        for number in range(130):
            outbox.append(b"%d" % number, None, NOW if number < 40 else later(DAY))
        assert documents(outbox) == [b"%d" % number for number in range(30, 130)]
        outbox.retry(later(7 * DAY + 1))
        assert documents(outbox) == [b"%d" % number for number in range(40, 130)]
        assert outbox.events_dropped == 40
        outbox.remove(*[event.number for event in waiting(outbox)])
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "dropped since the start: 40 events" in caplog.records[1].message


def test_age_is_by_the_machines_own_clock_until_it_starts_again() -> None:
    stepped = replace(later(5), wall_seconds=9e9)
    assert stepped.seconds_since(NOW) == 5
    rebooted = BootTime(NOW.wall_seconds + 60, 3.0, "the next boot")
    assert rebooted.seconds_since(NOW) == 60
    assert BootTime.now().seconds_since(BootTime.now()) <= 0


@pytest.mark.parametrize("content", [b"not a database" * 100, None])
def test_a_file_that_is_no_outbox_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    path = tmp_path / "outbox.sqlite"
    if content is None:
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE somebody_elses (id)")
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with opened(path) as outbox:
        outbox.append(b"one", None, NOW)
        assert outbox.on_disk
    with opened(path) as outbox:
        assert documents(outbox) == [b"one"]
    [record] = caplog.records
    assert record.levelname == "ERROR"
    assert "set aside as" in record.message
    if content is not None:
        assert (tmp_path / "outbox.sqlite.damaged").read_bytes() == before


def test_a_file_that_is_damaged_while_it_is_open_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "outbox.sqlite"
    section = MqttSection()
    with opened(path, section) as outbox:
        for number in range(60):  # more than SQLite keeps in memory
            outbox.append(b"%d" % number, PICTURE, NOW)
    with opened(path, section) as outbox:
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(path.stat().st_size - 4096))
        assert not all(outbox.read(number) for number in range(1, 61))
        assert len(outbox) == 0
        outbox.append(b"new", None, NOW)
        outbox.retry(NOW)
        assert documents(outbox) == [b"new"]
        assert outbox.on_disk
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    with opened(path) as outbox:
        assert documents(outbox) == [b"new"]


def test_a_file_that_is_damaged_while_a_picture_is_attached_takes_the_picture_along(
    tmp_path: Path,
) -> None:
    path = tmp_path / "outbox.sqlite"
    with opened(path, MqttSection()) as outbox:
        first = outbox.append(b"one", None, NOW)
        kept = outbox.append(b"two", None, NOW)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("ALTER TABLE pictures RENAME TO somebody_elses")
        outbox.attach({first.number: PICTURE})  # a fault that is no damage: the file is let go
        outbox.remove(kept.number)
        path.write_bytes(b"not a database" * 100)
        outbox.retry(NOW)
        assert len(outbox) == 0
        for number in range(100):  # more than memory would hold
            outbox.append(b"%d" % number, PICTURE, NOW)
        assert outbox.on_disk
        assert {event.picture for event in waiting(outbox)} == {PICTURE}
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("SELECT count(*) FROM pictures").fetchone() == (100,)


def test_a_picture_that_the_disk_refused_waits_for_its_event_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    with opened(path) as outbox:
        event = outbox.append(b"one", None, NOW)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("ALTER TABLE pictures RENAME TO somebody_elses")
            outbox.attach({event.number: PICTURE})
            other.execute("ALTER TABLE somebody_elses RENAME TO pictures")
        outbox.retry(NOW)
        for number in range(9):
            outbox.append(b"%d" % number, PICTURE, NOW)
        assert [event.picture is not None for event in waiting(outbox)] == [False] + [True] * 9


class DefectiveOutbox(Outbox):
    """One with a defect."""

    def append(self, document: bytes, picture: bytes | None, now: BootTime) -> QueuedEvent:
        raise KeyError(document, picture, now)

    def retry(self, now: BootTime) -> None:
        raise KeyError(now)


def test_a_defect_of_the_outbox_reaches_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    topics = Topics("front-door")
    connection = BrokerConnection(SECTION, "doorbell", topics.availability)
    retained = RetainedMessages(
        DeviceSection(), SECTION, topics, connection, known=KnownVisitors((), set())
    )
    outbox = DefectiveOutbox(tmp_path / "outbox.sqlite", SECTION)
    record = ImageRecord.beside(tmp_path / "outbox.sqlite", NO_CIPHER)
    image = RetainedImage(SECTION, connection, retained, record)
    sender = OutboxSender(SECTION, topics, outbox, connection, retained, image=image)
    sender.add(Ring("e", 1000.0))
    sender.begin()
    sender.acknowledge(1)
    time.sleep(0.2)
    assert "mqtt-outbox" in [thread.name for thread in threading.enumerate()]
    sender.close()
    image.close()
    connection.close()
    [error] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "a defect in the outbox" in error.message


def test_where_nothing_can_be_written_events_wait_in_memory_until_it_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "folder" / "outbox.sqlite"
    with opened(path) as outbox:
        for text in (b"one", b"two"):
            outbox.append(text, None, NOW)
    elsewhere = path.parent.rename(tmp_path / "elsewhere")
    path.parent.write_text("a file where a folder should be")
    with opened(path) as outbox:
        assert not outbox.on_disk
        events = [outbox.append(text, PICTURE, NOW) for text in (b"three", b"four")]
        outbox.remove(events[0].number)
        assert documents(outbox) == [b"four"]
        path.parent.unlink()
        elsewhere.rename(path.parent)
        outbox.retry(NOW)
        assert outbox.on_disk
        assert documents(outbox) == [b"one", b"two", b"four"]
        assert outbox.next_unsent(()) != events[1].number
        outbox.append(b"five", None, NOW)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "wait in memory" in caplog.records[0].message
    with opened(path) as outbox:
        assert documents(outbox) == [b"one", b"two", b"four", b"five"]
        assert waiting(outbox)[2].picture == PICTURE


def test_memory_holds_few_pictures_and_what_is_lost_at_the_end_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "folder").write_text("a file where a folder should be")
    section = MqttSection(outbox_megabytes=64)
    with opened(tmp_path / "folder" / "outbox.sqlite", section) as outbox:
        for number in range(100):
            outbox.append(b"%d" % number, PICTURE, NOW)
        pictures = [event.picture is not None for event in waiting(outbox)]
        assert pictures == [False] * 21 + [True] * 79
    assert "100 events that the broker does not have are lost" in caplog.records[-1].message


def test_a_locked_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    with opened(path) as outbox:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            outbox.append(b"one", None, NOW)
            assert not outbox.on_disk
            assert documents(outbox) == [b"one"]
        outbox.append(b"two", None, NOW)
        assert outbox.on_disk
        assert documents(outbox) == [b"one", b"two"]


def test_events_that_the_broker_takes_while_nothing_can_be_written_are_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "outbox.sqlite"
    with opened(path) as outbox:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for text in (b"one", b"two"):
                outbox.remove(outbox.append(text, None, NOW).number)
        outbox.append(b"three", None, NOW)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_who_is_forgotten_waits_no_longer_nor_does_the_visit(tmp_path: Path) -> None:
    def about(visit_id: str | None, person_id: int | None) -> bytes:
        return encode({"event_type": "ring", "visit_id": visit_id, "person_id": person_id})

    told = [("v1", None), ("v1", 1), ("v2", 2), (None, None), ("v3", None), ("v1", None)]
    with opened(tmp_path / "outbox.sqlite") as outbox:
        for visit_id, person_id in told:
            outbox.append(about(visit_id, person_id), b"pixels of " + str(visit_id).encode(), NOW)
        outbox.append(b"no document", None, NOW)
        assert list(outbox.subjects().values()) == [
            *(EventSubject(person_id, None, visit_id) for visit_id, person_id in told),
            EventSubject(),
        ]
        outbox.forget([])
        assert len(outbox) == len(told) + 1
        outbox.forget_visits({"v1"})
        assert outbox.events_dropped == 3
        kept = [about("v2", 2), about(None, None), about("v3", None), b"no document"]
        assert documents(outbox) == kept
        outbox.forget([n for n, subject in outbox.subjects().items() if subject.visit_id == "v3"])
        assert documents(outbox) == [kept[0], kept[1], kept[3]]
        held = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert [b"pixels of v%d" % number in held for number in (1, 2, 3)] == [False, True, False]


def test_whom_an_event_tells_of_is_found_without_reading_its_picture(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "outbox.sqlite"
    key = AesSivCipher(bytes(64))
    with opened(path, cipher=key) as outbox:
        for number in (1, 2):
            outbox.append(encode({"visit_id": f"v{number}"}), PICTURE, NOW)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE pictures SET jpeg = substr(jpeg, 1, 20) WHERE number = 1")
    with opened(path, cipher=key) as outbox:
        outbox.forget_visits({"v2"})
        assert list(outbox.subjects()) == [1]
        assert "dropped: " not in caplog.text
        assert outbox.read(1) is None  # its picture was altered


def test_pictures_that_are_wanted_no_longer_leave_their_events(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    with opened(path) as outbox:
        outbox.append(b"one", b"pixels", NOW)
    with opened(path) as outbox:
        outbox.drop_pictures()
        assert [(event.document, event.picture) for event in waiting(outbox)] == [(b"one", None)]
        assert b"pixels" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


def test_with_a_key_nothing_readable_waits_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    key = AesSivCipher(bytes(range(64)))
    with opened(path) as outbox:
        outbox.append(b"Anna came, plainly", b"plain pixels", NOW)
    with opened(path, cipher=key) as outbox:
        assert documents(outbox) == [b"Anna came, plainly"]  # kept before there was a key
        outbox.append(b"Anna came, secretly", b"secret pixels", NOW)
        held = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert b"plainly" in held
        assert b"secret" not in held
    OutboxFile.reencrypt(path, NO_CIPHER, key)
    held = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert not any(word in held for word in (b"Anna", b"pixels"))
    OutboxFile.reencrypt(path, NO_CIPHER, key)  # once more, as after an interruption
    expected = [
        (b"Anna came, plainly", b"plain pixels"),
        (b"Anna came, secretly", b"secret pixels"),
    ]
    with opened(path, cipher=key) as outbox:
        assert [(event.document, event.picture) for event in waiting(outbox)] == expected
    OutboxFile.reencrypt(path, key, NO_CIPHER)
    with opened(path) as outbox:
        assert [(event.document, event.picture) for event in waiting(outbox)] == expected
    OutboxFile.reencrypt(tmp_path / "none", NO_CIPHER, key)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("other", [NO_CIPHER, AesSivCipher(bytes(range(64)))])
def test_what_waits_by_another_key_is_refused_and_stays(tmp_path: Path, other: Cipher) -> None:
    path = tmp_path / "outbox.sqlite"
    key = AesSivCipher(bytes(64))
    with opened(path, cipher=key) as outbox:
        outbox.append(b"one", PICTURE, NOW)
    for _ in range(2):
        with pytest.raises(
            EncryptionError, match=r"storage\.key_file.*outbox\.sqlite, and they are lost"
        ):
            Outbox(path, SECTION, other)
    with pytest.raises(EncryptionError, match="stay as they are"):
        OutboxFile.reencrypt(path, other, AesSivCipher(bytes(range(1, 65))))
    with opened(path, cipher=key) as outbox:
        assert [(event.document, event.picture) for event in waiting(outbox)] == [(b"one", PICTURE)]
        outbox.remove(1)
    with opened(path, cipher=other) as outbox:  # nothing waits: any key will do
        outbox.append(b"two", None, NOW)
    with opened(path, cipher=other) as outbox:
        assert documents(outbox) == [b"two"]


@pytest.mark.parametrize("others", [0, 2])
def test_an_altered_event_goes_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, others: int
) -> None:
    path = tmp_path / "outbox.sqlite"
    key = AesSivCipher(bytes(64))
    with opened(path, cipher=key) as outbox:
        for number in range(others + 1):
            outbox.append(b"%d" % number, None, NOW)
    with closing(sqlite3.connect(path)) as database, database:
        (encrypted,) = database.execute("SELECT document FROM events WHERE number = 1").fetchone()
        altered = encrypted[:-1] + bytes([encrypted[-1] ^ 1])
        database.execute("UPDATE events SET document = ? WHERE number = 1", (altered,))
    with opened(path, cipher=key) as outbox:
        assert outbox.read(1) is None
        assert documents(outbox) == [b"%d" % number for number in range(1, others + 1)]
        assert outbox.events_dropped == 1
    with opened(path, cipher=key) as outbox:
        assert len(outbox) == others
    [record] = caplog.records
    assert "an event that waited for the broker is dropped" in record.message


@settings(max_examples=examples(12), deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.booleans()),
            st.tuples(st.just("remove"), st.integers(0, 5)),
            st.tuples(st.just("attach"), st.integers(0, 5)),
            st.tuples(st.just("reopen"), st.none()),
        ),
        max_size=40,
    )
)
def test_it_is_a_list_that_outlives_its_process(steps: list[tuple[str, int | None]]) -> None:
    model: list[tuple[bytes, bytes | None]] = []
    with TemporaryDirectory() as folder:
        path = Path(folder, "outbox.sqlite")
        outbox = Outbox(path, SECTION)
        for index, (step, value) in enumerate(steps):
            place = None if value is None or value >= len(model) else int(value)
            match step:
                case "append":
                    picture = b"picture" if value else None
                    outbox.append(b"%d" % index, picture, NOW)
                    model.append((b"%d" % index, picture))
                case "remove" if place is not None:
                    outbox.remove(waiting(outbox)[place].number)
                    del model[place]
                case "attach" if place is not None:
                    outbox.attach({waiting(outbox)[place].number: b"later"})
                    model[place] = (model[place][0], b"later")
                case "reopen":
                    outbox.close()
                    outbox = Outbox(path, SECTION)
            assert [(e.document, e.picture) for e in waiting(outbox)] == model
            assert len(outbox) == len(model)
        outbox.close()


def test_a_late_event_has_a_type_of_its_own_and_says_so() -> None:
    document = encode({"event_type": "ring", "late": False, "person": "Zoë"})
    assert json.loads(late_event(document)) == {
        "event_type": "late_ring",
        "late": True,
        "person": "Zoë",
    }
    for content in (b"", b"[]", b"{}", b'{"event_type": 3}'):
        with pytest.raises(ValueError, match=r"."):
            late_event(content)


def test_an_outbox_with_a_trigger_that_is_none_of_ours_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "outbox.sqlite"
    with opened(path) as outbox:
        outbox.append(b"one", None, NOW)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE kept (document BLOB)")
        other.execute(
            "CREATE TRIGGER keeps AFTER DELETE ON events BEGIN "
            "INSERT INTO kept VALUES (OLD.document); END"
        )
    with opened(path) as outbox:
        outbox.append(b"two", None, NOW)
        assert documents(outbox) == [b"two"]
    assert "none of ours" in caplog.text
    assert path.with_name("outbox.sqlite.damaged").exists()
