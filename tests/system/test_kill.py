"""Whatever moment the power goes: what was acknowledged is there, and nothing half of it."""

import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from doorbell.recognition.gallery import Gallery

KILLS = 20
KILLS_WHILE_CREATED = 5
SAMPLES_PER_CALL = 5

# Says on stdout what it has done, and before it forgets somebody, that it is about to.
PROGRAM = f"""
import itertools, os, sys
from pathlib import Path
import numpy as np
from doorbell.domain import FaceSample, Visit
from doorbell.recognition.gallery import EnrolledSample, Gallery

def say(deed, name):
    os.write(1, f"{{deed}} {{name}}\\n".encode())

path, run = Path(sys.argv[1]), sys.argv[2]
face = FaceSample(np.full(128, 1 / np.sqrt(128), np.float32), "sface-test", 0.5)
with Gallery.open(path) as gallery:
    gallery.close_open_visits()
    before = None
    for turn in itertools.count():
        name = f"{{run}}-{{turn}}"
        photos = [EnrolledSample(face, f"{{name}}-{{i}}") for i in range({SAMPLES_PER_CALL})]
        person = gallery.enroll(name, photos).person
        say("enrolled", name)
        gallery.save_visit(Visit(name, 1.0, 2.0, visitor=person))
        say("visited", name)
        gallery.add_stranger([face] * {SAMPLES_PER_CALL}, 1.0)
        if turn % 3 == 2:
            say("forgetting", before)
            gallery.forget(before)
            say("forgot", before)
        before = name
"""


@pytest.mark.system
def test_a_gallery_outlives_kill_9_at_any_moment(tmp_path: Path) -> None:
    moment = random.Random(9)  # noqa: S311 - moments, not secrets
    deeds: set[tuple[str, str]] = set()
    for run in range(KILLS):
        # The first kills fall into the making of a new file each; the others hit the last of them.
        path = tmp_path / str(min(run, KILLS_WHILE_CREATED)) / "gallery.sqlite"
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(path), str(run)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            if run < KILLS_WHILE_CREATED:
                while not path.exists():
                    time.sleep(0.0005)
                time.sleep(moment.uniform(0, 0.01))
            else:
                deeds.add(split(child.stdout.readline()))
                time.sleep(moment.uniform(0, 0.05))
            child.kill()
            deeds |= {split(line) for line in child.stdout}
        check(path, deeds)
        if run < KILLS_WHILE_CREATED:
            deeds.clear()
    counts = Counter(deed for deed, _ in deeds)
    assert counts["enrolled"] > 2 * KILLS
    assert counts["forgot"] > 0


def split(line: str) -> tuple[str, str]:
    assert line.endswith("\n")  # a write of one line to a pipe is never cut
    deed, name = line.split()
    return deed, name


def check(path: Path, deeds: set[tuple[str, str]]) -> None:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    with Gallery.open(path) as gallery:
        summaries = gallery.summaries()
        visits = gallery.visits(100_000)
        templates = gallery.templates("sface-test")

    def names(deed: str) -> set[str]:
        return {name for done, name in deeds if done == deed}

    present = {each.person.name for each in summaries}
    visited = {visit.visit_id for visit in visits}
    assert names("enrolled") - names("forgetting") <= present
    assert names("visited") - names("forgetting") <= visited
    assert not names("forgot") & (present | visited)
    assert all(visit.visitor is not None for visit in visits)
    # A call that was not acknowledged is there with all of its samples, or not at all.
    assert all(each.samples == SAMPLES_PER_CALL for each in summaries)
    of_strangers = Counter(templates.stranger_index.tolist())
    assert all(of_strangers[i] == SAMPLES_PER_CALL for i in range(len(templates.strangers)))
