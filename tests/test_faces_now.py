"""Whose the faces of a picture are now, in a house of thousands."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from doorbell.config import StorageSection
from doorbell.domain import FaceSample, Person, PicturedFace, Visit
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.household.visit_pictures import faces_now

SAMPLE = FaceSample(np.eye(128, dtype=np.float32)[0], "sface", 0.8)


def test_whose_faces_are_now_takes_no_longer_with_thousands_of_people(tmp_path: Path) -> None:
    path = tmp_path / "gallery.sqlite"
    with Gallery.open(path) as gallery:
        anna = gallery.people.enroll("Anna", [EnrolledSample(SAMPLE)]).person
        gallery.visits.save(Visit("v1", 1.0, 2.0, 3.0, anna))
    with closing(sqlite3.connect(path)) as file, file:
        file.executemany(
            "INSERT INTO people (name, name_key) VALUES (?1, ?1)",
            ((f"resident {number}",) for number in range(20_000)),
        )
    box = (0.0, 0.0, 9.0, 9.0)
    faces = (
        PicturedFace(box, (), "v1", visitor=anna),
        PicturedFace(box, (), "v1", visitor=Person(30_000, "Bert")),
    )
    storage = StorageSection(directory=tmp_path)
    with Gallery.open(path) as gallery:
        began = time.process_time()
        for _ in range(100):
            assert faces_now(gallery, storage, ()) == ()
            [left, _] = faces_now(gallery, storage, faces)
        assert time.process_time() - began < 2.0  # all of them read each time: 20 s
        assert left.visitor == anna
        gallery.people.forget("Anna")
        assert faces_now(gallery, storage, faces) == ()
