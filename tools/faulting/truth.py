"""The script's truth against what a subscriber heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import zip_longest
from typing import Any

from doorbell.outputs.mqtt.messages import LATE
from doorbell.testbed.scenes import KNOWN, Who

# Whom the known visitor's portrait shows.
NAME = "Barack Obama"
KNOWN_KINDS = ("arrived", "recognized", "ring", "left")
STRANGER_KINDS = ("arrived", "unknown", "ring", "left")
PRESS_KINDS = ("ring",)


@dataclass(frozen=True, slots=True)
class Scripted:
    """What the script says of one visit, or of a press with nobody in sight.

    Attributes:
        name: of the person; None for a stranger, and for a press.
        kinds: of its events, in order.
    """

    name: str | None
    kinds: tuple[str, ...]


def scripted(who: Who, *, rings: bool = True) -> Scripted:
    """A visit of somebody, with or without the bell."""
    kinds = KNOWN_KINDS if who == KNOWN else STRANGER_KINDS
    told = kinds if rings else tuple(kind for kind in kinds if kind != "ring")
    return Scripted(NAME if who == KNOWN else None, told)


@dataclass(frozen=True, slots=True)
class Judgement:
    """How what was heard differs from the script.

    Attributes:
        events: that the script has.
        lost: of these, not heard.
        doubled: heard, each with an id of its own, that the script does not have.
        wrong: heard with the name of somebody else.
        disordered: visits whose events came in another order.
        repeated: messages with an id that was heard before, which every subscriber drops.
    """

    events: int
    lost: int
    doubled: int
    wrong: int
    disordered: int
    repeated: int

    def __add__(self, other: Judgement) -> Judgement:
        """Of two doors."""
        return Judgement(
            *(one + another for one, another in zip(astuple(self), astuple(other), strict=True))
        )

    @property
    def faultless(self) -> bool:
        """Whether the subscriber heard the script and nothing else."""
        return not (self.lost or self.doubled or self.wrong or self.disordered)


def judge(script: Sequence[Scripted], documents: Iterable[Mapping[str, Any]]) -> Judgement:
    """Compare: visits are the script's in the order in which they began."""
    heard: dict[str, Mapping[str, Any]] = {}
    messages = 0
    for document in documents:
        messages += 1
        heard.setdefault(document["event_id"], document)
    visits: dict[str, list[Mapping[str, Any]]] = {}
    for document in heard.values():
        visits.setdefault(document["visit_id"] or document["event_id"], []).append(document)
    lost = doubled = wrong = disordered = 0
    for scripted, visit in zip_longest(script, visits.values(), fillvalue=None):
        expected = scripted.kinds if scripted else ()
        kinds = tuple(each["event_type"].removeprefix(LATE) for each in visit or ())
        missing, extra = Counter(expected) - Counter(kinds), Counter(kinds) - Counter(expected)
        lost += missing.total()
        doubled += extra.total()
        disordered += not missing and not extra and kinds != expected
        name = scripted.name if scripted else None
        wrong += sum(each["person"] not in (None, name) for each in visit or ())
    events = sum(len(scripted.kinds) for scripted in script)
    return Judgement(events, lost, doubled, wrong, disordered, messages - len(heard))
