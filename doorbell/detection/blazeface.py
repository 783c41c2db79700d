"""BlazeFace: regions of a frame in, faces out.

Written once, in NumPy, above the ``Runner``: cutting and letterboxing regions, anchors, decoding
and blending. The cutting alone can be the network's instead, for frames that a GPU sees. Refuses to
know which device runs the network and which regions deserve a look.

Source: Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from doorbell.detection.regions import Region
from doorbell.domain import Face, Float32Array, UInt8Array
from doorbell.inference import DeviceArray, Input, Runner

# (height, width, 3) uint8, RGB; where a GPU sees it too, with its address there.
Picture: TypeAlias = UInt8Array | DeviceArray

# An interpolated pixel is made of two by two, so that steps of up to this many skip hardly any.
INTERPOLATED_PIXELS = 2.25

# Of the smaller of two boxes; the larger is then not a face of its own.
CONTAINED_PART = 0.7


@dataclass(frozen=True, slots=True)
class AnchorLayer:
    """One grid of anchors: ``cells`` x ``cells`` with ``per_cell`` anchors each."""

    cells: int
    per_cell: int


@dataclass(frozen=True, slots=True)
class Geometry:
    """What decoding needs to know of one BlazeFace network."""

    input_pixels: int
    layers: tuple[AnchorLayer, ...]


# Regions that go through the network at once. Larger batches take more memory and, on a processor,
# more time for each: its caches hold the layers of a few.
BATCH = 8

# MediaPipe's options of the released networks: strides 8, 16, 16, 16 with two anchors a layer and
# cell are 2 and 6 anchors a cell; the dense network has one anchor a cell at stride 4.
SHORT_RANGE = Geometry(128, (AnchorLayer(16, 2), AnchorLayer(8, 6)))
BACK = Geometry(256, SHORT_RANGE.layers)
FULL_RANGE = Geometry(192, (AnchorLayer(48, 1),))

# YuNet's strides of 8, 16 and 32; ``doorbell.networks.yunet`` gives it BlazeFace's outputs.
YUNET = Geometry(640, (AnchorLayer(80, 1), AnchorLayer(40, 1), AnchorLayer(20, 1)))


def anchor_centres(geometry: Geometry) -> Float32Array:
    """Centres of all anchors, as fractions of the input: (anchors, 2) float32, x then y.

    Their sizes are 1 in every released network, so they play no part in decoding.
    """
    grids = []
    for layer in geometry.layers:
        axis = (np.arange(layer.cells, dtype=np.float32) + 0.5) / layer.cells
        y, x = np.meshgrid(axis, axis, indexing="ij")
        centres = np.stack([x.ravel(), y.ravel()], axis=1)  # (cells^2, 2)
        grids.append(np.repeat(centres, layer.per_cell, axis=0))
    return np.concatenate(grids).astype(np.float32)


def letterbox(pixels: UInt8Array, region: Region, out: UInt8Array) -> None:
    """Resize one square region of a frame into ``out``; what lies outside the frame is black.

    Args:
        pixels: (height, width, 3) uint8.
        region: a square in pixels of the frame; it may reach beyond the frame.
        out: (side, side, 3) uint8, overwritten.
    """
    height, width = pixels.shape[:2]
    left, top = max(region.left, 0), max(region.top, 0)
    right = min(region.left + region.side, width)
    bottom = min(region.top + region.side, height)
    scale = out.shape[0] / region.side
    columns = round((left - region.left) * scale), round((right - region.left) * scale)
    rows = round((top - region.top) * scale), round((bottom - region.top) * scale)
    if (columns[1] - columns[0], rows[1] - rows[0]) != (out.shape[1], out.shape[0]):
        out[:] = 0
    if columns[1] <= columns[0] or rows[1] <= rows[0]:
        return
    target = columns[1] - columns[0], rows[1] - rows[0]
    out[rows[0] : rows[1], columns[0] : columns[1]] = _resized(
        pixels[top:bottom, left:right], target
    )


def _resized(pixels: UInt8Array, size: tuple[int, int]) -> UInt8Array:
    """A picture in another size, (width, height).

    Averaging keeps small faces that skipping pixels would lose. Interpolated to a whole multiple of
    the size and averaged from there it looks as OpenCV makes it in one go by INTER_AREA (within a
    level of 255, root mean square), in a third to a seventh of the time.
    """
    width, height = size
    shrink = min(pixels.shape[1] / width, pixels.shape[0] / height)
    if shrink == int(shrink):
        multiple = max(int(shrink), 1)
    else:
        multiple = max(math.ceil(shrink / INTERPOLATED_PIXELS), min(int(shrink), 2), 1)
    larger = width * multiple, height * multiple
    if pixels.shape[1::-1] != larger:
        pixels = np.asarray(cv2.resize(pixels, larger, interpolation=cv2.INTER_LINEAR), np.uint8)
    if multiple == 1:
        return pixels
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


@dataclass(frozen=True, eq=False, slots=True)
class Candidates:
    """Decoded anchors above the threshold, in pixels of the frame.

    Attributes:
        boxes_xyxy: (n, 4) float32.
        keypoints_xy: (n, 6, 2) float32.
        scores: (n,) float32, 0 to 1.
        ranks: (n,) int64: of the region each came from; where several regions saw one face, only
            the candidates of the lowest rank are blended.
    """

    boxes_xyxy: Float32Array
    keypoints_xy: Float32Array
    scores: Float32Array
    ranks: NDArray[np.int64]

    @classmethod
    def none(cls) -> Candidates:
        """Without any."""
        return cls(
            np.empty((0, 4), np.float32),
            np.empty((0, 6, 2), np.float32),
            np.empty(0, np.float32),
            np.empty(0, np.int64),
        )

    @classmethod
    def joined(cls, parts: Sequence[Candidates]) -> Candidates:
        """Those of several batches or networks, one after the other; at least one."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.boxes_xyxy for part in parts]),
            np.concatenate([part.keypoints_xy for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.ranks for part in parts]),
        )


