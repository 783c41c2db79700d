"""An event of a visit before it leaves: what happened, and the visit with all that it holds."""

from __future__ import annotations

from dataclasses import dataclass

from doorbell.domain import Event, Stranger
from doorbell.visits.open_visit import OpenVisit


@dataclass(frozen=True, eq=False, slots=True)
class Announcement:
    """An event, and what it takes to complete it.

    Attributes:
        event: what happened, without a picture.
        of: the visit with all that it holds, also where it ends with this event; None for a press
            with nobody there.
        mistaken: a stranger who was new in this visit and proves to be somebody else.
    """

    event: Event
    of: OpenVisit | None = None
    mistaken: Stranger | None = None
