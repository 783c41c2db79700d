from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.config import TrackingSection
from doorbell.domain import Face
from doorbell.pipeline.tracking import MAX_DISTANCE, MAX_SIZE_RATIO, USUAL_SECONDS, Tracker

SECTION = TrackingSection(confirm_hits=3, lost_seconds=1.0)


def face(x: float, y: float, size: float = 60) -> Face:
    """A face by its centre."""
    box = np.array([x - size / 2, y - size / 2, x + size / 2, y + size / 2], np.float32)
    return Face(box, np.zeros((6, 2), np.float32), 0.9)


def ids(tracker: Tracker, faces: Sequence[Face], seconds: float) -> list[int]:
    return [track.track_id for track in tracker.update(faces, seconds)]


def test_a_face_that_walks_and_grows_keeps_its_id() -> None:
    tracker = Tracker(SECTION)
    seen = {ids(tracker, [face(50 + 9 * i, 200 - i, 40 + i)], i / 15)[0] for i in range(60)}
    assert seen == {1}
    (track,) = tracker.tracks
    assert track.hits == 60
    assert track.first_seen_seconds == 0
    assert track.last_seen_seconds == pytest.approx(59 / 15)
    assert track.face.width_pixels == pytest.approx(99, abs=1)


def test_two_faces_that_pass_each_other_keep_their_ids() -> None:
    tracker = Tracker(SECTION)
    for i in range(41):
        x = 100 + 10 * i
        found = [face(x, 160), face(600 - x, 240)]
        turned = i % 2 == 1  # the detector promises no order
        seen = ids(tracker, found[::-1] if turned else found, i / 15)
        assert (seen[::-1] if turned else seen) == [1, 2]


def test_the_nearest_face_continues_a_track() -> None:
    tracker = Tracker(SECTION)
    assert ids(tracker, [face(100, 100)], 0.0) == [1]
    assert ids(tracker, [face(120, 100), face(95, 100)], 0.1) == [2, 1]


def test_each_pair_is_made_once_where_one_face_is_nearest_to_two_tracks() -> None:
    tracker = Tracker(SECTION)
    ids(tracker, [face(100, 100), face(150, 100)], 0.0)
    assert ids(tracker, [face(122, 100), face(104, 100)], 0.1) == [2, 1]


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (face(100 + 60 * MAX_DISTANCE * 0.9, 100), True),
        (face(100 + 60 * MAX_DISTANCE * 1.1, 100), False),
        (face(100, 100, 60 * MAX_SIZE_RATIO * 0.95), True),
        (face(100, 100, 60 * MAX_SIZE_RATIO * 1.05), False),
        (face(100, 100, 60 / MAX_SIZE_RATIO * 0.95), False),
    ],
    ids=["near", "far", "grown", "grown too much", "shrunk too much"],
)
def test_a_face_too_far_or_of_another_size_is_somebody_else(other: Face, same: bool) -> None:
    tracker = Tracker(SECTION)
    tracker.update([face(100, 100)], 0.0)
    assert ids(tracker, [other], USUAL_SECONDS) == [1 if same else 2]


@pytest.mark.parametrize(
    ("seconds", "sizes", "same"),
    [(0.1, 1.0, True), (0.1, 1.1, False), (0.4, 1.3, True), (0.4, 1.5, False)],
)
def test_who_runs_before_a_slow_camera_keeps_the_id(
    seconds: float, sizes: float, same: bool
) -> None:
    tracker = Tracker(SECTION)
    tracker.update([face(100, 100)], 0.0)
    assert ids(tracker, [face(100 + 60 * sizes, 100)], seconds) == [1 if same else 2]


def test_distance_counts_in_sizes_of_the_face() -> None:
    for size, expected in ((20, [2]), (200, [1])):
        tracker = Tracker(SECTION)
        tracker.update([face(300, 300, size)], 0.0)
        assert ids(tracker, [face(330, 300, size)], 0.1) == expected


def test_a_face_hidden_for_a_moment_keeps_its_id_and_one_hidden_longer_does_not() -> None:
    tracker = Tracker(SECTION)
    tracker.update([face(100, 100)], 0.0)
    assert tracker.update([], 0.9) == []
    assert [track.track_id for track in tracker.tracks] == [1]
    assert ids(tracker, [face(100, 100)], 1.0) == [1]
    assert ids(tracker, [face(100, 100)], 2.5) == [2]
    tracker.update([], 4.0)
    assert tracker.tracks == ()


