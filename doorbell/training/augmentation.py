"""Pictures as a door's camera might have taken them: what a network is trained on.

A picture is placed in the network's square at another size, turned and mirrored, then darkened,
made grey as infrared is, blurred and made noisy. Labels go with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from doorbell.domain import Float32Array, UInt8Array
from doorbell.training.labels import Labels

# Of the samples, those placed as the whole picture is when a detector looks at it; those placed
# around one face, at a size and a place of its own; and the rest, at random.
WHOLE_PART, FACE_PART = 0.35, 0.5
# Width of the chosen face, in parts of the square.
LEAST_FACE, LARGEST_FACE = 0.07, 0.7
WHOLE_SCALES = (0.75, 1.25)
# No picture is made smaller than this part of what fits: the rest of the square is black.
LEAST_SCALE = 0.5
RANDOM_SCALES = (0.7, 3.0)
MOST_DEGREES = 20.0

# Which part of a face has to be seen to be learned; of one that shows less, nothing is said.
SEEN_PART = 0.6
# Smaller faces, in parts of the square, are not learned either: 5 pixels of 128.
SMALLEST_FACE = 0.04

# What becomes of the picture, as parts of the samples.
GREY_PART, DARK_PART, BLUR_PART, NOISE_PART = 0.2, 0.25, 0.2, 0.3
MOST_NOISE = 16.0
JPEG_PART = 0.15

# BlazeFace's keypoints in a mirror: eyes and ears change places.
MIRRORED = np.array([1, 0, 2, 3, 5, 4])


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """One training picture.

    Attributes:
        image: (side, side, 3) uint8.
        labels: in pixels of it.
    """

    image: UInt8Array
    labels: Labels


def augment(
    pixels: UInt8Array, labels: Labels, side: int, generator: np.random.Generator
) -> Sample:
    """Make a sample of a picture.

    Args:
        pixels: (height, width, 3) uint8, RGB.
        labels: in its pixels.
        side: of the sample, in pixels.
        generator: decides.
    """
    matrix = _placing(pixels, labels, side, generator)
    if generator.random() < 0.5:
        mirror = np.array([[-1, 0, side - 1], [0, 1, 0], [0, 0, 1]], np.float64)
        image = _warped(pixels, (mirror @ matrix), side)
        moved = _moved(labels, mirror @ matrix, side)
        moved = Labels(
            moved.boxes_xyxy,
            moved.keypoints_xy[:, MIRRORED],
            moved.known[:, MIRRORED],
            moved.ignored_xyxy,
        )
    else:
        image, moved = _warped(pixels, matrix, side), _moved(labels, matrix, side)
    return Sample(_taken(image, generator), moved)


def whole(pixels: UInt8Array, labels: Labels, side: int) -> Sample:
    """A picture as a detector looks at the whole of it, unchanged."""
    matrix = _fitting(pixels, side)
    return Sample(_warped(pixels, matrix, side), _moved(labels, matrix, side))


def _placing(
    pixels: UInt8Array, labels: Labels, side: int, generator: np.random.Generator
) -> np.ndarray:
    """Where the picture goes: (3, 3), from its pixels to the sample's."""
    kind = generator.random()
    angle = np.radians(np.clip(generator.normal(0, MOST_DEGREES / 2), -MOST_DEGREES, MOST_DEGREES))
    fitting = _fitting(pixels, side)
    height, width = pixels.shape[:2]
    if kind < WHOLE_PART:
        scale = fitting[0, 0] * generator.uniform(*WHOLE_SCALES)
        at = np.array([width / 2, height / 2])
        to = side / 2 + generator.uniform(-0.1, 0.1, 2) * side
        if generator.random() < 0.5:
            angle = 0.0
    elif kind < WHOLE_PART + FACE_PART and len(labels.boxes_xyxy):
        box = labels.boxes_xyxy[generator.integers(len(labels.boxes_xyxy))]
        part = np.exp(generator.uniform(np.log(LEAST_FACE), np.log(LARGEST_FACE)))
        scale = max(
            part * side / max(float(box[2] - box[0]), 1.0), LEAST_SCALE * float(fitting[0, 0])
        )
        at = (box[:2] + box[2:]) / 2
        margin = min(scale * float(box[2] - box[0]) / side / 2, 0.4)
        to = generator.uniform(margin, 1 - margin, 2) * side
    else:
        low, high = np.log(RANDOM_SCALES)
        scale = fitting[0, 0] * np.exp(generator.uniform(low, high))
        at = generator.uniform(0, 1, 2) * (width, height)
        to = generator.uniform(0.2, 0.8, 2) * side
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    turned = np.array([[cosine, -sine], [sine, cosine]])
    return np.vstack([np.column_stack([turned, to - turned @ at]), [0, 0, 1]])


