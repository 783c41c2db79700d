"""What the web pages cost the daemon: ``.venv/bin/python tools/console_cost.py``. Run it alone.

One daemon before a simulated camera of 1280 x 720 with somebody at the door; in turns nothing else
runs, the console runs and nobody looks at it, and somebody watches the picture of now. Then the
console is killed before a viewer. Prints the daemon's processor time in each turn; how much more it
is per frame with the console than without, with the upper limit of 95 % (of the mean over all
pairs, by bootstrap); what one viewer takes of a core; and how many frames were left out: if any,
this machine is too slow or busy to say anything.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import numpy as np

from doorbell.config import InferenceSection
from doorbell.models.store import models_directory
from doorbell.testbed.console_process import ConsoleProcess
from doorbell.testbed.daemon_process import WATCHING, DaemonProcess, run_command
from doorbell.testbed.scenes import Visitor, simulated

FRAMES_PER_SECOND = 15.0
# Whatever begins has settled by then.
SETTLING_SECONDS = 3.0
KILLS = 5
LIMIT = 0.95
TICKS = os.sysconf("SC_CLK_TCK")
LEFT_OUT = re.compile(r"(\d+) dropped")


def processor_seconds(pid: int) -> float:
    """What a process has used so far, all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def viewer(folder: Path, control: Path) -> Iterator[None]:
    """Run a console with somebody who watches the live picture."""
    with ConsoleProcess(folder, control) as console, console.watched():
        yield


def kill(folder: Path, control: Path) -> None:
    """Kill consoles while somebody watches."""
    with ConsoleProcess(folder, control) as console:
        for _ in range(KILLS):
            with console.watched():
                time.sleep(SETTLING_SECONDS)
                console.kill()
                time.sleep(SETTLING_SECONDS)
            console.start()


def upper_limit(values: list[float]) -> float:
    """Of their mean, by bootstrap."""
    drawn = np.random.default_rng(1).choice(values, (20_000, len(values)))
    return float(np.quantile(drawn.mean(axis=1), LIMIT))


def measure(pairs: int, seconds: float, folder: Path) -> dict[str, list[float]]:
    """Seconds of the daemon's processor time in each turn, by what ran."""
    faces = models_directory(InferenceSection()) / "faces"
    standing = Visitor(0.0, 1.5, stays=86_000.0)
    settings = {
        "camera.uri": simulated(folder, faces, standing, duration_seconds=86_400.0),
        "camera.width": 1280,
        "camera.height": 720,
        "camera.frames_per_second": FRAMES_PER_SECOND,
        "storage.directory": folder / "storage",
        "chime.enabled": "false",
    }
    control = folder / "storage" / "doorbell.sock"
    turns: dict[str, Callable[[], AbstractContextManager[object]]] = {
        "without": nullcontext,
        "idle": lambda: ConsoleProcess(folder, control),
        "viewer": lambda: viewer(folder, control),
    }
    used: dict[str, list[float]] = {turn: [] for turn in turns}
    command = run_command(*(f"{key}={value}" for key, value in settings.items()))
    with DaemonProcess(command, folder / "log") as daemon:
        if not daemon.says(WATCHING):
            raise SystemExit(daemon.log_end)
        for number in range(pairs):
            # Every other time in the other order, so that what drifts falls on all alike.
            names = list(turns) if number % 2 == 0 else list(reversed(turns))
            for name in names:
                with turns[name]():
                    time.sleep(SETTLING_SECONDS)
                    before = processor_seconds(daemon.pid)
                    time.sleep(seconds)
                    used[name].append(processor_seconds(daemon.pid) - before)
            told = ", ".join(f"{name} {used[name][-1]:.2f} s" for name in turns)
            print(f"{number + 1:2d}. {told} of {seconds:g} s", flush=True)  # noqa: T201
        print(f"killing the console {KILLS} times before a viewer", flush=True)  # noqa: T201
        kill(folder, control)
        daemon.terminate()
        left_out = sum(int(each) for each in LEFT_OUT.findall(daemon.log))
        print(f"{left_out} frames were left out in all of this time")  # noqa: T201
    return used


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each turn")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="console-cost-") as folder:
        used = measure(asked.pairs, asked.seconds, Path(folder))
    pairs = zip(used["without"], used["idle"], strict=True)
    more = [100 * (idle / without - 1) for without, idle in pairs]
    pairs = zip(used["without"], used["viewer"], strict=True)
    core = [100 * (viewer - without) / asked.seconds for without, viewer in pairs]
    frames = FRAMES_PER_SECOND * asked.seconds
    lines = (
        f"the daemon alone: {1000 * np.mean(used['without']) / frames:.2f} ms a frame",
        f"with the console, nobody looks: {np.mean(more):+.2f} % a frame, at most "
        f"{upper_limit(more):+.2f} % (95 %, {asked.pairs} pairs)",
        f"with one viewer: {np.mean(core):+.2f} % of a core, at most {upper_limit(core):+.2f} %",
    )
    print("\n".join(lines))  # noqa: T201


if __name__ == "__main__":
    main()
