"""A camera that is exposed by the face at the door, as far as it lets itself.

The reader of the frames says how much light the face in the last one got (``FaceMeter``); the
thread that captures moves the controls between two frames, where a driver that hangs is noticed.
"""

from __future__ import annotations

import errno
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from doorbell.camera import Camera, open_camera
from doorbell.camera.controls import Control, Controls, Name
from doorbell.camera.exposure import ExposureLoop, automatic, can_expose
from doorbell.camera.rotated import RotatedCamera
from doorbell.camera.uri import Kind, source_of
from doorbell.camera.v4l2 import V4l2Controls
from doorbell.config import CameraSection
from doorbell.domain import Face, Frame, UInt8Array
from doorbell.imaging.light import FaceLight, face_light

log = logging.getLogger(__name__)

# The device has gone: the next frame says so.
_GONE = frozenset({errno.ENODEV, errno.EBADF, errno.ENXIO})
# Where its automatic cannot be switched off, it makes up for whatever these are set to.
_USELESS_WITHOUT = {
    Name.EXPOSURE_AUTO: (Name.EXPOSURE_TIME, Name.GAIN),
    Name.GAIN_AUTO: (Name.GAIN,),
}


class FaceMeter:
    """What the reader of frames tells those who expose them; outlives a camera that is reopened."""

    def __init__(self) -> None:
        self._latest: deque[FaceLight | None] = deque(maxlen=1)
        self._said: set[str] = set()

    def look(self, pixels: UInt8Array, faces: Sequence[Face]) -> None:
        """Measure the nearest face of a frame.

        Args:
            pixels: (height, width, 3) uint8, RGB.
            faces: in pixels of it; none where nobody is seen.
        """
        nearest = max(faces, key=lambda face: face.width_pixels, default=None)
        self.note(None if nearest is None else face_light(pixels, nearest))

    def note(self, light: FaceLight | None) -> None:
        """Take in what a frame showed of the nearest face; None where nobody is seen."""
        self._latest.append(light)

    def take(self) -> tuple[bool, FaceLight | None]:
        """Tell whether a frame was looked at since the last call, and what it showed."""
        try:
            return True, self._latest.popleft()
        except IndexError:
            return False, None

    def say_once(self, message: str) -> None:
        """Log what stays so however often the camera is opened."""
        if message not in self._said:
            self._said.add(message)
            log.warning("%s", message)


class ExposedCamera:
    """Another camera, whose controls are moved between its frames.

    Args:
        camera: gives the frames; closed with this.
        controls: its controls; closed with this.
        meter: what the faces in its frames got of the light.
        shown: what the camera is called.
    """

    def __init__(
        self, camera: Camera, controls: Controls, meter: FaceMeter, shown: str = "the camera"
    ) -> None:
        self._camera = camera
        self._controls = controls
        self._meter = meter
        self._shown = shown
        self._loop = ExposureLoop()
        self._refused: set[Name] = set()
        self._works = True
        try:
            self._begin()
        except OSError as exc:
            self._give_up(exc)

    def read(self) -> Frame:
        """Return the next frame, and see to the exposure of those that follow."""
        frame = self._camera.read()
        looked, light = self._meter.take()
        if looked and self._works:
            try:
                self._step(light, frame.time_seconds)
            except OSError as exc:
                self._give_up(exc)
        return frame

    def close(self) -> None:
        """Give the controls back to the camera's automatic and close it; idempotent."""
        try:
            if self._loop.holds and self._works and not self._loop.disputed:
                self._set(self._loop.release(self._read()))
        except OSError as exc:
            log.debug("the exposure of %s stays as it is: %s", self._shown, exc)
        finally:
            self._works = False
            self._controls.close()
            self._camera.close()

    def _begin(self) -> None:
        """See what the camera has; one that a kill left by hand gets its automatic back."""
        controls = self._read()
        if not can_expose(controls):
            self._works = False
            self._meter.say_once(
                f"camera.expose_faces does nothing: {self._shown} has no exposure, gain or "
                "brightness that can be set; its own automatic stays"
            )
        elif left := automatic(controls):
            # Last: a driver may refuse what its automatic decides.
            values = {name: each.default for name, each in controls.items() if name not in left}
            self._set(values | left)

    def _step(self, light: FaceLight | None, time_seconds: float) -> None:
        held = self._loop.holds
        self._set(self._loop.step(light, time_seconds, self._read))
        if self._loop.disputed and self._works:
            self._works = False
            self._meter.say_once(
                f"somebody else has switched the automatic exposure of {self._shown} on; it is "
                "left alone until the camera is opened again"
            )
        elif self._loop.holds != held:
            log.info("%s is exposed %s", self._shown, "by its automatic" if held else "by the face")

    def _read(self) -> dict[Name, Control]:
        controls = self._controls.read()
        return {name: each for name, each in controls.items() if name not in self._refused}

    def _set(self, values: dict[Name, int]) -> None:
        for name, value in values.items():
            try:
                self._controls.set(name, value)
            except OSError as exc:
                if exc.errno in _GONE:
                    raise
                self._meter.say_once(
                    f"{self._shown} does not let {name.value} be set to {value} "
                    f"({exc.strerror}); camera.expose_faces goes on without, as far as that goes"
                )
                self._do_without(name)
                return
            log.debug("%s: %s = %d", self._shown, name.value, value)

    def _do_without(self, refused: Name) -> None:
        """Go on with the other controls; with none, the camera's automatic gets it all back."""
        self._refused |= {refused, *_USELESS_WITHOUT.get(refused, ())}
        controls = self._read()
        if not can_expose(controls):
            self._works = False
            for name, value in automatic(controls).items():
                self._controls.set(name, value)

    def _give_up(self, exc: OSError) -> None:
        self._works = False
        if exc.errno not in _GONE:
            self._meter.say_once(
                f"the exposure of {self._shown} cannot be seen to: {exc.strerror or exc}"
            )


def open_exposed(section: CameraSection, faces_directory: Path | None, meter: FaceMeter) -> Camera:
    """Open the configured camera, exposed by the face where that can be.

    Raises:
        CameraError, CameraSetupError: as ``open_camera``.
    """
    camera = open_camera(section, faces_directory)
    source = source_of(section)
    try:
        controls = open_controls(section, camera)
    except OSError as exc:
        controls = None
        reason = f"{source.shown} cannot be asked for its controls ({exc.strerror})"
    else:
        reason = f"{source.shown} ({source.kind.value}) has no exposure that can be set from here"
    if controls is None:
        meter.say_once(f"camera.expose_faces does nothing: {reason}; its own automatic stays")
        return camera
    return ExposedCamera(camera, controls, meter, source.shown)


def open_controls(section: CameraSection, camera: Camera) -> Controls | None:
    """Open the controls of an open camera; None where it has none that can be reached.

    Raises:
        OSError: there should be some.
    """
    from doorbell.camera.simulated.camera import SimulatedCamera

    unturned = camera.unturned if isinstance(camera, RotatedCamera) else camera
    if isinstance(unturned, SimulatedCamera):
        return unturned.controls
    source = source_of(section)
    return V4l2Controls(Path(source.place)) if source.kind is Kind.DEVICE else None


def can_be_exposed(section: CameraSection) -> bool:
    """Whether the exposure of the configured camera, which is there, can be set from here."""
    source = source_of(section)
    if source.kind is not Kind.DEVICE:
        return source.kind is Kind.SIMULATED
    try:
        with closing(V4l2Controls(Path(source.place))) as controls:
            return can_expose(controls.read())
    except OSError:
        return False
