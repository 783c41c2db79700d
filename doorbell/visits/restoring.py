"""What a run knows of the one before: who was at the door when it ended, and who had rung.

A visit that a killed daemon left open goes on where its visitor is seen again, and ends otherwise.
A daemon that stops in order ends its visits: whoever is still there afterwards begins another, and
does not ring once more.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from doorbell.domain import Float32Array, Stranger, Visit, Visitor
from doorbell.visits.open_visit import OpenVisit, visitor_key

# Longer away, and whoever is there may have come anew. A service manager starts the daemon again
# within seconds, a slow machine within a minute; a driver that hangs is noticed after one.
RESTART_SECONDS = 120.0


@dataclass(frozen=True, eq=False, slots=True)
class EarlierVisit:
    """A visit that had not ended by itself when the run before did.

    Attributes:
        visit: as it was stored last; its ``ended_at`` is None where the daemon was killed.
        signature: (128,) float32 of unit length, the visitor's face; None where none is stored.
        rang: whether the bell rang in it.
        stopped_at: wall time when the daemon stopped and ended it; None where it was killed.
    """

    visit: Visit
    signature: Float32Array | None = None
    rang: bool = False
    stopped_at: float | None = None

    def may_go_on(self, wall_time: float) -> bool:
        """Whether its visitor may still be there."""
        known_at = self.visit.last_seen_at if self.stopped_at is None else self.stopped_at
        return abs(wall_time - known_at) <= RESTART_SECONDS

    def reopened(
        self, time_seconds: float, wall_time: float, announce_after_seconds: float
    ) -> OpenVisit:
        """Go on with it, as of a visitor last seen just before this moment."""
        visit, visitor = self.visit, self.visit.visitor
        began = min(visit.started_at, wall_time)
        first_seen = time_seconds - (wall_time - began)
        announced = (
            visitor is None
            and announce_after_seconds > 0
            and visit.last_seen_at - visit.started_at >= announce_after_seconds
        )
        return OpenVisit(
            visit,
            first_seen_seconds=first_seen,
            last_seen_seconds=math.nextafter(time_seconds, -math.inf),
            named_by=self.signature,
            newcomer=visitor if isinstance(visitor, Stranger) and visitor.visits == 1 else None,
            rang=self.rang,
            rang_before_named=self.rang and visitor is None,
            unnamed_since_seconds=first_seen,
            announced_unnamed=announced,
            is_resumed=True,
        )


@dataclass(frozen=True, eq=False, slots=True)
class Earlier:
    """The run before.

    Attributes:
        visits: that had not ended by themselves.
        rang_at: wall time when each visitor rang last, by ``visitor_key``.
    """

    visits: tuple[EarlierVisit, ...] = ()
    rang_at: Mapping[tuple[str, int], float] = field(default_factory=dict)

    def at_door(self, door_id: str) -> Earlier:
        """The same, with visits of no door, which an earlier doorbell has stored, at this one."""
        visits = tuple(
            each
            if each.visit.door_id
            else replace(each, visit=replace(each.visit, door_id=door_id))
            for each in self.visits
        )
        return replace(self, visits=visits)

    @property
    def left_open(self) -> tuple[EarlierVisit, ...]:
        """Visits that nobody ended: the daemon was killed."""
        return tuple(each for each in self.visits if each.stopped_at is None)

    @property
    def stopped(self) -> tuple[EarlierVisit, ...]:
        """Visits that the daemon ended because it stopped."""
        return tuple(each for each in self.visits if each.stopped_at is not None)


class WereThere:
    """Who was at the door when the daemon stopped, and does not ring once more.

    Args:
        visits: that the stop has ended.
        until_seconds: stream time; who comes later has come anew.
    """

    def __init__(
        self, visits: Collection[EarlierVisit] = (), until_seconds: float = -math.inf
    ) -> None:
        # Whoever was named, had the bell rung or not; whoever was not, if it did.
        self._keys = {
            visitor_key(each.visit.visitor)
            for each in visits
            if each.rang or each.visit.visitor is not None
        }
        self._until_seconds = until_seconds

    def includes(self, visitor: Visitor | None, first_seen_seconds: float) -> bool:
        """Whether a visit is of one of them; who cannot be told may be any of them."""
        if not self._keys or first_seen_seconds > self._until_seconds:
            return False
        nobody = visitor_key(None)
        return visitor is None or bool(self._keys & {visitor_key(visitor), nobody})