class BlazeFace:
    """Finds what may be faces in regions of a frame.

    Args:
        runner: the network.
        geometry: of the network.
        min_score: 0 to 1; what scores less is no candidate.
        cuts_regions: whether the network takes frames and cuts the regions out itself, as
            ``doorbell.networks.regions`` writes it; a frame on a GPU then stays there.
    """

    def __init__(
        self, runner: Runner, geometry: Geometry, min_score: float, *, cuts_regions: bool = False
    ) -> None:
        self._runner = runner
        self._geometry = geometry
        self._cuts_regions = cuts_regions
        self._anchors = anchor_centres(geometry)  # (anchors, 2)
        threshold = min(max(min_score, 1e-6), 1 - 1e-6)
        self._logit_threshold = float(np.log(threshold / (1 - threshold)))

    @property
    def input_pixels(self) -> int:
        """Side of the square that the network sees."""
        return self._geometry.input_pixels

    def close(self) -> None:
        """Release the network; idempotent."""
        self._runner.close()

    def candidates(self, picture: Picture, regions: Sequence[Region]) -> Candidates:
        """Find what ``blend`` makes faces of.

        Args:
            picture: where to look.
            regions: squares to look at, one at least.
        """
        return Candidates.joined(
            [
                self._candidates(picture, regions[start : start + BATCH])
                for start in range(0, len(regions), BATCH)
            ]
        )

    def _candidates(self, picture: Picture, regions: Sequence[Region]) -> Candidates:
        pixels = picture.host if isinstance(picture, DeviceArray) else picture
        if self._cuts_regions:
            outputs = self._runner.infer({"frame": _frame(picture), "regions": _squares(regions)})
        else:
            outputs = self._runner.infer({"image": self._cut(pixels, regions)})
        return self.decode(
            outputs["regressors"], outputs["scores"], regions, pixels.shape[1], pixels.shape[0]
        )

    def _cut(self, pixels: UInt8Array, regions: Sequence[Region]) -> Float32Array:
        """The regions as the network wants them, cut here: (n, 3, side, side), -1..1."""
        side = self._geometry.input_pixels
        batch = np.empty((len(regions), side, side, 3), np.uint8)
        for region, out in zip(regions, batch, strict=True):
            letterbox(pixels, region, out)
        tensor: Float32Array = batch.transpose(0, 3, 1, 2).astype(np.float32, order="C")
        tensor *= 1 / 127.5
        tensor -= 1
        return tensor

    def decode(
        self,
        regressors: Float32Array,
        logits: Float32Array,
        regions: Sequence[Region],
        frame_width: int,
        frame_height: int,
    ) -> Candidates:
        """Turn raw outputs into candidates in pixels of the frame.

        Args:
            regressors: (n, anchors, 16) float32, pixels of the input: dx, dy, width, height and six
                keypoints, offsets from the anchor's centre.
            logits: (n, anchors, 1) float32.
            regions: the n squares.
            frame_width: pixels.
            frame_height: pixels.
        """
        which, anchor = np.nonzero(logits[:, :, 0] > self._logit_threshold)  # (k,), (k,)
        if not which.size:
            return Candidates.none()
        raw = regressors[which, anchor] / self._geometry.input_pixels  # (k, 16)
        centres = self._anchors[anchor]  # (k, 2)
        squares = _squares(regions)[which]  # (k, 3)
        limits = [_limits(region, frame_width, frame_height) for region in regions]
        least, most = np.array(limits, np.float32)[which].transpose(1, 0, 2)  # (k, 2) each
        origin, scale = squares[:, :2], squares[:, 2:]
        middle = origin + (raw[:, :2] + centres) * scale  # (k, 2)
        half = raw[:, 2:4] * scale / 2
        near, far = middle - half, middle + half
        points = raw[:, 4:].reshape(-1, 6, 2) + centres[:, None]  # (k, 6, 2)
        points = origin[:, None] + points * scale[:, None]
        scores = 1 / (1 + np.exp(-np.clip(logits[which, anchor, 0], -80, 80)))
        ranks = np.array([r.kind.value for r in regions], np.int64)[which]
        valid = ((near >= least) & (far <= most) & (half > 0)).all(axis=1)
        return Candidates(
            np.concatenate([near, far], axis=1)[valid], points[valid], scores[valid], ranks[valid]
        )


