"""Whether the bell rings for a visit: once in it, and not for who rang lately or was there before.

Pure: visits in, announcements out; no clock of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from doorbell.config import VisitsSection
from doorbell.domain import Ring, Stranger, Visitor
from doorbell.visits.announcement import Announcement
from doorbell.visits.cooldown import Cooldown
from doorbell.visits.open_visit import OpenVisit
from doorbell.visits.restoring import WereThere


class Bell:
    """Rings for visits, and knows for whom it did.

    Args:
        section: the cool-down, whether it rings for visits at all, and for how long a press is of
            whoever is seen after it.
        ring_after_seconds: of looking at the door without a break; 0 for never.
        new_id: gives each event its identifier.
    """

    def __init__(
        self, section: VisitsSection, ring_after_seconds: float, new_id: Callable[[], str]
    ) -> None:
        self._section = section
        self._ring_after_seconds = ring_after_seconds
        self._new_id = new_id
        self._cooldown = Cooldown(section.cooldown_seconds)
        self._were_there = WereThere()
        self._pressed_unseen_seconds = -math.inf

    def reconfigure(self, section: VisitsSection) -> None:
        """Go by another ``[visits]`` from now on."""
        self._section = section
        self._cooldown.reconfigure(section.cooldown_seconds)

    def restore(
        self,
        rang_at: Mapping[tuple[str, int], float],
        were_there: WereThere,
        time_seconds: float,
        wall_time: float,
    ) -> None:
        """Take over from the run before.

        Args:
            rang_at: wall time when each visitor rang last, by ``visitor_key``.
            were_there: who was at the door when it stopped.
            time_seconds: stream time.
            wall_time: of the same moment.
        """
        self._cooldown.restore(rang_at, time_seconds, wall_time)
        self._were_there = were_there

    def identify(self, identified: Mapping[int, Stranger]) -> None:
        """Take over what strangers are called for good, by the number they had meanwhile."""
        self._cooldown.identify(identified)

    def note_elsewhere(self, visitor: Visitor, time_seconds: float) -> None:
        """It rang for the visitor at another door, who need not ring at this one too."""
        self._cooldown.note_elsewhere(visitor, time_seconds)

    def take_newly(self) -> list[Visitor]:
        """Take those whom it rang for since this was asked last."""
        return self._cooldown.take_newly()

    def press(self, entry: OpenVisit | None, time_seconds: float, wall_time: float) -> Announcement:
        """Somebody pressed it: ring for the latest visitor at the door, if any.

        Who is named only afterwards is announced, and the bell does not ring by itself once more.
        """
        if entry is None:
            self._pressed_unseen_seconds = time_seconds
            return Announcement(Ring(self._new_id(), wall_time, pressed=True))
        entry.rang = True
        if entry.visit.visitor is None:
            entry.rang_before_named = True
        else:
            self._cooldown.note(entry.visit.visitor, time_seconds)
        ring = Ring(self._new_id(), wall_time, entry.visit, pressed=True, reason=entry.reason)
        return Announcement(ring, entry)

    def note_opened(self, entry: OpenVisit, time_seconds: float) -> None:
        """A visit begins, perhaps of whoever pressed before being seen."""
        if time_seconds - self._pressed_unseen_seconds <= self._section.absence_seconds:
            self._pressed_unseen_seconds = -math.inf
            entry.rang = entry.rang_before_named = True

    def ring_for_named(
        self, entry: OpenVisit, beside: Sequence[OpenVisit], time_seconds: float, wall_time: float
    ) -> list[Announcement]:
        """Ring for who was just named, unless the bell rang before it was known for whom.

        Args:
            entry: the visit.
            beside: all that go on.
            time_seconds: stream time.
            wall_time: of the same moment.
        """
        if entry.rang_before_named:
            self._cooldown.note(entry.visit.visitor, time_seconds)
            return []
        if not self._section.ring_on_visit:
            return []
        return self._ring(entry, beside, time_seconds, wall_time)

    def ring_for_unnamed(
        self, entry: OpenVisit, beside: Sequence[OpenVisit], time_seconds: float, wall_time: float
    ) -> list[Announcement]:
        """Ring for who is there and cannot be told, once a visit; as ``ring_for_named``."""
        if entry.rang or not self._section.ring_on_visit:
            return []
        told = self._ring(entry, beside, time_seconds, wall_time)
        entry.rang_before_named = entry.rang
        return told

    def ring_for_looking(
        self, entry: OpenVisit, beside: Sequence[OpenVisit], time_seconds: float, wall_time: float
    ) -> list[Announcement]:
        """Ring for who looks at the door for long, where nothing else has rung in this visit."""
        if entry.rang or not 0 < self._ring_after_seconds <= entry.looking_in_a_row_seconds:
            return []
        told = self._ring(entry, beside, time_seconds, wall_time)
        entry.rang_before_named = entry.rang
        return told

    def _ring(
        self, entry: OpenVisit, beside: Sequence[OpenVisit], time_seconds: float, wall_time: float
    ) -> list[Announcement]:
        """Ring, unless the same visitor rang lately, or was there when the daemon stopped."""
        if self._was_there(entry, beside):
            entry.rang = True
            return []
        if not self._cooldown.may_ring(entry.visit.visitor, time_seconds):
            return []
        self._cooldown.note(entry.visit.visitor, time_seconds)
        entry.rang = True
        ring = Ring(self._new_id(), wall_time, entry.visit, reason=entry.reason)
        return [Announcement(ring, entry)]

    def _was_there(self, entry: OpenVisit, beside: Sequence[OpenVisit]) -> bool:
        """Whether the visitor came before this run began, as far as that can be told."""
        visitor = entry.visit.visitor
        if self._were_there.includes(visitor, entry.first_seen_seconds):
            return True
        # A visit goes on that nobody is seen for yet, and who cannot be told may be its visitor.
        return visitor is None and any(each.is_resumed and each.rang for each in beside)
