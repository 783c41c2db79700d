"""What answers on the control socket: nothing lies about, and nothing is done twice at once."""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from zipfile import ZipFile

import pytest
from typing_extensions import Self

from doorbell.config import Config, StorageSection
from doorbell.control import requests
from doorbell.daemon.control.gallery_executor import GalleryExecutor
from doorbell.daemon.control.output import Latest
from doorbell.daemon.control.people import PeopleRequests
from doorbell.daemon.control.status import StatusRequests
from doorbell.daemon.control.visits import VisitRequests
from doorbell.domain import Visit
from doorbell.errors import ControlError, RefusedError
from doorbell.gallery.gallery import Gallery


def test_an_export_never_lies_on_the_disk(storage: Path) -> None:
    section = StorageSection(directory=storage)
    with Gallery.of(section) as gallery:
        person_id = gallery.people.get("Anna").person_id
    made: set[str] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            made.update(os.listdir(storage))  # noqa: PTH208 - an entry may be gone by now

    with closing(GalleryExecutor(section)) as executor:
        people = PeopleRequests(section, executor, VisitRequests(section, executor, time.time))
        people.export(requests.ExportPerson(person_id=person_id))
        there = set(os.listdir(storage))  # noqa: PTH208
        looking = threading.Thread(target=look)
        looking.start()
        try:
            for _ in range(20):
                answer = people.export(requests.ExportPerson(person_id=person_id))
        finally:
            ended.set()
            looking.join()
    assert made == there
    with ZipFile(io.BytesIO(answer.blob)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["person.json", "pictures/v2.jpg"]


def test_what_waited_too_long_is_not_done_later(storage: Path) -> None:
    done: list[str] = []
    holding = threading.Event()

    def hold(_gallery: Gallery) -> None:
        holding.wait(5.0)

    with closing(GalleryExecutor(StorageSection(directory=storage), wait_seconds=0.2)) as executor:
        with pytest.raises(ControlError, match="in time"):
            executor.run(hold)
        with pytest.raises(ControlError, match="in time"):
            executor.run(lambda _gallery: done.append("late"))
        holding.set()
        executor.run(lambda _gallery: done.append("next"))
    assert done == ["next"]


class _Silence:
    is_quiet = False

    def play(self, name: str) -> str | None:
        del name
        return None

    def is_quiet_at(self, epoch_seconds: float) -> bool:
        del epoch_seconds
        return self.is_quiet


class _Asking(threading.Thread):
    """Asks in a thread of its own."""

    def __init__(self, ask: Callable[[], object]) -> None:
        super().__init__(target=ask)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.join()


@contextmanager
def _checked_by(storage: Path, code: str, chimes: _Silence) -> Iterator[StatusRequests]:
    section = StorageSection(directory=storage)
    with closing(GalleryExecutor(section)) as executor:
        yield StatusRequests(
            Config(),
            Latest(),
            visits=VisitRequests(section, executor, time.time),
            chimes=chimes,
            chime_wav=lambda _name: b"",
            notifications=lambda: {"enabled": False},
            broker=None,
            check_command=(sys.executable, "-c", code),
        )


def test_in_the_quiet_hours_a_check_is_heard_by_nobody(storage: Path) -> None:
    code = (
        "import json, sys; config = json.load(sys.stdin); "
        "print(json.dumps([config[section]['volume'] for section in ('chime', 'talk')]))"
    )
    chimes = _Silence()
    with _checked_by(storage, code, chimes) as status:
        aloud = [Config().chime.volume, Config().talk.volume]
        assert status.check(requests.Check()).document == {"findings": aloud}
        chimes.is_quiet = True
        assert status.check(requests.Check()).document == {"findings": [0.0, 0.0]}


def test_one_check_is_made_at_a_time(storage: Path, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    code = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(1); print('[]')"
    with _checked_by(storage, code, _Silence()) as status:
        with _Asking(lambda: status.check(requests.Check())):
            end = time.monotonic() + 10.0
            while not begun.exists() and time.monotonic() < end:
                time.sleep(0.01)
            with pytest.raises(RefusedError, match="goes on already"):
                status.check(requests.Check())
        assert status.check(requests.Check()).document == {"findings": []}


def test_the_doorbell_stops_in_time_whatever_is_done_with_the_gallery(storage: Path) -> None:
    begun, ended = threading.Event(), threading.Event()

    def long(_gallery: Gallery) -> None:
        begun.set()
        ended.wait(30.0)

    executor = GalleryExecutor(StorageSection(directory=storage))
    with _Asking(lambda: executor.run(long)):
        assert begun.wait(10.0)
        started = time.monotonic()
        executor.close()
        took = time.monotonic() - started
        ended.set()
    assert took < 3.0
    with pytest.raises(ControlError, match="stops"):
        executor.run(lambda _gallery: None)


def test_visits_are_asked_for_by_door_page_by_page(storage: Path) -> None:
    section = StorageSection(directory=storage)
    with Gallery.of(section) as gallery:
        earlier = {visit.visit_id for visit in gallery.visits.newest(9)}
        for number in range(6):
            door_id = ("front", "side")[number % 2]
            at = 10_000.0 + number
            gallery.visits.save(Visit(f"w{number}", at, at, at, door_id=door_id))
    with closing(GalleryExecutor(section)) as executor:
        visits = VisitRequests(section, executor, lambda: 10_100.0, "front")

        def listed(door_id: str | None) -> list[tuple[str, str]]:
            found, before = [], None
            while True:
                request = requests.ListVisits(limit=2, before=before, door_id=door_id)
                told = visits.listed(request).document
                found += [(each["visit_id"], each["door_id"]) for each in told["visits"]]
                before = told["more"]
                if before is None:
                    return found

        at_the_side = [("w5", "side"), ("w3", "side"), ("w1", "side")]
        assert listed("side") == at_the_side
        front = listed("front")
        assert front[:3] == [("w4", "front"), ("w2", "front"), ("w0", "front")]
        assert {visit_id for visit_id, _ in front[3:]} == earlier
        assert {door_id for _, door_id in front} == {"front"}
        assert sorted(listed(None)) == sorted(at_the_side + front)
        assert listed("back") == []
        got = visits.get(requests.GetVisit(visit=min(earlier))).document
        assert got["visit"]["door_id"] == "front"

        def came(door_id: str | None) -> set[str]:
            since = datetime.fromtimestamp(10_000.0, timezone.utc)
            told = visits.today(requests.Today(since=since, door_id=door_id)).document
            waiting = {each["visit_id"] for each in told["waiting"]}
            assert waiting >= {each["visit_id"] for each in told["visitors"]}
            return {each["visit_id"] for each in told["visitors"]}

        assert came("side") == {"w1", "w3", "w5"}
        assert len(came(None)) == 6
