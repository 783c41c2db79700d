"""Faults, one after the other, to the real daemon: ``.venv/bin/python tools/faults.py --times 3``.

The daemon, mosquitto, a network camera and an ALSA device are real processes and files. Visitors
come to the camera by a script; what a subscriber of the broker has heard is compared with it. Exits
with 1 if an event is lost, doubled, in disorder or under a wrong name, or if something does not
come back.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from faulting import (
    broker,
    camera,
    console,
    doors,
    gallery,
    process,
    refusals,
    server,
    storage,
    voices,
)
from faulting.door import Door, NotRecoveredError
from faulting.truth import NAME, Judgement

from doorbell.config import InferenceSection, load_config
from doorbell.gallery.gallery import Gallery
from doorbell.household.enrollment import Enroller
from doorbell.models.store import face_path, models_directory
from doorbell.pipeline.perception import open_perception

# Enrolled as well, and never at the door: whoever gets one of their names is named wrongly.
OTHERS = {"Jacinda Ardern": "ardern", "Emmanuel Macron": "macron"}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens.

    Attributes:
        name: on the command line.
        occur: lets it happen and pass once; seconds until everything was as before.
        prepare: the door, before it opens.
        refusal: why it cannot be tried here, or None.
        once: whether each time takes a door of its own.
        is_long: whether it takes an hour, so that it is tried only where it is named.
    """

    name: str
    occur: Callable[[Door], float]
    prepare: Callable[[Door], None] | None = None
    refusal: Callable[[], str | None] | None = None
    once: bool = False
    is_long: bool = False


FAULTS = (
    Fault("broker-down-1000-events", broker.down_for_long, broker.prepare_thousand, once=True),
    Fault("broker-restarted-in-burst", broker.restarted_in_burst, broker.prepare_burst, once=True),
    Fault("broker-killed-in-burst", broker.killed_in_burst, broker.prepare_burst, once=True),
    Fault("broker-killed", broker.killed),
    Fault("broker-silent", broker.silent),
    Fault("broker-refuses-size", refusals.large_message, refusals.prepare_limit, once=True),
    Fault("broker-refuses-topic", refusals.topic, refusals.prepare_topic, once=True),
    Fault("home-automation-later", refusals.birth, refusals.prepare_birth),
    Fault("two-doorbells", refusals.two_doorbells),
    Fault("wrong-password", broker.wrong_password, broker.prepare_password),
    Fault("network-cut", broker.network_cut, broker.prepare_network, broker.no_networks),
    Fault("network-hiccup", broker.network_hiccup, broker.prepare_network, broker.no_networks),
    Fault("daemon-killed", process.killed),
    Fault("daemon-restarted", process.terminated),
    Fault("crash-with-somebody-at-the-door", process.at_the_door),
    Fault("second-daemon", process.second_daemon),
    Fault("command-flood", process.flood),
    Fault("console-killed", console.killed),
    Fault("clock-ahead", process.clock_ahead, process.prepare_clock, process.no_clock),
    Fault("clock-back", process.clock_back, process.prepare_clock, process.no_clock),
    Fault(
        "clock-set-without-broker",
        process.clock_set_without_broker,
        process.prepare_clock,
        process.no_clock,
    ),
    Fault("camera-unplugged", camera.unplugged),
    Fault("camera-blocked", camera.blocked),
    Fault("camera-black", camera.black),
    Fault("camera-frozen", camera.frozen),
    Fault("camera-frozen-encoder", camera.frozen, camera.prepare_encoder),
    Fault("camera-far-key-frames", camera.far_key_frames, camera.prepare_far_key_frames),
    Fault("camera-corrupt", camera.corrupt),
    Fault("camera-changing-size", camera.changing_size),
    Fault("camera-missing-at-start", camera.missing_at_start),
    Fault("doors-camera-hangs", doors.camera_hangs, doors.prepare_hanging, once=True),
    Fault("doors-camera-lost", doors.camera_lost, doors.prepare),
    Fault("doors-camera-frozen", doors.camera_frozen, doors.prepare),
    Fault("doors-sound-dead", doors.sound_dead, doors.prepare),
    Fault("doors-broker-away", doors.broker_away, doors.prepare),
    Fault("doors-database-killed", server.killed, server.prepare, server.no_server),
    Fault("doors-database-hangs", server.hangs, server.prepare, server.no_server, once=True),
    Fault(
        "doors-database-away",
        server.away_for_an_hour,
        server.prepare,
        server.no_server,
        once=True,
        is_long=True,
    ),
    Fault("sound-gone", camera.sound_gone),
    Fault("sound-blocked", camera.sound_blocked),
    Fault("door-speaker-hangs", voices.speaker_hangs, voices.prepare),
    Fault("player-killed", voices.player_killed, voices.prepare),
    Fault("notifier-killed", voices.notifier_killed, voices.prepare),
    Fault("everything-killed", voices.everything_killed, voices.prepare),
    Fault("disk-full", storage.disk_full, storage.prepare_small_disk, storage.no_disks),
    Fault(
        "disk-full-for-pictures",
        storage.pictures_full,
        storage.prepare_small_disk_for_pictures,
        storage.no_disks,
    ),
    Fault(
        "disk-full-without-broker",
        storage.disk_full_without_broker,
        storage.prepare_small_disk,
        storage.no_disks,
    ),
    Fault("gallery-locked", storage.gallery_locked),
    Fault("gallery-deleted", storage.gallery_deleted),
    Fault(
        "ten-thousand-strangers",
        gallery.ten_thousand_strangers,
        gallery.prepare_household,
        once=True,
    ),
)


