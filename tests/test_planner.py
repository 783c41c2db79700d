"""Where to look in each frame."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doorbell.config import DetectionSection
from doorbell.detection.planner import (
    EAGERNESS,
    FACE_PART_BOUNDS,
    FAR_COST,
    MAX_OFF_CENTRE,
    RegionPlanner,
)
from doorbell.detection.regions import FACE_PART, Region, RegionKind, tiles, whole_frame
from doorbell.domain import Face, Track

SIZES = st.integers(1, 600)
BUDGETS = st.integers(3, 64)

# Every example draws frames.
QUICK = settings(max_examples=40, deadline=None)


def section(tile: int = 256, overlap: float = 0.5, budget: int = 8) -> DetectionSection:
    return DetectionSection(tile_pixels=tile, tile_overlap=overlap, regions_per_frame=budget)


def track(track_id: int, left: float, top: float, size: float) -> Track:
    box = np.array([left, top, left + size, top + size], np.float32)
    return Track(track_id, Face(box, np.zeros((6, 2), np.float32), 0.9), 0.0, 0.0, 5)


@st.composite
def tracks(draw: st.DrawFn) -> list[Track]:
    places = st.tuples(st.floats(-50, 2000), st.floats(-50, 2000), st.floats(0, 500))
    return [track(i, *place) for i, place in enumerate(draw(st.lists(places, max_size=80)))]


def of_kind(regions: list[Region], kind: RegionKind) -> list[Region]:
    return [region for region in regions if region.kind is kind]


def look(
    planner: RegionPlanner,
    live: list[Track] | tuple[Track, ...],
    width: int = 640,
    height: int = 480,
) -> list[Region]:
    """What the short-range network looks at in a frame where nothing moves."""
    return planner.plan(np.zeros((height, width, 3), np.uint8), live).near


@QUICK
@given(SIZES, SIZES, BUDGETS, tracks())
def test_the_budget_is_never_exceeded_and_the_whole_frame_always_in_it(
    width: int, height: int, budget: int, live: list[Track]
) -> None:
    planner = RegionPlanner(section(budget=budget))
    for _ in range(3):
        plan = planner.plan(np.zeros((height, width, 3), np.uint8), live)
        planned = plan.near
        assert len(plan.near) + FAR_COST * len(plan.far) <= budget
        assert planned[0] == whole_frame(width, height)
        assert len(set(planned)) >= len(planned) - len(live)  # only tracks may share a place


@QUICK
@given(st.integers(150, 500), st.integers(150, 500), BUDGETS, tracks())
def test_every_tile_has_its_turn_in_any_company(
    width: int, height: int, budget: int, live: list[Track]
) -> None:
    every = set(tiles(width, height, 128, 0.5))
    planner = RegionPlanner(section(tile=128, overlap=0.5, budget=budget))
    first = look(planner, live, width, height)
    free = len(of_kind(first, RegionKind.TILE))
    assert free >= 1
    seen = set(of_kind(first, RegionKind.TILE))
    for _ in range(math.ceil(len(every) / free)):
        seen.update(of_kind(look(planner, live, width, height), RegionKind.TILE))
    assert seen == every


@QUICK
@given(tracks(), BUDGETS)
def test_the_most_important_tracks_have_their_region_in_every_frame(
    live: list[Track], budget: int
) -> None:
    planner = RegionPlanner(section(budget=budget))
    for _ in range(4):
        planned = of_kind(look(planner, live), RegionKind.TRACK)
        places = budget - FAR_COST if budget >= 3 + FAR_COST else budget
        assert len(planned) == min(len(live), places - 2)
        for region, followed in zip(planned, live, strict=False):
            left, top, right, bottom = followed.face.box_xyxy
            assert region.left <= left + 1
            assert region.top <= top + 1
            assert region.left + region.side >= right - 1
            assert region.top + region.side >= bottom - 1


def test_a_small_frame_has_no_tiles_and_gives_their_place_to_tracks() -> None:
    planner = RegionPlanner(section(tile=640, budget=3))
    planned = look(planner, [track(i, 100 * i, 100, 50) for i in range(5)])
    assert [region.kind for region in planned] == [
        RegionKind.WHOLE,
        RegionKind.TRACK,
        RegionKind.TRACK,
    ]


def follow(planner: RegionPlanner, *live: Track) -> Region:
    return of_kind(look(planner, live), RegionKind.TRACK)[0]


def test_a_new_track_fills_its_part_of_a_centred_region() -> None:
    region = follow(RegionPlanner(section()), track(1, 200, 100, 72))
    assert region.side == round(72 / FACE_PART)
    assert region.left + region.side / 2 == pytest.approx(236, abs=1)
    assert region.top + region.side / 2 == pytest.approx(136, abs=1)


def test_the_region_is_held_while_the_face_stays_near_its_middle() -> None:
    planner = RegionPlanner(section())
    first = follow(planner, track(1, 200, 100, 72))
    slight = MAX_OFF_CENTRE * first.side * 0.9
    for dx, dy, growth in ((slight, 0, 0), (0, -slight, 0), (3, 3, 4), (-slight, slight, -2)):
        moved = track(1, 200 + dx - growth / 2, 100 + dy - growth / 2, 72 + growth)
        assert follow(planner, moved) == first


@pytest.mark.parametrize(
    ("dx", "dy", "size_part"),
    [
        (MAX_OFF_CENTRE * 1.3, 0, FACE_PART),
        (0, -MAX_OFF_CENTRE * 1.3, FACE_PART),
        (0, 0, FACE_PART_BOUNDS[0] * 0.9),
        (0, 0, FACE_PART_BOUNDS[1] * 1.1),
    ],
    ids=["sideways", "up", "smaller", "larger"],
)
def test_the_region_follows_a_face_that_leaves_its_bounds(
    dx: float, dy: float, size_part: float
) -> None:
    planner = RegionPlanner(section())
    first = follow(planner, track(1, 200, 100, 72))
    size = size_part * first.side
    corner = 236 + dx * first.side - size / 2, 136 + dy * first.side - size / 2
    second = follow(planner, track(1, *corner, size))
    assert second != first
    assert second.side == pytest.approx(size / FACE_PART, abs=1)


def test_another_track_at_the_same_place_gets_a_region_of_its_own() -> None:
    planner = RegionPlanner(section())
    first = follow(planner, track(1, 200, 100, 72))
    look(planner, [])
    assert follow(planner, track(1, 205, 100, 72)) == replace(first, left=first.left + 5)


def test_a_stream_that_changes_its_size_starts_anew() -> None:
    planner = RegionPlanner(section(tile=256, overlap=0.5, budget=3))
    live = track(1, 200, 100, 72)
    held = follow(planner, live)
    look(planner, [track(1, 203, 100, 72)])
    planned = look(planner, [track(1, 203, 100, 72)], 1280, 720)
    assert planned[0] == whole_frame(1280, 720)
    assert planned[1] == replace(held, left=held.left + 3)
    assert planned[2] == tiles(1280, 720, 256, 0.5)[0]


def moved_frames(count: int) -> list[np.ndarray]:
    """A frame of a still door, and then one after the other with a spot that wanders."""
    still = np.full((720, 1280, 3), 90, np.uint8)
    frames = [still]
    for step in range(count):
        frame = still.copy()
        frame[300:380, 900 + 6 * step : 940 + 6 * step] = 160
        frames.append(frame)
    return frames


def holds_spot(region: Region, step: int) -> bool:
    left, right = 900 + 6 * step, 940 + 6 * step
    return (
        region.left <= left
        and right <= region.left + region.side
        and region.top <= 300
        and region.top + region.side >= 380
    )


def test_where_something_starts_to_move_both_networks_look_within_two_frames() -> None:
    planner = RegionPlanner(DetectionSection())
    first, *moving = moved_frames(2)
    for _ in range(7):  # the tiles' turns are anywhere
        planner.plan(first, [])
    plans = list(enumerate(planner.plan(frame, []) for frame in moving))
    assert any(holds_spot(region, step) for step, plan in plans for region in plan.near[1:])
    assert any(holds_spot(region, step) for step, plan in plans for region in plan.far)


def test_tiles_where_nothing_moves_have_their_turn_too() -> None:
    planner = RegionPlanner(DetectionSection())
    seen: set[Region] = set()
    every = set(tiles(1280, 720, 256, 0.5))
    for frame in moved_frames(50):
        seen.update(planner.plan(frame, []).near[1:])
    assert seen == every
    assert EAGERNESS > 1