def _frame(picture: Picture) -> Input:
    """The picture as a batch of one, (1, height, width, 3), in the same memory."""
    if isinstance(picture, DeviceArray):
        return DeviceArray(picture.address, picture.host[None])
    return picture[None]


def _squares(regions: Sequence[Region]) -> Float32Array:
    """Left, top and side of each: (n, 3)."""
    return np.array([[r.left, r.top, r.side] for r in regions], np.float32)


def _limits(
    region: Region, frame_width: int, frame_height: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Least and greatest x, y of a box in a region: its borders, where they are not the frame's.

    The network guesses what is hidden of a face that reaches over one; an overlapping region sees
    it whole.
    """
    slack = 0.02 * region.side
    right, bottom = region.left + region.side, region.top + region.side
    return (
        (
            region.left - slack if region.left > 0 else -math.inf,
            region.top - slack if region.top > 0 else -math.inf,
        ),
        (
            right + slack if right < frame_width else math.inf,
            bottom + slack if bottom < frame_height else math.inf,
        ),
    )


def iou(box: Float32Array, boxes: Float32Array) -> Float32Array:
    """Intersection over union of one box (4,) with boxes (n, 4), all xyxy: (n,) float32."""
    return _iou(_shared_area(box, boxes), _area(box), _area(boxes))


def _iou(shared: Float32Array, area: Float32Array, areas: Float32Array) -> Float32Array:
    union = np.maximum(area + areas - shared, np.finfo(np.float32).tiny)
    return np.asarray(shared / union, np.float32)


def _area(boxes: Float32Array) -> Float32Array:
    sides = boxes[..., 2:] - boxes[..., :2]
    return np.asarray(sides[..., 0] * sides[..., 1], np.float32)


def _shared_area(box: Float32Array, boxes: Float32Array) -> Float32Array:
    overlap = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])  # (n, 2)
    sides = np.maximum(overlap, 0)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def blend(candidates: Candidates, min_iou: float) -> list[Face]:
    """Merge overlapping candidates into their score-weighted mean instead of keeping the best.

    The paper's section 4.2: the regression of one face from several anchors averages out, which
    lowers the jitter that non-maximum suppression shows in video by 40 % on its data. What lies
    mostly within a better candidate, or around it, is dropped.

    Args:
        candidates: decoded anchors.
        min_iou: candidates that overlap the best remaining one by more than this are its cluster.

    Returns:
        Faces, best score first; a face has the score of its best candidate.
    """
    faces = []
    for cluster in clusters(candidates, min_iou):
        best_score = float(candidates.scores[cluster[0]])
        ranks = candidates.ranks[cluster]
        believed = cluster[ranks == ranks.min()]
        faces.append(mean_face(candidates, believed, candidates.scores[believed], best_score))
    return faces


def clusters(candidates: Candidates, min_iou: float) -> Iterator[NDArray[np.int64]]:
    """Split candidates into those of one face each, as ``blend`` does: indices, best first."""
    order = np.argsort(-candidates.scores, kind="stable")
    boxes = candidates.boxes_xyxy[order]  # best first, here and below
    areas = _area(boxes)
    while order.size:
        shared = _shared_area(boxes[0], boxes)  # (m,)
        together = _iou(shared, areas[0], areas) > min_iou
        together[0] = True
        yield order[together]
        # Heads with shoulders, and parts of a face, are found beside the face itself where regions
        # of several sizes overlap; no face lies within another.
        apart = ~together & (shared <= CONTAINED_PART * np.minimum(areas[0], areas))
        order, boxes, areas = order[apart], boxes[apart], areas[apart]


def mean_face(
    candidates: Candidates, cluster: NDArray[np.int64], weights: Float32Array, score: float
) -> Face:
    """The weighted mean of one cluster: a weight for each index in it, (c,)."""
    parts = weights / weights.sum()
    points = candidates.keypoints_xy[cluster].reshape(len(cluster), -1)  # (c, 12)
    return Face(
        (parts @ candidates.boxes_xyxy[cluster]).astype(np.float32),
        (parts @ points).reshape(-1, 2).astype(np.float32),
        score,
    )
