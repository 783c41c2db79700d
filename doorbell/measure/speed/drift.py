"""Whether a daemon grows slower, or larger, while it runs.

Visitors come one after the other, in real time.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from doorbell.config import Config
from doorbell.measure.speed.daemon import open_daemon
from doorbell.measure.speed.end_to_end import BETWEEN_SECONDS, SEED, prepare
from doorbell.measure.speed.memory import resident_megabytes
from doorbell.measure.speed.plots import Curve
from doorbell.measure.speed.scene import visits
from doorbell.models.store import models_directory
from doorbell.testbed.broker import open_broker
from doorbell.testbed.subscriber import Subscriber

# The last status comes so long after its minute at the latest.
LATE_SECONDS = 30.0
# From one visitor's coming to the next, at the least.
VISIT_SECONDS = 7.0


@dataclass(frozen=True, slots=True)
class Minute:
    """What the daemon said of one minute.

    Attributes:
        minute: since its start.
        frames_per_second: processed.
        p50_ms, p99_ms: from taking a frame up to the end of its processing.
        resident_mb: memory of the process.
    """

    minute: float
    frames_per_second: float
    p50_ms: float
    p99_ms: float
    resident_mb: float


def measure_drift(config: Config, *, minutes: int, say: Callable[[str], None]) -> list[Minute]:
    """Let visitors come to a daemon for a while.

    Raises:
        DoorbellError: a model, a portrait or a broker is missing, or the daemon does not start.
    """
    seconds = 60.0 * minutes
    script = visits(
        int(seconds / VISIT_SECONDS) + 1,
        models_directory(config.inference) / "faces",
        seed=SEED,
        between_seconds=BETWEEN_SECONDS,
    )
    measured: list[Minute] = []
    with (
        tempfile.TemporaryDirectory(prefix="doorbell-bench-") as folder,
        open_broker(Path(folder)) as (port, _),
        Subscriber(port) as subscriber,
    ):
        prepare(config, Path(folder), script)
        with open_daemon(config, script, port, Path(folder)) as daemon:
            end = time.monotonic() + seconds + LATE_SECONDS
            while len(measured) < minutes and time.monotonic() < end:
                say(f"minute {len(measured) + 1} of {minutes}")
                time.sleep(0.2)
                for status in subscriber.documents("status")[len(measured) :]:
                    memory = resident_megabytes(daemon.process.pid)
                    measured.append(minute_of(status, memory))
    return measured


def drift_document(measured: list[Minute], machine: Mapping[str, str]) -> dict[str, object]:
    """The format of ``--json``."""
    return {"machine": dict(machine), "minutes": [asdict(minute) for minute in measured]}


def drift_curve(measured: list[Minute]) -> Curve:
    """The time of a frame over the minutes."""
    points = [(minute.minute, minute.p50_ms, minute.p99_ms) for minute in measured]
    return Curve(
        "drift",
        "Time of a frame at 720p, visitors coming and going",
        "minutes since the start",
        points,
    )


def minute_of(status: Mapping[str, Any], resident_mb: float) -> Minute:
    """Read a status: a document of ``outputs.mqtt.messages``, and the memory at its time."""
    frame = status["stages"]["frame"]
    return Minute(
        round(status["uptime_seconds"] / 60, 2),
        status["frames_per_second"],
        frame["p50_ms"],
        frame["p99_ms"],
        round(resident_mb, 1),
    )
