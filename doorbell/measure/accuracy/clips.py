"""Short videos of known people: everybody in turn is the stranger at the others' door."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from doorbell.errors import EnrollmentError
from doorbell.gallery.names import name_key
from doorbell.measure.accuracy.labels import Clip, read_clips
from doorbell.measure.accuracy.replay import PlayedVisit, Replay
from doorbell.measure.accuracy.report import Report
from doorbell.models.fetch import Progress

KINDS = ("named_right", "named_wrong", "strangers_named", "undecided")
UNNAMED = "a stranger unnamed"


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one visit: one of ``KINDS``, or ``UNNAMED``, which is as it should be."""

    kind: str
    seconds: float


def measure_clips(
    folder: Path, open_replay: Callable[[], AbstractContextManager[Replay]], progress: Progress
) -> Report:
    """Play the clips of ``labels.json`` with each of its people as the stranger in turn.

    The others are enrolled from their first clips; every other clip is played. Every visit counts,
    one that gets no name only if it is the main person's: bystanders are nobody's to name.

    Args:
        folder: of the clips.
        open_replay: gives a door with an empty gallery.
        progress: called for each clip.

    Raises:
        UsageError: the folder is not as it should be.
        CameraError: a clip cannot be read.
    """
    clips = read_clips(folder)
    firsts: dict[str, Clip] = {}
    for clip in clips:
        firsts.setdefault(clip.person, clip)
    turns = {
        stranger: [c for c in clips if c.person == stranger or c is not firsts[c.person]]
        for stranger in firsts
    }
    outcomes: list[_Outcome] = []
    notes: list[str] = []
    total, done = sum(len(played) for played in turns.values()), 0
    for stranger, played in turns.items():
        with open_replay() as door:
            notes += _enroll(door, [clip for clip in firsts.values() if clip.person != stranger])
            for clip in played:
                found = _outcomes(door.run(clip.path), clip.person, stranger)
                notes += [
                    f"{clip.path.name} with {stranger} as the stranger: {outcome.kind}"
                    for outcome in found
                    if outcome.kind not in ("named_right", UNNAMED)
                ]
                outcomes += found
                done += 1
                progress("clips", done, total)
    kinds = Counter(outcome.kind for outcome in outcomes)
    waits = [outcome.seconds for outcome in outcomes if outcome.kind == "named_right"]
    return Report(
        figures={
            "visits": len(outcomes),
            **{kind: kinds[kind] for kind in KINDS},
            "median_seconds_to_name": float(np.median(waits)) if waits else None,
            "p95_seconds_to_name": float(np.percentile(waits, 95)) if waits else None,
        },
        notes=tuple(notes),
    )


def _enroll(door: Replay, clips: Sequence[Clip]) -> list[str]:
    """Enroll the main person of each clip; why somebody could not be."""
    refusals = []
    for clip in clips:
        try:
            door.enroll_video(clip.person, clip.path)
        except EnrollmentError as exc:  # noqa: PERF203 - a refusal is this person's alone
            refusals.append(f"{clip.person} not enrolled: {exc}")
    return refusals


def _outcomes(visits: Sequence[PlayedVisit], person: str, stranger: str) -> list[_Outcome]:
    """What became of the visits that count; a person never noticed at all is undecided."""
    outcomes = []
    for visit in visits:
        if not visit.names:
            continue
        if person == stranger:
            kind = "strangers_named"
        elif any(name_key(name) != name_key(person) for name in visit.names):
            kind = "named_wrong"
        else:
            kind = "named_right"
        outcomes.append(_Outcome(kind, visit.seconds or 0.0))
    if not any(visit.is_main and visit.names for visit in visits):
        outcomes.append(_Outcome(UNNAMED if person == stranger else "undecided", 0.0))
    return outcomes
