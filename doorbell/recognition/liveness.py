"""Whether a face is that of somebody standing there, or a picture held up: frames in, 0 to 1 out.

Two cues, both from a small grey picture of the face and what surrounds it:

- a straight frame around the face: the edge of a paper, the rim of a phone. It acts at once.
- whether what surrounds the face moves along with it. A head moves before a background that
  stands still; a picture takes its background along. It takes a face that has moved a little.

A print cut out along the head, or a mask, shows neither, and no film from a screen that fills the
picture does: this makes it harder to be let in by a picture, and proves nothing.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from doorbell.domain import Face, Float32Array, Match, UInt8Array, Verdict

# The picture that is looked at: so many pixels, of which a face's width takes up FACE.
PIXELS = 128
FACE = 36
_MIDDLE = PIXELS // 2

# A frame may be tilted by so many degrees.
_TILTS = (-12.0, -6.0, 0.0, 6.0, 12.0)
# A side of it is looked for from so far from the middle of the face, in widths of a face, and must
# be straight over so much to both sides.
_NEAR, _SPAN = 0.62, 0.75

# The face must have moved by so many pixels before its surroundings say anything.
MOVED = 2.0
_REACH = 10

# The log-odds of the score: BIAS, less PER_FRAMED times how framed the face is, less PER_ALONG
# times how much better the surroundings move along. The first two are fitted (logistic regression,
# 2026-11-28) to 253 clips of five people, plain and under 26 conditions, at the third frame, and to
# the least of 61 drawn prints and phones from then on; their middle is 0.600. PER_ALONG is
# chosen, and small.
BIAS, PER_FRAMED, PER_ALONG = 11.4, 19.0, 2.0
MOST_ALONG = 1.0
# A face of fewer pixels than the second hardly shows its surroundings, of fewer than the first even
# less: live faces seem framed there, and the odds are so much better for it. Chosen on ten clips.
FAINT_PIXELS, FAINT_ODDS = (20.0, 36.0), 1.5
# The edges around a face are a mean over about so many frames.
REMEMBERED = 30
# Whatever looked like a picture once must look alive in so many frames before it counts as alive;
# of a slow camera in those of so many seconds, but not in fewer than this.
DOUBTED = 8
DOUBTED_SECONDS, LEAST_DOUBTED = 1.0, 3

# Where the surroundings are compared: middles in widths of a face from the middle of the face.
_BLOCKS = ((-1.15, 0.1), (1.15, 0.1), (-1.0, -0.6), (1.0, -0.6), (-0.4, -1.15), (0.4, -1.15))
_HALF = 9  # of a block, pixels
_TEXTURE = 4.0  # the least standard deviation of a block that can tell a movement


def _gathering() -> NDArray[np.intp]:
    """(tilts, rows, PIXELS): where a tilted vertical line's pixels lie in a picture."""
    rows = np.arange(-round(_SPAN * FACE), round(_SPAN * FACE) + 1, 2)  # every other one will do
    columns = np.arange(PIXELS) - _MIDDLE
    places = []
    for tilt in _TILTS:
        turn = math.radians(tilt)
        x = columns[None] * math.cos(turn) - rows[:, None] * math.sin(turn) + _MIDDLE
        y = columns[None] * math.sin(turn) + rows[:, None] * math.cos(turn) + _MIDDLE
        x, y = (np.clip(np.rint(each), 0, PIXELS - 1).astype(np.intp) for each in (x, y))
        places.append(y * PIXELS + x)
    return np.stack(places)


_ACROSS = _gathering()


