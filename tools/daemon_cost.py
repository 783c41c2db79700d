"""What parts of the doorbell cost the daemon: ``.venv/bin/python tools/daemon_cost.py PART``.

Run it alone. Two daemons run side by side, each before a simulated camera of 1280 x 720 with
somebody at the door; one of them has the part, in turns this and that one. So whatever else slows
this machine slows both, at the same time. Two turns, one with each, are a pair. Prints how much
more processor time the daemon with the part takes for a frame, with the upper limit of 95 % (of the
mean over all pairs, by bootstrap).

``console``: web pages, while nobody looks at them and while somebody watches the picture of now.
Then consoles are killed before a viewer, and it says how many frames the daemons have left out
meanwhile and before: if any before, this machine is too slow or busy to say anything.

``talk``: all that talks and notifies (the microphone allowed, announcements, replies by themselves,
notifications with a notifier that runs), while nobody uses any of it.
"""

from __future__ import annotations

import argparse
import math
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np

from doorbell.config import InferenceSection
from doorbell.models.store import models_directory
from doorbell.testbed.console_process import ConsoleProcess
from doorbell.testbed.daemon_process import DOORBELL, WATCHING, DaemonProcess, run_command
from doorbell.testbed.scenes import Visitor, simulated

FRAMES_PER_SECOND = 10.0
# Whatever begins has settled by then.
SETTLING_SECONDS = 3.0
KILLS = 5
LIMIT = 0.95
TALKS = (
    "talk.microphone=true",
    "announcements.enabled=true",
    "replies.after_seconds=30",
    "notifications.enabled=true",
)
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
        self._settings = (
            f"camera.uri={simulated(folder, faces, standing, duration_seconds=86_400.0)}",
            "camera.width=1280",
            "camera.height=720",
            f"camera.frames_per_second={FRAMES_PER_SECOND}",
            f"storage.directory={folder / 'storage'}",
            "chime.enabled=false",
        )
        self._logs = 0
        self.daemon = self._start()

    def start_anew(self, *settings: str, config: Path | None = None) -> None:
        """End the daemon, and start one with more of a configuration."""
        self.daemon.kill()
        self.daemon = self._start(*settings, config=config)

    def kill(self) -> None:
        """End its daemon; idempotent."""
        self.daemon.kill()

    def _start(self, *settings: str, config: Path | None = None) -> DaemonProcess:
        self._logs += 1
        command = run_command(*self._settings, *settings, config=config)
        daemon = DaemonProcess(command, self.folder / f"log-{self._logs}")
        if not daemon.says(WATCHING):
            raise SystemExit(daemon.log_end)
        return daemon

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
            logarithms.append(_ratio(with_console, without, seconds))
    return 100.0 * math.expm1(sum(logarithms) / 2)


def more_with_talk(ours: House, other: House, seconds: float) -> float:
    """How much more processor time a daemon takes that can talk and notify, in percent."""
    logarithms = []
    for talking, silent in ((ours, other), (other, ours)):
        talking.start_anew(*TALKS, config=_targets(talking.folder))
        silent.start_anew("talk.enabled=false")
        with _notifier(talking):
            logarithms.append(_ratio(talking, silent, seconds))
    return 100.0 * math.expm1(sum(logarithms) / 2)


def _ratio(one: House, other: House, seconds: float) -> float:
    """The logarithm of how much longer one daemon computes than the other, over the same time."""
    time.sleep(SETTLING_SECONDS)
    pids = one.daemon.pid, other.daemon.pid
    before = [processor_seconds(pid) for pid in pids]
    time.sleep(seconds)
    took = [processor_seconds(pid) - at for pid, at in zip(pids, before, strict=True)]
    return math.log(took[0] / took[1])


def _targets(folder: Path) -> Path:
    """A configuration with somebody who is told; nobody is there."""
    secret, config = folder / "secret", folder / "doorbell.toml"
    secret.write_text("a secret of this measurement\n")
    secret.chmod(0o600)
    config.write_text(
        "[[notifications.targets]]\n"
        'name = "nobody"\nwebhook = "http://127.0.0.1:9/door"\n'
        f'secret_file = "{secret}"\ntell = ["camera"]\n'
    )
    return config


@contextmanager
def _notifier(house: House) -> Iterator[None]:
    """Run a notifier beside a house's daemon."""
    options = ("--config", str(_targets(house.folder)))
    settings = (
        "notifications.enabled=true",
        f"notifications.directory={house.folder / 'notifier'}",
        f"control.socket={house.control}",
    )
    sets = [word for each in settings for word in ("--set", each)]
    command = [*DOORBELL, "notifier", *options, *sets]
    with DaemonProcess(command, house.folder / "notifier.log") as notifier:
        yield
        if notifier.exit_code is not None:
            raise SystemExit(notifier.log_end)


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("console", "talk"))
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each turn")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="daemon-cost-") as folder, ExitStack() as stack:
        houses = House(Path(folder) / "one"), House(Path(folder) / "two")
        for house in houses:
            stack.callback(house.kill)
        measures: dict[str, Callable[[], float]] = (
            {
                name: partial(more_for_a_frame, turn, *houses, asked.seconds)
                for name, turn in TURNS.items()
            }
            if asked.part == "console"
            else {"nobody talks": partial(more_with_talk, *houses, asked.seconds)}
        )
        more: dict[str, list[float]] = {name: [] for name in measures}
        for number in range(asked.pairs):
            for name, measure in measures.items():
                more[name].append(measure())
            told = ", ".join(f"{name} {values[-1]:+.2f} %" for name, values in more.items())
            say(f"{number + 1:2d}. {told}")
        core = _core(houses, asked.seconds)
        say(
            f"a daemon takes {100 * core:.1f} % of a core, {1000 * core / FRAMES_PER_SECOND:.2f} ms"
        )
        for name, values in more.items():
            mean, limit = float(np.mean(values)), upper_limit(values)
            say(
                f"with {asked.part}, {name}: {mean:+.2f} % a frame, at most {limit:+.2f} % (95 %, "
                f"{len(values)} pairs): {mean * core:+.2f} % of a core, at most "
                f"{limit * core:+.2f} %"
            )
        if asked.part == "console":
            _kill_consoles(houses)


def _core(houses: Sequence[House], seconds: float) -> float:
    """How much of a core a daemon takes."""
    before = [processor_seconds(house.daemon.pid) for house in houses]
    time.sleep(seconds)
    after = [processor_seconds(house.daemon.pid) for house in houses]
    return (sum(after) - sum(before)) / len(houses) / seconds


def _kill_consoles(houses: Sequence[House]) -> None:
    """Kill consoles, and say what the daemons have left out."""
    before = sum(house.frames_left_out for house in houses)
    kill(houses[0].folder, houses[0].control)
    for house in houses:
        house.daemon.terminate()
    after = sum(house.frames_left_out for house in houses) - before
    say(f"frames left out: {before} before, {after} while {KILLS} consoles were killed")


def say(line: str) -> None:
    """Print it at once."""
    print(line, flush=True)  # noqa: T201


TURNS: dict[str, Turn] = {"nobody looks": ConsoleProcess, "somebody watches": viewer}

if __name__ == "__main__":
    main()
