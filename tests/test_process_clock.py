"""The clock that the tests, the faults and the soak give to a daemon."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from doorbell.testbed.process_clock import Clock

START, HOUR = 1_790_000_000.0, 3600.0


@pytest.mark.system
def test_hours_pass_at_once_for_a_process_and_its_files_and_time_outs_do_not(
    tmp_path: Path,
) -> None:
    clock = Clock(tmp_path, START, rate=4.0)
    program = (
        "import os, time\n"
        "with open('file', 'w') as file: os.fsync(file.fileno())\n"
        "print(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), os.stat('file').st_mtime)\n"
        "began = time.monotonic(); time.sleep(0.1); print(time.monotonic() - began)\n"
    )

    def ask() -> list[float]:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **clock.environment},
            cwd=tmp_path,
            capture_output=True,
            check=True,
        )
        return [float(word) for word in done.stdout.split()]

    wall, boot, dated, _ = ask()
    assert wall == dated == START
    clock.hold_at(START + HOUR)
    clock.set_error(-60.0)
    later, boot_later, dated, slept = ask()
    assert (later, boot_later, dated) == (wall + HOUR - 60.0, boot + HOUR, later)
    assert 0.1 <= slept < 1.0
    clock.go()
    assert ask()[0] > later
