from collections.abc import Mapping, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from doorbell.detection.blazeface import (
    BACK,
    BATCH,
    CONTAINED_PART,
    FULL_RANGE,
    SHORT_RANGE,
    AnchorLayer,
    BlazeFace,
    Candidates,
    Geometry,
    anchor_centres,
    blend,
    iou,
    letterbox,
)
from doorbell.detection.regions import Region, RegionKind, tiles, whole_frame
from doorbell.domain import Face, Float32Array, UInt8Array
from doorbell.inference import DeviceArray, Input
from doorbell.inference.openvino import OpenVinoRunner
from doorbell.inference.tensors import host_array
from doorbell.models.store import face_path, network_path
from doorbell.photos import decode_photo, read_photo

SIDE = SHORT_RANGE.input_pixels
CENTRES = anchor_centres(SHORT_RANGE)

# Where the six points of a face lie, as parts of its box.
POINTS = np.array(
    [[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.5, 0.75], [0.05, 0.4], [0.95, 0.4]], np.float32
)


def points_in(box: Float32Array) -> Float32Array:
    return np.asarray(box[:2] + POINTS * (box[2:] - box[:2]), np.float32)


class Outputs:
    """What the network would say, written by hand."""

    def __init__(self, regions: int) -> None:
        self.regressors = np.zeros((regions, 896, 16), np.float32)
        self.logits = np.full((regions, 896, 1), -20, np.float32)

    def put(
        self, index: int, region: Region, box: Float32Array, *, logit: float = 4, neighbour: int = 0
    ) -> None:
        """Say that a box of the frame is a face, at the anchor nearest to its centre."""
        corners = (box.reshape(2, 2) - [region.left, region.top]) / region.side
        middle, size = corners.mean(axis=0), corners[1] - corners[0]
        points = (points_in(box) - [region.left, region.top]) / region.side
        anchor = int(np.linalg.norm(CENTRES - middle, axis=1).argmin()) + neighbour
        self.regressors[index, anchor, :2] = (middle - CENTRES[anchor]) * SIDE
        self.regressors[index, anchor, 2:4] = size * SIDE
        self.regressors[index, anchor, 4:] = ((points - CENTRES[anchor]) * SIDE).ravel()
        self.logits[index, anchor] = logit


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


class Listener:
    """A network that finds nothing, and keeps what it was asked."""

    def __init__(self) -> None:
        self.inputs: Mapping[str, Input] = {}

    def infer(self, inputs: Mapping[str, Input]) -> dict[str, NDArray[np.float32]]:
        self.inputs = inputs
        outputs = Outputs(2)
        return {"regressors": outputs.regressors, "scores": outputs.logits}

    def close(self) -> None:
        pass


TWO_REGIONS = [Region(-10, 20, 64, RegionKind.TILE), Region(5, 6, 7, RegionKind.TRACK)]


def test_a_frame_on_a_gpu_reaches_the_network_where_it_is() -> None:
    pixels = np.zeros((48, 64, 3), np.uint8)
    network = Listener()
    detector = BlazeFace(network, SHORT_RANGE, 0.5, cuts_regions=True)
    detector.candidates(DeviceArray(0xABC000, pixels), TWO_REGIONS)
    frame = network.inputs["frame"]
    assert isinstance(frame, DeviceArray)
    assert frame.address == 0xABC000
    assert frame.host.shape == (1, 48, 64, 3)
    assert np.shares_memory(frame.host, pixels)
    squares = network.inputs["regions"]
    assert isinstance(squares, np.ndarray)
    assert squares.dtype == np.float32
    assert squares.tolist() == [[-10, 20, 64], [5, 6, 7]]


def test_a_frame_elsewhere_reaches_such_a_network_too() -> None:
    pixels = np.zeros((48, 64, 3), np.uint8)
    network = Listener()
    BlazeFace(network, SHORT_RANGE, 0.5, cuts_regions=True).candidates(pixels, TWO_REGIONS)
    frame = network.inputs["frame"]
    assert isinstance(frame, np.ndarray)
    assert np.shares_memory(frame, pixels)


def test_a_network_of_pictures_gets_those_of_a_frame_on_a_gpu() -> None:
    pixels = np.full((48, 64, 3), 255, np.uint8)
    network = Listener()
    BlazeFace(network, SHORT_RANGE, 0.5).candidates(DeviceArray(1, pixels), TWO_REGIONS)
    image = network.inputs["image"]
    assert isinstance(image, np.ndarray)
    assert (image[1] == 1).all()


@pytest.fixture(scope="module")
def street(models_directory: Path) -> UInt8Array:
    """Four portraits of many sizes in one frame, two of them cut by its border."""
    frame = np.full((720, 1280, 3), 90, np.uint8)
    for name, left, top, height in (
        ("obama", 80, 60, 320),
        ("ardern", 600, 300, 200),
        ("biden", 1000, 420, 420),
        ("macron", 900, 20, 120),
    ):
        portrait = decode_photo(read_photo(face_path(name, models_directory)), name)
        width = round(portrait.shape[1] * height / portrait.shape[0])
        small = cv2.resize(portrait, (width, height), interpolation=cv2.INTER_AREA)
        place = frame[top : top + height, left : left + width]
        place[:] = small[: place.shape[0], : place.shape[1]]
    return frame


