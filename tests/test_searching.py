"""Searching for a face over the control socket, with the process that looks at photos."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from photographs import jpeg, portrait_pixels, side_by_side

from doorbell.config import RecognitionSection, StorageSection, load_config
from doorbell.control import requests
from doorbell.daemon.control.gallery_executor import GalleryExecutor
from doorbell.daemon.control.searching import SearchRequests
from doorbell.daemon.control.visits import VisitRequests
from doorbell.domain import FaceSample, Visit
from doorbell.errors import UsageError
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.household.photo_worker import PhotoWorker


@pytest.fixture(scope="module")
def worker(models_directory: Path) -> Iterator[PhotoWorker]:
    config = load_config(None, [f"inference.models_directory={models_directory}"])
    with closing(PhotoWorker(config, reply_seconds=100.0)) as worker:
        yield worker


@pytest.fixture
def searching(tmp_path: Path, worker: PhotoWorker) -> Iterator[SearchRequests]:
    storage = StorageSection(directory=tmp_path)
    with closing(GalleryExecutor(storage)) as executor:
        visits = VisitRequests(storage, executor, time.time, "front")
        yield SearchRequests(RecognitionSection(), executor, visits, worker.examine)


def by_photo(searching: SearchRequests, content: bytes) -> dict[str, Any]:
    return searching.by_photo(requests.SearchPhoto(), content).document


def found(face: dict[str, Any]) -> list[tuple[str, bool, list[tuple[str, str]]]]:
    return [
        (
            each["visitor"]["label"] or "nobody",
            each["is_same"],
            [(visit["visit_id"], visit["door_id"]) for visit in each["visits"]],
        )
        for each in face["alike"]
    ]


def test_each_face_of_a_photo_is_searched_for_and_nothing_of_it_is_kept(
    searching: SearchRequests, worker: PhotoWorker, models_directory: Path, tmp_path: Path
) -> None:
    pictures = {
        name: portrait_pixels(name, models_directory, width=240)
        for name in ("obama", "obama2", "ardern", "macron")
    }

    def sample(name: str) -> FaceSample:
        return worker.examine(jpeg(pictures[name])).photo.only_face().sample

    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        barack = gallery.people.enroll("Barack", [EnrolledSample(sample("obama"))]).person
        stranger = gallery.strangers.add([sample("ardern")], 10.0)
        gallery.visits.save(Visit("at-front", 10.0, 11.0, 12.0, barack))
        gallery.visits.save(Visit("at-garden", 20.0, 21.0, 22.0, barack, door_id="garden"))
        gallery.visits.save(Visit("hers", 30.0, 31.0, 32.0, stranger, door_id="garden"))
        gallery.visits.save(Visit("unknown", 40.0, 41.0, 42.0), [sample("macron")])
        gallery.visits.save(Visit("faceless", 50.0, 51.0, 52.0))
    kept = (tmp_path / "gallery.sqlite").read_bytes()

    photo = by_photo(searching, jpeg(pictures["obama2"]))
    assert (photo["accepted"], photo["every_visit"]) == (True, True)
    [his] = photo["faces"]
    assert found(his) == [("Barack", True, [("at-garden", "garden"), ("at-front", "front")])]
    assert his["alike"][0]["similarity"] > 0.5

    both = by_photo(searching, jpeg(side_by_side(pictures["macron"], pictures["ardern"])))
    assert [found(each) for each in both["faces"]] == [
        [("nobody", True, [("unknown", "front")])],
        [("stranger-1", True, [("hers", "garden")])],
    ]

    wall = np.asarray(np.full((240, 320, 3), 120, np.uint8))
    for content, reason in ((jpeg(wall), "no_face"), (b"<svg/>", "picture"), (b"", "picture")):
        refused = by_photo(searching, content)
        assert (refused["accepted"], refused["reason"]) == (False, reason)
        assert refused["message"]
        assert refused["faces"] == []

    alike = searching.by_visit(requests.SearchVisits(visit="unknown")).document
    assert (alike["visit"]["visit_id"], alike["has_faces"], alike["alike"]) == ("unknown", True, [])
    faceless = searching.by_visit(requests.SearchVisits(visit="faceless")).document
    assert (faceless["has_faces"], faceless["alike"]) == (False, [])
    with pytest.raises(UsageError, match="there is no visit"):
        searching.by_visit(requests.SearchVisits(visit="nowhere"))
    held = {path.name for path in tmp_path.iterdir() if path.stat().st_size}
    assert held == {"gallery.sqlite", "gallery.sqlite-shm"}
    assert (tmp_path / "gallery.sqlite").read_bytes() == kept
