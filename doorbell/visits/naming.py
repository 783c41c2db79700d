"""Who the visitor of an open visit is said to be: once, and of whom that can be said.

Pure, as all of ``visits``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from doorbell.domain import Match, Person, Recognized, Unknown, Verdict, Visitor
from doorbell.visits.announcement import Announcement
from doorbell.visits.observation import Introduce, Observation
from doorbell.visits.open_visit import OpenVisit, visitor_key


def tells_more(found: Match, current: Visitor | None) -> bool:
    """Whether a match says more than was said of a visitor: that a stranger is a person, too."""
    match found.verdict:
        case Verdict.KNOWN:
            return found.visitor is not None and not isinstance(current, Person)
        case Verdict.UNKNOWN:
            return current is None
        case Verdict.UNDECIDED:
            return False


def visit_by(visits: Iterable[OpenVisit], visitor: Visitor | None) -> OpenVisit | None:
    """The one of these visits that is somebody's; None where there is none, or nobody is meant."""
    if visitor is None:
        return None
    for entry in visits:
        if entry.visit.visitor is not None and visitor_key(entry.visit.visitor) == visitor_key(
            visitor
        ):
            return entry
    return None


class Naming:
    """Names visitors.

    Args:
        introduce: gives a stranger an identifier, an old one or a new one.
        new_id: for events.
    """

    def __init__(self, introduce: Introduce, new_id: Callable[[], str]) -> None:
        self._introduce = introduce
        self._new_id = new_id

    def name(
        self, entry: OpenVisit, seen: Observation, time_seconds: float, wall_time: float
    ) -> Announcement:
        """Name the visitor by what was seen: the person, or a stranger, who is introduced.

        Args:
            entry: whose visitor it is; changed by this.
            seen: what tells.
            time_seconds: stream time of the decision.
            wall_time: the same, in seconds since the epoch.
        """
        visitor, mistaken = seen.match.visitor, None
        if isinstance(visitor, Person):
            mistaken = entry.take_newcomer()
        else:
            visitor = self._introduce(seen, wall_time)
            entry.newcomer = visitor if visitor.visits == 1 else entry.newcomer
        entry.named_by = seen.signature
        entry.visit = replace(
            entry.visit,
            visitor=visitor,
            similarity=seen.match.similarity,
            frames_used=seen.match.frames_used,
            seconds_to_decision=time_seconds - entry.first_seen_seconds,
        )
        kind = Recognized if isinstance(visitor, Person) else Unknown
        return Announcement(kind(self._new_id(), wall_time, entry.visit), entry, mistaken)
