import mmap
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import mmap, sys
from pathlib import Path
from doorbell.daemon.memory import give_back_memory

def resident():
    return next(int(l.split()[1]) for l in Path("/proc/self/status").read_text().splitlines()
                if l.startswith("RssFile"))

with open(sys.argv[1], "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
total = sum(mapped[::4096])
before = resident()
give_back_memory()
after = resident()
assert sum(mapped[::4096]) == total
print(before - after)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked to take pages back")
def test_pages_of_a_file_are_given_back_and_come_again(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(bytes(range(256)) * 16 * 4096)
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, check=True
    )
    assert int(answer.stdout) * 1024 > 0.9 * path.stat().st_size > mmap.PAGESIZE
