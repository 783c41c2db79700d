"""Networks that look at each frame once, however many doors it is shown to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from doorbell.detection.blazeface import Candidates
from doorbell.domain import Body, BodyTrack, Face, FaceSample, Track, UInt8Array
from doorbell.pipeline.perception import FaceCrop, Perception

# Frames, and faces in them, that are remembered; a visitor is shown in fewer.
REMEMBERED = 32

Key = TypeVar("Key")
Value = TypeVar("Value")


class RememberingPerception(Perception):
    """Another perception's answers about the latest frames, remembered.

    Faces are found and embedded without knowing who is enrolled, so every door sees the same ones;
    which of them it embeds, and what it makes of them, is its own. Frames and faces are told apart
    by identity: nothing may write to them.

    Args:
        perception: of whom; closing it is for its owner.
    """

    def __init__(self, perception: Perception) -> None:
        self._perception = perception
        self._found: dict[int, tuple[UInt8Array, list[Face]]] = {}
        self._crops: dict[Face, FaceCrop] = {}
        self._samples: dict[FaceCrop, FaceSample | None] = {}

    def another(self) -> RememberingPerception:
        """One for the frames of another camera, which remembers its own."""
        return RememberingPerception(self._perception.another())

    def close(self) -> None:
        """Forget everything."""
        self._found, self._crops, self._samples = {}, {}, {}

    def warm_up(self) -> None:
        """Embed a grey square."""
        self._perception.warm_up()

    @property
    def model_id(self) -> str:
        """Which embedder the samples are of."""
        return self._perception.model_id

    def detect(
        self,
        pixels: UInt8Array,
        tracks: Sequence[Track],
        *,
        device_address: int | None = None,
        worth: int = 1,
    ) -> list[Face]:
        """Find faces in a frame of a stream, once."""
        key = id(pixels)  # which no other pixels get, as long as these are kept
        if key not in self._found:
            faces = self._perception.detect(
                pixels, tracks, device_address=device_address, worth=worth
            )
            keep(self._found, key, (pixels, faces))
        return self._found[key][1]

    def candidates(self, pixels: UInt8Array, tracks: Sequence[Track]) -> Candidates:
        """Find what ``detect`` blends to faces; not remembered."""
        return self._perception.candidates(pixels, tracks)

    def detect_still(self, pixels: UInt8Array) -> list[Face]:
        """Find faces in a single picture."""
        return self._perception.detect_still(pixels)

    def find_bodies(
        self,
        pixels: UInt8Array,
        time_seconds: float,
        faces: Sequence[Track],
        followed: Sequence[BodyTrack],
        *,
        busy: bool = False,
    ) -> None:
        """Look for nobody's figure: whose face is not found is not recognized either."""
        del pixels, time_seconds, faces, followed, busy

    def is_moving(self, face: Face, frames: int) -> bool:
        """Tell that something moves: a photograph shown as a visitor stands still otherwise."""
        del face, frames
        return True

    def bodies_in(self, pixels: UInt8Array) -> list[Body]:
        """Find nobody's figure."""
        del pixels
        return []

    def crop_face(self, pixels: UInt8Array, face: Face) -> FaceCrop:
        """Cut out and judge one face of a single picture."""
        return self._perception.crop_face(pixels, face)

    def portray(
        self, pixels: UInt8Array, face: Face, *, device_address: int | None = None
    ) -> FaceCrop:
        """Cut out and judge one face of a frame of a stream, once."""
        if face not in self._crops:
            crop = self._perception.portray(pixels, face, device_address=device_address)
            keep(self._crops, face, crop)
        return self._crops[face]

    def embed_variants(self, portrait: FaceCrop) -> dict[str, FaceSample]:
        """Draw over a face what it may wear, and embed that."""
        return self._perception.embed_variants(portrait)

    def embed(
        self, portraits: Sequence[FaceCrop], *, mirrored: bool = False
    ) -> list[FaceSample | None]:
        """Embed faces, those of streams once."""
        if mirrored:
            return self._perception.embed(portraits, mirrored=True)
        known = {each: self._samples[each] for each in portraits if each in self._samples}
        new = [portrait for portrait in portraits if portrait not in known]
        for portrait, sample in zip(new, self._perception.embed(new), strict=True):
            known[portrait] = sample
            keep(self._samples, portrait, sample)
        return [known[portrait] for portrait in portraits]


def keep(memory: dict[Key, Value], key: Key, value: Value) -> None:
    """Remember a value, and forget the oldest beyond ``REMEMBERED``."""
    memory[key] = value
    while len(memory) > REMEMBERED:
        del memory[next(iter(memory))]
