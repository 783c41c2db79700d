"""A process that writes to a gallery all the time, and what must be there after it has died."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from all_samples import read_samples

from doorbell.gallery.gallery import Gallery

SAMPLES_PER_CALL = 5

# Says on stdout what it has done, and before it forgets somebody, that it is about to.
PROGRAM = f"""
import itertools, os, sys
from pathlib import Path
import numpy as np
from doorbell.config import GallerySection, StorageSection
from doorbell.domain import FaceSample, Visit
from doorbell.gallery.gallery import EnrolledSample, Gallery

def opened(place):
    if place.startswith("postgresql:"):
        return Gallery.of(StorageSection(), GallerySection(url=place))
    return Gallery.open(Path(place))

def say(deed, name):
    os.write(1, f"{{deed}} {{name}}\\n".encode())

place, run = sys.argv[1:3]
turns = range(int(sys.argv[3])) if len(sys.argv) > 3 else itertools.count()
face = FaceSample(np.full(128, 1 / np.sqrt(128), np.float32), "sface-test", 0.5)
with opened(place) as gallery:
    gallery.visits.close_open()
    before = None
    for turn in turns:
        name = f"{{run}}-{{turn}}"
        photos = [EnrolledSample(face, f"{{name}}-{{i}}") for i in range({SAMPLES_PER_CALL})]
        person = gallery.people.enroll(name, photos).person
        say("enrolled", name)
        gallery.visits.save(Visit(name, 1.0, 2.0, visitor=person))
        say("visited", name)
        gallery.strangers.add([face] * {SAMPLES_PER_CALL}, 1.0)
        if turn % 3 == 0:
            gallery.corrections.to_stranger(name, None)
            say("corrected", name)
        if turn % 3 == 2:
            say("forgetting", before)
            gallery.people.forget(before)
            say("forgot", before)
        before = name
"""

Deeds = set[tuple[str, str]]


def split(line: str) -> tuple[str, str]:
    assert line.endswith("\n")  # a write of one line is never cut
    deed, name = line.split()
    return deed, name


def check(path: Path, deeds: Deeds) -> None:
    """Assert that everything said is there, and nothing half of it."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    with Gallery.open(path) as gallery:
        check_rows(gallery, deeds)


def check_rows(gallery: Gallery, deeds: Deeds) -> None:
    """Assert it of what a gallery says that is open."""
    summaries = gallery.people.summaries()
    visits = gallery.visits.newest(100_000)
    templates = read_samples(gallery.file, "sface-test")

    def names(deed: str) -> set[str]:
        return {name for done, name in deeds if done == deed}

    present = {each.person.name for each in summaries}
    visited = {visit.visit_id for visit in visits}
    assert names("enrolled") - names("forgetting") <= present
    assert names("visited") - names("forgetting") <= visited
    assert not names("forgot") & (present | visited)
    assert all(visit.visitor is not None for visit in visits)
    assert names("corrected") <= {visit.visit_id for visit in visits if visit.corrected}
    # A call that was not acknowledged is there with all of its samples, or not at all.
    assert all(each.samples == SAMPLES_PER_CALL for each in summaries)
    of_strangers = Counter(templates.stranger_index.tolist())
    assert set(of_strangers.values()) <= {SAMPLES_PER_CALL}