def test_a_track_is_confirmed_by_hits_alone() -> None:
    tracker = Tracker(SECTION)
    confirmed = []
    for seconds in (0.0, 0.1, 0.2, 0.3, 0.9):
        faces = [] if seconds == 0.2 else [face(100, 100)]
        confirmed += [tracker.is_confirmed(track) for track in tracker.update(faces, seconds)]
    assert confirmed == [False, False, True, True]


def test_a_track_that_is_restarted_goes_on_as_a_new_one_in_its_place() -> None:
    tracker = Tracker(SECTION)
    for seconds in (0.0, 0.1, 0.2):
        tracker.update([face(100, 100), face(400, 100)], seconds)
    new = tracker.restart(1)
    assert [track.track_id for track in tracker.tracks] == [2, new.track_id] == [2, 3]
    assert (new.first_seen_seconds, new.hits, tracker.is_confirmed(new)) == (0.2, 1, False)
    assert ids(tracker, [face(100, 100), face(400, 100)], 0.3) == [3, 2]


def test_the_track_seen_most_comes_first() -> None:
    tracker = Tracker(SECTION)
    tracker.update([face(100, 100)], 0.0)
    tracker.update([face(400, 100)], 0.1)
    tracker.update([face(400, 100)], 0.2)
    assert [track.track_id for track in tracker.tracks] == [2, 1]


PLACES = st.tuples(st.floats(0, 640), st.floats(0, 480), st.floats(0, 300))


@given(st.lists(st.tuples(st.floats(0, 2), st.lists(PLACES, max_size=6)), max_size=8))
def test_each_face_has_exactly_one_track_and_no_track_two_faces(
    frames: list[tuple[float, list[tuple[float, float, float]]]],
) -> None:
    tracker = Tracker(SECTION)
    now = 0.0
    given_out: set[int] = set()
    hits = 0
    for pause, places in frames:
        before_this = now
        now += pause
        faces = [face(*place) for place in places]
        before = {track.track_id: track for track in tracker.tracks}
        found = tracker.update(faces, now)
        for track, new in zip(found, faces, strict=True):
            assert track.hits > 1 or track.face is new
        assert len({track.track_id for track in found}) == len(faces)
        for track in found:
            old = before.get(track.track_id)
            assert track.last_seen_seconds == now
            if old is None:
                assert track.track_id not in given_out
                assert (track.hits, track.first_seen_seconds) == (1, now)
            else:
                assert track.hits == old.hits + 1
                assert track.first_seen_seconds == old.first_seen_seconds
        given_out.update(track.track_id for track in found)
        hits += len(found)
        live = tracker.tracks
        assert set(found) <= set(live)
        assert len({track.track_id for track in live}) == len(live)
        assert all(
            now - track.last_seen_seconds <= SECTION.lost_seconds
            or track.last_seen_seconds == before_this
            for track in live
        )
    assert sum(track.hits for track in tracker.tracks) <= hits


@given(st.lists(PLACES, max_size=8))
def test_a_still_scene_keeps_every_id(places: list[tuple[float, float, float]]) -> None:
    tracker = Tracker(SECTION)
    faces = [face(*place) for place in places]
    first = ids(tracker, faces, 0.0)
    again = ids(tracker, faces, 0.1)
    assert set(first) == set(again)
    for i, j in zip(first, again, strict=True):
        if i != j:  # only faces at the very same place may change places
            a, b = faces[first.index(i)].box_xyxy, faces[first.index(j)].box_xyxy
            np.testing.assert_allclose(a[:2] + a[2:], b[:2] + b[2:], atol=0.1)


def test_the_box_of_a_face_that_stands_still_shakes_less_than_the_detections() -> None:
    rng = np.random.default_rng(3)
    tracker = Tracker(TrackingSection())
    detected, steadied = [], []
    for frame in range(90):
        x, y = 100 + rng.normal(0, 1, 2)
        (track,) = tracker.update([face(x, y, 80)], frame / 30)
        detected.append(x)
        steadied.append(float(track.face.box_xyxy[0]) + 40)
    assert np.std(np.diff(steadied, 2)) < 0.4 * np.std(np.diff(detected, 2))
    assert np.mean(steadied[30:]) == pytest.approx(100, abs=0.5)


