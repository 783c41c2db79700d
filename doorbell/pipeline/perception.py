"""Pictures to faces and vectors: what the pipeline and enrollment share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from doorbell.config import Config, InferenceSection
from doorbell.detection.blazeface import (
    BACK,
    FULL_RANGE,
    SHORT_RANGE,
    YUNET,
    BlazeFace,
    Candidates,
)
from doorbell.detection.bodies import BodyDetector
from doorbell.detection.body_watch import BodyWatch
from doorbell.detection.stills import (
    BACK_TILE_PIXELS,
    FULL_TILE_PIXELS,
    HEARD_SCORE,
    SHORT_TILE_PIXELS,
    YUNET_TILE_PIXELS,
    YUNET_WEIGHT,
    Source,
    StillDetector,
)
from doorbell.detection.stream import StreamDetector
from doorbell.domain import Body, BodyTrack, Face, FaceSample, Track, UInt8Array
from doorbell.inference import (
    NetworkFiles,
    Runner,
    in_float32,
    open_runner,
    says_how,
)
from doorbell.models.store import network_files
from doorbell.recognition.alignment import align, part_in_frame
from doorbell.recognition.embedder import FACE_LENGTH, SFACE_ID, Embedder
from doorbell.recognition.quality import Quality, expected_similarity, measure_quality
from doorbell.recognition.variants import DRAWINGS
from doorbell.recognition.veil import WHOLE_VEIL, unveil


@dataclass(frozen=True, eq=False, slots=True)
class FaceCrop:
    """A face cut out and judged, ready to be embedded.

    Attributes:
        face: as detected; where a second look was taken, with its keypoints.
        crop: (112, 112, 3) uint8, aligned, without veil.
        quality: of this picture of the face.
    """

    face: Face
    crop: UInt8Array
    quality: Quality


class Perception:
    """The networks and what stands between them, for the frames of one camera."""

    def __init__(
        self,
        stream: StreamDetector,
        embedder: Embedder,
        open_stills: Callable[[], StillDetector],
        bodies: BodyWatch | None = None,
    ) -> None:
        self._stream = stream
        self._embedder = embedder
        self._open_stills = open_stills
        self._stills: StillDetector | None = None
        self._bodies = bodies

    def another(self) -> Perception:
        """One for the frames of another camera, by the same networks, which this one closes.

        Both are used by one thread.
        """
        bodies = None if self._bodies is None else self._bodies.another()
        return Perception(self._stream.another(), self._embedder, self._opened_stills, bodies)

    def close(self) -> None:
        """Release the networks; idempotent."""
        self._stream.close()
        self._embedder.close()
        if self._stills is not None:
            self._stills.close()
        if self._bodies is not None:
            self._bodies.close()

    def warm_up(self) -> None:
        """Embed a grey square: a network's first run takes many times as long as any other."""
        self._embedder.embed([np.full((112, 112, 3), 128, np.uint8)])

    @property
    def model_id(self) -> str:
        """Which embedder the samples are of."""
        return self._embedder.model_id

    def detect(
        self,
        pixels: UInt8Array,
        tracks: Sequence[Track],
        *,
        device_address: int | None = None,
        worth: int = 1,
    ) -> list[Face]:
        """Find faces in a frame of a stream, at the bounded cost of the planned regions.

        Args:
            pixels: (height, width, 3) uint8, RGB.
            tracks: live tracks, most important first.
            device_address: where a GPU sees the pixels, if it does; see ``Frame``.
            worth: as how many frames this one counts: the cost of each of a slow camera's may be
                higher.
        """
        return self._stream.detect(pixels, tracks, device_address=device_address, worth=worth)

    def candidates(self, pixels: UInt8Array, tracks: Sequence[Track]) -> Candidates:
        """Find what ``detect`` blends to faces, from the same arguments."""
        return self._stream.candidates(pixels, tracks)

    def find_bodies(
        self,
        pixels: UInt8Array,
        time_seconds: float,
        faces: Sequence[Track],
        followed: Sequence[BodyTrack],
        *,
        busy: bool = False,
    ) -> list[Body] | None:
        """Find people by their figure in the frame that was given to ``detect`` last.

        Args:
            pixels: (height, width, 3) uint8, RGB.
            time_seconds: stream time of the frame.
            faces: followed now.
            followed: bodies followed now.
            busy: whether faces of the frame were embedded, so that the next one is better.

        Returns:
            Those found; None where nobody was looked for, which is so in most frames.
        """
        if self._bodies is None:
            return None
        motion = self._stream.motion
        return self._bodies.look(pixels, time_seconds, motion, faces, followed, busy=busy)

    def is_moving(self, face: Face, frames: int) -> bool:
        """Whether something moved in a face's place in the last ``frames`` given to ``detect``."""
        return self._stream.motion.is_within(face.box_xyxy, frames)

    def bodies_in(self, pixels: UInt8Array) -> list[Body]:
        """Find people by their figure in a whole picture; nobody where that is not configured."""
        return [] if self._bodies is None else self._bodies.everywhere(pixels)

    def detect_still(self, pixels: UInt8Array) -> list[Face]:
        """Find faces in a single picture, looking everywhere.

        Args:
            pixels: (height, width, 3) uint8, RGB.

        Raises:
            ModelError, InferenceError: the first time, as ``open_perception``.
        """
        return self._opened_stills().detect(pixels)

    def crop_face(self, pixels: UInt8Array, face: Face) -> FaceCrop:
        """Cut out and judge one face where it was found.

        On the processor, also of a frame that a GPU sees: a Jetson's processor reads the same
        memory, so nothing is copied, and the crop is small.
        """
        aligned = align(pixels, face.keypoints_xy)
        in_frame = part_in_frame(pixels.shape[1], pixels.shape[0], face.keypoints_xy)
        clear = unveil(aligned)
        return FaceCrop(face, clear.crop, measure_quality(face, aligned, in_frame, clear))

    def portray(
        self, pixels: UInt8Array, face: Face, *, device_address: int | None = None
    ) -> FaceCrop:
        """Cut out and judge one face of a frame of a stream, after a second look at it.

        Args:
            pixels: (height, width, 3) uint8, RGB.
            face: as ``detect`` found it.
            device_address: as ``detect`` takes it.
        """
        closer = self._stream.look_closer(pixels, face, device_address=device_address)
        crop = self.crop_face(pixels, closer)
        if crop.quality.veil < WHOLE_VEIL:
            return crop
        lit = self._stream.look_in_its_light(pixels, face)
        return crop if lit is face else self.crop_face(pixels, lit)

    def embed(
        self, portraits: Sequence[FaceCrop], *, mirrored: bool = False
    ) -> list[FaceSample | None]:
        """Embed faces, all in one batch; None for what turns out not to show a face.

        Args:
            portraits: faces cut out and judged.
            mirrored: take twice the time for a better vector, where one picture has to do.
        """
        crops = [portrait.crop for portrait in portraits]
        return self._embedded(crops, [each.quality for each in portraits], mirrored=mirrored)

    def embed_variants(self, portrait: FaceCrop) -> dict[str, FaceSample]:
        """Draw over a face what it may wear, and embed that: by the names of ``DRAWINGS``.

        What no longer shows a face is left out.
        """
        drawn = [drawing.draw(portrait.crop) for drawing in DRAWINGS.values()]
        samples = self._embedded(drawn, [portrait.quality] * len(drawn), mirrored=True)
        return {
            name: sample
            for name, sample in zip(DRAWINGS, samples, strict=True)
            if sample is not None
        }

    def _opened_stills(self) -> StillDetector:
        if self._stills is None:  # whoever watches a door may never need their networks
            self._stills = self._open_stills()
        return self._stills

    def _embedded(
        self, crops: Sequence[UInt8Array], qualities: Sequence[Quality], *, mirrored: bool
    ) -> list[FaceSample | None]:
        embeddings = self._embedder.embed(crops, mirrored=mirrored)
        return [
            FaceSample(vector, self.model_id, expected_similarity(quality, float(length)))
            if FACE_LENGTH <= length < np.inf
            else None
            for vector, length, quality in zip(
                embeddings.vectors, embeddings.lengths, qualities, strict=True
            )
        ]