def _quick(door: Door) -> float:
    """One after the other, at one door: the longest recovery."""
    return max(occur(door) for occur in (process.killed, process.flood))


# What no other test shows to the whole daemon, in as little time as it takes.
QUICK = Fault("quick", _quick)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a fault.

    Attributes:
        fault: its name.
        times: it happened.
        recovered_seconds: each time; fewer where something did not come back.
        judgements: of each door.
        skipped: why it was not tried, or None.
        problem: what did not come back, or None.
    """

    fault: str
    times: int
    recovered_seconds: Sequence[float]
    judgements: Sequence[Judgement]
    skipped: str | None = None
    problem: str | None = None

    @property
    def faultless(self) -> bool:
        """Whether nothing is to be complained of."""
        return self.problem is None and all(each.faultless for each in self.judgements)

    def total(self, count: str) -> int:
        """Sum up a count of the judgements."""
        return sum(getattr(each, count) for each in self.judgements)


def main() -> int:
    """Try what is asked for; 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = [fault.name for fault in FAULTS]
    parser.add_argument("faults", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--times", type=int, default=1, help="how often each is to happen")
    parser.add_argument(
        "--quick", action="store_true", help="only the short form that the tests run"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object for each")
    parser.add_argument("--keep", type=Path, help="a folder for the logs of what went wrong")
    asked = parser.parse_args()
    if not set(asked.faults) <= set(names):
        parser.error(f"the faults are {', '.join(names)}")
    wanted = [
        fault
        for fault in FAULTS
        if fault.name in asked.faults or not (asked.faults or fault.is_long)
    ]
    faultless = True
    if not asked.json:
        _say(
            f"{'fault':26}{'times':>6}{'events':>8}{'lost':>6}{'doubled':>9}{'disordered':>12}"
            f"{'wrong names':>13}{'repeated':>10}  recovered in s, median and longest"
        )
    with _gallery() as folder:
        for fault in [QUICK] if asked.quick else wanted:
            outcome = _try(fault, asked.times, folder, asked.keep)
            _say(json.dumps(asdict(outcome)) if asked.json else _row(outcome))
            faultless &= outcome.faultless
    return 0 if faultless else 1


def _try(fault: Fault, times: int, folder: Path, keep: Path | None) -> Outcome:
    skipped = fault.refusal() if fault.refusal else None
    if skipped:
        return Outcome(fault.name, 0, (), (), skipped=skipped)
    seconds: list[float] = []
    judgements: list[Judgement] = []
    problem = None
    for _ in range(times if fault.once else 1):
        with (
            tempfile.TemporaryDirectory(prefix="doorbell-faults-") as scratch,
            closing(Door(Path(scratch), folder, _models() / "faces")) as door,
        ):
            try:
                if fault.prepare:
                    fault.prepare(door)
                door.open()
                seconds += (fault.occur(door) for _ in range(1 if fault.once else times))
                judgements.append(door.settle())
            except NotRecoveredError as exc:
                problem = str(exc)
                judgements.append(door.judgement())
            if keep and (problem or not judgements[-1].faultless):
                _keep(door, keep / fault.name)
        if problem:
            break
    return Outcome(fault.name, len(seconds), seconds, judgements, problem=problem)


def _keep(door: Door, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log").write_text(door.log)
    heard = [json.dumps(each) for each in door.subscriber.documents("event")]
    (folder / "heard").write_text("\n".join(heard) + "\n")
    (folder / "script").write_text("\n".join(map(str, door.script)) + "\n")


def _row(outcome: Outcome) -> str:
    if outcome.skipped:
        return f"{outcome.fault:26}  skipped: {outcome.skipped}"
    row = (
        f"{outcome.fault:26}{outcome.times:6}{outcome.total('events'):8}{outcome.total('lost'):6}"
        f"{outcome.total('doubled'):9}{outcome.total('disordered'):12}{outcome.total('wrong'):13}"
        f"{outcome.total('repeated'):10}  "
    )
    if outcome.recovered_seconds:
        seconds = outcome.recovered_seconds
        row += f"{median(seconds):.1f} {max(seconds):.1f}"
    return row + (f"  NOT RECOVERED: {outcome.problem}" if outcome.problem else "")


@contextmanager
def _gallery() -> Iterator[Path]:
    """A gallery of people, in a folder that can be copied."""
    with tempfile.TemporaryDirectory(prefix="doorbell-faults-") as scratch:
        path, config = Path(scratch) / "gallery.sqlite", load_config(None)
        with closing(open_perception(config)) as perception, Gallery.open(path) as opened:
            enroller = Enroller(perception, opened, config)
            for name, face in {NAME: "obama2", **OTHERS}.items():
                enroller.enroll_photos(name, [face_path(face, _models())])
        yield path.parent


def _models() -> Path:
    return models_directory(InferenceSection())


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - what this tool is for


if __name__ == "__main__":
    sys.exit(main())
