"""What the notifier is to tell: kept through kills, full disks and damage, and answered once."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from doorbell.clock import BootTime
from doorbell.config import Config, StorageSection
from doorbell.config.notifications import NotificationsSection
from doorbell.domain import (
    TOKEN_CHARACTERS,
    AnswerToken,
    Arrived,
    Notice,
    Person,
    Recognized,
    Ring,
    Stranger,
    Unknown,
    Visit,
    Visitor,
)
from doorbell.errors import EncryptionError
from doorbell.gallery.gallery import Gallery
from doorbell.household.visit_files import forget_in_files
from doorbell.outputs.notices.journal import Journal, Limits
from doorbell.outputs.notices.journal_file import JournalFile
from doorbell.outputs.notices.output import PART, Notices, drop_waiting
from doorbell.status import (
    CameraCondition,
    CameraState,
    SettingsState,
    State,
    StorageState,
    VisitsForgotten,
)
from doorbell.storage.encryption import NO_CIPHER, AesSivCipher

NOW = BootTime(1_000_000.0, 500.0, "this boot")
DAY = 86400.0
JPEG = b"\xff\xd8" + bytes(100_000)
ANNA = Person(1, "Anna")
STRANGER = Stranger(7, 0.0, 0.0, 1)


def ring(number: int, visit_id: str | None = None) -> Notice:
    return Notice("ring", 1e9, f"ring {number}", visit_id=visit_id or f"v{number}")


def titles(journal: Journal) -> list[str]:
    return [each.notice.title for _, each in journal.take(None, 0, 1000)]


@contextmanager
def opened(path: Path) -> Iterator[Notices]:
    with closing(Notices(path / "notices.sqlite", doors={"": "Porch"})) as notices:
        yield notices


def taken(notices: Notices) -> list[Notice]:
    return [notice for _, notice, _ in notices.take(None, 0, wait_seconds=0.0, limit=50)[1]]


def rings(visitor: Visitor | None, visit_id: str = "v1", *, pressed: bool = False) -> Ring:
    return Ring("e", 1e9, Visit(visit_id, 1e9, 1e9, visitor=visitor), JPEG, pressed=pressed)


def test_what_waits_is_found_again_until_it_is_kept_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "made" / "notices.sqlite"
    with closing(Journal(path)) as journal:
        for number in range(1, 5):
            journal.append(ring(number), JPEG if number == 2 else None)
        of_file = journal.journal_id
        modes = {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
        assert modes == {0o600}
    with closing(Journal(path)) as journal:
        assert journal.journal_id == of_file
        assert journal.picture(2) == JPEG
        assert journal.picture(1) is None
        assert [number for number, _ in journal.take(of_file, 2, 1)] == [3]
        assert titles(journal) == ["ring 3", "ring 4"]
        # Who means another journal has nothing of this one.
        assert [number for number, _ in journal.take("another", 4, 9)] == [3, 4]
        journal.take(of_file, 4, 1)
    with closing(Journal(path)) as journal:
        assert titles(journal) == []
        assert journal.append(ring(5)) == 5  # no number comes twice


def test_a_kill_loses_nothing_that_was_appended(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from doorbell.domain import Ring\n"
        "from doorbell.outputs.notices.output import Notices\n"
        "notices = Notices(Path(sys.argv[1]))\n"
        "for number in range(50):\n"
        "    notices.handle(Ring(f'e{number}', float(number), None, b'picture', pressed=True))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "notices.sqlite"
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    with closing(Journal(path)) as journal:
        kept = journal.take(None, 0, 100)
        assert [each.notice.occurred_at for _, each in kept] == [float(n) for n in range(50)]
        assert {journal.picture(number) for number, _ in kept} == {b"picture"}


def test_too_many_too_old_and_too_large_ones_go_the_oldest_first(tmp_path: Path) -> None:
    moment = NOW
    limits = Limits(notices=10, days=2.0, picture_bytes=350_000, told=5)
    with closing(
        Journal(tmp_path / "notices.sqlite", limits=limits, now=lambda: moment)
    ) as journal:
        for number in range(1, 13):
            moment = replace(NOW, boot_seconds=NOW.boot_seconds + number)
            journal.append(ring(number), JPEG)
        assert titles(journal) == [f"ring {number}" for number in range(3, 13)]
        with_picture = [number for number, each in journal.take(None, 0, 99) if each.picture_bytes]
        assert with_picture == [10, 11, 12]
        assert not journal.was_told("v7", "ring")
        assert journal.was_told("v8", "ring")
        moment = replace(NOW, boot_seconds=NOW.boot_seconds + 2 * DAY + 5.5)
        journal.retry()
        assert titles(journal) == [f"ring {number}" for number in range(6, 13)]
        moment = replace(moment, boot_seconds=moment.boot_seconds + 1.0)
        assert titles(journal) == [f"ring {number}" for number in range(7, 13)], "it was asked for"
        assert [journal.picture(number) for number in with_picture] == [JPEG] * 3


def test_nothing_is_told_after_a_day(tmp_path: Path) -> None:
    moment = NOW
    with closing(Journal(tmp_path / "notices.sqlite", now=lambda: moment)) as journal:
        journal.append(ring(1))
        moment = replace(NOW, boot_seconds=NOW.boot_seconds + DAY + 1.0)
        journal.append(ring(2))
        assert titles(journal) == ["ring 2"]


@pytest.mark.parametrize("content", [b"not a database" * 100, None])
def test_a_file_that_is_no_journal_is_set_aside(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "notices.sqlite"
    if content is None:
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE somebody_elses (id)")
    else:
        path.write_bytes(content)
    with closing(Journal(path)) as journal:
        journal.append(ring(1))
        assert journal.problem is None
    with closing(Journal(path)) as journal:
        assert titles(journal) == ["ring 1"]
    assert (tmp_path / "notices.sqlite.damaged").exists()


def test_damage_under_way_costs_no_notice_and_numbers_begin_anew(tmp_path: Path) -> None:
    path = tmp_path / "notices.sqlite"
    with closing(Journal(path)) as journal:
        for number in range(1, 31):  # more than SQLite keeps in memory
            journal.append(ring(number), JPEG)
    with closing(Journal(path)) as journal:
        before = journal.journal_id
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(path.stat().st_size - 4096))
        journal.picture(1)
        journal.append(ring(31))
        journal.retry()
        assert journal.journal_id != before
    with closing(Journal(path)) as journal:
        assert titles(journal) == [f"ring {number}" for number in range(1, 32)]


def test_what_came_while_the_file_was_out_of_reach_is_behind_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "notices.sqlite"
    with closing(Journal(path)) as journal:
        journal.append(ring(1))
        of_file = journal.journal_id
    path.parent.rename(tmp_path / "away")
    path.parent.write_text("a file where a folder should be")
    with closing(Journal(path)) as journal:
        journal.append(ring(2), JPEG)
        journal.append(ring(3))
        assert journal.problem is not None
        assert journal.journal_id != of_file
        journal.take(journal.journal_id, 1, 1)  # the notifier has ring 2
        path.parent.unlink()
        (tmp_path / "away").rename(path.parent)
        journal.retry()
        assert journal.journal_id == of_file
        assert titles(journal) == ["ring 1", "ring 3"]
    with closing(Journal(path)) as journal:
        assert titles(journal) == ["ring 1", "ring 3"]


@pytest.mark.system
def test_a_full_disk_costs_no_notice(small_disk: Path) -> None:
    told: list[State] = []
    with closing(Notices(small_disk / "notices.sqlite", publish=told.append)) as notices:
        notices.handle(rings(ANNA))
        filling = small_disk / "full"
        with suppress(OSError), filling.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        for number in range(20):
            notices.handle(replace(rings(STRANGER, f"v{number + 2}"), picture_jpeg=JPEG[:5000]))
        assert len(taken(notices)) == 21
        [state] = told
        assert isinstance(state, StorageState)
        assert state.part == PART
        assert state.problem is not None
        assert "full" in state.problem
        notices.handle(state)  # as the bus tells it: it is no news about itself
        filling.unlink()
        notices.handle(VisitsForgotten(("nobody's",)))
        assert told[1:] == [StorageState(PART, None)]
    with closing(Journal(small_disk / "notices.sqlite")) as journal:
        assert len(titles(journal)) == 21


@settings(max_examples=examples(40))
@given(st.data())
def test_whoever_takes_gets_each_once_and_in_order_whatever_happens(data: st.DataObject) -> None:
    """Against a model: a notifier that keeps what it got, and says so at the next taking."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "notices.sqlite"
        journal = Journal(path)
        appended: list[str] = []
        got: dict[str, None] = {}
        mark: tuple[str | None, int] = (None, 0)
        steps = st.sampled_from(["append", "take", "lost answer", "kill", "reopen", "forgetful"])
        for step in data.draw(st.lists(steps, max_size=25)):
            match step:
                case "append":
                    notice = ring(len(appended))
                    journal.append(notice)
                    appended.append(notice.notice_id)
                case "take" | "lost answer":
                    found = journal.take(*mark, data.draw(st.integers(1, 4)))
                    if step == "take":
                        got |= dict.fromkeys(each.notice.notice_id for _, each in found)
                        mark = (journal.journal_id, found[-1][0] if found else mark[1])
                case "kill":
                    journal = Journal(path)  # nothing of the earlier one is closed in order
                case "reopen":
                    journal.close()
                    journal = Journal(path)
                case "forgetful":  # the notifier's own file was lost: what it has it does not know
                    mark = (None, 0)
        while found := journal.take(*mark, 3):
            got |= dict.fromkeys(each.notice.notice_id for _, each in found)
            mark = (journal.journal_id, found[-1][0])
        journal.close()
        assert list(got) == appended


