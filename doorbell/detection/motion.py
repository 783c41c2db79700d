"""What moves before the camera: frames in, moving places out.

Compares small pictures of two frames, so that it costs less than looking at one more region.
Refuses to know what moves.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from doorbell.detection.regions import Region, RegionKind
from doorbell.domain import Float32Array, UInt8Array

THUMBNAIL_PIXELS = 160  # of the longer side

# Levels of green by which a thumbnail's pixel must differ from the frame before. Noise of a camera
# at dusk, 8 levels, is 1.3 once 8 pixels of the frame and 9 of the thumbnail are averaged.
MOVING_LEVELS = 8

# A place counts as moving for as many frames as it may take until each tile there had its turn.
REMEMBERED_FRAMES = 8

# What moves within so many pixels of the thumbnail of each other is one: an arm and its head.
JOINED_PIXELS = 5

# Less than so many pixels of the thumbnail is nobody: a face of 20 pixels in a frame of 1280 is 6.
LEAST_AREA = 3

# What moves anew is looked at so many times without a rest, so that whoever comes is found in the
# first frame that shows their face. A look is forgotten after so many frames, and at most so many
# are counted: what was still for 112 frames moves anew.
FRESH_LOOKS = 6
FORGOTTEN_FRAMES = 8
MOST_LOOKS = 14

# A window is so much larger than what moves: the face may be what stood still.
WINDOW_MARGIN = 1.2


class Motion:
    """Remembers where something has just moved in the frames of one camera."""

    def __init__(self) -> None:
        self._before: UInt8Array | None = None
        self._size = (0, 0)
        self._scale = 1.0
        self._moving: UInt8Array = np.zeros((1, 1), np.uint8)
        self._remembered: UInt8Array = np.zeros((1, 1), np.uint8)
        self._resting: UInt8Array = np.zeros((1, 1), np.uint8)
        self._looks: UInt8Array = np.zeros((1, 1), np.uint8)
        self._frames = 0

    def watch(self, pixels: UInt8Array) -> None:
        """Take in the next frame: (height, width, 3) uint8, always of the same size."""
        height, width = pixels.shape[:2]
        self._size = width, height
        self._scale = min(THUMBNAIL_PIXELS / max(width, height), 1.0)
        size = (max(round(width * self._scale), 1), max(round(height * self._scale), 1))
        # Green alone, of one row of the frame for each of the thumbnail: reading the whole frame
        # takes longer than all else here.
        row_step = max(int(1 / self._scale), 1)
        first = min(row_step // 2, height - 1)
        green = cv2.extractChannel(pixels[first::row_step], 1)
        small = cv2.resize(green, size, interpolation=cv2.INTER_AREA)
        thumbnail = np.asarray(cv2.blur(small, (3, 3)), np.uint8)
        if self._before is None:
            self._moving, self._remembered, self._resting, self._looks = np.zeros(
                (4, *thumbnail.shape), np.uint8
            )
        else:
            difference = cv2.absdiff(thumbnail, self._before)
            _, moving = cv2.threshold(difference, MOVING_LEVELS - 1, 1, cv2.THRESH_BINARY)
            self._moving = np.asarray(moving, np.uint8)
            self._remembered = np.maximum(self._remembered, 1) - 1
            self._remembered[self._moving > 0] = REMEMBERED_FRAMES
            self._resting = np.maximum(self._resting, 1) - 1
            if self._frames % FORGOTTEN_FRAMES == 0:
                self._looks = np.maximum(self._looks, 1) - 1
        self._frames += 1
        self._before = thumbnail

    def windows(self, explained: Iterable[Float32Array], least_side: int) -> list[Region]:
        """Squares around what moves, the largest motion first.

        Args:
            explained: boxes (4,) xyxy of the frame whose motion has its reason.
            least_side: of a window, pixels of the frame.
        """
        unexplained = self._moving * (self._resting == 0)
        for box in explained:
            unexplained[self._inside(box)] = 0
        if not unexplained.any():
            return []
        kernel = np.ones((JOINED_PIXELS, JOINED_PIXELS), np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(unexplained, kernel))
        areas = np.bincount(labels[unexplained > 0], minlength=count)
        order = [i for i in np.argsort(-areas, kind="stable") if areas[i] >= LEAST_AREA]
        return [self._window(stats[i], least_side) for i in order]

    def box(self, explained: Iterable[Float32Array]) -> Float32Array | None:
        """The box of all that has just moved and has no reason: (4,) xyxy of the frame, or None.

        Args:
            explained: boxes (4,) xyxy of the frame whose motion has its reason.
        """
        moved = self._remembered > 0
        for box in explained:
            moved[self._inside(box)] = False
        if int(moved.sum()) < LEAST_AREA:
            return None
        rows, columns = np.flatnonzero(moved.any(axis=1)), np.flatnonzero(moved.any(axis=0))
        edges = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        return np.array([edge / self._scale for edge in edges], np.float32)

    def is_within(self, box: Float32Array, frames: int = REMEMBERED_FRAMES) -> bool:
        """Whether something moved in a box (4,) xyxy of the frame in the last few frames."""
        forgotten = max(REMEMBERED_FRAMES - frames, 0)
        return int((self._remembered[self._inside(box)] > forgotten).sum()) >= LEAST_AREA

    def _inside(self, box: Float32Array) -> tuple[slice, slice]:
        """Rows and columns of the thumbnail that a box of the frame covers."""
        left, top, right, bottom = np.maximum(box * self._scale, 0).astype(int)
        return slice(top, bottom + 1), slice(left, right + 1)

    def rest(self, region: Region, frames: int) -> None:
        """Note that a region has been looked at: it rests, unless what moves there moves anew.

        Args:
            region: a window.
            frames: in which motion there opens no other.
        """
        square = (np.array([value]) for value in (region.left, region.top, region.side))
        (left, top), (right, bottom) = self._edges(*square)
        place = slice(top[0], bottom[0]), slice(left[0], right[0])
        self._looks[place] = np.minimum(self._looks[place] + 1, MOST_LOOKS)
        self._resting[place] = np.where(self._looks[place] > FRESH_LOOKS, frames, 0)

    def shares(self, squares: NDArray[np.int64]) -> NDArray[np.float64]:
        """How much of all that has just moved is in each square, 0 to 1: (n,).

        Args:
            squares: (n, 3) int64: left, top and side in pixels of the frame.
        """
        sums = cv2.integral((self._remembered > 0).astype(np.uint8))  # one more than the thumbnail
        everywhere = int(sums[-1, -1])
        if not everywhere:
            return np.zeros(len(squares))
        (left, top), (right, bottom) = self._edges(squares[:, 0], squares[:, 1], squares[:, 2])
        inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
        return np.asarray(inside / everywhere)

    def _edges(
        self, left: NDArray[np.int64], top: NDArray[np.int64], side: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Squares of the frame in pixels of the thumbnail: lefts and tops, rights and bottoms."""
        height, width = self._remembered.shape
        most = np.array([[width], [height]])
        near = np.stack([left, top])  # (2, n)
        first = np.floor(near * self._scale).astype(np.int64)
        last = np.floor((near + side) * self._scale).astype(np.int64) + 1
        return np.clip(first, 0, most), np.clip(last, 0, most)

    def _window(self, stat: NDArray[np.int32], least_side: int) -> Region:
        """The square around one connected component; a visitor's face is at the top of it.

        It reaches beyond the sides of the frame, where visitors come in: moved inside, it would
        have their faces at its border, where the network sees least. Below it there is no face.
        """
        left, top, width, height = (float(value) / self._scale for value in stat[:4])
        side = min(max(WINDOW_MARGIN * max(width, height), least_side), max(self._size))
        highest = top + height / 2 - side / 2
        lowest = max(self._size[1] - side, 0)
        return Region(
            round(left + width / 2 - side / 2),
            round(min(highest, lowest)),
            round(side),
            RegionKind.TILE,
        )
