"""What a household of many years costs a daemon, and the commands that list it.

The whole product, twice in one run: before the same scene in real time, with nobody but the visitor
in the gallery, and with the household of ``measure.speed.household`` beside. The daemon merges its
strangers meanwhile.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from doorbell.camera.simulated.script import SceneScript
from doorbell.config import Config
from doorbell.errors import DoorbellError
from doorbell.measure.speed.daemon import open_daemon
from doorbell.measure.speed.drift import LATE_SECONDS, VISIT_SECONDS, Minute, minute_of
from doorbell.measure.speed.end_to_end import BETWEEN_SECONDS, SEED, prepare
from doorbell.measure.speed.household import Household, write_household
from doorbell.measure.speed.memory import resident_megabytes
from doorbell.measure.speed.scene import visits
from doorbell.models.store import models_directory
from doorbell.testbed.broker import open_broker
from doorbell.testbed.daemon_process import DOORBELL
from doorbell.testbed.subscriber import Subscriber

ALONE, LARGE = "the visitor alone", "a household of many years"
COMMANDS = (("strangers", "list", "--json"), ("visits", "list"))
COMMAND_ROUNDS = 5
COMMAND_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class HouseholdReport:
    """What was measured.

    Attributes:
        household: whom the large gallery held.
        minutes: of the daemon, by the gallery.
        ready_seconds: from the start of the process to the first frame processed, by the gallery.
        merged: strangers that the daemon made one with others.
        commands: seconds from start to end beside the daemon with the large gallery, by command.
    """

    household: Household
    minutes: Mapping[str, tuple[Minute, ...]]
    ready_seconds: Mapping[str, float]
    merged: int
    commands: Mapping[str, float]

    @property
    def p99_ratio(self) -> float:
        """The large gallery's 99th percentile of a frame by the other's; medians of minutes."""
        return self._p99_ms(LARGE) / self._p99_ms(ALONE)

    def document(self, machine: Mapping[str, str]) -> dict[str, object]:
        """The format of ``--json``."""
        return {
            "machine": dict(machine),
            "household": asdict(self.household),
            "minutes": {name: list(map(asdict, each)) for name, each in self.minutes.items()},
            "ready_seconds": dict(self.ready_seconds),
            "p99_ratio": round(self.p99_ratio, 3),
            "merged": self.merged,
            "command_seconds": dict(self.commands),
        }

    def _p99_ms(self, name: str) -> float:
        return median(each.p99_ms for each in self.minutes[name])


def measure_large_gallery(
    config: Config, household: Household, *, minutes: int, say: Callable[[str], None]
) -> HouseholdReport:
    """Let visitors come to a daemon for so many minutes, with each gallery in turn.

    Args:
        config: of the product.
        household: whom the large gallery holds beside the visitor.
        minutes: with each gallery.
        say: told what is being done.

    Raises:
        DoorbellError: a model, a portrait or a broker is missing, or the daemon does not start.
    """
    measured: dict[str, tuple[Minute, ...]] = {}
    ready: dict[str, float] = {}
    commands: dict[str, float] = {}
    merged = 0
    script = visits(
        int(60.0 * minutes / VISIT_SECONDS) + 1,
        models_directory(config.inference) / "faces",
        seed=SEED,
        between_seconds=BETWEEN_SECONDS,
    )
    for name in (ALONE, LARGE):
        with (
            tempfile.TemporaryDirectory(prefix="doorbell-bench-") as place,
            open_broker(Path(place)) as (port, _),
            Subscriber(port) as subscriber,
        ):
            folder = Path(place)
            prepare(config, folder, SceneScript((), 1.0))
            if name == LARGE:
                say("writing the household's gallery")
                write_household(folder / "gallery.sqlite", household)
            with open_daemon(config, script, port, folder) as daemon:
                ready[name] = round(daemon.wait_ready() - daemon.process.started_at, 2)
                found: list[Minute] = []
                end = time.monotonic() + 60.0 * minutes + LATE_SECONDS
                while len(found) < minutes and time.monotonic() < end:
                    say(f"{name}: minute {len(found) + 1} of {minutes}")
                    time.sleep(0.2)
                    for status in subscriber.documents("status")[len(found) :]:
                        memory = resident_megabytes(daemon.process.pid)
                        found.append(minute_of(status, memory))
                if not found:
                    raise DoorbellError(f"the daemon said nothing:\n{daemon.process.log_end}")
                measured[name] = tuple(found)
                if name == LARGE:
                    merged = daemon.process.log.count(" is stranger-")
                    for words in COMMANDS:
                        say(f"doorbell {' '.join(words)}")
                        commands[" ".join(words)] = _time_command(words, folder)
    return HouseholdReport(household, measured, ready, merged, commands)


def _time_command(words: tuple[str, ...], folder: Path) -> float:
    """Seconds that a command takes; the median of several times."""
    taken = []
    for _ in range(COMMAND_ROUNDS):
        started = time.monotonic()
        subprocess.run(
            [*DOORBELL, *words, "--set", f"storage.directory={folder}"],
            stdout=subprocess.DEVNULL,
            timeout=COMMAND_SECONDS,
            check=True,
        )
        taken.append(time.monotonic() - started)
    return round(median(taken), 2)