def test_what_is_kept_is_encrypted_and_follows_another_key(tmp_path: Path) -> None:
    path = tmp_path / "notices.sqlite"
    one, other = AesSivCipher(bytes(64)), AesSivCipher(bytes(range(64)))
    with closing(Journal(path)) as journal:
        journal.append(replace(ring(1), title="Annabella"), b"\xff\xd8 her face")
    for before, after in ((NO_CIPHER, one), (one, other)):
        JournalFile.reencrypt(path, before, after)
        held = b"".join(each.read_bytes() for each in tmp_path.iterdir())
        assert b"Annabella" not in held
        assert b"her face" not in held
    with pytest.raises(EncryptionError):
        JournalFile(path, one)
    with closing(Journal(path, one)) as journal:  # the bell rings all the same
        journal.append(ring(2))
        assert journal.problem is not None
        assert titles(journal) == ["ring 2"]
    with closing(Journal(path, other)) as journal:
        assert titles(journal) == ["Annabella"]
        assert journal.picture(1) == b"\xff\xd8 her face"


def test_what_another_key_hides_is_not_dropped_for_what_was_kept_plain(tmp_path: Path) -> None:
    path, key = tmp_path / "notices.sqlite", AesSivCipher(bytes(64))
    with closing(Journal(path)) as journal:
        journal.append(ring(1))
    with closing(Journal(path, key)) as journal:
        journal.append(ring(2))
    with closing(Journal(path)) as journal:  # without the key
        assert journal.problem is not None
        assert "notices that wait for the notifier cannot be read" in journal.problem
    with closing(Journal(path, key)) as journal:
        assert titles(journal) == ["ring 1", "ring 2"]


