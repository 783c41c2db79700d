"""Squares of a frame."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.detection.regions import (
    FACE_PART,
    STILL_PIXELS,
    RegionKind,
    own_region,
    still_regions,
    tiles,
    whole_frame,
)
from doorbell.domain import Face

SIZES = st.integers(1, 3000)


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


def test_a_still_is_looked_at_in_tiles_of_doubling_size() -> None:
    assert still_regions(640, 480, 100, 0.5) == [
        whole_frame(640, 480),
        *(tile for side in (100, 200, 400) for tile in tiles(640, 480, side, 0.5)),
    ]
    assert still_regions(200, 200, 256, 0.5) == [whole_frame(200, 200)]


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(64, 256))
def test_a_still_of_any_size_is_covered_at_a_bounded_cost(
    width: int, height: int, tile: int
) -> None:
    planned = still_regions(width, height, tile, 0.5)
    assert planned[0] == whole_frame(width, height)
    across = 2 * STILL_PIXELS / tile
    assert len(planned) <= 1 + sum((1 + across / 2**level) ** 2 for level in range(5))
    sides = sorted({region.side for region in planned})
    assert sides[0] <= tile * max(1, max(width, height) / STILL_PIXELS) + 1 or len(planned) == 1
    assert all(larger <= 2 * smaller for smaller, larger in pairwise(sides))


@given(st.floats(-50, 2000), st.floats(-50, 2000), st.floats(8, 500), st.floats(0.6, 1.5))
def test_a_face_fills_its_part_of_its_own_centred_region(
    left: float, top: float, size: float, ratio: float
) -> None:
    box = np.array([left, top, left + size, top + size * ratio], np.float32)
    region = own_region(Face(box, np.zeros((6, 2), np.float32), 0.9))
    assert region.kind is RegionKind.TRACK
    assert region.side * FACE_PART == pytest.approx(size * max(ratio, 1), abs=1)
    assert region.left + region.side / 2 == pytest.approx(left + size / 2, abs=1.1)
    assert region.top + region.side / 2 == pytest.approx(top + size * ratio / 2, abs=1.1)