def says_how_computed(inference: InferenceSection) -> str:
    """Say who computes a stream's networks, and in what, for people.

    Raises:
        InferenceError: TensorRT is wanted and cannot compute so.
    """
    detector, embedder = (
        says_how(network_files(name, inference), inference) for name in ("blazeface_full", "sface")
    )
    if detector == embedder:
        return f"faces are found and embedded by {embedder}"
    return f"faces are found by {detector} and embedded by {embedder}"


def open_perception(
    config: Config,
    *,
    open_network: Callable[[NetworkFiles, InferenceSection], Runner] = open_runner,
    frames_on_gpu: bool = False,
) -> Perception:
    """Load the networks of a stream; those of stills follow when they are needed.

    Nothing is set for the whole process. OpenCV is used for small pictures only, where its threads
    cost more than they save: the command line keeps it to one, and so may you, with
    ``cv2.setNumThreads(1)``.

    Args:
        config: its sections on inference and detection.
        frames_on_gpu: whether the stream's frames lie in the GPU's memory, so that the networks
            are to cut their regions out themselves; pictures of any size are for the others.
        open_network: loads one; the configured backend unless given.

    Raises:
        ModelError: a model is missing or altered; build it with ``doorbell models build``.
        InferenceError: a network cannot be loaded.
    """
    section = config.detection

    def opened(
        name: str, inference: InferenceSection = config.inference, *, cutting_regions: bool = False
    ) -> Runner:
        files = network_files(name, inference, cutting_regions=cutting_regions)
        return open_network(files, inference)

    def open_stills() -> StillDetector:
        exact = in_float32(config.inference)
        short, full, back, yunet = (
            BlazeFace(opened(name, exact), geometry, HEARD_SCORE)
            for name, geometry in (
                ("blazeface_short", SHORT_RANGE),
                ("blazeface_full", FULL_RANGE),
                ("blazeface_back", BACK),
                ("yunet", YUNET),
            )
        )
        sources = (
            Source(back, BACK_TILE_PIXELS),
            Source(full, FULL_TILE_PIXELS),
            Source(short, SHORT_TILE_PIXELS),
            Source(yunet, YUNET_TILE_PIXELS, YUNET_WEIGHT, sees_ears=False),
        )
        return StillDetector(sources, short, section)

    # One after the other: opened side by side, OpenVINO's bindings lock each other out for good in
    # about one start of 300, by a lock of theirs held while waiting for the interpreter's.
    short = opened("blazeface_short", cutting_regions=frames_on_gpu)
    full = opened("blazeface_full", cutting_regions=frames_on_gpu)
    sface = opened("sface")
    near, far = (
        BlazeFace(runner, geometry, section.score_threshold, cuts_regions=frames_on_gpu)
        for runner, geometry in ((short, SHORT_RANGE), (full, FULL_RANGE))
    )
    bodies = None
    if section.person_looks_per_second or config.storage.pictures == "people":
        detector = BodyDetector(opened("pedestrian_ssd"), section.person_score_threshold)
        bodies = BodyWatch(detector, section.person_looks_per_second)
    stream = StreamDetector(near, far, section)
    return Perception(stream, Embedder(sface, SFACE_ID), open_stills, bodies)