def test_a_visit_is_told_once_of_a_kind_and_whoever_is_ignored_never(tmp_path: Path) -> None:
    known = Visit("v1", 1e9, 1e9, visitor=ANNA)
    with opened(tmp_path) as notices:
        notices.handle(Arrived("e", 1e9, Visit("v1", 1e9, 1e9)))
        for _ in range(2):
            notices.handle(Recognized("e", 1e9, known, JPEG))
            notices.handle(rings(ANNA))
        notices.handle(rings(ANNA, pressed=True))
        notices.handle(Unknown("e", 1e9, Visit("v2", 1e9, 1e9, visitor=STRANGER)))
        notices.handle(rings(replace(ANNA, ignored=True), "v3", pressed=True))
        notices.handle(Ring("e", 1e9, pressed=True))
    with opened(tmp_path) as notices:  # known after a restart
        notices.handle(rings(ANNA))
        found = taken(notices)
    assert [(n.kind, n.visit_id, n.pressed) for n in found] == [
        ("person", "v1", False),
        ("ring", "v1", False),
        ("ring", "v1", True),
        ("stranger", "v2", False),
        ("ring", None, True),
    ]
    assert found[0].title == "Anna is at the door"
    assert found[0].message.startswith("Porch, ")
    assert found[2].message.endswith("the bell was pressed")
    assert found[0].visitor == {
        "kind": "person",
        "label": "Anna",
        "person_id": 1,
        "name": "Anna",
    }


