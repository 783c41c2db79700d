"""The conditions that a visitor is shown in, and the short stream of frames of each."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from io import BytesIO
from typing import TypeAlias

import numpy as np

from doorbell.domain import Face, Frame, UInt8Array
from doorbell.errors import UsageError
from doorbell.measure.accuracy import porch, worn
from doorbell.measure.accuracy.image_formation import Camera
from doorbell.measure.accuracy.porch import Scene, before_the_door

FRAMES = 8
FRAMES_PER_SECOND = 15
H264_BITS_PER_SECOND = 150_000

# A face of so many pixels is 1.3 m from a camera of 1280 pixels across 110 degrees.
NEAR_PIXELS = 70.0

DAY = Camera()

Arrange: TypeAlias = Callable[[Scene, np.random.Generator], Scene]


def _as_it_is(scene: Scene, chance: np.random.Generator) -> Scene:
    del chance
    return scene


def _lit(change: Callable[[Scene], Scene]) -> Arrange:
    """An arrangement without chance."""

    def arrange(scene: Scene, chance: np.random.Generator) -> Scene:
        del chance
        return change(scene)

    return arrange


def _infrared_of_any_strength(scene: Scene, chance: np.random.Generator) -> Scene:
    return porch.by_infrared(scene, chance.uniform(0.15, 0.6))


@dataclass(frozen=True, slots=True)
class Condition:
    """How visitors are seen.

    Attributes:
        key: what it is called by.
        title: in words.
        arrange: what light, lens and clothes make of a scene; the same in all frames of a visit.
        camera: takes each frame, with noise of its own.
        face_pixels: size of the face.
        bits_per_second: of the H.264 stream that the frames go through; None for none.
    """

    key: str
    title: str
    arrange: Arrange = _as_it_is
    camera: Camera = DAY
    face_pixels: float = NEAR_PIXELS
    bits_per_second: int | None = None


# Levels are of the face, 1 is white: 0.18 is a well exposed one, and 0.013 a grey value of 30.
_NIGHT = partial(Camera, read_noise=4.0, coloured=False, blur_pixels=0.7)
_LOW_LIGHT = partial(Camera, gain=0.55, denoising_pixels=1.5)
CONDITIONS = (
    Condition("daylight", "daylight"),
    Condition("2m", "2 m (40 px)", face_pixels=40),
    Condition("3m", "3 m (28 px)", face_pixels=28),
    Condition("4m", "4 m (21 px)", face_pixels=21),
    Condition(
        "dark",
        "dark",
        _lit(lambda scene: porch.by_lamp_light(scene, 0.18)),
        Camera(electrons=150, gain=0.07, motion=0.03, denoising_pixels=1.5),
    ),
    Condition(
        "low_light",
        "low light",
        _lit(lambda scene: porch.by_lamp_light(scene, 0.18)),
        _LOW_LIGHT(electrons=250, motion=0.06),
    ),
    Condition(
        "very_low_light",
        "very low light",
        _lit(lambda scene: porch.by_lamp_light(scene, 0.18)),
        _LOW_LIGHT(electrons=80, motion=0.07),
    ),
    Condition(
        "infrared",
        "infrared",
        _lit(lambda scene: porch.by_infrared(scene, 0.3)),
        _NIGHT(electrons=350),
    ),
    Condition(
        "infrared_moving",
        "infrared, moving",
        _infrared_of_any_strength,
        _NIGHT(electrons=150, motion=0.07),
        face_pixels=52,
    ),
    Condition(
        "backlight",
        "backlight",
        _lit(lambda scene: porch.against_the_light(scene, 0.05, 0.12)),
        Camera(electrons=3000),
    ),
    Condition(
        "strong_backlight",
        "strong backlight",
        _lit(lambda scene: porch.against_the_light(scene, 0.025, 0.18)),
        Camera(electrons=3000),
    ),
    Condition("side_light", "side light", porch.lit_from_a_side, Camera(electrons=3000)),
    Condition("motion", "motion", camera=Camera(motion=0.12)),
    Condition("rain", "rain on the lens", porch.through_rain),
    Condition("wide_angle", "wide-angle edge", porch.at_the_edge),
    Condition("from_above", "from above", _lit(lambda scene: porch.pitched(scene, 25))),
    Condition("from_below", "from below", _lit(lambda scene: porch.pitched(scene, -25))),
    Condition("cut", "cut by the border", porch.cut_off),
    Condition("mask", "mask", worn.masked),
    Condition("scarf", "scarf", worn.scarfed),
    Condition("sunglasses", "sunglasses", worn.in_sunglasses),
    Condition("hat", "hat", worn.in_a_hat),
    Condition("hood", "hood", worn.hooded),
    Condition("h264", "H.264, 150 kbit/s", bits_per_second=H264_BITS_PER_SECOND),
)


def named_conditions(keys: Sequence[str]) -> tuple[Condition, ...]:
    """The conditions of these keys, all of them without any.

    Raises:
        UsageError: there is none of that key.
    """
    by_key = {condition.key: condition for condition in CONDITIONS}
    for key in keys:
        if key not in by_key:
            raise UsageError(f"there is no condition {key!r}; there are {', '.join(by_key)}")
    return tuple(by_key[key] for key in dict.fromkeys(keys)) or CONDITIONS


def film(
    pixels: UInt8Array, face: Face, condition: Condition, seed: Sequence[int | str]
) -> list[Frame]:
    """Show the visitor of a photograph in a condition: ``FRAMES`` frames.

    Args:
        pixels: (height, width, 3) uint8, RGB.
        face: of the visitor.
        condition: how it is seen.
        seed: the same numbers and words give the same frames.

    Raises:
        ModuleNotFoundError: the condition takes PyAV, which is not installed.
    """
    words = [each if isinstance(each, int) else zlib.crc32(each.encode()) for each in seed]
    chance = np.random.default_rng([*words, zlib.crc32(condition.key.encode())])
    scene = condition.arrange(before_the_door(pixels, face, condition.face_pixels), chance)
    shots = [
        condition.camera.take(scene.light, condition.face_pixels, chance) for _ in range(FRAMES)
    ]
    if condition.bits_per_second is not None:
        shots = compressed(shots, condition.bits_per_second)
    return [
        Frame(shot, place / FRAMES_PER_SECOND, place / FRAMES_PER_SECOND, place)
        for place, shot in enumerate(shots)
    ]


def compressed(shots: Sequence[UInt8Array], bits_per_second: int) -> list[UInt8Array]:
    """What is left of frames after H.264 at a constant rate, as cameras send it.

    Args:
        shots: each (height, width, 3) uint8, RGB, of one even size.
        bits_per_second: of the stream, at ``FRAMES_PER_SECOND``.

    Raises:
        ModuleNotFoundError: PyAV is not installed.
    """
    import av

    height, width = shots[0].shape[:2]
    file = BytesIO()
    with av.open(file, "w", format="matroska") as writer:
        stream = writer.add_stream("libx264", rate=Fraction(FRAMES_PER_SECOND))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = bits_per_second
        stream.options = {
            "preset": "veryfast",
            "tune": "zerolatency",
            "threads": "1",  # else what the control of the rate does depends on their timing
            "maxrate": str(bits_per_second),
            "bufsize": str(bits_per_second // 4),
        }
        for shot in shots:
            writer.mux(stream.encode(av.VideoFrame.from_ndarray(shot, format="rgb24")))
        writer.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as reader:
        return [frame.to_ndarray(format="rgb24") for frame in reader.decode(video=0)]
