"""What a live camera shows: the door, darkness, or one picture for ever.

No sensor is without noise. So a picture most of which is, bit by bit, what it was long before is
no live one. That holds behind an encoder too: what it makes of one picture changes from frame to
frame, by what is refined, but comes again sooner or later where a frame is coded by itself (intra),
so only those are compared. A clock that is written into a frozen picture changes little of it;
noise changes most of a live one.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from doorbell.camera.patience import KEY_FRAME_SECONDS
from doorbell.domain import Float32Array, Frame, UInt8Array
from doorbell.errors import CameraError
from doorbell.status import CameraCondition

# The pixels looked at for darkness: about so many rows and columns.
_ROWS, _COLUMNS = 24, 32
# Of 255. A covered lens or a night without light; a lamp somewhere spreads the values.
_DARK_MEAN = 12.0
_DARK_SPREAD = 6.0
# Brighter than this everything is clipped, and no noise is left that would show a live picture.
_CLIPPED_MEAN = 250.0
# Nothing can be found in less, and no camera makes it.
_LEAST_PIXELS = 16

# The side of a tile in pixels, for each 1280 of the picture's width, and the rows looked at in it.
_TILE_PIXELS, _TILE_WIDTH, _TILE_ROWS = 32, 1280, 4
# A tile of less contrast, of 255, is flattened by an encoder, noise and all.
_FLAT_CONTRAST = 16
# So many of the tiles must tell something.
_LEAST_TELLING = 0.05
# So many of these are what they were before. Live pictures at 150 kbit/s came to 0.51 at most,
# frozen ones to 0.75 and more at 500 kbit/s, also with a clock (docs/camera.md, 2026-11-28).
_SAME_TILES = 0.7
# Something moves where as many tiles, one above the other, have another mean, of 255. An encoder
# that is short of bits changes it by up to 7, and a line of text is no more than two tiles high.
_MOVED_MEAN, _MOVED_ROWS = 10.0, 3
# A frozen picture is live again once something moves, or after so many that were not there before:
# of one picture, an encoder that begins anew makes some others at first.
_NEW_PICTURES = 12
# A picture is frozen that is the same as so many, one of them old enough: what plays in a loop, or
# has drawn noise, comes again too, but not as often.
_SAME_PICTURES = 3
# How long pictures are remembered, in times of how old one must be, and how many at least.
_REMEMBERED, _REMEMBERED_PICTURES = 3.0, 6
# How far apart they are looked at, in times of frozen_seconds, and at most.
_APART, _MOST_APART_SECONDS = 1 / 16, 2.0


@dataclass(frozen=True, slots=True)
class _Picture:
    """What is remembered of a picture, for each tile.

    Attributes:
        seen_at: monotonic time.
        hashes: (rows, columns) uint64, of what is in it.
        means: (rows, columns) float32.
        telling: (rows, columns) bool: whether noise would show in it.
    """

    seen_at: float
    hashes: NDArray[np.uint64]
    means: Float32Array
    telling: NDArray[np.bool_]

    def in_common(self, other: _Picture) -> float:
        """How much of what tells something is the same in another one, 0 to 1."""
        if not self.telling.any():
            return 0.0
        return float((self.hashes == other.hashes)[self.telling].mean())

    def has_moved_since(self, other: _Picture) -> bool:
        """Whether something upright has come or gone."""
        changed = np.abs(self.means - other.means) > _MOVED_MEAN
        high = min(_MOVED_ROWS, len(changed))
        above = [changed[row : len(changed) - high + 1 + row] for row in range(high)]
        return bool(np.logical_and.reduce(above).any())


class FrameHealth:
    """Tells darkness and a frozen picture from a live one.

    Args:
        dark_seconds: how long it must be dark before it is reported; 0 never reports it.
        frozen_seconds: how old a picture is when it comes again and is reported; likewise.

    Attributes:
        most_in_common: how much a picture has had of as many as make it frozen, 0 to 1.
    """

    def __init__(self, *, dark_seconds: float, frozen_seconds: float) -> None:
        self._dark_seconds = dark_seconds or math.inf
        self.frozen_seconds = frozen_seconds or math.inf
        self.most_in_common = 0.0
        self._bright_at = -math.inf
        self._apart_seconds = min(_APART * self.frozen_seconds, _MOST_APART_SECONDS)
        self._shape: tuple[int, ...] = ()
        self._seen: deque[_Picture] = deque()
        self._frozen = False
        self._frozen_at = self._looked_at = self._compared_at = -math.inf
        self._intra_at = -math.inf
        self._new_pictures = 0

    def begin(self, now_seconds: float) -> None:
        """Begin anew after a time without pictures, in which none could change."""
        self._seen.clear()
        self._frozen = False
        self._intra_at = now_seconds

    def look(
        self, pixels: UInt8Array, now_seconds: float, *, intra: bool | None = True
    ) -> CameraCondition:
        """Look at the next picture.

        Args:
            pixels: (height, width, 3) uint8.
            now_seconds: monotonic time.
            intra: as ``Frame.intra``.
        """
        height, width = pixels.shape[:2]
        some = pixels[:: max(1, height // _ROWS), :: max(1, width // _COLUMNS)]
        mean = float(some.mean())
        dark = mean < _DARK_MEAN and float(some.std()) < _DARK_SPREAD
        tells_nothing = dark or mean > _CLIPPED_MEAN
        if tells_nothing or pixels.shape != self._shape:
            self._shape = pixels.shape
            self.begin(now_seconds)
        if not tells_nothing and math.isfinite(self.frozen_seconds):
            self._look_for_frozen(pixels, now_seconds, intra)
        if not dark or math.isinf(self._bright_at):
            self._bright_at = now_seconds
        if self._frozen:
            return CameraCondition.FROZEN
        if now_seconds - self._bright_at >= self._dark_seconds:
            return CameraCondition.DARK
        return CameraCondition.LIVE

    def _look_for_frozen(self, pixels: UInt8Array, now: float, intra: bool | None) -> None:
        if intra:
            self._intra_at = now
        # Where nothing tells which pictures are intra, or none are, one may stand for as long as
        # key frames are apart.
        counts = intra is not False or now - self._intra_at > KEY_FRAME_SECONDS
        if now - (self._compared_at if counts else self._looked_at) < self._apart_seconds:
            return
        self._looked_at = now
        picture = _picture(pixels, now)
        if self._seen and picture.has_moved_since(self._seen[-1]):
            self._seen.clear()
            self._frozen = False
        if counts:
            self._compared_at = now
            self._compare(picture, intra=bool(intra))

    def _compare(self, picture: _Picture, *, intra: bool) -> None:
        """Compare a picture with those that are old enough, and remember it."""
        now, age = picture.seen_at, self.frozen_seconds
        if not intra:
            age = max(age, KEY_FRAME_SECONDS)
        while (
            len(self._seen) > _REMEMBERED_PICTURES
            and now - self._seen[0].seen_at > _REMEMBERED * age
        ):
            self._seen.popleft()
        common = [(picture.in_common(seen), now - seen.seen_at) for seen in self._seen]
        alike = sorted((part for part, _ in common), reverse=True)[:_SAME_PICTURES]
        old = max((part for part, seconds in common if seconds >= age), default=0.0)
        least = min(old, *alike) if len(alike) == _SAME_PICTURES else 0.0
        self.most_in_common = max(self.most_in_common, least)
        self._seen.append(picture)
        if least >= _SAME_TILES:
            self._frozen, self._frozen_at, self._new_pictures = True, now, 0
        elif self._frozen:
            self._new_pictures += 1
            enough = self._new_pictures >= _NEW_PICTURES
            self._frozen = not enough or now - self._frozen_at < self.frozen_seconds / 3


def _picture(pixels: UInt8Array, now: float) -> _Picture:
    height, width = pixels.shape[:2]
    side = min(_TILE_PIXELS * -(-width // _TILE_WIDTH), height // 8 * 8, width // 8 * 8)
    rows, columns, step = height // side, width // side, side // _TILE_ROWS
    # Green is where a sensor has most of its pixels, and next to the brightness that is encoded.
    some = np.ascontiguousarray(pixels[step // 2 : rows * side : step, : columns * side, 1])
    tiles = some.reshape(rows, _TILE_ROWS, columns, side)
    words = some.view(np.uint64).reshape(rows, _TILE_ROWS, columns, side // 8)
    hashes = np.einsum("rtcw,tw->rc", words, _weights(side // 8))
    means = np.asarray(cv2.resize(some, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
    contrast = tiles.max((1, 3)) - tiles.min((1, 3))
    telling = (contrast > _FLAT_CONTRAST) & (means > _DARK_MEAN) & (means < 255 - _DARK_MEAN)
    if telling.mean() < _LEAST_TELLING:  # one colour, as of "no signal", tells as much as noise
        telling = np.full_like(telling, np.ptp(some) == 0)
    return _Picture(now, hashes, means, telling)


@cache
def _weights(words: int) -> NDArray[np.uint64]:
    """Odd numbers, which make of what is in a tile one number."""
    drawn = np.random.default_rng(1).integers(0, 2**62, (_TILE_ROWS, words), np.uint64)
    return np.asarray(2 * drawn + 1, np.uint64)


def refuse_malformed(frame: Frame) -> None:
    """Refuse what is no picture.

    Raises:
        CameraError: other than (height, width, 3) uint8, or smaller than any camera's picture.
    """
    pixels = frame.pixels
    if (
        pixels.dtype != np.uint8
        or pixels.ndim != 3
        or pixels.shape[2] != 3
        or min(pixels.shape[:2]) < _LEAST_PIXELS
    ):
        raise CameraError(
            f"the camera gave an array of {pixels.shape} {pixels.dtype}, which is no picture; "
            "check camera.uri and the camera's own settings"
        )