def test_the_box_of_a_face_that_walks_does_not_lag_by_more_than_a_fifth_of_it() -> None:
    tracker = Tracker(TrackingSection())
    for frame in range(30):  # five of its own widths a second
        x = 100 + frame * 80 / 6
        (track,) = tracker.update([face(x, 100, 80)], frame / 30)
    assert x - (track.face.box_xyxy[0] + 40) < 80 / 5


def test_a_face_keeps_its_id_in_frames_of_another_size() -> None:
    tracker = Tracker(SECTION)
    before = ids(tracker, [face(100, 80, 40)], 0.0)
    tracker.rescale(3.0, 2.0)
    (track,) = tracker.tracks
    assert track.face.box_xyxy.tolist() == [240, 120, 360, 200]
    assert ids(tracker, [face(300, 160, 100)], 0.1) == before


def slow(period: float, frames: int = 3) -> tuple[Tracker, float]:
    """A tracker that has seen an empty porch so slowly, and when the next frame comes."""
    tracker = Tracker(SECTION)
    for i in range(frames):
        tracker.update([], i * period)
    return tracker, frames * period


@pytest.mark.parametrize("period", [0.2, 0.25, 0.5, 1.0])
def test_who_walks_up_to_a_slow_camera_keeps_the_id(period: float) -> None:
    """Three sizes and more between two frames, ever larger, as in two seconds from afar."""
    tracker, now = slow(period)
    seen = set()
    for i in range(round(2 / period) + 1):
        part = i * period / 2
        nearness = part * part * (3 - 2 * part)
        size = 70 * 2.9**nearness
        seen.add(ids(tracker, [face(50 + 550 * nearness, 500 - 150 * nearness, size)], now)[0])
        now += period
    assert seen == {1}


def test_who_is_found_twice_is_followed_where_the_way_leads_and_nowhere_else() -> None:
    for x, same in ((300, True), (-100, False)):
        tracker, now = slow(0.5)
        ids(tracker, [face(100, 100)], now)
        ids(tracker, [face(200, 100)], now + 0.5)
        assert ids(tracker, [face(x, 100)], now + 1.0) == [1 if same else 2]


@pytest.mark.parametrize("period", [1 / 30, 1 / 15, 0.1])
def test_nobody_is_followed_any_farther_before_a_camera_that_is_not_slow(period: float) -> None:
    tracker, now = slow(period)
    ids(tracker, [face(100, 100)], now)
    ids(tracker, [face(130, 100)], now + period)
    assert ids(tracker, [face(130 + 60 * 1.5, 100)], now + 2 * period) == [2]


@pytest.mark.parametrize(
    ("period", "configured", "needed"),
    [(1 / 30, 3, 3), (0.25, 3, 3), (0.5, 3, 2), (2.0, 3, 2), (2.0, 1, 1), (0.5, 8, 4)],
)
def test_fewer_frames_confirm_a_face_before_a_slow_camera_but_never_one_alone(
    period: float, configured: int, needed: int
) -> None:
    tracker = Tracker(TrackingSection(confirm_hits=configured))
    confirmed = []
    for i in range(12):
        found = tracker.update([face(100, 100)] if i >= 3 else [], i * period)
        confirmed += [tracker.is_confirmed(track) for track in found]
    assert confirmed.index(True) + 1 == needed


def test_a_face_found_in_the_frame_before_is_not_lost_however_slow_the_camera() -> None:
    tracker, now = slow(2.0)
    assert ids(tracker, [face(100, 100)], now) == [1]
    assert ids(tracker, [face(100, 100)], now + 2.0) == [1]
    assert ids(tracker, [], now + 4.0) == []
    assert ids(tracker, [face(100, 100)], now + 6.0) == [2]


def test_a_face_is_lost_after_a_gap_of_a_slow_camera() -> None:
    tracker, now = slow(1.0)
    ids(tracker, [face(100, 100)], now)
    assert ids(tracker, [face(100, 100)], now + 8.0) == [2]