@pytest.mark.parametrize("name", ["blazeface_short", "blazeface_full"])
def test_regions_cut_by_the_network_show_the_same_faces(
    name: str, street: UInt8Array, models_directory: Path
) -> None:
    """Within 2 % of the face's width, and 10 % in regions that reach beyond the frame.

    There the letterbox moves the picture to whole pixels of the input, and the network does not:
    measured 2026-11-22, up to 8 % of difference in a keypoint.
    """
    geometry = SHORT_RANGE if name == "blazeface_short" else FULL_RANGE
    height, width = street.shape[:2]
    small = [Region(905, 30, 60, RegionKind.TRACK), Region(630, 310, 110, RegionKind.TRACK)]
    beyond = [Region(left, top, 500, RegionKind.TRACK) for left, top in ((-150, -100), (950, 380))]
    looks = [
        *((tiles(width, height, side, 0.5), 0.02) for side in (256, 400, 600)),
        ([whole_frame(width, height)], 0.02),
        (small, 0.02),
        (beyond, 0.1),
    ]

    def found(kind: str) -> list[list[Face]]:
        path = network_path(models_directory, name, kind)
        runner = OpenVinoRunner(path, threads=0, cache_directory=None)
        with closing(BlazeFace(runner, geometry, 0.3, cuts_regions="regions" in kind)) as detector:
            return [blend(detector.candidates(street, regions), 0.3) for regions, _ in looks]

    compared = 0
    letterboxed, cut = found("float32"), found("regions_float16")
    for faces, others, (_, part) in zip(letterboxed, cut, looks, strict=True):
        for face, seen in [
            *((face, others) for face in faces),
            *((face, faces) for face in others),
        ]:
            if face.score < 0.6:
                continue
            overlaps = iou(face.box_xyxy, np.stack([other.box_xyxy for other in seen]))
            same = seen[int(overlaps.argmax())]
            bound = part * face.width_pixels
            np.testing.assert_allclose(same.box_xyxy, face.box_xyxy, rtol=0, atol=bound)
            np.testing.assert_allclose(same.keypoints_xy, face.keypoints_xy, rtol=0, atol=bound)
            assert same.score == pytest.approx(face.score, abs=part)
            compared += 1
    assert compared > 20


Box = tuple[int, int, int, int]


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    left, top = draw(st.integers(0, 20)), draw(st.integers(0, 20))
    return left, top, left + draw(st.integers(1, 20)), top + draw(st.integers(1, 20))


@st.composite
def candidate_sets(draw: st.DrawFn) -> Candidates:
    """Candidates of different scores: among equal ones the order is nobody's promise."""
    scores = draw(st.lists(st.integers(1, 1000), min_size=1, max_size=12, unique=True))
    return make_candidates(
        [draw(boxes()) for _ in scores],
        [score / 1000 for score in scores],
        [draw(st.sampled_from(RegionKind)).value for _ in scores],
    )


def make_candidates(
    corners: Sequence[Sequence[float]], scores: Sequence[float], ranks: Sequence[int] | None = None
) -> Candidates:
    array = np.array(corners, np.float32)
    return Candidates(
        array,
        np.stack([points_in(box) for box in array]),
        np.array(scores, np.float32),
        np.zeros(len(scores), np.int64) if ranks is None else np.array(ranks, np.int64),
    )


def area(box: Sequence[float]) -> Fraction:
    left, top, right, bottom = map(Fraction, box)
    return max(right - left, Fraction(0)) * max(bottom - top, Fraction(0))


def shared(a: Sequence[float], b: Sequence[float]) -> Fraction:
    return area([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])])


def exact_iou(a: Sequence[float], b: Sequence[float]) -> Fraction:
    return shared(a, b) / (area(a) + area(b) - shared(a, b))


def is_contained(a: Sequence[float], b: Sequence[float]) -> bool:
    smaller = np.float32(min(area(a), area(b)))
    return bool(np.float32(shared(a, b)) > np.float32(CONTAINED_PART) * smaller)


def literal_blend(
    candidates: Candidates, min_iou: float
) -> list[tuple[float, list[float], list[list[float]]]]:
    """Section 4.2 of the paper, one candidate at a time: (score, box, keypoints).

    Two rules are ours: the region of the lowest rank is believed, and no face lies within another.
    """
    corners = candidates.boxes_xyxy.tolist()
    remaining = sorted(range(len(candidates.scores)), key=lambda i: -float(candidates.scores[i]))
    found = []
    while remaining:
        best = remaining[0]
        cluster = [i for i in remaining if exact_iou(corners[best], corners[i]) > min_iou]
        parts = [i for i in remaining if is_contained(corners[best], corners[i])]
        remaining = [i for i in remaining if i not in cluster and i not in parts]
        believed = min(int(candidates.ranks[i]) for i in cluster)
        cluster = [i for i in cluster if candidates.ranks[i] == believed]
        total = sum(float(candidates.scores[i]) for i in cluster)

        def mean(values: list[float], cluster: list[int] = cluster, total: float = total) -> float:
            pairs = zip(cluster, values, strict=True)
            return sum(float(candidates.scores[i]) * value for i, value in pairs) / total

        found.append(
            (
                float(candidates.scores[best]),
                [mean([corners[i][k] for i in cluster]) for k in range(4)],
                [
                    [
                        mean([float(candidates.keypoints_xy[i, p, k]) for i in cluster])
                        for k in (0, 1)
                    ]
                    for p in range(6)
                ],
            )
        )
    return found


