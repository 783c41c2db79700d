"""A wall clock that starts in 1970, jumps, and is set back."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from doorbell.clock import (
    DOUBT_SECONDS,
    TIMESYNC_MARK,
    WallClock,
    is_synchronized,
    read_clocks,
)
from doorbell.config import RecognitionSection, StorageSection, load_config
from doorbell.daemon.maintenance import RETENTION_SECONDS, Maintenance, Retention
from doorbell.domain import Visit
from doorbell.gallery.gallery import Gallery
from doorbell.outputs.pictures import Pictures, picture_path, write_picture
from doorbell.pipeline.perception import Perception
from doorbell.pipeline.pipeline import Pipeline
from doorbell.status import ClockStep, State, StorageState
from doorbell.testbed.process_clock import Clock

TODAY = 1_700_000_000.0
WATCHING = """
import sys
from doorbell.clock import read_clocks

offsets = set()
print("watching", flush=True)
while True:
    wall_time, seconds = read_clocks()
    offsets.add(round(wall_time - seconds))
    if wall_time >= float(sys.argv[1]):
        print(*offsets)
        break
"""
DAY = 86400.0


def test_a_clock_that_goes_is_never_set_however_slowly_it_drifts() -> None:
    clock = WallClock(0.0, 100.0)
    assert all(clock.look(1.001 * seconds, 100.0 + seconds) is None for seconds in range(100_000))


def test_a_step_says_what_was_dated_wrongly() -> None:
    clock = WallClock(0.0, 100.0)
    assert clock.look(TODAY + 50.0, 150.0) == ClockStep(0.0, 50.0, TODAY)
    assert clock.look(TODAY + 60.0, 160.0) is None
    assert clock.look(TODAY - 3530.0, 170.0) == ClockStep(TODAY, TODAY + 70.0, -3600.0)


def test_a_clock_that_was_set_is_doubted_for_a_day_unless_the_system_knows_better() -> None:
    clock = WallClock(TODAY, 100.0, TODAY - DAY)
    assert clock.is_trusted(100.0, synchronized=False)
    clock.look(TODAY + 365 * DAY, 200.0)
    assert not clock.is_trusted(201.0, synchronized=False)
    assert clock.is_trusted(201.0, synchronized=True)
    assert clock.is_trusted(200.0 + DOUBT_SECONDS, synchronized=False)


@pytest.mark.parametrize("written_at", [None, TODAY - 400 * DAY])
def test_a_clock_that_starts_long_after_what_was_written_is_doubted_for_a_day(
    written_at: float | None,
) -> None:
    clock = WallClock(TODAY, 100.0, written_at)
    assert not clock.is_trusted(101.0, synchronized=False)
    assert clock.is_trusted(101.0, synchronized=True)
    assert clock.is_trusted(100.0 + DOUBT_SECONDS, synchronized=False)


def test_the_system_is_asked() -> None:
    assert isinstance(is_synchronized(), bool)
    (wall_time, earlier), (_, later) = read_clocks(), read_clocks()
    assert 0 < earlier <= later < wall_time


@pytest.mark.skipif(shutil.which("cc") is None, reason="takes a C compiler")
def test_a_machine_that_sleeps_between_two_readings_is_not_a_clock_that_was_set(
    tmp_path: Path,
) -> None:
    clock = Clock(tmp_path, TODAY, rate=0.0)
    naps, nap_seconds = 200, 3600.0
    process = subprocess.Popen(
        [sys.executable, "-c", WATCHING, str(TODAY + naps * nap_seconds)],
        env={**os.environ, **clock.environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "watching\n"
        for nap in range(1, naps + 1):
            time.sleep(0.002)
            clock.hold_at(TODAY + nap * nap_seconds)
        assert len(process.stdout.read().split()) == 1


def test_where_the_kernel_may_not_be_asked_nothing_is_taken_for_granted() -> None:
    """As in the service, whose system call filter (``ProtectClock=``) answers so."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    refusing = ["strace", "-qq", "-o", os.devnull]
    refusing += ["-e", "inject=adjtimex,clock_adjtime:error=EPERM"]
    code = "from doorbell.clock import is_synchronized as asked; print(asked())"
    told = subprocess.run(
        [*refusing, sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert told.stdout == f"{TIMESYNC_MARK.exists()}\n"


class Home:
    """A gallery and pictures with their maintenance, by clocks that are told."""

    def __init__(self, folder: Path, perception: Perception, gallery: Gallery) -> None:
        self.gallery = gallery
        self.section = StorageSection(directory=folder, free_megabytes=0)
        self._pipeline = Pipeline(perception, gallery, load_config(None))
        self.told: list[State] = []

    def came(self, name: str, at: float) -> None:
        stranger = self.gallery.strangers.add([], at)
        self.gallery.visits.save(Visit(name, at, at + 5, at + 5, stranger))
        path = picture_path(self.section.pictures_directory, name)
        write_picture(path, b"JPEG")
        os.utime(path, (at + 5, at + 5))

    def lives(self, *clocks: tuple[float, float], came: str = "", synchronized: bool) -> None:
        """Go through moments, wall and unset clock each; somebody may come after the first."""
        with closing(Pictures(self.section, publish=self.told.append)) as pictures:
            wall_time, seconds = clocks[0]
            maintenance = Maintenance(
                [self._pipeline],
                self.gallery,
                Retention(self.section),
                RecognitionSection(),
                pictures.handle,
                wall_time=wall_time,
                time_seconds=seconds,
            )
            for wall_time, seconds in clocks:
                maintenance.follow_clock(wall_time, seconds)
                maintenance.run(wall_time, seconds, synchronized=synchronized)
                while maintenance.is_tidying:
                    maintenance.step()
                if came:
                    self.came(came, wall_time + 1)
                came = ""
        assert [state for state in self.told if isinstance(state, StorageState)] == []

    @property
    def kept(self) -> dict[str, float]:
        return {visit.visit_id: visit.started_at for visit in self.gallery.visits.newest(99)}

    @property
    def pictures(self) -> dict[str, float]:
        folder = self.section.pictures_directory
        return {path.stem: path.stat().st_mtime for path in folder.glob("*.jpg")}


@pytest.fixture
def home(tmp_path: Path, perception: Perception) -> Iterator[Home]:
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        yield Home(tmp_path, perception, gallery)


def test_who_came_in_1970_moves_to_today_when_the_clock_is_set(home: Home) -> None:
    home.came("yesterday", TODAY - DAY)
    home.lives(
        (10.0, 10.0),
        (TODAY + 100.0, 100.0),
        (TODAY + 100.0 + RETENTION_SECONDS, 100.0 + RETENTION_SECONDS),
        came="early",
        synchronized=True,
    )
    assert home.kept == {"yesterday": TODAY - DAY, "early": TODAY + 11.0}
    assert home.pictures == {"yesterday": TODAY - DAY + 5, "early": TODAY + 16.0}
    assert [each.last_seen_at for each in home.gallery.strangers.all()] == [
        TODAY - DAY,
        TODAY + 16.0,
    ]


def test_a_clock_set_a_year_ahead_by_mistake_deletes_nothing(home: Home) -> None:
    home.came("yesterday", TODAY - DAY)
    year = 365 * DAY
    home.lives(
        (TODAY, 10.0),
        (TODAY + year + 10, 20.0),
        (TODAY + year + RETENTION_SECONDS + 20, 30.0 + RETENTION_SECONDS),
        synchronized=False,
    )
    assert home.kept.keys() == home.pictures.keys() == {"yesterday"}


def test_a_clock_that_starts_in_the_future_deletes_nothing_before_a_day_has_passed(
    home: Home,
) -> None:
    home.came("yesterday", TODAY - DAY)
    future = TODAY + 400 * DAY
    home.lives((future, 10.0), (future + 7200, 7210.0), synchronized=False)
    assert home.kept.keys() == home.pictures.keys() == {"yesterday"}
    assert len(home.gallery.strangers.all()) == 1
    home.lives((future, 10.0), (future + DAY, 10.0 + DAY), synchronized=False)
    assert home.kept == home.pictures == {}


def test_a_clock_that_is_right_deletes_what_is_old(home: Home) -> None:
    home.came("old", TODAY - 99 * DAY)
    home.came("yesterday", TODAY - DAY)
    home.lives((TODAY, 10.0), synchronized=False)
    assert home.kept.keys() == home.pictures.keys() == {"yesterday"}


def test_a_gallery_that_is_gone_when_it_is_tidied_ends_nothing(
    home: Home, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home.came("old", TODAY - 99 * DAY)
    (tmp_path / "gallery.sqlite").unlink()
    home.lives((TODAY, 10.0), (TODAY + 99.0, 20.0), synchronized=True)
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "what is old stays for another hour",
        "the clock was set by +89 s",
        "visits keep the time of the wrong clock",
    ]


def test_visits_of_an_earlier_run_stay_where_they_are_though_the_clock_was_then_again(
    home: Home,
) -> None:
    home.came("before-the-power-cut", TODAY + 200)
    home.lives((TODAY, 10.0), (TODAY + 7800, 610.0), came="after", synchronized=False)
    assert home.kept == {"before-the-power-cut": TODAY + 200, "after": TODAY + 7201}
    assert [(each.first_seen_at, each.last_seen_at) for each in home.gallery.strangers.all()] == [
        (TODAY + 200, TODAY + 200),
        (TODAY + 7201, TODAY + 7206),
    ]


def test_a_gallery_that_is_busy_when_the_clock_is_set_follows_later(
    home: Home, tmp_path: Path, perception: Perception
) -> None:
    home.gallery.wait_at_most(0.01)
    pipeline = Pipeline(perception, home.gallery, load_config(None))
    with closing(Pictures(home.section)) as pictures:
        maintenance = Maintenance(
            [pipeline],
            home.gallery,
            Retention(home.section),
            RecognitionSection(),
            pictures.handle,
            wall_time=10.0,
            time_seconds=10.0,
        )
        home.came("early", 11.0)
        with closing(sqlite3.connect(tmp_path / "gallery.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            maintenance.follow_clock(TODAY + 20.0, 20.0)
        assert home.kept == {"early": 11.0}
        maintenance.run(TODAY + 25.0, 25.0, synchronized=True)
        while maintenance.is_tidying:
            maintenance.step()
        assert home.kept == {"early": TODAY + 11.0}
        maintenance.run(TODAY + 30.0, 30.0, synchronized=True)
    assert home.kept == {"early": TODAY + 11.0}


def test_pictures_go_with_their_strangers_though_visits_cannot_be_deleted(
    home: Home, tmp_path: Path
) -> None:
    home.came("old", TODAY - 99 * DAY)
    home.came("yesterday", TODAY - DAY)
    home.gallery.visits.save(Visit("of-nobody", TODAY - 99 * DAY, TODAY - 99 * DAY))
    os.utime(picture_path(tmp_path / "pictures", "old"), (TODAY, TODAY))  # not old by itself
    with closing(sqlite3.connect(tmp_path / "gallery.sqlite")) as other:
        other.execute(
            "CREATE TRIGGER failing BEFORE DELETE ON visits WHEN old.id = 'of-nobody' "
            "BEGIN SELECT raise(ABORT, 'disk I/O error'); END"
        )
    home.lives((TODAY, 10.0), synchronized=True)
    assert home.kept.keys() == {"yesterday", "of-nobody"}
    assert home.pictures.keys() == {"yesterday"}


def test_an_hour_back_keeps_the_order_of_visits(home: Home) -> None:
    home.lives((TODAY, 10.0), (TODAY - 3600 + 10, 20.0), came="before", synchronized=True)
    home.came("after", TODAY - 3600 + 20)
    assert [visit.visit_id for visit in home.gallery.visits.newest(9)] == ["after", "before"]
