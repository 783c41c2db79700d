"""Whether a picture may teach the gallery a face: qualities and likenesses in, checks out.

Knows no file, no gallery and no person: whose likeness it is, the caller says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from doorbell.domain import Float32Array
from doorbell.recognition.calibration import others_reach
from doorbell.recognition.quality import Quality

# Measured 2026-11-22: of 470 press portraits of 250 pixels none has a sharpness below 0.11, and
# five portraits scaled down to faces 50 pixels wide keep 0.21; blurred by 3 % of the width of the
# face they have 0.076 to 0.109, and their similarity to themselves has fallen to 0.73 to 0.79.
MIN_ENROLL_PIXELS = 56
MIN_SHARPNESS = 0.11
MAX_YAW_DEGREES = 34.0
MIN_BRIGHTNESS, MAX_BRIGHTNESS = 25.0, 235.0

# Two photos of one person, or one and the mean of the others. Measured 2026-11-22 on press photos
# of 66 people: below it are 5 in 1000 pairs of one person and 1 in 1000 photos against the mean of
# all others, and above it 3 in 1000 pairs and 6 in 1000 photos of somebody else.
SAME_PERSON_SIMILARITY = 0.33

# Of a face that promises less, as at night, half of what it promises is enough, but not less than
# one in twenty other people would reach (``calibration``): whoever enrolls it says whose it is. By
# that model 6 in 10 faces of a quality of 0.25 pass, and 95 in 100 of 0.4.
PROMISED_PART, OTHERS_PART = 0.5, 0.05

# From here on two people would often be taken for each other. Relatives reach 0.44; the door tells
# them apart by who is nearer.
ANOTHER_PERSON_SIMILARITY = 0.5

# What ``check_*`` look at, in the order in which they are shown.
CHECKS = ("size", "blur", "pose", "light", "same_person", "nobody_else")

FORCE = ", or use --force"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a picture must be.

    Attributes:
        name: one of ``CHECKS``.
        value: as measured: pixels, sharpness, degrees, grey value or similarity.
        problem: what is wrong; empty where nothing is.
        hint: what to do about it.
        otherwise: what who types commands may do instead, to be added to the hint.
        who: whom it looks like, where that is what is wrong.
    """

    name: str
    value: float
    problem: str = ""
    hint: str = ""
    otherwise: str = ""
    who: str | None = None

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problem


def check_quality(quality: Quality, where: str) -> list[Check]:
    """Check size, blur, pose and light.

    Args:
        quality: of the face.
        where: the face in words, for messages.
    """
    size, sharpness = quality.size_pixels, quality.sharpness
    yaw, grey = quality.pose.yaw_degrees, quality.brightness
    checks = [Check("size", size), Check("blur", sharpness), Check("pose", yaw)]
    checks.append(Check("light", grey))
    if size < MIN_ENROLL_PIXELS:
        checks[0] = Check(
            "size",
            size,
            f"{where} is only {size:.0f} pixels wide, {MIN_ENROLL_PIXELS} are needed",
            "go nearer or use the photo in its full size",
        )
    if sharpness < MIN_SHARPNESS:
        checks[1] = Check(
            "blur",
            sharpness,
            f"{where} is blurred (sharpness {sharpness:.2f}, {MIN_SHARPNESS:.2f} needed)",
            "take a sharper photo",
            FORCE,
        )
    if abs(yaw) > MAX_YAW_DEGREES:
        checks[2] = Check(
            "pose",
            yaw,
            f"{where} looks to the side (yaw {yaw:+.0f} degrees, at most {MAX_YAW_DEGREES:.0f})",
            "look at the camera",
            FORCE,
        )
    if not MIN_BRIGHTNESS <= grey <= MAX_BRIGHTNESS:
        checks[3] = Check(
            "light",
            grey,
            f"{where} is too {'dark' if grey < MIN_BRIGHTNESS else 'bright'} (mean grey "
            f"{grey:.0f})",
            "see to even light",
            FORCE,
        )
    return checks


def check_others(similarity: float, other: str) -> Check:
    """Check that a face is not too like somebody else's: both would be named wrongly.

    Args:
        similarity: with the most similar other person.
        other: that person's name.
    """
    if similarity < ANOTHER_PERSON_SIMILARITY:
        return Check("nobody_else", similarity)
    return Check(
        "nobody_else",
        similarity,
        f"this face looks like {other} (similarity {similarity:.2f})",
        f"enroll it as {other}",
        f"{FORCE} if it really is somebody else",
        other,
    )


def same_person_similarity(quality: float) -> float:
    """The cosine with a person's other pictures that a face of theirs has nearly always.

    Args:
        quality: of the face, 0 to 1: the cosine that is to be expected.
    """
    of_others = others_reach(quality, OTHERS_PART)
    return min(SAME_PERSON_SIMILARITY, max(of_others, PROMISED_PART * quality))


def check_same_person(similarity: float, quality: float, name: str) -> Check:
    """Check that a face is like the person's other pictures.

    Args:
        similarity: cosine with them.
        quality: of the face, 0 to 1: the cosine that is to be expected.
        name: of the person.
    """
    needed = same_person_similarity(quality)
    if similarity >= needed:
        return Check("same_person", similarity)
    return Check(
        "same_person",
        similarity,
        f"this face is unlike {name}'s other pictures (similarity {similarity:.2f}, "
        f"{needed:.2f} needed)",
        "it may show somebody else",
        f"; use --force if it really is {name}",
    )


def likeness_to_own(vectors: Sequence[Float32Array], stored: Float32Array) -> list[float | None]:
    """How like the person's other pictures each new one is.

    What is stored is trusted. Without it the pictures are compared with each other, and the odd
    ones are set aside one by one, the later of two first.

    Args:
        vectors: (128,) float32 each, of unit length: the new pictures.
        stored: (n, 128) float32, unit length: those the gallery has.

    Returns:
        Cosines with the mean of the others; None where there is none to compare with.
    """
    if len(stored):
        mean = _unit(stored.sum(axis=0))
        return [float(mean @ vector) for vector in vectors]
    likeness: list[float | None] = [None] * len(vectors)
    kept = list(range(len(vectors)))
    while len(kept) > 1:
        total = np.sum([vectors[i] for i in kept], axis=0)
        for i in kept:
            likeness[i] = float(_unit(total - vectors[i]) @ vectors[i])
        odd = min(kept, key=lambda i: (round(likeness[i] or 0.0, 5), -i))
        if (likeness[odd] or 0.0) >= SAME_PERSON_SIMILARITY:
            break
        kept.remove(odd)
        if len(kept) == 1:
            likeness[kept[0]] = None
    return likeness


def _unit(vector: Float32Array) -> Float32Array:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)
