import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.config import DetectionSection
from doorbell.detection.regions import (
    FACE_PART,
    FACE_PART_BOUNDS,
    MAX_OFF_CENTRE,
    STILL_TILE_PART,
    Region,
    RegionKind,
    RegionPlanner,
    tiles,
    whole_frame,
)
from doorbell.domain import Face, Track

SIZES = st.integers(1, 3000)
BUDGETS = st.integers(3, 64)


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


@given(SIZES, SIZES)
def test_the_whole_frame_lies_centred_in_its_square(width: int, height: int) -> None:
    region = whole_frame(width, height)
    assert region.side == max(width, height)
    for start, length in ((region.left, width), (region.top, height)):
        before, after = -start, start + region.side - length
        assert before >= 0
        assert after >= 0
        assert abs(before - after) <= 1


@given(SIZES, SIZES, st.integers(64, 2048), st.floats(0, 0.75))
def test_tiles_cover_every_pixel_with_the_overlap_promised(
    width: int, height: int, tile: int, overlap: float
) -> None:
    found = tiles(width, height, tile, overlap)
    if tile >= max(width, height):
        assert found == []
        return
    lefts, tops = sorted({t.left for t in found}), sorted({t.top for t in found})
    assert len(found) == len(lefts) * len(tops) == len(set(found))
    for starts, length in ((lefts, width), (tops, height)):
        assert starts[0] <= 0
        assert starts[-1] + tile >= length
        if tile < length:
            assert starts[0] == 0
            assert starts[-1] + tile == length
        else:
            assert len(starts) == 1
        for here, following in pairwise(starts):
            assert here + tile - following >= tile * overlap - 1  # starts are rounded to pixels


@given(SIZES, SIZES, BUDGETS, tracks())
def test_the_budget_is_never_exceeded_and_the_whole_frame_always_in_it(
    width: int, height: int, budget: int, live: list[Track]
) -> None:
    planner = RegionPlanner(section(budget=budget))
    for _ in range(3):
        planned = planner.plan(width, height, live)
        assert len(planned) <= budget
        assert planned[0] == whole_frame(width, height)
        assert len(set(planned)) >= len(planned) - len(live)  # only tracks may share a place


@given(st.integers(300, 2000), st.integers(300, 2000), BUDGETS, tracks())
def test_every_tile_has_its_turn_in_any_company(
    width: int, height: int, budget: int, live: list[Track]
) -> None:
    every = set(tiles(width, height, 256, 0.5))
    planner = RegionPlanner(section(tile=256, overlap=0.5, budget=budget))
    followed = len(of_kind(planner.plan(width, height, live), RegionKind.TRACK))
    free = budget - 1 - followed
    assert free >= 1
    seen: set[Region] = set()
    for _ in range(math.ceil(len(every) / free)):
        seen.update(of_kind(planner.plan(width, height, live), RegionKind.TILE))
    assert seen == every


@given(tracks(), BUDGETS)
def test_the_most_important_tracks_have_their_region_in_every_frame(
    live: list[Track], budget: int
) -> None:
    planner = RegionPlanner(section(budget=budget))
    for _ in range(4):
        planned = of_kind(planner.plan(640, 480, live), RegionKind.TRACK)
        assert len(planned) == min(len(live), max(budget - 2, 0))
        for region, followed in zip(planned, live, strict=False):
            left, top, right, bottom = followed.face.box_xyxy
            assert region.left <= left + 1
            assert region.top <= top + 1
            assert region.left + region.side >= right - 1
            assert region.top + region.side >= bottom - 1


def test_a_small_frame_has_no_tiles_and_gives_their_place_to_tracks() -> None:
    planner = RegionPlanner(section(tile=640, budget=3))
    planned = planner.plan(640, 480, [track(i, 100 * i, 100, 50) for i in range(5)])
    assert [region.kind for region in planned] == [
        RegionKind.WHOLE,
        RegionKind.TRACK,
        RegionKind.TRACK,
    ]


def follow(planner: RegionPlanner, *live: Track) -> Region:
    return of_kind(planner.plan(640, 480, live), RegionKind.TRACK)[0]


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
    planner.plan(640, 480, [])
    assert follow(planner, track(1, 205, 100, 72)) == replace(first, left=first.left + 5)


def test_a_stream_that_changes_its_size_starts_anew() -> None:
    planner = RegionPlanner(section(tile=256, overlap=0.5, budget=3))
    live = track(1, 200, 100, 72)
    held = follow(planner, live)
    planner.plan(640, 480, [track(1, 203, 100, 72)])
    planned = planner.plan(1280, 720, [track(1, 203, 100, 72)])
    assert planned[0] == whole_frame(1280, 720)
    assert planned[1] == replace(held, left=held.left + 3)
    assert planned[2] == tiles(1280, 720, 256, 0.5)[0]


def test_a_still_is_looked_at_everywhere_at_once() -> None:
    planner = RegionPlanner(section(tile=256, overlap=0.5, budget=3))
    assert planner.still(1920, 1080) == [
        whole_frame(1920, 1080),
        *(tile for side in (256, 512, 1024) for tile in tiles(1920, 1080, side, 0.5)),
    ]
    assert planner.still(200, 200) == [whole_frame(200, 200)]


@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_a_still_of_any_size_is_covered_at_a_bounded_cost(width: int, height: int) -> None:
    planned = RegionPlanner(section(tile=256, overlap=0.5)).still(width, height)
    assert planned[0] == whole_frame(width, height)
    assert len(planned) <= 1 + sum((2 / STILL_TILE_PART / 2**level) ** 2 for level in range(4))
    smallest = min(region.side for region in planned)
    assert smallest <= max(256, STILL_TILE_PART * max(width, height) + 1)
    sides = sorted({region.side for region in planned})
    assert all(larger <= 2 * smaller for smaller, larger in pairwise(sides))
