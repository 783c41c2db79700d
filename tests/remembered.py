"""Faces of single pictures that were found before: many tests look at the same portraits."""

from __future__ import annotations

import hashlib

from doorbell.domain import Face, UInt8Array
from doorbell.pipeline.perception import Perception


class LooksOnce(Perception):
    """The same networks, which look at each single picture once.

    Args:
        perception: with the networks; closed by whoever opened it.
    """

    def __init__(self, perception: Perception) -> None:
        self.__dict__.update(vars(perception))
        self._found: dict[bytes, list[Face]] = {}

    def detect_still(self, pixels: UInt8Array) -> list[Face]:
        picture = hashlib.blake2b(repr(pixels.shape).encode() + pixels.tobytes()).digest()
        if picture not in self._found:
            self._found[picture] = super().detect_still(pixels)
        return list(self._found[picture])
