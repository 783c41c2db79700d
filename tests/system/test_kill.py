"""Whatever moment it is killed: what was acknowledged is there, and nothing half of it."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from busy_gallery import PROGRAM, Deeds, check, check_rows, split
from galleries import on_postgres

from doorbell.config import GallerySection, StorageSection
from doorbell.gallery.gallery import Gallery
from doorbell.testbed.postgres import Postgres, find_postgres

# DOORBELL_KILLS=200 for more.
KILLS = int(os.environ.get("DOORBELL_KILLS", "20"))
KILLS_WHILE_CREATED = 5
KILLS_WITH_SERVER = 100


@pytest.mark.system
@pytest.mark.timeout(600)
def test_a_gallery_outlives_kill_9_at_any_moment(tmp_path: Path) -> None:
    moment = random.Random(9)  # noqa: S311 - moments, not secrets
    deeds: Deeds = set()
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
                time.sleep(moment.uniform(0, 0.1))
            child.kill()
            deeds |= {split(line) for line in child.stdout}
        check(path, deeds)
        if run < KILLS_WHILE_CREATED:
            deeds.clear()
    counts = Counter(deed for deed, _ in deeds)
    assert counts["enrolled"] > KILLS  # kills fell among writes, not before them
    assert counts["forgot"] > 0
    assert counts["corrected"] > 0


@pytest.mark.long
@pytest.mark.system
@pytest.mark.timeout(1200)
@on_postgres
def test_a_gallery_on_a_server_outlives_kill_9_of_either_at_any_moment() -> None:
    moment = random.Random(10)  # noqa: S311 - moments, not secrets
    deeds: Deeds = set()
    programs = find_postgres()
    assert programs is not None
    with Postgres(programs) as server:
        section = GallerySection(url=server.create("busy"))
        for run in range(KILLS_WITH_SERVER):
            with subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(section.url), str(run)],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            ) as child:
                assert child.stdout is not None
                deeds.add(split(child.stdout.readline()))
                time.sleep(moment.uniform(0, 0.1))
                if run % 2:
                    server.kill()
                else:
                    child.kill()
                deeds |= {split(line) for line in child.stdout}
            if run % 2:
                server.start()
            with Gallery.of(StorageSection(), section) as gallery:
                check_rows(gallery, deeds)
    counts = Counter(deed for deed, _ in deeds)
    assert counts["enrolled"] > KILLS_WITH_SERVER
    assert counts["forgot"] > 0
    assert counts["corrected"] > 0
