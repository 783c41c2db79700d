from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from notice_journal import ANNA, ANSWERS, STRANGER, Clock, jpeg, notice

from doorbell.notifier.file import FILE_NAME, NotifierFileError
from doorbell.notifier.notices import Notice
from doorbell.notifier.rules import Past
from doorbell.notifier.store import NotifierStore

NOW = 1_700_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[NotifierStore]:
    with closing(NotifierStore(tmp_path)) as opened:
        yield opened


def keep(store: NotifierStore, told: Notice, *targets: str, at: float = NOW) -> None:
    store.keep(replace(told, occurred_at=at), jpeg(), targets, journal="j", now=Clock(at).moment())


def test_what_waits_outlives_a_new_start(tmp_path: Path) -> None:
    told = notice("a", number=4, visitor=ANNA, visit_id="v", answers=ANSWERS)
    with closing(NotifierStore(tmp_path)) as store:
        keep(store, told, "anna", "ben")
        store.done("ben", "a", last_at=NOW + 1)
    with closing(NotifierStore(tmp_path)) as store:
        assert store.progress() == ("j", 4)
        assert store.waiting_ids("anna") == ["a"]
        assert store.waiting_ids("ben") == []
        kept = store.read("a")
        assert kept is not None
        assert kept.notice == replace(told, occurred_at=NOW)
        assert kept.picture == jpeg()
        assert kept.kept == Clock(NOW).moment()
        assert store.last_answer("ben") == (NOW + 1, None)


def test_the_file_is_for_its_owner_alone(tmp_path: Path, store: NotifierStore) -> None:
    keep(store, notice("a"), "anna")

    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_notice_that_comes_twice_waits_once_and_is_told_once(store: NotifierStore) -> None:
    keep(store, notice("a"), "anna")
    keep(store, notice("a"), "anna")
    assert store.waiting_ids("anna") == ["a"]

    store.done("anna", "a", last_at=NOW)
    keep(store, notice("a", number=1), "anna")

    assert store.waiting_ids("anna") == []
    assert store.read("a") is None


def test_a_picture_goes_as_soon_as_nobody_waits_for_it(tmp_path: Path) -> None:
    with closing(NotifierStore(tmp_path)) as store:
        keep(store, notice("a", message="of Anna"), "anna", "ben")
        store.done("anna", "a")
        assert store.read("a") is not None
        store.done("ben", "a")
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())

    assert jpeg()[:40] not in left
    assert b"of Anna" not in left


def test_what_was_told_counts_for_an_hour_and_for_its_visit(store: NotifierStore) -> None:
    keep(store, notice("a", "person", visit_id="v", visitor=ANNA), "anna", at=NOW - 3601)
    keep(store, notice("b", visit_id="v", visitor=STRANGER), "anna", at=NOW - 3599)
    keep(store, notice("c", "camera"), "anna", at=NOW)

    def past_of(target: str, told: Notice, at: float = NOW) -> Past:
        return store.past(target, replace(told, occurred_at=at))

    past = past_of("anna", notice("d", visit_id="v"))
    assert past.within_hour == 2
    assert past.announced == {"person 1", "somebody"}
    assert past_of("anna", notice("d", visit_id="w")).announced == frozenset()
    assert past_of("ben", notice("d", visit_id="v")).within_hour == 0
    # A clock that was set back does not silence anybody.
    assert past_of("anna", notice("d"), NOW - 86400.0).within_hour == 0
    # That it was kept itself, before a kill, does not count.
    assert past_of("anna", notice("b", visit_id="v")).announced == {"person 1"}


def test_what_is_forgotten_leaves_no_bytes(tmp_path: Path, store: NotifierStore) -> None:
    keep(store, notice("a", visit_id="visit-one", message="Anna was here"), "anna")
    keep(store, notice("b", visit_id="visit-two", message="Ben was here"), "anna")
    keep(store, notice("c", visit_id="visit-three", message="Cem was here"), "anna")
    keep(store, notice("d", "camera", message="It sees nothing"), "anna")
    gone = notice("e", "forgotten", number=9, visits=("visit-one",), beside=("visit-two",))
    store.forget(gone, journal="j")

    assert store.waiting_ids("anna") == ["b", "c", "d"]
    pictures = [store.read(each) for each in ("b", "c", "d")]
    assert [each is not None and each.picture is not None for each in pictures] == [
        False,
        True,
        False,
    ]
    assert store.progress() == ("j", 9)
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"Anna was here" not in left
    assert b"visit-one" not in left
    assert b"Ben was here" in left


def test_who_is_no_target_any_more_is_not_kept_for(store: NotifierStore) -> None:
    keep(store, notice("a"), "anna", "ben")
    store.note_problem("ben", "it refuses")

    assert store.tidy({"anna"}, NOW) == {"ben": 1}
    assert store.waiting_ids("anna") == ["a"]
    assert store.last_answer("ben") == (None, None)
    assert store.tidy({"anna"}, NOW) == {}


def test_a_damaged_file_is_set_aside_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"SQLite format 3\0" + b"rubbish" * 1000)
    with closing(NotifierStore(tmp_path)) as store:
        keep(store, notice("a"), "anna")
        assert store.waiting_ids("anna") == ["a"]

    assert (tmp_path / f"{FILE_NAME}.damaged").read_bytes().endswith(b"rubbish")
    assert "was damaged" in caplog.text


def test_a_trigger_that_is_none_of_ours_never_runs(tmp_path: Path) -> None:
    NotifierStore(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute(
            "CREATE TRIGGER evil AFTER INSERT ON notices BEGIN DELETE FROM notices; END"
        )
    with closing(NotifierStore(tmp_path)) as store:
        keep(store, notice("a"), "anna")
        assert store.waiting_ids("anna") == ["a"]
    assert (tmp_path / f"{FILE_NAME}.damaged").exists()


def test_a_folder_out_of_reach_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotifierFileError, match=r"notifications\.directory"):
        NotifierStore(tmp_path / "file")


def test_a_second_notifier_with_the_same_file_is_refused(tmp_path: Path) -> None:
    with closing(NotifierStore(tmp_path)), pytest.raises(NotifierFileError, match="another"):
        NotifierStore(tmp_path)
    NotifierStore(tmp_path).close()


@pytest.mark.parametrize("document", ["{", "[]", '{"number": 1}'])
def test_what_was_altered_holds_up_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, document: str
) -> None:
    with closing(NotifierStore(tmp_path)) as store:
        keep(store, notice("altered"), "anna")
        keep(store, notice("whole"), "anna")
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as database:
        change = "UPDATE notices SET document = ? WHERE notice_id = 'altered'"
        database.execute(change, (document,))
        database.commit()
    with closing(NotifierStore(tmp_path)) as store:
        assert store.read("altered") is None
        assert store.waiting_ids("anna") == ["whole"]
        assert store.read("whole") is not None
    assert "altered on the disk" in caplog.text
