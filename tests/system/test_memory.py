"""Nothing grows while the doorbell runs: memory and threads, at full speed.

``DOORBELL_SOAK_SECONDS=600`` makes it the ten minutes that a release is tried for.
"""

import os
import time
from pathlib import Path

import pytest

from doorbell.testbed.daemon_process import WATCHING, DaemonProcess, run_command
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

SOAK_SECONDS = float(os.environ.get("DOORBELL_SOAK_SECONDS", "10"))
# Pools and caches fill while each of a round's visitors is there for the first time.
VISITS_A_ROUND = 4
ROUND_SECONDS = 90.0  # on the slowest machine
MAX_GROWTH_MEGABYTES = 5.0


def status(pid: int, key: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{key}:")))


def visits_left(daemon: DaemonProcess) -> int:
    return daemon.log.count("left visit=")


@pytest.mark.timeout(SOAK_SECONDS + 2 * ROUND_SECONDS + 30)
def test_memory_and_threads_stay_as_they_are_at_full_speed(
    tmp_path: Path, models_directory: Path
) -> None:
    config = tmp_path / "doorbell.toml"
    config.write_text(
        "[camera]\nrealtime = false\nloop = true\nwidth = 640\nheight = 360\n"
        "frames_per_second = 10\n"
        f'[inference]\nmodels_directory = "{models_directory}"\n'
        f'[storage]\ndirectory = "{tmp_path}"\n'
        "[chime]\nenabled = false\n"
    )
    with DaemonProcess(run_command(config=config), tmp_path / "log") as daemon:
        assert daemon.says(WATCHING), daemon.log
        assert eventually(lambda: visits_left(daemon) >= VISITS_A_ROUND, ROUND_SECONDS)
        before = status(daemon.pid, "VmRSS"), status(daemon.pid, "Threads")
        time.sleep(SOAK_SECONDS)
        assert eventually(lambda: visits_left(daemon) >= 2 * VISITS_A_ROUND, ROUND_SECONDS)
        after = status(daemon.pid, "VmRSS"), status(daemon.pid, "Threads")
        assert after[1] == before[1]
        assert (after[0] - before[0]) / 1024 < MAX_GROWTH_MEGABYTES
        assert daemon.terminate(5) == 0, daemon.log