def test_camera_and_storage_are_told_when_they_fail_and_when_they_work(tmp_path: Path) -> None:
    with closing(Notices(tmp_path / "notices.sqlite", language="de")) as notices:
        for condition in CameraCondition:
            notices.handle(CameraState(condition, "the cable is cut", 1e9))
        notices.handle(StorageState("pictures", "full"))
        notices.handle(StorageState("gallery", "full"))
        notices.handle(StorageState("pictures", None))
        notices.handle(StorageState("gallery", None))
        assert [(each.kind, each.title) for each in taken(notices)] == [
            ("camera", "Die Kamera der Türklingel sieht nichts"),
            ("camera", "Die Kamera der Türklingel sieht wieder"),
            ("storage", "Die Türklingel kann etwas nicht speichern"),
            ("storage", "Die Türklingel speichert wieder alles"),
        ]


def test_of_visits_that_are_forgotten_nothing_is_left_and_the_notifier_hears_it(
    tmp_path: Path,
) -> None:
    with opened(tmp_path) as notices:
        for visit_id in ("gone", "beside", "other"):
            notices.handle(rings(Person(1, f"Visitor-{visit_id}"), visit_id))
        [gone, *_] = taken(notices)
        token = notices.token(gone, "n")
        notices.handle(VisitsForgotten(("never told",)))
        notices.handle(VisitsForgotten(("gone",), ("beside",)))
        assert notices.look(token) is None
        left = notices.take(None, 0, wait_seconds=0.0, limit=9)[1]
        assert [(n.kind, n.visit_id, picture) for _, n, picture in left] == [
            ("ring", "beside", False),
            ("ring", "other", True),
            ("forgotten", None, False),
        ]
        assert (left[-1][1].visits, left[-1][1].beside) == (("gone",), ("beside",))
        held = b"".join(each.read_bytes() for each in tmp_path.iterdir())
        assert b"Visitor-gone" not in held
        assert b"Visitor-other" in held


def test_no_picture_of_before_is_sent_once_privacy_is_switched_on(tmp_path: Path) -> None:
    public, private = SettingsState(0.5), SettingsState(0.5, privacy=True)
    with opened(tmp_path) as notices:
        notices.handle(public)
        notices.handle(private)
        assert taken(notices) == [], "nothing was told yet"
        notices.handle(public)
        notices.handle(rings(STRANGER, "sent"))
        journal_id, [(number, _, _)] = notices.take(None, 0, wait_seconds=0.0, limit=9)
        notices.take(journal_id, number, wait_seconds=0.0, limit=9)  # the notifier has it
        notices.handle(rings(STRANGER, "waits"))
        for _ in range(2):
            notices.handle(private)
        left = notices.take(None, 0, wait_seconds=0.0, limit=9)[1]

    assert [(n.kind, n.visit_id, picture) for _, n, picture in left] == [
        ("ring", "waits", False),
        ("forgotten", None, False),
    ]
    assert left[-1][1].beside == ("sent", "waits")
    assert left[-1][1].visits == ()


def known(notices: Notices, token: AnswerToken) -> tuple[str | None, str | None]:
    """Of which visit a token of ours is, and why it cannot be given."""
    found = notices.look(token)
    assert found is not None
    assert abs(found.told_at - time.time()) < 60.0
    return found.visit_id, found.refusal


