"""Whatever moment the power goes: what was acknowledged is there, and nothing half of it."""

import os
import random
import shutil
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from busy_gallery import PROGRAM, Deeds, check, split
from power_cuts import Disk, trace

from doorbell.gallery.gallery import Gallery

# DOORBELL_POWER_CUTS=200 for more.
CUTS = int(os.environ.get("DOORBELL_POWER_CUTS", "20"))
TURNS = 30

# Says that it has kept a number, without waiting until it is on the disk.
HASTY = """
import os, sqlite3, sys
with sqlite3.connect(sys.argv[1], isolation_level=None) as connection:
    connection.execute("PRAGMA synchronous = NORMAL")
    for number in range(50):
        connection.execute("INSERT INTO numbers VALUES (?)", (number,))
        os.write(1, f"kept {number}\\n".encode())
"""


def can_trace() -> bool:
    if shutil.which("strace") is None:
        return False
    tried = subprocess.run(["strace", "-o", "/dev/null", "true"], check=False, capture_output=True)
    return tried.returncode == 0


pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not can_trace(), reason="strace is not there, or may not trace"),
]


def said(disk: Disk) -> Deeds:
    return {split(line) for line in disk.said.decode().splitlines(keepends=True)}


def test_a_gallery_outlives_a_power_cut_at_any_moment(tmp_path: Path) -> None:
    dice = random.Random(10)  # noqa: S311 - moments, not secrets
    directory = tmp_path / "state"
    path = directory / "gallery.sqlite"
    Gallery.open(path).close()
    disk = Disk(directory)
    lines = list(trace(directory, PROGRAM, str(path), "0", str(TURNS)))
    writes = [at for at, line in enumerate(lines) if not line.startswith("openat")]
    moments = Counter(dice.choices(writes, k=CUTS))
    for at, line in enumerate(lines):
        for number in range(moments[at]):
            left = tmp_path / f"{at}-{number}"
            disk.cut(left, dice)
            check(left / path.name, said(disk))
            shutil.rmtree(left)
        disk.do(line)
    counts = Counter(deed for deed, _ in said(disk))
    assert counts["enrolled"] == TURNS
    assert counts["forgot"] == TURNS // 3
    disk.cut(tmp_path / "end", dice)
    check(tmp_path / "end" / path.name, said(disk))


def test_such_a_cut_shows_what_was_not_on_the_disk(tmp_path: Path) -> None:
    """The test above would fail, were the gallery not waiting for the disk."""
    dice = random.Random(11)  # noqa: S311 - moments, not secrets
    directory = tmp_path / "state"
    directory.mkdir()
    path = directory / "numbers.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE numbers (number INTEGER)")
    disk = Disk(directory)
    for line in trace(directory, HASTY, str(path)):
        disk.do(line)
        if disk.said.endswith(b"kept 40\n"):
            break
    lost = 0
    for number in range(10):
        left = tmp_path / str(number)
        disk.cut(left, dice)
        with closing(sqlite3.connect(left / path.name)) as connection:
            (kept,) = connection.execute("SELECT count(*) FROM numbers").fetchone()
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        lost += kept < 41
    assert lost > 0
    assert disk.said.count(b"kept") == 41
