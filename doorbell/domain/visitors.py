"""Who comes: people of the household's acquaintance, strangers, and what a comparison says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody enrolled by the household.

    Attributes:
        person_id: lasting, never used again.
        name: as the household wrote it.
        chime: name of a built-in chime or path of a WAV file; None for the default chime.
        preferences: free JSON that goes out with the person's events.
        ignored: whether their coming never rings.
        earlier_subtype: of the trigger that automations of earlier versions may wait for: the name
            of that time; None for whoever was enrolled since.
    """

    person_id: int
    name: str
    chime: str | None = None
    preferences: Mapping[str, Any] = field(default_factory=dict)
    ignored: bool = False
    earlier_subtype: str | None = None

    @property
    def label(self) -> str:
        """What people are shown."""
        return self.name


# Before the label of a stranger whose number is not the lasting one.
UNSTORED = "new-"


@dataclass(frozen=True, slots=True)
class Stranger:
    """Somebody nobody has named, recognized again by identifier only.

    Attributes:
        stranger_id: lasting, never used again; a negative one is not stored yet, and given by
            chance until the gallery can be written.
        first_seen_at, last_seen_at: wall time, seconds since the epoch.
        visits: how often they came, this visit included.
        visits_week: how often in the seven days up to ``last_seen_at``, this visit included.
        ignored: whether their coming never rings; they are kept for as long as that is so.
    """

    stranger_id: int
    first_seen_at: float
    last_seen_at: float
    visits: int
    visits_week: int = 1
    ignored: bool = False

    @property
    def label(self) -> str:
        """What people are shown, and what ``strangers name`` takes."""
        new = UNSTORED if self.stranger_id < 0 else ""
        return f"{new}stranger-{abs(self.stranger_id)}"


Visitor: TypeAlias = Person | Stranger


class Verdict(Enum):
    """What many frames of one track say together."""

    UNDECIDED = "undecided"
    KNOWN = "known"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Match:
    """The answer of the decision for one track.

    Attributes:
        verdict: known, unknown, or not yet.
        visitor: the person if known; the stranger met before if unknown and recognized; else None.
        similarity: cosine with the visitor named, or with the nearest person if there is none.
        frames_used: number of embeddings behind it.
        may_be_stranger: whether somebody whom it does not name may be taken for a stranger: not
            where the frames would not tell the household's own people, or may be pictures of them.
    """

    verdict: Verdict
    visitor: Visitor | None
    similarity: float
    frames_used: int
    may_be_stranger: bool = True
