"""Tracks and decisions to visits: who arrived, was recognized or not, rang, and left.

Pure: draws nothing, no gallery, no clock of its own; who keeps strangers gives new ones their
identifiers through ``introduce``. A visit outlives its tracks: a face that is hidden for a moment
and found again continues the visit it belongs to.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from doorbell.config import AttentionSection, VisitsSection
from doorbell.domain import (
    Arrived,
    Left,
    Stranger,
    Unknown,
    Visit,
    Visitor,
)
from doorbell.visits.announcement import Announcement
from doorbell.visits.bell import Bell
from doorbell.visits.bodies import Bodies, BodySighting
from doorbell.visits.clock import FrameClock
from doorbell.visits.continuation import continued_visit, continuing_visit
from doorbell.visits.naming import Naming, tells_more, visit_by
from doorbell.visits.observation import (
    ARRIVAL_SECONDS,
    Introduce,
    Observation,
    Recall,
    Sightings,
    as_matched,
    is_confirmed_presence,
)
from doorbell.visits.open_visit import OpenVisit, contradicts, note_attention
from doorbell.visits.prints import SeenPrints
from doorbell.visits.restoring import Earlier, WereThere


def _new_id() -> str:
    return uuid.uuid4().hex


class Visits:
    """Keeps the visits that are going on at one door; ``bell`` knows for whom it rang."""

    def __init__(
        self,
        section: VisitsSection,
        introduce: Introduce,
        new_id: Callable[[], str] = _new_id,
        ring_after_seconds: float = AttentionSection().ring_after_seconds,
        recall: Recall = as_matched,
        *,
        door_id: str = "",
    ) -> None:
        self._door_id = door_id
        self._section = section
        self._naming = Naming(introduce, new_id)
        self._recall = recall
        self._new_id = new_id
        self._open: list[OpenVisit] = []
        self._bodies = Bodies()
        self._prints = SeenPrints()
        self.bell = Bell(section, ring_after_seconds, new_id)
        self._earlier = Earlier()  # until the first frame
        self._clock = FrameClock()

    @property
    def open_visits(self) -> tuple[Visit, ...]:
        """Visits going on now, the longest first."""
        return tuple(entry.visit for entry in self._open)

    @property
    def entries(self) -> tuple[OpenVisit, ...]:
        """The same with all that they hold."""
        return tuple(self._open)

    def restore(self, earlier: Earlier) -> None:
        """Take over from the run before, with the first frame; call it before that."""
        self._earlier = earlier.at_door(self._door_id)

    def reconfigure(self, section: VisitsSection) -> None:
        """Go by another ``[visits]`` from now on, visits that are going on too."""
        self._section = section
        self.bell.reconfigure(section)

    def visit_of(self, track_id: int) -> Visit | None:
        """The open visit that a track belongs to, as it stands."""
        entry = self.open_visit_of(track_id)
        return None if entry is None else entry.visit

    def open_visit_of(self, track_id: int) -> OpenVisit | None:
        """The open visit that a track belongs to, with all that it holds."""
        return next((entry for entry in self._open if track_id in entry.tracks), None)

    def open_visit_of_body(self, track_id: int) -> OpenVisit | None:
        """The open visit that a body belongs to, by the body's track."""
        return next((entry for entry in self._open if track_id in entry.bodies), None)

    def update(
        self,
        observations: Sequence[Observation],
        time_seconds: float,
        wall_time: float,
        bodies: Sequence[BodySighting] = (),
    ) -> list[Announcement]:
        """Take in one frame.

        Args:
            observations: every confirmed track found in this frame.
            time_seconds: stream time of the frame.
            wall_time: seconds since the epoch.
            bodies: people found in it by their figure, where that was looked for.

        Returns:
            What happened, in order.
        """
        self._move(self._clock.look(time_seconds, wall_time))
        told = self._resume(time_seconds, wall_time)
        for seen in observations:
            entry = self.open_visit_of(seen.track.track_id)
            if entry is not None:  # in sight, so that no new track can take this visit up
                entry.last_seen_seconds = time_seconds
        for seen in observations:
            entry = self._belongs_to(seen, time_seconds)
            if entry is None:
                if seen.is_ignored or self._prints.hold(seen, time_seconds):
                    continue
                if seen.signature is None and not is_confirmed_presence(seen.track, time_seconds):
                    continue
                entry = self._start(seen, time_seconds, wall_time)
                note_attention(entry, seen, time_seconds)
                told.append(Announcement(Arrived(self._new_id(), wall_time, entry.visit), entry))
            else:
                note_attention(entry, seen, time_seconds)
            entry.saw(seen, time_seconds, wall_time)
            told += self._announce(entry, seen, time_seconds, wall_time)
            if entry in self._open:  # and was not found to be another one going on
                told += self._announce_unnamed(entry, time_seconds, wall_time)
                told += self.bell.ring_for_looking(entry, self._open, time_seconds, wall_time)
        self._note_company(time_seconds)
        self._bodies.attend(bodies, self._open, time_seconds, wall_time)
        for body in bodies:
            told += self._begin_by_body(body, time_seconds, wall_time)
        told += self._end_absent(time_seconds, wall_time)
        return told

    def correct(self, visit_id: str, visitor: Visitor | None, *, corrected: bool) -> None:
        """Take over what the household says of an open visit, or that it says nothing any more.

        No event is made for it; the later ones of this visit carry it.

        Args:
            visit_id: of an open visit.
            visitor: who it is, or was taken for before.
            corrected: whether the household says so: then no face changes it.
        """
        for entry in self._open:
            if entry.visit.visit_id == visit_id:
                entry.visit = replace(entry.visit, visitor=visitor, corrected=corrected)

    def identify(self, identified: Mapping[int, Stranger]) -> None:
        """Take over what strangers are called for good, by the number they had meanwhile."""
        for entry in self._open:
            visitor, newcomer = entry.visit.visitor, entry.newcomer
            if isinstance(visitor, Stranger) and visitor.stranger_id in identified:
                entry.visit = replace(entry.visit, visitor=identified[visitor.stranger_id])
            if newcomer is not None:
                entry.newcomer = identified.get(newcomer.stranger_id, newcomer)
        self.bell.identify(identified)

    def forget(self, visit_id: str) -> list[int]:
        """Begin an open visit anew, as of nobody: its visitor was forgotten. No event tells.

        Returns:
            The tracks that belong to it.
        """
        [entry] = [entry for entry in self._open if entry.visit.visit_id == visit_id]
        entry.forget()
        return list(entry.tracks)

    def part(self, track_id: int, new_track_id: int) -> None:
        """Know that a track is over and another face goes on in its place, under a new one."""
        entry = self.open_visit_of(track_id)
        if entry is not None and entry.signature is not None:
            entry.parted.add(new_track_id)
        for each in self._open:  # over once more, before it was of any visit
            if track_id in each.parted:
                each.parted.add(new_track_id)

    def keep_people(self, is_enrolled: Callable[[int], bool]) -> None:
        """Forget what open visits showed of who is no longer enrolled, as told by identifier."""
        for entry in self._open:
            entry.forget_gone_people(is_enrolled)

    def follow_clock(self, until: float, seconds: float) -> None:
        """Move open visits with a wall clock that was set, where no frame has shown it yet.

        Args:
            until: wall time when it was set, as it went before.
            seconds: by how much it is later since; more than a visit outlives its last frame.
        """
        if self._clock.follow(until, seconds):
            self._move(seconds)

    def press(self, time_seconds: float, wall_time: float) -> Announcement:
        """Somebody pressed the bell: ring for the latest visitor at the door, if any."""
        entry = max(self._open, key=lambda e: e.last_seen_seconds, default=None)
        return self.bell.press(entry, time_seconds, wall_time)

    def finish(self, wall_time: float) -> list[Announcement]:
        """End every visit: the camera has stopped for good."""
        told = self._end_earlier(wall_time)
        told += [each for entry in self._open for each in self._end(entry, wall_time)]
        self._open.clear()
        return told

    def _end_earlier(self, wall_time: float) -> list[Announcement]:
        """End what the run before left open, where no frame has come since."""
        left_open = self._earlier.left_open
        self._earlier = replace(self._earlier, visits=self._earlier.stopped)
        return [self._leave(each.reopened(0.0, wall_time, 0.0), wall_time) for each in left_open]

    def _resume(self, time_seconds: float, wall_time: float) -> list[Announcement]:
        """Go on where the run before ended: with visits that may go on, or with their end."""
        earlier, self._earlier = self._earlier, Earlier()
        if not earlier.visits and not earlier.rang_at:
            return []
        wait, told = self._section.announce_after_seconds, []
        for each in earlier.left_open:
            entry = each.reopened(time_seconds, wall_time, wait)
            if each.may_go_on(wall_time):
                self._open.append(entry)
            else:
                told.append(self._leave(entry, wall_time))
        still_there = [each for each in earlier.stopped if each.may_go_on(wall_time)]
        were_there = WereThere(still_there, time_seconds + self._section.absence_seconds)
        self.bell.restore(earlier.rang_at, were_there, time_seconds, wall_time)
        return told

    def _move(self, seconds: float) -> None:
        """Move open visits with a clock that was set, so that none gets longer or shorter."""
        for entry in self._open if seconds else ():
            started_at = entry.visit.started_at + seconds
            last_seen_at = entry.visit.last_seen_at + seconds
            entry.visit = replace(entry.visit, started_at=started_at, last_seen_at=last_seen_at)

    def _belongs_to(self, seen: Observation, time_seconds: float) -> OpenVisit | None:
        """The open visit that a track is of; None where it is somebody new."""
        entry = self.open_visit_of(seen.track.track_id)
        if entry is None:
            absence = self._section.absence_seconds
            return continued_visit(self._open, seen, time_seconds, absence)
        if not contradicts(entry, seen):
            return entry
        entry.part_with(seen)
        entry = visit_by(self._open, seen.match.visitor)
        if entry is not None:
            entry.tracks[seen.track.track_id] = Sightings()
        return entry

    def _note_company(self, time_seconds: float) -> None:
        """Know who was seen together, each by a face: they are several people."""
        together = {e.visit.visit_id for e in self._open if e.face_seen_seconds == time_seconds}
        for entry in self._open:
            if entry.visit.visit_id in together:
                entry.company |= together - {entry.visit.visit_id}

    def _start(self, seen: Observation, time_seconds: float, wall_time: float) -> OpenVisit:
        first_seen = seen.track.first_seen_seconds
        entry = self._opened(first_seen, time_seconds, wall_time)
        entry.tracks[seen.track.track_id] = Sightings()
        # Doubtful finds before do not count.
        entry.unnamed_since_seconds = max(first_seen, time_seconds - ARRIVAL_SECONDS)
        return entry

    def _opened(self, first_seen: float, time_seconds: float, wall_time: float) -> OpenVisit:
        """A new visit of somebody seen since a stream time."""
        started_at = wall_time - (time_seconds - first_seen)
        visit = Visit(self._new_id(), started_at, wall_time, door_id=self._door_id)
        entry = OpenVisit(visit, first_seen_seconds=first_seen, last_seen_seconds=time_seconds)
        self.bell.note_opened(entry, time_seconds)
        self._open.append(entry)
        return entry

    def _begin_by_body(
        self, seen: BodySighting, time_seconds: float, wall_time: float
    ) -> list[Announcement]:
        """Begin a visit of somebody whose figure is there for long and whose face is not found."""
        wait, track = self._section.announce_after_seconds, seen.track
        entry = self.open_visit_of_body(track.track_id)
        if entry is not None:  # whose bell may have been in its cool-down
            return self._announce_unnamed(entry, time_seconds, wall_time)
        waited = self._bodies.waited_seconds(track, time_seconds)
        if wait == 0 or waited is None or waited < wait or seen.is_ignored:
            return []
        entry = next((each for each in self._open if each.is_resumed), None)
        if entry is not None:  # an earlier run's visitor, turned away
            entry.saw_body(track, time_seconds, wall_time)
            return self._announce_unnamed(entry, time_seconds, wall_time)
        entry = self._opened(time_seconds - waited, time_seconds, wall_time)
        entry.unnamed_since_seconds = entry.first_seen_seconds
        entry.saw_body(track, time_seconds, wall_time)
        arrived = Announcement(Arrived(self._new_id(), wall_time, entry.visit), entry)
        return [arrived, *self._announce_unnamed(entry, time_seconds, wall_time)]

    def _announce(
        self, entry: OpenVisit, seen: Observation, time_seconds: float, wall_time: float
    ) -> list[Announcement]:
        """Say who it is, once; a stranger may still turn out to be a person, never the reverse.

        What was said before counts, too: a correction that is withdrawn falls back to it.
        """
        if entry.visit.corrected:
            return []
        seen = entry.telling or seen
        if not tells_more(seen.match, entry.visit.visitor):
            return []
        other = visit_by(self._open, self._recall(seen))
        if other is not None and other is not entry:
            return [self._absorb(entry, other, time_seconds, wall_time)]
        told = [self._naming.name(entry, seen, time_seconds, wall_time)]
        told += self.bell.ring_for_named(entry, self._open, time_seconds, wall_time)
        return told

    def _announce_unnamed(
        self, entry: OpenVisit, time_seconds: float, wall_time: float
    ) -> list[Announcement]:
        """Say that somebody is there whom no face has told for long, and ring, each once a visit.

        Those who cannot be told from each other share a cool-down; who is still there when it is
        over rings then.
        """
        wait = self._section.announce_after_seconds
        if entry.visit.visitor is not None or entry.visit.corrected or wait == 0:
            return []
        told: list[Announcement] = []
        if not entry.announced_unnamed:
            if time_seconds - entry.unnamed_since_seconds < wait:
                return []
            entry.announced_unnamed = True
            event = Unknown(self._new_id(), wall_time, entry.visit, reason=entry.reason)
            told.append(Announcement(event, entry))
        told += self.bell.ring_for_unnamed(entry, self._open, time_seconds, wall_time)
        return told

    def _absorb(
        self, entry: OpenVisit, other: OpenVisit, time_seconds: float, wall_time: float
    ) -> Announcement:
        """Nobody is at the door twice: the visit named last ends, and its tracks move over."""
        other.tracks |= entry.tracks
        other.bodies |= entry.bodies
        other.body = entry.body or other.body
        other.parted |= entry.parted
        other.last_seen_seconds = time_seconds
        other.touch(wall_time)
        self._open.remove(entry)
        return self._leave(entry, wall_time, continued_by=other)

    def _end_absent(self, time_seconds: float, wall_time: float) -> list[Announcement]:
        limit = time_seconds - self._section.absence_seconds
        gone = [entry for entry in self._open if entry.last_seen_seconds < limit]
        for entry in gone:
            self._prints.note(entry, time_seconds)
        told = [each for entry in gone for each in self._end(entry, wall_time)]
        self._open = [entry for entry in self._open if entry.last_seen_seconds >= limit]
        return told

    def _end(self, entry: OpenVisit, wall_time: float) -> list[Announcement]:
        """The visitor has gone: who was not named before is named now, as far as it was seen."""
        is_new = entry.visit.visitor is None or entry.visit.visitor == entry.newcomer
        if is_new and not entry.visit.corrected:
            other = continuing_visit(self._open, entry)
            if other is not None:
                return [self._leave(entry, wall_time, continued_by=other)]
        seen = entry.farewell
        if entry.visit.visitor is not None or entry.visit.corrected or seen is None:
            return [self._leave(entry, wall_time)]
        other = visit_by(self._open, self._recall(seen))
        if other is not None:
            return [self._leave(entry, wall_time, continued_by=other)]
        named = self._naming.name(entry, seen, entry.last_seen_seconds, wall_time)
        return [named, self._leave(entry, wall_time)]

    def _leave(
        self, entry: OpenVisit, wall_time: float, continued_by: OpenVisit | None = None
    ) -> Announcement:
        mistaken = None
        if continued_by is not None:
            mistaken = entry.take_newcomer()
            entry.visit = replace(entry.visit, continued_by=continued_by.visit.visit_id)
        entry.visit = replace(entry.visit, ended_at=entry.visit.last_seen_at)
        return Announcement(Left(self._new_id(), wall_time, entry.visit), entry, mistaken)
