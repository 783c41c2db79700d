"""What a machine notes, and leaves when it stops."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StepTaken:
    """A frame with a face, or of which something was told, in the pipeline of its door.

    Attributes:
        at: wall time when it began.
        seconds: that the main thread took for it.
        processor_seconds: of these, so many at work: without waiting for others.
        events: how many were told.
    """

    at: float
    seconds: float
    processor_seconds: float
    events: int


@dataclass(frozen=True, slots=True)
class Told:
    """An event, as the door has decided it.

    Attributes:
        at: wall time when it was handed to the outputs.
        event_id, kind, door_id, visit_id: of it.
        label: what the visitor is called; None while undecided.
        person_id: of a visitor who is enrolled.
    """

    at: float
    event_id: str
    kind: str
    door_id: str
    visit_id: str | None
    label: str | None
    person_id: int | None


@dataclass(frozen=True, slots=True)
class Searched:
    """What was found for each of the probes.

    Attributes:
        people: numbers of those most alike; 0 for nobody.
        milliseconds: of each search.
    """

    people: Sequence[int]
    milliseconds: Sequence[float]


@dataclass(frozen=True, slots=True)
class Records:
    """All that a machine has noted in one run.

    Attributes:
        steps, told, searched: in order.
        faces: who stood there when a visit was told first, as a place among all faces, by visit.
    """

    steps: Sequence[StepTaken]
    told: Sequence[Told]
    searched: Searched
    faces: Mapping[str, int]


def read_records(path: Path) -> Records:
    """Read what a machine has left."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return Records(
        [StepTaken(**each) for each in content["steps"]],
        [Told(**each) for each in content["told"]],
        Searched(**content["searched"]),
        content["faces"],
    )