def test_an_answer_is_good_once_for_a_day_and_for_its_own_visit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path) as notices:
        notices.handle(rings(STRANGER, "v1"))
        notices.handle(rings(STRANGER, "v2"))
        one, two = taken(notices)
        token = notices.token(one, "p12")
        assert token.fits
        assert known(notices, token) == ("v1", None)
        for altered in (
            replace(token, code="p13"),
            replace(token, notice_id=two.notice_id),
            replace(token, mac=token.mac[:-1] + ("A" if token.mac[-1] != "A" else "B")),
            replace(token, notice_id="never-made"),
            notices.token(replace(one, visit_id="v2"), "p12"),
        ):
            assert notices.look(altered) is None
        assert notices.use(token) is None
    with opened(tmp_path) as notices:  # neither forgotten nor good again after a restart
        assert known(notices, token) == ("v1", "it was given already")
        assert notices.use(token) == "it was given already"
        notices.give_back(token)
        assert known(notices, token) == ("v1", None)
        other = notices.token(one, "n")
        now = BootTime.now()
        later = replace(now, boot_seconds=now.boot_seconds + DAY + 60)
        monkeypatch.setattr(BootTime, "now", lambda: later)
        assert notices.use(other) == "it is older than a day"
    key = tmp_path / "notices.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.write_bytes(b"short")
    with opened(tmp_path) as notices:  # a damaged key is replaced: nothing of before is good
        assert notices.look(other) is None
        assert len(key.read_bytes()) == 32


@given(st.text(max_size=80))
def test_no_text_is_taken_for_a_token(text: str) -> None:
    token = AnswerToken.parse(text)
    assert token is None or (str(token) == text and len(text) <= TOKEN_CHARACTERS)


def test_whoever_waits_is_told_at_once_and_let_go_at_the_end(tmp_path: Path) -> None:
    notices = Notices(tmp_path / "notices.sqlite")
    found: list[Sequence[object]] = []

    def take() -> None:
        found.append(notices.take(None, 0, wait_seconds=20.0, limit=9)[1])

    ends: list[Callable[[], None]] = [lambda: notices.handle(rings(ANNA)), notices.close]
    for end in ends:
        waiting = threading.Thread(target=take)
        waiting.start()
        time.sleep(0.05)
        end()
        waiting.join(2.0)
        assert not waiting.is_alive()
        if len(found) == 1:
            journal_id = notices.take(None, 0, wait_seconds=0.0, limit=9)[0]
            notices.take(journal_id, 1, wait_seconds=0.0, limit=9)
    assert [len(each) for each in found] == [1, 0]


def test_a_notice_that_somebody_else_wrote_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "notices.sqlite"
    with closing(Journal(path)) as journal:
        journal.append(ring(1))
        journal.append(ring(2))
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            "UPDATE notices SET document = ? WHERE number = 1", (json.dumps({"a": 1}).encode(),)
        )
        database.commit()
    with closing(Journal(path)) as journal:
        assert titles(journal) == ["ring 2"]
        journal.append(ring(3))
    with closing(JournalFile(path, NO_CIPHER)) as file:
        assert file.waiting()[1] == set()


@pytest.mark.parametrize("enabled", [True, False])
def test_the_command_line_forgets_without_a_daemon_and_leaves_word_of_it(
    tmp_path: Path, enabled: bool
) -> None:
    section = NotificationsSection(enabled=enabled)
    config = Config(storage=StorageSection(directory=tmp_path), notifications=section)
    with Gallery.open(config.storage.gallery_path) as gallery:
        with closing(Notices(config.storage.notices_path)) as notices:
            notices.handle(rings(ANNA, "gone"))
        forget_in_files(gallery, config, VisitsForgotten(("gone",)))
    with closing(Notices(config.storage.notices_path)) as notices:
        [left] = taken(notices)
    assert (left.kind, left.visits) == ("forgotten", ("gone",))


def test_once_notifications_are_switched_off_nothing_waits_any_more(tmp_path: Path) -> None:
    path = tmp_path / "notices.sqlite"
    drop_waiting(path)
    assert not path.exists()
    with opened(tmp_path) as notices:
        notices.handle(rings(Person(1, "Visitor-one"), "gone"))
        notices.handle(rings(Person(2, "Visitor-two"), "waits"))
        notices.handle(VisitsForgotten(("gone",)))
    drop_waiting(path)
    held = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert b"Visitor" not in held
    with opened(tmp_path) as notices:
        assert [each.kind for each in taken(notices)] == ["forgotten"]
