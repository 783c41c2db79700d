"""Whatever moment it is killed: what was acknowledged is there, and nothing half of it."""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from busy_gallery import PROGRAM, Deeds, check, split

# DOORBELL_KILLS=200 for more.
KILLS = int(os.environ.get("DOORBELL_KILLS", "20"))
KILLS_WHILE_CREATED = 5


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
