"""What the main thread does for a large gallery: a little at a time, whatever it holds."""

import gc
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from doorbell.config import RecognitionSection, StorageSection
from doorbell.domain import FaceSample, Visit
from doorbell.gallery.database import GalleryFile
from doorbell.gallery.gallery import Gallery
from doorbell.household.forgetting import FORGOTTEN_AT_ONCE, forget_older, forgetting_older
from doorbell.household.strangers import merge_alike
from doorbell.measure.speed.household import Household, write_household
from doorbell.recognition.embedder import SFACE_ID
from doorbell.status import VisitsForgotten

DAY = 86400.0
NOW = 1_700_000_000.0
# Processor time of one step; a frame has 33 ms, and a slow machine's tests are given more.
STEP_SECONDS = 0.1


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("household") / "gallery.sqlite"
    household = Household(people=3, samples=4, strangers=3_000, pairs=40, visits=6_000)
    write_household(path, household, now=NOW)
    return path


@pytest.fixture
def gallery(written: Path, tmp_path: Path) -> Iterator[Gallery]:
    path = tmp_path / "gallery.sqlite"
    path.write_bytes(written.read_bytes())
    with Gallery.open(path) as opened:
        yield opened


def timed(steps: Iterator[object]) -> list[float]:
    """Processor time of each step, without what collects the garbage of all the tests before."""
    taken: list[float] = []
    gc.collect()
    gc.disable()
    try:
        while True:
            started = time.thread_time()
            if next(steps, steps) is steps:
                return taken
            taken.append(time.thread_time() - started)
    finally:
        gc.enable()


def test_merging_many_strangers_takes_short_steps_and_merges_them_all(gallery: Gallery) -> None:
    templates = partial(gallery.templates, SFACE_ID, 8)
    first = templates()
    steps = merge_alike(gallery, templates, RecognitionSection())
    taken = timed(steps)
    assert len(gallery.strangers.all()) == 3_000 - 40
    assert templates() is first
    assert first.changed_strangers == set()
    assert len(taken) > 500
    assert np.percentile(taken, 99) < STEP_SECONDS / 4
    assert max(taken) < STEP_SECONDS
    # Nobody has changed since: nothing is compared any more.
    assert list(merge_alike(gallery, templates, RecognitionSection())) == []


def test_what_is_merged_meanwhile_goes_on_where_it_was_left(gallery: Gallery) -> None:
    templates = partial(gallery.templates, SFACE_ID, 8)
    steps = merge_alike(gallery, templates, RecognitionSection())
    merged = [pair for pair in (next(steps) for _ in range(400)) if pair is not None]
    del steps  # the daemon stops
    left = len(templates().changed_strangers)
    assert 0 < left < 3_000
    # Meanwhile another process names one and forgets another.
    names = iter(sorted(templates().changed_strangers)[-2:])
    gallery.strangers.name(next(names), "Anna")
    gallery.strangers.forget(next(names))
    merged += [pair for pair in merge_alike(gallery, templates, RecognitionSection()) if pair]
    assert 38 <= len(merged) <= 40
    assert len(gallery.strangers.all()) == 3_000 - 2 - len(merged)


def test_the_most_alike_are_merged_first(tmp_path: Path) -> None:
    def face(degrees: float) -> FaceSample:
        embedding = np.zeros(128, np.float32)
        embedding[:2] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        return FaceSample(embedding, SFACE_ID, 0.5)

    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        for number, degrees in enumerate((0.0, 50.0, 80.0, 88.0)):
            gallery.strangers.add([face(degrees)], 1000.0 * number)
        steps = merge_alike(gallery, partial(gallery.templates, SFACE_ID), RecognitionSection())
        merged = [(each[0].label, each[1].label) for each in steps if each is not None]
    assert merged[0] == ("stranger-4", "stranger-3")


def old_visits(gallery: Gallery) -> int:
    return len(gallery.visits.newest(100_000))


@pytest.mark.parametrize("days", [0, 30])
def test_forgetting_all_that_is_old_takes_short_steps(gallery: Gallery, days: int) -> None:
    storage = StorageSection(strangers_days=days, visits_days=30)
    told: list[tuple[str, ...]] = []

    def tell(forgotten: VisitsForgotten) -> None:
        told.append(forgotten.visit_ids)

    later = NOW + 200 * DAY
    many = gallery.strangers.get(7)
    for number in range(5 * FORGOTTEN_AT_ONCE):
        at = NOW - 1000.0 * number
        gallery.visits.save(Visit(f"again-{number}", at, at + 5, at + 5, many))
    before = old_visits(gallery)
    taken = timed(forgetting_older(gallery, later, storage, tell))
    assert old_visits(gallery) == 0
    assert len(gallery.strangers.all()) == (3_000 if days == 0 else 0)
    assert sorted(each for some in told for each in some) == sorted(
        {each for some in told for each in some}
    )
    assert sum(map(len, told)) == before
    assert max(map(len, told)) <= 2 * FORGOTTEN_AT_ONCE
    assert max(taken) < STEP_SECONDS
    assert forget_older(gallery, later, storage, tell).visit_ids == ()


@pytest.mark.parametrize("by_door", [None, {"side": 30}])
def test_forgetting_takes_no_longer_steps_where_there_are_many_visits(
    tmp_path: Path, by_door: dict[str, int] | None
) -> None:
    medians = []
    for number, visits in enumerate((2_000, 100_000)):
        with Gallery.open(tmp_path / f"gallery-{number}.sqlite") as gallery:
            with gallery.file.writing():
                gallery.file.execute(
                    "WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers "
                    "WHERE n + 1 < ?) INSERT INTO visits (id, started_at, last_seen_at, ended_at, "
                    "similarity, frames_used, door_id) SELECT 'v' || n, ? + 60 * n, ? + 60 * n, "
                    "? + 60 * n, 0, 0, iif(n % 2, 'front', 'side') FROM numbers",
                    visits,
                    *(3 * (NOW,)),
                )
            storage = StorageSection(visits_days=30)
            later = NOW + 60 * DAY
            steps = forgetting_older(gallery, later, storage, lambda _: None, by_door)
            medians.append(np.median(timed(islice(steps, 20))))
    assert medians[1] < 3 * medians[0]


@pytest.mark.parametrize(
    "at_once",
    [
        lambda gallery: gallery.visits.follow_clock(NOW - 100 * DAY, NOW, 60.0, 10**9),
        lambda gallery: gallery.strangers.last_seen_at(),
        lambda gallery: gallery.visits.newest(20),
        lambda gallery: gallery.visits.newest(20, stranger_id=5),
        lambda gallery: gallery.strangers.note_visit(5, NOW, ()),
        lambda gallery: gallery.strangers.seen_together(5, 6),
    ],
)
def test_what_the_main_thread_asks_does_not_grow_with_the_gallery(
    gallery: Gallery, at_once: Callable[[Gallery], object]
) -> None:
    steps: list[int] = []
    assert isinstance(gallery.file, GalleryFile)
    gallery.file._connection.set_progress_handler(lambda: steps.append(1), 100)
    at_once(gallery)
    assert len(steps) * 100 < 6_000  # one instruction for each visit would be more
