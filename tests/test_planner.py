"""Where to look in each frame."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from doorbell.config import DetectionSection
from doorbell.detection.planner import (
    DOUBT_FRAMES,
    EMPTY_REST_FRAMES,
    EMPTY_TURNS,
    FACE_PART_BOUNDS,
    FAR_COST,
    FOLLOWED_TURNS,
    MAX_OFF_CENTRE,
    RegionPlanner,
)
from doorbell.detection.regions import FACE_PART, Region, RegionKind, tiles, whole_frame
from doorbell.domain import Face, Track, UInt8Array

SIZES = st.integers(1, 600)
BUDGETS = st.integers(3, 64)

# Every example draws frames.
QUICK = settings(max_examples=examples(40), deadline=None)


def section(tile: int = 256, overlap: float = 0.5, budget: int = 8) -> DetectionSection:
    return DetectionSection(tile_pixels=tile, tile_overlap=overlap, regions_per_frame=budget)


def track(track_id: int, left: float, top: float, size: float) -> Track:
    box = np.array([left, top, left + size, top + size], np.float32)
    return Track(track_id, Face(box, np.zeros((6, 2), np.float32), 0.9), 0.0, 0.0, 5)


def seen(live: Track, frame: int) -> Track:
    """The same, found again in a frame."""
    return replace(live, last_seen_seconds=frame / 30)


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
def test_the_budget_is_never_exceeded(
    width: int, height: int, budget: int, live: list[Track]
) -> None:
    planner = RegionPlanner(section(budget=budget))
    generator = np.random.default_rng(width)
    for _ in range(4):
        plan = planner.plan(generator.integers(0, 256, (height, width, 3), np.uint8), live)
        assert len(plan.near) + FAR_COST * len(plan.far) <= budget
        assert len(set(plan.near)) >= len(plan.near) - len(live)  # only tracks may share a place


@QUICK
@given(st.integers(150, 500), st.integers(150, 500), BUDGETS, tracks())
def test_every_tile_has_its_turn_in_any_company(
    width: int, height: int, budget: int, live: list[Track]
) -> None:
    every = {whole_frame(width, height), *tiles(width, height, 128, 0.5)}
    planner = RegionPlanner(section(tile=128, overlap=0.5, budget=budget))
    seen: set[Region] = set()
    for _ in range(len(every) * FOLLOWED_TURNS[0]):
        seen.update(set(look(planner, live, width, height)) & every)
    assert seen == every


def test_a_new_stream_is_looked_over_as_fast_as_the_budget_lets() -> None:
    every = {whole_frame(640, 480), *tiles(640, 480, 256, 0.5)}
    planner = RegionPlanner(section(budget=8))
    seen: set[Region] = set()
    for _ in range(math.ceil(len(every) / (8 - FAR_COST))):
        seen.update(look(planner, []))
    assert seen == every


def test_a_door_where_nothing_moves_costs_one_region_a_frame_and_a_far_one_now_and_then() -> None:
    planner = RegionPlanner(section())
    still = np.zeros((480, 640, 3), np.uint8)
    for _ in range(20):
        planner.plan(still, [])
    plans = [planner.plan(still, []) for _ in range(12)]
    assert all(len(plan.near) == 1 for plan in plans)
    assert sum(len(plan.far) for plan in plans) == 12 / EMPTY_TURNS[1]


def test_a_visitor_who_is_followed_costs_one_region_and_a_turn_now_and_then() -> None:
    planner = RegionPlanner(section())
    still = np.zeros((480, 640, 3), np.uint8)
    visitor = track(1, 200, 100, 72)
    for frame in range(20):
        planner.plan(still, [seen(visitor, frame)])
    plans = [planner.plan(still, [seen(visitor, frame)]) for frame in range(20, 32)]
    assert sum(len(plan.near) - 1 for plan in plans) == 12 / FOLLOWED_TURNS[0]
    assert sum(len(plan.far) for plan in plans) == 12 / FOLLOWED_TURNS[1]


@QUICK
@given(tracks(), BUDGETS)
def test_the_most_important_tracks_have_their_region_in_every_frame(
    live: list[Track], budget: int
) -> None:
    planner = RegionPlanner(section(budget=budget))
    for _ in range(4):
        planned = of_kind(look(planner, live), RegionKind.TRACK)
        assert len(planned) == min(len(live), budget - 1)
        for region, followed in zip(planned, live, strict=False):
            left, top, right, bottom = followed.face.box_xyxy
            assert region.left <= left + 1
            assert region.top <= top + 1
            assert region.left + region.side >= right - 1
            assert region.top + region.side >= bottom - 1


def test_a_frame_of_one_tile_has_the_whole_for_its_turn() -> None:
    planner = RegionPlanner(section(tile=640, budget=3))
    planned = look(planner, [track(i, 100 * i, 100, 50) for i in range(5)])
    assert [region.kind for region in planned] == [
        RegionKind.TRACK,
        RegionKind.TRACK,
        RegionKind.WHOLE,
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
    assert planned == [
        replace(held, left=held.left + 3),
        whole_frame(1280, 720),
        tiles(1280, 720, 256, 0.5)[0],
    ]


STILL = np.full((720, 1280, 3), 90, np.uint8)


def with_spot(left: int, top: int, size: int = 60) -> UInt8Array:
    frame: UInt8Array = STILL.copy()
    frame[top : top + size, left : left + size] = 160
    return frame


def settled(live: Sequence[Track] = ()) -> RegionPlanner:
    """A planner that has seen a still door for a while."""
    planner = RegionPlanner(DetectionSection())
    for _ in range(61):
        planner.plan(STILL, live)
    return planner


def holds(region: Region, left: int, top: int, size: int = 60) -> bool:
    return (
        region.left <= left
        and left + size <= region.left + region.side
        and region.top <= top
        and top + size <= region.top + region.side
    )


@pytest.mark.parametrize("place", [(600, 300), (0, 0), (1220, 660), (900, 0)])
def test_what_starts_to_move_has_a_far_window_in_that_very_frame(place: tuple[int, int]) -> None:
    plan = settled().plan(with_spot(*place), [])
    assert any(holds(region, *place) for region in plan.far)


def test_a_newcomer_beside_a_visitor_has_a_window_at_once() -> None:
    visitor = track(1, 200, 300, 80)
    plan = settled([visitor]).plan(with_spot(900, 300), [visitor])
    assert any(holds(region, 900, 300) for region in plan.far)


def test_a_visitor_who_moves_opens_windows_only_now_and_then() -> None:
    visitor = track(1, 200, 300, 80)
    planner = settled([visitor])
    looked = [
        region
        for step in range(DOUBT_FRAMES)
        for region in planner.plan(
            with_spot(200 + step % 2 * 20, 450), [seen(visitor, 1000 + step)]
        ).far
        if holds(region, 200, 450) and region not in tiles(1280, 720, 256, 0.5)
    ]
    assert len(looked) == 1


def test_a_visitor_whose_face_is_lost_is_looked_for_in_what_moves() -> None:
    visitor = track(1, 200, 300, 80)
    planner = settled([visitor])
    planner.plan(with_spot(200, 450), [seen(visitor, 1000)])
    lost = planner.plan(with_spot(220, 450), [seen(visitor, 1000)])
    assert any(holds(region, 220, 450) for region in lost.far)


def test_what_goes_on_moving_is_looked_at_again_after_a_rest() -> None:
    planner = settled()
    looked = [
        bool(
            [
                region
                for region in planner.plan(with_spot(600 + step % 2 * 20, 300), []).far
                if holds(region, 600, 300)
            ]
        )
        for step in range(1, 2 * EMPTY_REST_FRAMES + 2)
    ]
    assert looked[0]
    assert sum(looked) >= 2


def test_without_the_far_network_near_tiles_take_all_places() -> None:
    planner = RegionPlanner(DetectionSection(far_regions_per_frame=0))
    for frame in [STILL] * 20 + [with_spot(600, 300)]:
        plan = planner.plan(frame, [])
        assert len(plan.near) == DetectionSection().regions_per_frame
        assert not plan.far


def test_two_places_that_move_have_their_windows_in_turn() -> None:
    planner = settled()
    places = [(100, 300), (1000, 500)]
    seen = set()
    for step in range(1, 4):
        frame = with_spot(100 + step % 2 * 20, 300)
        frame[500:560, 1000 + step % 2 * 20 : 1060 + step % 2 * 20] = 160
        for region in planner.plan(frame, []).far:
            seen |= {place for place in places if holds(region, *place)}
    assert seen == set(places)


def test_tiles_where_something_moved_have_more_turns_than_others() -> None:
    planner = settled()
    counts = Counter(
        holds(region, 600, 300)
        for step in range(60)
        for region in planner.plan(with_spot(600 + step % 2 * 20, 300), []).near
        if region.kind is RegionKind.TILE
    )
    quiet = settled()
    usual = Counter(
        holds(region, 600, 300)
        for _ in range(60)
        for region in quiet.plan(STILL, []).near
        if region.kind is RegionKind.TILE
    )
    assert counts[True] > 1.5 * usual[True]
    assert counts[False] > 0
