"""A camera that plays a scene script: visitors on a porch, without a camera.

A frame depends only on the script and its index, so the same seed gives the same bits.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl

import cv2
import numpy as np
from numpy.typing import NDArray

from doorbell.camera.simulated.background import draw_porch
from doorbell.camera.simulated.clock import Pace
from doorbell.camera.simulated.cutout import CutOut, cut_out
from doorbell.camera.simulated.folder import FolderCamera
from doorbell.camera.simulated.frame_number import draw_frame_number
from doorbell.camera.simulated.script import Appearance, Pose, SceneScript, demo_script, load_script
from doorbell.camera.simulated.sensor import SimulatedSensor
from doorbell.camera.uri import Kind, Source
from doorbell.config import CameraSection
from doorbell.config.paths import expand
from doorbell.domain import Frame, UInt8Array
from doorbell.errors import CameraError, CameraSetupError, EndOfStreamError

log = logging.getLogger(__name__)

_WIDTH, _HEIGHT, _FRAMES_PER_SECOND = 1280, 720, 30.0
# Half the time between frames the shutter is open, as is usual indoors and at dusk.
_SHUTTER = 0.5
_NOISE_SIGMA = 3.0
_NOISE_MARGIN = 64
_GAMMA = 2.2  # pixels go by this root of the light


class SceneRenderer:
    """Draws any frame of a scene.

    Args:
        script: who comes when.
        width, height: of the frames, in pixels.
        frames_per_second: what motion blur depends on.
        sensor: what exposes it; one of its own in its automatic unless given.

    Raises:
        CameraSetupError: a portrait of the script cannot be used.
    """

    def __init__(
        self,
        script: SceneScript,
        width: int,
        height: int,
        frames_per_second: float,
        sensor: SimulatedSensor | None = None,
    ) -> None:
        self._script = script
        self._sensor = sensor or SimulatedSensor()
        self._size = (width, height)
        self._shutter_seconds = _SHUTTER / frames_per_second
        self._porch = draw_porch(width, height, script.seed)
        rng = np.random.default_rng(script.seed)
        # One larger picture of noise, seen through a window that jumps: as good as fresh noise.
        noise = rng.normal(0, _NOISE_SIGMA, (height + _NOISE_MARGIN, width + _NOISE_MARGIN, 3))
        self._noise = np.rint(noise).astype(np.int16)
        self._amplified: tuple[float, NDArray[np.int16]] = (1.0, self._noise)
        self._light_phases = rng.uniform(0, 2 * np.pi, 4)
        self._visitors: dict[Appearance, list[CutOut]] = {}
        cut_outs: dict[tuple[object, ...], list[CutOut]] = {}  # one for all who look the same
        for appearance in script.appearances:
            face_pixels = appearance.closest_face_pixels(height)
            look = (appearance.portrait, appearance.face_xyxy, face_pixels)
            if look not in cut_outs:
                cut_outs[look] = _sizes(cut_out(*look))
            self._visitors[appearance] = cut_outs[look]

    def render(self, time_seconds: float, index: int) -> UInt8Array:
        """Draw the scene at a time of the round: (height, width, 3) uint8, RGB.

        Args:
            time_seconds: of the round; decides everything but the noise.
            index: of the frame; decides the noise, and is drawn where the script says so.
        """
        pixels: UInt8Array = self._porch.copy()
        poses = [
            (appearance, pose)
            for appearance in self._script.visible_at(time_seconds)
            if (pose := appearance.pose_at(time_seconds, *self._size)) is not None
        ]
        for appearance, pose in sorted(poses, key=lambda item: item[1].face_pixels):
            before = appearance.pose_at(time_seconds - self._shutter_seconds, *self._size)
            moved = np.subtract(pose.centre_xy, (before or pose).centre_xy)
            self._place(pixels, appearance, pose, moved)
        cv2.LUT(pixels, self._light(time_seconds), dst=pixels)
        rng = np.random.default_rng((self._script.seed, index))
        x, y = (int(offset) for offset in rng.integers(0, _NOISE_MARGIN, 2))
        noise = self._noise_now()[y : y + self._size[1], x : x + self._size[0]]
        cv2.add(pixels, noise, dst=pixels, dtype=cv2.CV_8U)
        if self._script.frame_number:
            draw_frame_number(pixels, index)
        return pixels

    def _place(
        self, pixels: UInt8Array, appearance: Appearance, pose: Pose, moved: NDArray[np.float64]
    ) -> None:
        """Draw one visitor into the frame, touching only the rectangle that they cover."""
        sizes = self._visitors[appearance]
        visitor = next(
            (size for size in reversed(sizes) if size.face_pixels >= pose.face_pixels), sizes[0]
        )
        scale = pose.face_pixels / visitor.face_pixels
        matrix = cv2.getRotationMatrix2D(visitor.face_centre_xy, -pose.lean_degrees, scale)
        matrix[:, 2] += np.subtract(pose.centre_xy, visitor.face_centre_xy)
        height, width = visitor.premultiplied.shape[:2]
        corners = matrix @ np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]])
        margin = 1 + int(np.abs(moved).max())
        left, top = np.maximum(np.floor(corners.min(axis=1)).astype(int) - margin, 0)
        right, bottom = np.minimum(np.ceil(corners.max(axis=1)).astype(int) + margin, self._size)
        if left >= right or top >= bottom:
            return
        matrix[:, 2] -= (left, top)
        layer = cv2.warpAffine(visitor.premultiplied, matrix, (right - left, bottom - top))
        blur = np.rint(np.abs(moved)).astype(int) + 1
        if blur.max() > 1:
            layer = cv2.blur(layer, (int(blur[0]), int(blur[1])))
        if self._script.shade < 1:
            shade = self._script.shade ** (1 / _GAMMA)
            layer = np.rint(layer * np.array([shade, shade, shade, 1.0])).astype(np.uint8)
        uncovered = cv2.cvtColor(cv2.bitwise_not(cv2.extractChannel(layer, 3)), cv2.COLOR_GRAY2RGB)
        place = pixels[top:bottom, left:right]
        behind = cv2.multiply(place, uncovered, scale=1 / 255)
        place[:] = cv2.add(behind, cv2.cvtColor(layer, cv2.COLOR_RGBA2RGB))

    def _noise_now(self) -> NDArray[np.int16]:
        """The noise, amplified as the light is."""
        gain = self._sensor.gain
        if self._amplified[0] != gain:
            amplified = np.rint(self._noise * gain ** (1 / _GAMMA)).astype(np.int16)
            self._amplified = (gain, amplified)
        return self._amplified[1]

    def _light(self, time_seconds: float) -> UInt8Array:
        """Clouds pass, the white balance follows: (256, 1, 3) uint8, one table a channel."""
        slow, slower, quick, warm = self._light_phases
        brightness = (
            1.0
            + 0.09 * np.sin(2 * np.pi * time_seconds / 11 + slow)
            + 0.05 * np.sin(2 * np.pi * time_seconds / 29 + slower)
            + 0.01 * np.sin(2 * np.pi * time_seconds / 0.9 + quick)
        )
        warmth = 0.025 * np.sin(2 * np.pi * time_seconds / 17 + warm)
        light = self._script.light * self._sensor.exposure * self._sensor.gain
        dimmed = light ** (1 / _GAMMA)
        gains = dimmed * brightness * np.array([1 + warmth, 1.0, 1 - warmth])
        table = np.arange(256)[:, None] * gains  # (256, 3)
        return np.asarray(np.clip(np.rint(table), 0, 255), np.uint8)[:, None, :]


class SimulatedCamera:
    """Plays a scene, at its own speed or as fast as it can be drawn.

    At its own speed a frame that is late is left out, as a camera would; otherwise every frame
    comes, and ``time_seconds`` is the scene's.

    Attributes:
        controls: of its exposure.
    """

    def __init__(self, section: CameraSection, script: SceneScript) -> None:
        self._duration_seconds = script.duration_seconds
        self._frames_per_second = section.frames_per_second or _FRAMES_PER_SECOND
        self.controls = SimulatedSensor()
        self._renderer = SceneRenderer(
            script,
            section.width or _WIDTH,
            section.height or _HEIGHT,
            self._frames_per_second,
            self.controls,
        )
        self._loop = section.loop
        self._pace = Pace(realtime=section.realtime)
        self._index = 0
        self._closed = False

    def read(self) -> Frame:
        """Draw the next frame, when it is due."""
        if self._closed:
            raise CameraError("the simulated camera is closed; open it again")
        period = 1 / self._frames_per_second
        self._index += max(0, int(self._pace.lateness(self._index * period) / period))
        time_seconds = self._index * period
        if time_seconds >= self._duration_seconds and not self._loop:
            raise EndOfStreamError(
                f"the scene is over after {self._duration_seconds:g} s; set camera.loop = true to "
                "repeat it"
            )
        pixels = self._renderer.render(time_seconds % self._duration_seconds, self._index)
        self._pace.wait_for(time_seconds)
        frame = Frame(pixels, time_seconds, time.time(), self._index)
        if self._index == 0:
            log.debug("the scene began at %.3f", frame.captured_at)
        self._index += 1
        return frame

    def close(self) -> None:
        """End the scene; idempotent."""
        self._closed = True


def open_simulated(
    section: CameraSection, source: Source, faces_directory: Path | None
) -> SimulatedCamera | FolderCamera:
    """Open a scene script, the built-in scene or a folder of pictures.

    ``simulated:`` is the built-in scene, ``simulated:PATH.toml`` a script; ``?seed=3`` gives it
    another porch, light and noise, and ``?faces=FOLDER`` other portraits to the built-in one.

    Raises:
        CameraSetupError: no script, portrait or picture, or one that is wrong.
    """
    if source.kind is Kind.FOLDER:
        return FolderCamera(section, Path(source.place))
    place, _, query = source.place.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    seed, faces = options.pop("seed", None), options.pop("faces", None)
    if options or (place and faces) or not (seed is None or seed.isdecimal()):
        raise CameraSetupError(
            f"camera.uri = 'simulated:{source.place}' is not understood; write simulated:, "
            "simulated:?seed=3&faces=FOLDER or simulated:SCRIPT.toml?seed=3"
        )
    if place:
        script = load_script(expand(place))
    else:
        script = demo_script(expand(faces) if faces else faces_directory)
    if seed is not None:
        script = replace(script, seed=int(seed))
    return SimulatedCamera(section, script)


def _sizes(visitor: CutOut) -> list[CutOut]:
    """The visitor at full size, half, a quarter: what is shrunk by less than half stays sharp."""
    sizes = [visitor]
    while sizes[-1].face_pixels > 24:
        sizes.append(sizes[-1].halved())
    return sizes
