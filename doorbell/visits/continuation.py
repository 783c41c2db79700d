"""Which visit a new track goes on with: by its face, or by its place where that is too poor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

import numpy as np

from doorbell.domain import Face
from doorbell.visits.observation import Observation, is_confirmed_presence
from doorbell.visits.open_visit import REJOIN_SIMILARITY, OpenVisit

# A face too poor to be compared continues a visit if it is within so many face sizes of where that
# visit's was seen last, and neither is more than this many times as large as the other. People wait
# where they stand.
PLACE_DISTANCE = 2.0
PLACE_SIZE_RATIO = 1.8

# Before a slow camera, or where the detector misses a frame, one visitor's first poor frames and
# the good ones that follow are two tracks. Frames of one face are less alike where one of them is
# poor and the other is not, by as much as their qualities differ. Only visits of nobody yet go on
# by it, so that nobody is given a name; within so many seconds, and down to what strangers hardly
# reach.
HANDOVER_SECONDS = 2.0
LEAST_HANDOVER_SIMILARITY = 0.3

# Whoever else comes there looks different: hair, shoulders, clothes. Measured 2026-11-28 on ten
# clips of five people, by day and in the dark: of one person, a second later, or with hair painted
# over the face as from behind, one frame in fifty is less alike; of two people in the same room one
# pair in twelve is as alike. Whom this does not tell apart, the first better frame does.
OWN_APPEARANCE = 0.75


def continued_visit(
    visits: Sequence[OpenVisit], seen: Observation, time_seconds: float, absence_seconds: float
) -> OpenVisit | None:
    """Let a new track take up the visit again that it belongs to, if nobody is seen for it now.

    Args:
        visits: going on.
        seen: the new track.
        time_seconds: stream time of the frame.
        absence_seconds: tracks not seen for so long are gone for good.

    Returns:
        The visit; None where the track is of somebody else.
    """
    absent = [entry for entry in visits if entry.last_seen_seconds < time_seconds]
    found = _by_place(absent, seen, time_seconds) if seen.signature is None else None
    found = found or _by_body(absent, seen) or _resumed(absent, seen, time_seconds)
    joined_by = None if found is None else found.signature
    best_similarity = REJOIN_SIMILARITY
    for entry in absent:
        clearest = entry.clearest
        known_as = entry.named_by if clearest is None else clearest.signature
        if known_as is None or seen.signature is None:
            continue
        similarity = float(np.dot(known_as, seen.signature))
        if similarity >= best_similarity:
            found, joined_by, best_similarity = entry, known_as, similarity
    found = found or _handed_over(absent, seen, time_seconds)
    if found is not None:
        found.take_up(seen.track.track_id, joined_by, time_seconds - absence_seconds)
    return found


def continuing_visit(visits: Sequence[OpenVisit], ended: OpenVisit) -> OpenVisit | None:
    """The visit that goes on with one which ends: two tracks of one visitor were taken for two.

    Never one whose face was seen in the same frame.

    Args:
        visits: going on.
        ended: that ends now, of nobody or of a stranger who is new in it.
    """
    seen = ended.clearest
    if seen is None:
        return None
    latest = ended.face_seen_seconds + HANDOVER_SECONDS
    alike = [
        (_likeness_above(other, seen), other)
        for other in visits
        if other is not ended
        and other.visit.visit_id not in ended.company
        and ended.first_seen_seconds < other.first_seen_seconds <= latest
    ]
    above, found = max(alike, key=lambda pair: pair[0], default=(-math.inf, None))
    return found if above >= 0 else None


def _handed_over(
    absent: Sequence[OpenVisit], seen: Observation, time_seconds: float
) -> OpenVisit | None:
    """The visit of nobody yet, seen a moment ago, whose poor frames a better one follows."""
    since = time_seconds - HANDOVER_SECONDS
    alike = [
        (likeness, entry)
        for entry in absent
        if entry.visit.visitor is None
        and not entry.visit.corrected
        and entry.face_seen_seconds >= since
        and seen.track.track_id not in entry.parted
        and (likeness := _likeness_above(entry, seen)) >= 0
    ]
    return max(alike, key=lambda pair: pair[0], default=(0.0, None))[1]


def _likeness_above(entry: OpenVisit, seen: Observation) -> float:
    """By how much a face is more like a visit's than two tracks of one face are at least."""
    clearest = entry.clearest
    if clearest is None or clearest.signature is None or seen.signature is None:
        return -math.inf
    least = REJOIN_SIMILARITY - abs(_quality(clearest) - _quality(seen))
    likeness = float(np.dot(clearest.signature, seen.signature))
    return likeness - max(least, LEAST_HANDOVER_SIMILARITY)


def _quality(seen: Observation) -> float:
    return fmean(each.quality for each in seen.samples) if seen.samples else 0.0


def _by_place(
    absent: Sequence[OpenVisit], seen: Observation, time_seconds: float
) -> OpenVisit | None:
    """The visit last seen of those whose place a face has taken for long enough."""
    if not is_confirmed_presence(seen.track, time_seconds):
        return None
    near = [
        entry
        for entry in absent
        if entry.face
        and seen.track.track_id not in entry.parted
        and _is_near(entry.face, seen.track.face)
        and _looks_like(entry, seen)
    ]
    return max(near, key=lambda entry: entry.last_seen_seconds, default=None)


def _by_body(absent: Sequence[OpenVisit], seen: Observation) -> OpenVisit | None:
    """The visit of whose face nothing can be compared, where the head of its figure is."""
    face = seen.track.face
    held = [
        entry
        for entry in absent
        if entry.body is not None and entry.signature is None and entry.body.holds(face)
    ]
    return max(held, key=lambda entry: entry.last_seen_seconds, default=None)


def _resumed(
    absent: Sequence[OpenVisit], seen: Observation, time_seconds: float
) -> OpenVisit | None:
    """The visit of an earlier run that somebody goes on with of whom it cannot be told.

    Either the face is too poor, or nothing is stored that it could be compared with.
    """
    if seen.signature is None and not is_confirmed_presence(seen.track, time_seconds):
        return None
    resumed = [
        entry
        for entry in absent
        if entry.is_resumed and (seen.signature is None or entry.visit.visitor is None)
    ]
    return max(resumed, key=lambda entry: entry.visit.last_seen_at, default=None)


def _is_near(before: Face, now: Face) -> bool:
    larger = max(before.width_pixels, now.width_pixels)
    if larger > PLACE_SIZE_RATIO * min(before.width_pixels, now.width_pixels):
        return False
    return float(np.linalg.norm(now.centre_xy - before.centre_xy)) <= PLACE_DISTANCE * larger


def _looks_like(entry: OpenVisit, seen: Observation) -> bool:
    if entry.appearance is None or seen.appearance is None:
        return True
    return float(np.dot(entry.appearance, seen.appearance)) >= OWN_APPEARANCE