def _fitting(pixels: UInt8Array, side: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    return np.array(
        [
            [scale, 0, (side - scale * width) / 2],
            [0, scale, (side - scale * height) / 2],
            [0, 0, 1],
        ]
    )


def _warped(pixels: UInt8Array, matrix: np.ndarray, side: int) -> UInt8Array:
    """Draw it; halved first as often as no pixel is skipped."""
    scale = np.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    while scale < 0.6 and min(pixels.shape[:2]) >= 2:
        height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
        grown = np.diag([pixels.shape[1] / width, pixels.shape[0] / height, 1.0])
        pixels = np.asarray(
            cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8
        )
        matrix, scale = matrix @ grown, scale * 2
    # Our places count from the corner of a pixel, OpenCV's from its middle.
    half = np.array([0.5, 0.5])
    shifted = matrix[:2].copy()
    shifted[:, 2] += matrix[:2, :2] @ half - half
    return np.asarray(
        cv2.warpAffine(
            pixels, shifted, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        ),
        np.uint8,
    )


def _moved(labels: Labels, matrix: np.ndarray, side: int) -> Labels:
    boxes = _moved_boxes(labels.boxes_xyxy, matrix)
    ignored = _moved_boxes(labels.ignored_xyxy, matrix)
    points = labels.keypoints_xy @ matrix[:2, :2].T + matrix[:2, 2]
    inside = np.clip(boxes, 0, side)
    size = boxes[:, 2:] - boxes[:, :2]
    seen = np.prod(inside[:, 2:] - inside[:, :2], axis=1) / np.maximum(np.prod(size, axis=1), 1e-6)
    learned = (seen >= SEEN_PART) & (size[:, 0] >= SMALLEST_FACE * side)
    within = ~learned & (seen > 0)
    ignored = np.concatenate([ignored, boxes[within]])
    return Labels(
        boxes[learned].astype(np.float32),
        points[learned].astype(np.float32),
        labels.known[learned],
        ignored.astype(np.float32),
    )


def _moved_boxes(boxes: Float32Array, matrix: np.ndarray) -> np.ndarray:
    """Boxes stay upright squares around the same place: a turned face has the same size."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2 @ matrix[:2, :2].T + matrix[:2, 2]
    half = (boxes[:, 2:] - boxes[:, :2]) / 2 * np.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    return np.concatenate([middle - half, middle + half], axis=1)


def _taken(image: UInt8Array, generator: np.random.Generator) -> UInt8Array:
    """What light, lens, sensor and compression make of it."""
    values: Float32Array = image.astype(np.float32)
    if generator.random() < GREY_PART:
        weights = generator.dirichlet((3, 3, 1)).astype(np.float32)  # infrared reddens
        values = np.repeat((values @ weights)[..., None], 3, axis=2)
    else:
        values *= generator.uniform(0.85, 1.15, 3).astype(np.float32)
    contrast = np.float32(generator.uniform(0.6, 1.3))
    middle = np.float32(generator.uniform(90, 150))
    values = (values - middle) * contrast + middle + np.float32(generator.uniform(-25, 25))
    if generator.random() < DARK_PART:
        values *= np.float32(generator.uniform(0.15, 0.7))
    if generator.random() < BLUR_PART:
        if generator.random() < 0.5:
            blurred = cv2.GaussianBlur(values, (0, 0), generator.uniform(0.4, 1.6))
        else:
            blurred = cv2.filter2D(values, -1, _movement(generator))
        values = np.asarray(blurred, np.float32)
    if generator.random() < NOISE_PART:
        deviation = np.float32(generator.uniform(2, MOST_NOISE))
        values = values + deviation * generator.standard_normal(values.shape, np.float32)
    taken: UInt8Array = np.clip(values, 0, 255).astype(np.uint8)
    if generator.random() < JPEG_PART:
        quality = int(generator.integers(25, 80))
        _, packed = cv2.imencode(".jpg", taken, [cv2.IMWRITE_JPEG_QUALITY, quality])
        taken = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return taken


def _movement(generator: np.random.Generator) -> Float32Array:
    """A kernel that blurs along a line."""
    length = int(generator.integers(3, 6))
    kernel = np.zeros((5, 5), np.float32)
    angle = generator.uniform(0, np.pi)
    for at in np.linspace(-(length - 1) / 2, (length - 1) / 2, 9):
        kernel[round(2 + at * np.sin(angle)), round(2 + at * np.cos(angle))] += 1
    return np.asarray(kernel / kernel.sum(), np.float32)
