"""Where BlazeFace looks and what it makes of the answer: anchors, pictures of regions, decoding."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from blazeface_outputs import CENTRES, SIDE, Outputs, points_in
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from doorbell.detection.blazeface import (
    BACK,
    BATCH,
    FULL_RANGE,
    SHORT_RANGE,
    AnchorLayer,
    BlazeFace,
    Geometry,
    anchor_centres,
    blend,
    letterbox,
)
from doorbell.detection.regions import Region, RegionKind
from doorbell.domain import UInt8Array
from doorbell.inference import Input
from doorbell.inference.tensors import host_array


class NoNetwork:
    """A runner for what must not reach the network."""

    def infer(self, inputs: Mapping[str, Input]) -> dict[str, NDArray[np.float32]]:
        raise AssertionError(f"the network was run on {list(inputs)}")

    def close(self) -> None:
        pass


class GreenNetwork:
    """Finds what is green: reports one box around it in each picture of the batch."""

    def __init__(self) -> None:
        self.images = np.empty((0, 3, SIDE, SIDE), np.float32)

    def infer(self, inputs: Mapping[str, Input]) -> dict[str, NDArray[np.float32]]:
        self.images = host_array(inputs["image"])
        outputs = Outputs(len(self.images))
        for index, image in enumerate(self.images):
            y, x = np.nonzero((image[1] > 0) & (image[0] < 0) & (image[2] < 0))
            if x.size:
                box = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1], np.float32)
                outputs.put(index, Region(0, 0, SIDE, RegionKind.WHOLE), box)
        return {"regressors": outputs.regressors, "scores": outputs.logits}

    def close(self) -> None:
        pass


def detector() -> BlazeFace:
    return BlazeFace(NoNetwork(), SHORT_RANGE, 0.5)


def media_pipe_anchors(
    size: int, strides: Sequence[int], per_stride: int
) -> list[tuple[float, float]]:
    """MediaPipe's SsdAnchorsCalculator, letter by letter: equal strides share one grid."""
    anchors = []
    layer = 0
    while layer < len(strides):
        last = layer
        while last < len(strides) and strides[last] == strides[layer]:
            last += 1
        cells = -(-size // strides[layer])
        for y in range(cells):
            for x in range(cells):
                centre = ((x + 0.5) / cells, (y + 0.5) / cells)
                anchors.extend([centre] * (per_stride * (last - layer)))
        layer = last
    return anchors


@pytest.mark.parametrize(
    ("geometry", "strides", "per_stride", "count"),
    [
        (SHORT_RANGE, (8, 16, 16, 16), 2, 896),
        (BACK, (16, 32, 32, 32), 2, 896),
        (FULL_RANGE, (4,), 1, 2304),
    ],
)
def test_anchors_are_those_of_media_pipe(
    geometry: Geometry, strides: tuple[int, ...], per_stride: int, count: int
) -> None:
    centres = anchor_centres(geometry)
    assert centres.shape == (count, 2)
    assert centres.dtype == np.float32
    expected = media_pipe_anchors(geometry.input_pixels, strides, per_stride)
    np.testing.assert_allclose(centres, expected, atol=1e-6)


def test_anchors_run_row_by_row_from_the_top_left() -> None:
    np.testing.assert_allclose(CENTRES[[0, 1, 2]], [[1 / 32] * 2] * 2 + [[3 / 32, 1 / 32]])
    np.testing.assert_allclose(
        CENTRES[[511, 512, 895]], [[31 / 32] * 2, [1 / 16] * 2, [15 / 16] * 2]
    )
    assert anchor_centres(Geometry(8, (AnchorLayer(2, 1),)))[1].tolist() == [0.75, 0.25]


def white_part(picture: UInt8Array) -> list[int]:
    y, x = np.nonzero(picture[:, :, 0] > 127)
    return [int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1]


@pytest.mark.parametrize(
    "region",
    [
        Region(100, 60, 256, RegionKind.TILE),
        Region(-90, -70, 300, RegionKind.TRACK),
        Region(420, 250, 333, RegionKind.TRACK),
        Region(0, -80, 640, RegionKind.WHOLE),
        Region(200, 120, 64, RegionKind.TRACK),
    ],
    ids=lambda r: f"{r.left},{r.top},{r.side}",
)
def test_letterbox_puts_things_where_they_are_in_the_region(region: Region) -> None:
    frame = np.zeros((480, 640, 3), np.uint8)
    corner = np.maximum([region.left, region.top], 0)
    inside = np.tile(corner, 2) + np.array([0.2, 0.1, 0.6, 0.4]) * min(region.side, 300)
    left, top, right, bottom = inside.astype(int)
    frame[top:bottom, left:right] = 255
    out = np.full((SIDE, SIDE, 3), 99, np.uint8)
    letterbox(frame, region, out)
    scale = SIDE / region.side
    expected = (
        np.array([left, top, right, bottom]) - [region.left, region.top, region.left, region.top]
    ) * scale
    np.testing.assert_allclose(white_part(out), expected, atol=max(1, scale / 2 + 0.5))


def test_letterbox_is_black_outside_the_frame_and_full_inside() -> None:
    frame = np.full((480, 640, 3), 200, np.uint8)
    out = np.full((SIDE, SIDE, 3), 99, np.uint8)
    letterbox(frame, Region(0, -80, 640, RegionKind.WHOLE), out)
    assert (out[:16] == 0).all()
    assert (out[16:112] == 200).all()
    assert (out[112:] == 0).all()
    letterbox(frame, Region(10, 20, 256, RegionKind.TILE), out)
    assert (out == 200).all()


@pytest.mark.parametrize(
    ("left", "top"), [(-300, 0), (0, -300), (640, 0), (0, 480), (5000, 5000), (-256, -256)]
)
def test_letterbox_of_a_region_wholly_outside_the_frame_is_black(left: int, top: int) -> None:
    out = np.full((SIDE, SIDE, 3), 99, np.uint8)
    frame = np.full((480, 640, 3), 200, np.uint8)
    letterbox(frame, Region(left, top, 256, RegionKind.TRACK), out)
    assert (out == 0).all()


@given(
    left=st.integers(-700, 700),
    top=st.integers(-500, 500),
    side=st.integers(1, 900),
)
def test_letterbox_takes_any_region(left: int, top: int, side: int) -> None:
    frame = np.full((48, 64, 3), 200, np.uint8)
    out = np.full((32, 32, 3), 99, np.uint8)
    letterbox(frame, Region(left, top, side, RegionKind.TRACK), out)
    assert set(np.unique(out)) <= {0, 200}
    columns = np.clip(np.array([left, left + side]), 0, 64)
    rows = np.clip(np.array([top, top + side]), 0, 48)
    covered = (columns[1] - columns[0]) * (rows[1] - rows[0]) * (32 / side) ** 2
    edges = 2 * 32 + 1  # each border is rounded to a pixel
    assert abs((out[:, :, 0] == 200).sum() - covered) <= edges


def test_decoding_gives_back_what_was_encoded_in_each_region() -> None:
    regions = [
        Region(0, -80, 640, RegionKind.WHOLE),
        Region(192, 112, 256, RegionKind.TILE),
        Region(380, 230, 111, RegionKind.TRACK),
    ]
    boxes = np.array([[40, 50, 140, 170], [210, 130, 270, 200], [400, 250, 450, 310]], np.float32)
    outputs = Outputs(3)
    for index, (region, box) in enumerate(zip(regions, boxes, strict=True)):
        outputs.put(index, region, box, logit=index + 1.0)
    candidates = detector().decode(outputs.regressors, outputs.logits, regions, 640, 480)
    np.testing.assert_allclose(candidates.boxes_xyxy, boxes, atol=1e-3)
    np.testing.assert_allclose(candidates.keypoints_xy, [points_in(b) for b in boxes], atol=1e-3)
    np.testing.assert_allclose(candidates.scores, 1 / (1 + np.exp([-1.0, -2.0, -3.0])), rtol=1e-6)
    assert candidates.ranks.tolist() == [r.kind.value for r in regions]
    assert candidates.boxes_xyxy.dtype == candidates.keypoints_xy.dtype == np.float32


def test_decoding_keeps_scores_above_the_threshold_only() -> None:
    region = Region(0, 0, 128, RegionKind.TILE)
    outputs = Outputs(1)
    outputs.put(0, region, np.array([10, 10, 40, 40], np.float32), logit=-0.01)
    outputs.put(0, region, np.array([80, 80, 110, 110], np.float32), logit=0.01)
    candidates = detector().decode(outputs.regressors, outputs.logits, [region], 128, 128)
    np.testing.assert_allclose(candidates.boxes_xyxy, [[80, 80, 110, 110]], atol=1e-3)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_the_extreme_thresholds_are_allowed(threshold: float) -> None:
    region = Region(0, 0, 128, RegionKind.TILE)
    outputs = Outputs(1)
    outputs.put(0, region, np.array([10, 10, 40, 40], np.float32), logit=100)
    blazeface = BlazeFace(NoNetwork(), SHORT_RANGE, threshold)
    candidates = blazeface.decode(outputs.regressors, outputs.logits, [region], 128, 128)
    assert len(candidates.scores) == 1


def test_decoding_nothing_gives_empty_arrays_of_the_right_shape() -> None:
    outputs = Outputs(1)
    region = Region(0, 0, 128, RegionKind.TILE)
    candidates = detector().decode(outputs.regressors, outputs.logits, [region], 128, 128)
    assert candidates.boxes_xyxy.shape == (0, 4)
    assert candidates.keypoints_xy.shape == (0, 6, 2)
    assert blend(candidates, 0.3) == []


def test_decoding_refuses_boxes_turned_inside_out_and_scores_that_are_no_number() -> None:
    region = Region(0, 0, 128, RegionKind.TILE)
    outputs = Outputs(1)
    outputs.put(0, region, np.array([40, 10, 10, 40], np.float32))
    outputs.put(0, region, np.array([80, 80, 110, 110], np.float32), logit=np.nan)
    candidates = detector().decode(outputs.regressors, outputs.logits, [region], 128, 128)
    assert candidates.scores.size == 0


# A tile in the middle of the frame, and four boxes that reach over one of its borders each.
OVER_ITS_BORDER = [
    [180, 180, 230, 230],
    [250, 150, 300, 200 + 9],
    [340, 250, 400, 300],
    [250, 330, 300, 400],
]


@pytest.mark.parametrize("box", OVER_ITS_BORDER)
def test_a_face_cut_by_a_border_inside_the_frame_is_left_to_another_region(
    box: list[float],
) -> None:
    tile = Region(192, 160, 192, RegionKind.TILE)
    outputs = Outputs(1)
    outputs.put(0, tile, np.array(box, np.float32))
    candidates = detector().decode(outputs.regressors, outputs.logits, [tile], 640, 480)
    assert candidates.scores.size == 0


@pytest.mark.parametrize("box", OVER_ITS_BORDER)
def test_a_face_cut_by_the_frame_itself_is_kept(box: list[float]) -> None:
    tile = Region(0, 0, 192, RegionKind.TILE)
    outputs = Outputs(1)
    moved = np.array(box, np.float32) - [192, 160, 192, 160]
    outputs.put(0, tile, moved.astype(np.float32))
    candidates = detector().decode(outputs.regressors, outputs.logits, [tile], 192, 192)
    np.testing.assert_allclose(candidates.boxes_xyxy, [moved], atol=1e-3)


def test_a_face_that_touches_a_border_is_kept() -> None:
    tile = Region(192, 160, 192, RegionKind.TILE)
    outputs = Outputs(1)
    outputs.put(0, tile, np.array([192, 160, 250, 230], np.float32))
    candidates = detector().decode(outputs.regressors, outputs.logits, [tile], 640, 480)
    assert candidates.scores.size == 1


def test_a_painted_face_is_found_through_every_region_at_once() -> None:
    frame = np.full((480, 640, 3), 90, np.uint8)
    frame[200:264, 300:356] = (0, 250, 0)
    network = GreenNetwork()
    regions = [
        Region(0, -80, 640, RegionKind.WHOLE),
        Region(192, 128, 256, RegionKind.TILE),
        Region(240, 144, 175, RegionKind.TRACK),
        Region(0, 0, 128, RegionKind.TILE),
    ]
    faces = blend(BlazeFace(network, SHORT_RANGE, 0.5).candidates(frame, regions), 0.3)
    assert len(faces) == 1
    np.testing.assert_allclose(faces[0].box_xyxy, [300, 200, 356, 264], atol=2)
    np.testing.assert_allclose(faces[0].keypoints_xy, points_in(faces[0].box_xyxy), atol=1e-2)
    assert network.images.shape == (4, 3, SIDE, SIDE)
    np.testing.assert_allclose(network.images[3], 90 / 127.5 - 1, atol=1e-6)
    np.testing.assert_allclose(network.images[0, :, 0, 0], -1)
    np.testing.assert_allclose(network.images[2, :, 64, 64], [-1, 250 / 127.5 - 1, -1], atol=1e-6)


def test_many_regions_go_through_the_network_in_batches_of_bounded_size() -> None:
    frame = np.full((600, 800, 3), 90, np.uint8)
    painted = [Region(x, y, 64, RegionKind.TILE) for x in (0, 300, 700) for y in range(0, 600, 80)]
    for region in painted:
        frame[region.top + 20 : region.top + 40, region.left + 10 : region.left + 40] = (0, 250, 0)
    network = GreenNetwork()
    candidates = BlazeFace(network, SHORT_RANGE, 0.5).candidates(frame, painted)
    assert len(painted) > 2 * BATCH
    assert len(network.images) <= BATCH
    expected = [[r.left + 10, r.top + 20, r.left + 40, r.top + 40] for r in painted]
    np.testing.assert_allclose(candidates.boxes_xyxy, expected, atol=1.5)