def surroundings(pixels: UInt8Array, middle_xy: Float32Array, face_width: float) -> UInt8Array:
    """Cut out a face with what surrounds it, (PIXELS, PIXELS) uint8, grey."""
    scale = FACE / face_width
    reach = _MIDDLE / scale + 2
    height, width = pixels.shape[:2]
    left, top = (
        min(max(int(v - reach), 0), n - 1) for v, n in zip(middle_xy, (width, height), strict=True)
    )
    right, bottom = (
        max(int(v + reach), low) + 1 for v, low in zip(middle_xy, (left, top), strict=True)
    )
    grey = cv2.cvtColor(pixels[top:bottom, left:right], cv2.COLOR_RGB2GRAY)
    x, y = float(middle_xy[0]) - left, float(middle_xy[1]) - top
    # What is more than twice too large is averaged down first, since bilinear sampling alone would
    # skip pixels.
    factor = min(max(int(1 / scale), 1), *grey.shape)
    if factor > 1:
        size = grey.shape[1] // factor, grey.shape[0] // factor
        whole = grey[: size[1] * factor, : size[0] * factor]
        grey = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
        x, y, scale = x / factor, y / factor, scale * factor
    transform = np.array([[scale, 0, _MIDDLE - scale * x], [0, scale, _MIDDLE - scale * y]])
    return np.asarray(
        cv2.warpAffine(
            grey,
            transform,
            (PIXELS, PIXELS),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.uint8,
    )


def edges(patch: UInt8Array) -> Float32Array:
    """(2, PIXELS, PIXELS) float32, -1 to 1: the gradient to the right and down, over the noise."""
    smooth = cv2.GaussianBlur(patch, (3, 3), 0)
    steep = np.stack([cv2.Scharr(smooth, cv2.CV_32F, 1, 0), cv2.Scharr(smooth, cv2.CV_32F, 0, 1)])
    few = np.abs(steep[:, ::4, ::4])
    noise = 3 + 1.5 * float(np.median(few[0]) + np.median(few[1])) / 32
    return np.asarray(np.clip(steep / (32 * noise), -1, 1), np.float32)


def frame_around(steep: Float32Array) -> Float32Array:
    """How straight and strong an edge lies left, right, above and below: (4,) float32, 0 to 1.

    Args:
        steep: as ``edges`` gives them, or the mean of several frames: what the face carries along
            stays, what is of the scene is smeared once the face has moved.
    """
    near, best, most = round(_NEAR * FACE), np.zeros(4, np.float32), -1.0
    upright = np.abs(steep[0].ravel()[_ACROSS].mean(axis=1))  # (tilts, PIXELS)
    level = np.abs(np.ascontiguousarray(steep[1].T).ravel()[_ACROSS].mean(axis=1))[::-1]
    for up, flat in zip(upright, level, strict=True):
        sides = np.array(
            [
                up[2 : _MIDDLE - near].max(),
                up[_MIDDLE + near : -2].max(),
                flat[2 : _MIDDLE - near].max(),
                flat[_MIDDLE + near : -2].max(),
            ],
            np.float32,
        )
        if (framed := framedness(sides)) > most:
            best, most = sides, framed
    return best


def framedness(sides: Float32Array) -> float:
    """How framed a face is, 0 to 1: one side may be hidden, by a hand, but hardly two.

    Args:
        sides: (4,) float32, as ``frame_around`` gives them.
    """
    return float(sides.mean() + np.sort(sides)[1]) / 2


def moves_along(before: UInt8Array, now: UInt8Array) -> tuple[float, float, int]:
    """Whether the surroundings of a face moved as it did.

    Args:
        before: (PIXELS, PIXELS) uint8, with the face in the middle.
        now: the same place in a later frame.

    Returns:
        How far the face moved, pixels; how much better the surroundings fit if moved along than if
        left where they were, -1 to 1 (the mean of those with something to see); how many could see.
    """
    half = FACE // 2 - 2
    face = before[_MIDDLE - half : _MIDDLE + half, _MIDDLE - half : _MIDDLE + half]
    reach = half + _REACH
    area = now[_MIDDLE - reach : _MIDDLE + reach, _MIDDLE - reach : _MIDDLE + reach]
    _, fit, _, place = cv2.minMaxLoc(cv2.matchTemplate(area, face, cv2.TM_CCOEFF_NORMED))
    dx, dy = place[0] - _REACH, place[1] - _REACH
    moved = math.hypot(dx, dy)
    if moved < MOVED or fit < 0.6 or max(abs(dx), abs(dy)) == _REACH:
        return moved, 0.0, 0
    total, seen = 0.0, 0
    for x, y in _BLOCKS:
        left, top = round(_MIDDLE + x * FACE) - _HALF, round(_MIDDLE + y * FACE) - _HALF
        block = before[top : top + 2 * _HALF, left : left + 2 * _HALF]
        if block.std() < _TEXTURE:
            continue
        low_x, low_y = left + min(dx, 0), top + min(dy, 0)
        high_x, high_y = left + max(dx, 0) + 2 * _HALF, top + max(dy, 0) + 2 * _HALF
        if low_x < 0 or low_y < 0 or high_x > PIXELS or high_y > PIXELS:
            continue
        fits = cv2.matchTemplate(now[low_y:high_y, low_x:high_x], block, cv2.TM_CCOEFF_NORMED)
        still = fits[max(-dy, 0), max(-dx, 0)]
        along = fits[max(-dy, 0) + dy, max(-dx, 0) + dx]
        total, seen = total + float(along - still), seen + 1
    return moved, total / max(seen, 1), seen


class Liveness:
    """What the frames of one track say of whether its face is that of somebody standing there."""

    def __init__(self) -> None:
        self._edges = np.zeros((2, PIXELS, PIXELS), np.float32)
        self._framed = 0.0
        # Stream time and logarithm of the odds.
        self._odds: deque[tuple[float, float]] = deque(maxlen=DOUBTED)
        self._frames = 0
        self._along = 0.0
        self._before: tuple[Float32Array, float, UInt8Array] | None = None

    @property
    def score(self) -> float:
        """How likely it is no picture held up, 0 to 1: the least of the latest frames."""
        return 1 / (1 + math.exp(-min((odds for _, odds in self._odds), default=BIAS)))

    def see(self, pixels: UInt8Array, face: Face, time_seconds: float) -> None:
        """Take in one frame.

        Args:
            pixels: (height, width, 3) uint8, RGB.
            face: as it was detected.
            time_seconds: stream time of the frame.
        """
        middle = face.centre_xy
        width = max(face.width_pixels, 1.0)
        patch = surroundings(pixels, middle, width)
        self._frames = min(self._frames + 1, REMEMBERED)
        self._edges += (edges(patch) - self._edges) / self._frames
        self._framed = framedness(frame_around(self._edges))
        self._note_movement(pixels, middle, width, patch)
        faint = float(np.interp(width, FAINT_PIXELS, (FAINT_ODDS, 0.0)))
        odds = BIAS + faint - PER_FRAMED * self._framed - PER_ALONG * self._along
        self._odds.append((time_seconds, odds))
        oldest = time_seconds - DOUBTED_SECONDS
        while len(self._odds) > LEAST_DOUBTED and self._odds[0][0] < oldest:
            self._odds.popleft()

    def _note_movement(
        self, pixels: UInt8Array, middle: Float32Array, width: float, patch: UInt8Array
    ) -> None:
        """Take in whether the surroundings have moved along since the face last moved."""
        if self._before is None:
            self._before = middle, width, patch
            return
        shift = float(np.abs(middle - self._before[0]).max()) * FACE / self._before[1]
        if shift < MOVED / 2:
            return
        now = surroundings(pixels, self._before[0], self._before[1])
        moved, along, seen = moves_along(self._before[2], now)
        if moved >= MOVED:
            if seen:
                self._along = min(max(self._along + along, 0.0), MOST_ALONG)
            self._before = middle, width, patch


def withhold(match: Match, live: float, min_live: float) -> Match:
    """Name nobody whose face may be a picture held up, and make no stranger of it either.

    Args:
        match: what the frames say.
        live: the score of the same track.
        min_live: the least score with which somebody is named.
    """
    if match.verdict is not Verdict.KNOWN or live >= min_live:
        return match
    verdict = Verdict.UNDECIDED
    return replace(match, verdict=verdict, visitor=None, may_be_stranger=False)
