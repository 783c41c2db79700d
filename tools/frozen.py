"""How well a frozen picture behind an encoder is told: ``.venv/bin/python tools/frozen.py``.

Prints a line for each stream: how long it has played when it is first called frozen, for how much
of the time after that it is, and the most that a picture had in common with one of long before.
Live ones stand still too, but for a sensor's noise. They show the built-in porch, or ``--picture``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import cv2
import numpy as np

from doorbell.camera.frame_health import FrameHealth
from doorbell.camera.simulated.camera import SceneRenderer
from doorbell.camera.simulated.script import SceneScript
from doorbell.domain import Float32Array, UInt8Array
from doorbell.status import CameraCondition
from doorbell.testbed.encoder import Encoder, decode, encode

FRAMES_PER_SECOND = 15
_LOW = {"maxrate": "150000", "bufsize": "300000"}
# Name: options, bits per second.
ENCODERS: dict[str, tuple[dict[str, str], int]] = {
    "crf 18": ({"crf": "18"}, 0),
    "crf 23": ({"crf": "23"}, 0),
    "crf 30": ({"crf": "30"}, 0),
    "qp 35": ({"qp": "35"}, 0),
    "cbr 3000": ({"x264-params": "nal-hrd=cbr", "maxrate": "3M", "bufsize": "3M"}, 3_000_000),
    "cbr 1500": ({"x264-params": "nal-hrd=cbr", "maxrate": "1.5M", "bufsize": "1.5M"}, 1_500_000),
    "cbr 500": ({"x264-params": "nal-hrd=cbr", "maxrate": "500k", "bufsize": "500k"}, 500_000),
    "abr 500": ({}, 500_000),
    "abr 150": ({}, 150_000),
    "capped 150": ({"crf": "23", **_LOW}, 0),
    "low delay 150": ({"tune": "zerolatency", **_LOW}, 150_000),
    "ultrafast 150": ({"preset": "ultrafast", "tune": "zerolatency", **_LOW}, 150_000),
    "medium 150": ({"preset": "medium", **_LOW}, 150_000),
    "refresh 500": ({"tune": "zerolatency", "x264-params": "intra-refresh=1"}, 500_000),
}


def still(picture: Path | None, width: int, height: int, light: float) -> Float32Array:
    """Draw what the camera sees, without its noise: (height, width, 3)."""
    if picture is None:
        script = SceneScript((), duration_seconds=10)
        renderer = SceneRenderer(script, width, height, float(FRAMES_PER_SECOND))
        drawn = np.mean([renderer.render(0.0, index) for index in range(32)], 0)
    else:
        read = cv2.imread(str(picture))
        if read is None:
            raise SystemExit(f"cannot read the picture {picture}; give another")
        resized = cv2.resize(read, (width, height), interpolation=cv2.INTER_AREA)
        drawn = cv2.GaussianBlur(resized, (0, 0), 0.8)[..., ::-1]
    return np.asarray(drawn * light, np.float32)


def pictures(
    scene: Float32Array, seconds: float, noise: float, *, frozen: bool, clock: bool
) -> Iterator[UInt8Array]:
    """Make what a sensor gives, whose noise has such a standard deviation, of 255."""
    height, width = scene.shape[:2]
    rng = np.random.default_rng(1)
    # As the simulated camera does: seen through a window that jumps, it is as good as fresh.
    field = rng.normal(0, noise, (height + 64, width + 64, 3)).astype(np.float32)
    pixels = np.zeros(scene.shape, np.uint8)
    for index in range(round(seconds * FRAMES_PER_SECOND)):
        if not (frozen and index):
            y, x = rng.integers(0, 64, 2)
            noisy = scene + field[y : y + height, x : x + width]
            pixels = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
        shown = pixels
        if clock:
            now = time.gmtime(1_795_831_000 + index // FRAMES_PER_SECOND)
            text = time.strftime("%Y-%m-%d %H:%M:%S", now)
            shown = pixels.copy()
            cv2.putText(shown, text, (16, 40), cv2.FONT_HERSHEY_SIMPLEX, 1, (255, 255, 255), 2)
        yield shown


def play(stream: bytes, frozen_seconds: float) -> tuple[list[float], float]:
    """Look at a stream: seconds of each picture called frozen, and the most in common."""
    health = FrameHealth(dark_seconds=60, frozen_seconds=frozen_seconds)
    frozen_at = []
    for index, (pixels, intra) in enumerate(decode(stream)):
        seconds = index / FRAMES_PER_SECOND
        if health.look(pixels, seconds, intra=intra) is CameraCondition.FROZEN:
            frozen_at.append(seconds)
    return frozen_at, health.most_in_common


def main() -> None:
    """Play what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--encoders", default=",".join(ENCODERS), help="some of them, with commas")
    parser.add_argument("--picture", type=Path, help="what the camera sees")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--light", type=float, default=1.0, help="of that in the picture")
    parser.add_argument("--noise", default="0.5,2", help="standard deviations, of 255")
    parser.add_argument("--key-frames", default="30", help="pictures from one to the next")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--frozen-seconds", type=float, default=30.0)
    parser.add_argument("--what", default="frozen,clock,live", help="some of them, with commas")
    parser.add_argument("--codec", default="libx264")
    asked = parser.parse_args()
    width, height = map(int, asked.size.split("x"))
    scene = still(asked.picture, width, height, asked.light)
    for name, apart, noise, what in product(
        asked.encoders.split(","),
        map(int, asked.key_frames.split(",")),
        map(float, asked.noise.split(",")),
        asked.what.split(","),
    ):
        options, bits = ENCODERS[name]
        encoder = Encoder(
            *(width, height),
            frames_per_second=FRAMES_PER_SECOND,
            key_frames_apart=apart,
            options=options,
            bits_per_second=bits,
            codec=asked.codec,
        )
        made = pictures(scene, asked.seconds, noise, frozen=what != "live", clock=what == "clock")
        stream = encode(made, encoder)
        frozen_at, common = play(stream, asked.frozen_seconds)
        first = f"after {frozen_at[0]:5.1f} s" if frozen_at else "never         "
        after = asked.seconds - frozen_at[0] if frozen_at else 1.0
        share = len(frozen_at) / FRAMES_PER_SECOND / after
        kilobits = len(stream) * 8 / asked.seconds / 1000
        print(  # noqa: T201 - what this tool is for
            f"{name:14} key {apart:4} noise {noise:4g} {kilobits:6.0f} kbit/s {what:6} "
            f"frozen {first} then {share:5.0%}  in common {common:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
