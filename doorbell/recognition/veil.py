"""Light scattered in the lens: a face behind a veil in, the same face without it out.

Against a bright background the lens adds nearly the same light to every pixel, so that even the
darkest part of a face is grey. The embedder, taught on photographs, sees little in such a face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from doorbell.domain import UInt8Array
from doorbell.imaging.light import LINEAR, to_pixels

# The darkest and the lightest hundredth of a face's values tell how much is veil. Of faces without
# one the darkest is at most a twentieth of the lightest, in linear light: pupils, nostrils, hair.
# From twice that on the whole of it is taken off, between them a growing part.
DARK, LIGHT = 1, 99
NO_VEIL, WHOLE_VEIL = 0.04, 0.08


@dataclass(frozen=True, eq=False, slots=True)
class Unveiled:
    """A face without its veil.

    Attributes:
        crop: (112, 112, 3) uint8, the same array where there was none.
        veil: how light the darkest part of the face was, as a part of the lightest, 0 to 1.
    """

    crop: UInt8Array
    veil: float


def unveil(crop: UInt8Array) -> Unveiled:
    """Take off the light that covers a whole face.

    Args:
        crop: (112, 112, 3) uint8, aligned.
    """
    # The middle of the crop is face whatever the hair and background are.
    counts = np.bincount(crop[16:104, 16:96].ravel(), minlength=256).cumsum()
    dark, light = np.searchsorted(counts, counts[-1] * np.array([DARK, LIGHT]) / 100)
    lightest = max(float(LINEAR[light]), 1e-3)
    veil = min(float(LINEAR[dark]) / lightest, 1.0)
    part = min(max((veil - NO_VEIL) / (WHOLE_VEIL - NO_VEIL), 0.0), 1.0)
    taken = part * veil * lightest
    if taken == 0 or lightest - taken < 1e-3:
        return Unveiled(crop, veil)
    table = to_pixels((LINEAR - taken) * lightest / (lightest - taken))
    return Unveiled(table[crop], veil)