# Four digits lie further from every ratio of two areas of `boxes` than float32 errs.
SOME_IOUS = st.sampled_from([0.0713, 0.2871, 0.3713, 0.5339, 0.8117])


def assert_same(faces: Sequence[Face], others: Sequence[Face]) -> None:
    assert [face.score for face in faces] == [face.score for face in others]
    for face, other in zip(faces, others, strict=True):
        np.testing.assert_allclose(face.box_xyxy, other.box_xyxy, atol=1e-4)
        np.testing.assert_allclose(face.keypoints_xy, other.keypoints_xy, atol=1e-4)


@given(candidate_sets(), SOME_IOUS)
def test_blending_is_the_papers_rule(candidates: Candidates, min_iou: float) -> None:
    faces = blend(candidates, min_iou)
    literal = [
        Face(np.array(box, np.float32), np.array(points, np.float32), score)
        for score, box, points in literal_blend(candidates, min_iou)
    ]
    assert_same(faces, literal)
    assert 1 <= len(faces) <= len(candidates.scores)
    assert [face.score for face in faces] == sorted((f.score for f in faces), reverse=True)


@given(candidate_sets(), SOME_IOUS, st.randoms(use_true_random=False))
def test_blending_does_not_depend_on_the_order_of_candidates(
    candidates: Candidates, min_iou: float, random: object
) -> None:
    order = np.arange(len(candidates.scores))
    random.shuffle(order)  # type: ignore[attr-defined] # Hypothesis gives a random.Random
    shuffled = Candidates(
        candidates.boxes_xyxy[order],
        candidates.keypoints_xy[order],
        candidates.scores[order],
        candidates.ranks[order],
    )
    assert_same(blend(candidates, min_iou), blend(shuffled, min_iou))


def test_scores_are_the_weights_of_blending() -> None:
    candidates = make_candidates([[0, 0, 10, 10], [2, 2, 12, 12]], [0.9, 0.3])
    (face,) = blend(candidates, 0.3)
    np.testing.assert_allclose(face.box_xyxy, [0.5, 0.5, 10.5, 10.5], atol=1e-5)
    assert face.score == pytest.approx(0.9)


@given(boxes(), st.lists(st.floats(0.125, 1, width=32), min_size=1, max_size=8))
def test_identical_boxes_are_one_face_at_that_place(box: Box, scores: list[float]) -> None:
    (face,) = blend(make_candidates([box] * len(scores), scores), 0.5)
    np.testing.assert_allclose(face.box_xyxy, box, atol=1e-4)
    assert face.score == max(scores)


def test_the_region_of_the_lowest_rank_is_believed_where_several_see_one_face() -> None:
    candidates = make_candidates(
        [[0, 0, 10, 10], [1, 1, 11, 11], [2, 2, 12, 12]],
        [0.9, 0.6, 0.5],
        [RegionKind.WHOLE.value, RegionKind.TRACK.value, RegionKind.TILE.value],
    )
    (face,) = blend(candidates, 0.3)
    np.testing.assert_allclose(face.box_xyxy, [1, 1, 11, 11], atol=1e-5)
    assert face.score == pytest.approx(0.9)


@pytest.mark.parametrize(
    "other", [[40, 40, 60, 60], [20, 10, 150, 210]], ids=["part of the face", "head and shoulders"]
)
def test_a_box_within_a_box_is_no_face_of_its_own_and_moves_nothing(other: list[float]) -> None:
    face = [30, 30, 90, 90]
    (found,) = blend(make_candidates([other, face], [0.6, 0.9]), 0.3)
    np.testing.assert_allclose(found.box_xyxy, face, atol=1e-5)


def test_faces_side_by_side_stay_apart() -> None:
    found = blend(
        make_candidates([[0, 0, 50, 50], [40, 0, 90, 50], [60, 60, 80, 80]], [0.7, 0.9, 0.8]), 0.3
    )
    assert [face.box_xyxy[0] for face in found] == [40, 60, 0]


@given(boxes(), boxes())
def test_iou_is_the_exact_ratio_of_areas(first: Box, second: Box) -> None:
    a, b = np.array(first, np.float32), np.array([second], np.float32)
    value = float(iou(a, b)[0])
    assert value == pytest.approx(float(exact_iou(first, second)), abs=1e-6)
    assert value == float(iou(b[0], a[None])[0])
    assert 0 <= value <= 1
    assert float(iou(a, a[None])[0]) == 1


def test_iou_of_boxes_without_area_is_nought() -> None:
    point = np.array([3, 3, 3, 3], np.float32)
    assert iou(point, point[None]).tolist() == [0]
