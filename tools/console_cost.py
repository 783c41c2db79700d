"""What the web pages cost the daemon: ``.venv/bin/python tools/console_cost.py``. Run it alone.

Two daemons run side by side, each before a simulated camera of 1280 x 720 with somebody at the
door; one of them has a console, in turns this and that one. So whatever else slows this machine
slows both, at the same time. Two turns, one with each, are a pair. Prints how much more processor
time the daemon with the console takes for a frame, while nobody looks at the console and while
somebody watches the picture of now, with the upper limit of 95 % (of the mean over all pairs, by
bootstrap). Then consoles are killed before a viewer, and it says how many frames the daemons have
left out meanwhile and before: if any before, this machine is too slow or busy to say anything.
"""

from __future__ import annotations

import argparse
import math
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np

from doorbell.config import InferenceSection
from doorbell.models.store import models_directory
from doorbell.testbed.console_process import ConsoleProcess
from doorbell.testbed.daemon_process import WATCHING, DaemonProcess, run_command
from doorbell.testbed.scenes import Visitor, simulated

FRAMES_PER_SECOND = 10.0
# Whatever begins has settled by then.
SETTLING_SECONDS = 3.0
KILLS = 5
LIMIT = 0.95
LEFT_OUT = re.compile(r"(\d+) dropped")


def processor_seconds(pid: int) -> float:
    """What a process has used so far, all of its threads: Linux's clock of a process."""
    return time.clock_gettime((~pid << 3) | 2)


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


class House:
    """A daemon before a camera of its own, with somebody at the door.

    Args:
        folder: for everything, made here.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.control = folder / "storage" / "doorbell.sock"
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
        command = run_command(*(f"{key}={value}" for key, value in settings.items()))
        self.daemon = DaemonProcess(command, folder / "log")
        if not self.daemon.says(WATCHING):
            raise SystemExit(self.daemon.log_end)

    @property
    def frames_left_out(self) -> int:
        """As the daemon has reported them, which it does once a minute and at its end."""
        return sum(int(each) for each in LEFT_OUT.findall(self.daemon.log))


Turn: TypeAlias = Callable[[Path, Path], AbstractContextManager[object]]


def more_for_a_frame(turn: Turn, ours: House, other: House, seconds: float) -> float:
    """How much more processor time a daemon with a console takes than one without, in percent."""
    logarithms = []
    for with_console, without in ((ours, other), (other, ours)):
        with turn(with_console.folder, with_console.control):
            time.sleep(SETTLING_SECONDS)
            pids = with_console.daemon.pid, without.daemon.pid
            before = [processor_seconds(pid) for pid in pids]
            time.sleep(seconds)
            took = [processor_seconds(pid) - at for pid, at in zip(pids, before, strict=True)]
        logarithms.append(math.log(took[0] / took[1]))
    return 100.0 * math.expm1(sum(logarithms) / 2)


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each turn")
    asked = parser.parse_args()
    turns: dict[str, Turn] = {"nobody looks": ConsoleProcess, "somebody watches": viewer}
    more: dict[str, list[float]] = {name: [] for name in turns}
    with tempfile.TemporaryDirectory(prefix="console-cost-") as folder, ExitStack() as stack:
        houses = House(Path(folder) / "one"), House(Path(folder) / "two")
        for house in houses:
            stack.callback(house.daemon.kill)
        began = [processor_seconds(house.daemon.pid) for house in houses]
        at = time.monotonic()
        for number in range(asked.pairs):
            for name, turn in turns.items():
                more[name].append(more_for_a_frame(turn, *houses, asked.seconds))
            told = ", ".join(f"{name} {values[-1]:+.2f} %" for name, values in more.items())
            say(f"{number + 1:2d}. {told}")
        core = sum(processor_seconds(house.daemon.pid) for house in houses) - sum(began)
        core = core / len(houses) / (time.monotonic() - at)
        before = sum(house.frames_left_out for house in houses)
        say(
            f"a daemon takes {100 * core:.1f} % of a core, {1000 * core / FRAMES_PER_SECOND:.2f} ms"
        )
        for name, values in more.items():
            mean, limit = float(np.mean(values)), upper_limit(values)
            say(
                f"with the console, {name}: {mean:+.2f} % a frame, at most {limit:+.2f} % (95 %, "
                f"{len(values)} pairs): {mean * core:+.2f} % of a core, at most "
                f"{limit * core:+.2f} %"
            )
        kill(houses[0].folder, houses[0].control)
        for house in houses:
            house.daemon.terminate()
        after = sum(house.frames_left_out for house in houses) - before
        say(f"frames left out: {before} before, {after} while {KILLS} consoles were killed")


def say(line: str) -> None:
    """Print it at once."""
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
