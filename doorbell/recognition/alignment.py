"""Faces turned upright and cut out: a frame and keypoints in, 112 x 112 crops out.

Source of the template: the five points of ArcFace (Deng et al., 2019), which SFace was trained on.
BlazeFace has one point for the mouth, so both sides meet in the mean of the two mouth corners.
"""

from __future__ import annotations

import cv2
import numpy as np

from doorbell.domain import Float32Array, UInt8Array

CROP_PIXELS = 112

# (4, 2): right eye, left eye, nose tip, mouth centre, in pixels of the crop.
TEMPLATE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [(41.5493 + 70.7299) / 2, (92.3655 + 92.2041) / 2],
    ],
    np.float32,
)

# (64, 2): the middles of eight times eight squares that make up the crop.
_PROBES = np.stack(np.meshgrid(*[np.arange(7, CROP_PIXELS, 14)] * 2), axis=-1).reshape(-1, 2)


def similarity_transform(source: Float32Array, target: Float32Array) -> Float32Array:
    """Rotation, uniform scale and shift that map source onto target with least squares.

    Args:
        source: (n, 2) float32.
        target: (n, 2) float32.

    Returns:
        (2, 3) float32, for ``cv2.warpAffine``. Never mirrors.

    Source: Umeyama, "Least-squares estimation of transformation parameters", 1991; in two
    dimensions its solution is one complex division.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    a = (source - source_mean) @ np.array([1, 1j])  # (n,) complex
    b = (target - target_mean) @ np.array([1, 1j])
    spread = float((np.abs(a) ** 2).sum())
    turn = complex((np.conj(a) * b).sum()) / spread if spread > 0 else 1 + 0j
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    shift = target_mean - linear @ source_mean
    return np.hstack([linear, shift[:, None]]).astype(np.float32)


def part_in_frame(width: int, height: int, keypoints_xy: Float32Array) -> float:
    """Say how much of what ``align`` cuts out the frame shows, 0 to 1.

    Args:
        width: of the frame, pixels.
        height: of the frame, pixels.
        keypoints_xy: (6, 2) float32, BlazeFace's order, pixels of the picture.
    """
    inverse = cv2.invertAffineTransform(_transform(keypoints_xy))
    places = _PROBES @ inverse[:, :2].T + inverse[:, 2]  # (n, 2)
    inside = (places >= 0) & (places < (width, height))
    return float(inside.all(axis=1).mean())


def _transform(keypoints_xy: Float32Array) -> Float32Array:
    return similarity_transform(keypoints_xy[:4].astype(np.float32), TEMPLATE)


def align(pixels: UInt8Array, keypoints_xy: Float32Array) -> UInt8Array:
    """Cut one face out so that eyes, nose and mouth lie on the template.

    Args:
        pixels: (height, width, 3) uint8.
        keypoints_xy: (6, 2) float32, BlazeFace's order, pixels of the picture.

    Returns:
        (112, 112, 3) uint8.
    """
    transform = _transform(keypoints_xy)
    scale = float(np.hypot(transform[0, 0], transform[1, 0]))
    # A large face is first warped to a multiple of the crop and then averaged down, since bilinear
    # sampling alone would skip pixels and alias.
    factor = min(max(round(1 / scale) if scale > 0 else 1, 1), 8)
    enlarged = transform * factor
    enlarged[:, 2] += (factor - 1) / 2  # the middle of the block that becomes one pixel
    crop = cv2.warpAffine(
        pixels,
        enlarged,
        (CROP_PIXELS * factor, CROP_PIXELS * factor),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if factor > 1:
        crop = cv2.resize(crop, (CROP_PIXELS, CROP_PIXELS), interpolation=cv2.INTER_AREA)
    return np.asarray(crop, np.uint8)
