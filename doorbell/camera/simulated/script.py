"""The script of a simulated scene: who comes to the door, when, and how near."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from doorbell.camera.simulated.cutout import BODY_FACES, MAX_ENLARGEMENT
from doorbell.errors import CameraSetupError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Seconds = Annotated[float, Field(ge=0.0, le=86400.0)]
# A face as large as a third of the picture's height is at arm's length from a doorbell.
FaceFraction = Annotated[float, Field(ge=0.03, le=0.4)]

# The portraits of the demo, and where their faces are, in pixels, measured by hand.
KNOWN_PORTRAIT = "obama.jpg"
STRANGER_PORTRAIT = "biden.jpg"
_KNOWN_FACE = (375.0, 160.0, 620.0, 465.0)
_STRANGER_FACE = (400.0, 215.0, 735.0, 540.0)


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a visitor is at one moment.

    Attributes:
        face_xyxy: the upright face in pixels of the picture.
        lean_degrees: how far the head leans, clockwise.
    """

    face_xyxy: tuple[float, float, float, float]
    lean_degrees: float

    @property
    def centre_xy(self) -> tuple[float, float]:
        """Middle of the face."""
        left, top, right, bottom = self.face_xyxy
        return (left + right) / 2, (top + bottom) / 2

    @property
    def face_pixels(self) -> float:
        """Height of the face."""
        return self.face_xyxy[3] - self.face_xyxy[1]


@dataclass(frozen=True, slots=True)
class Appearance:
    """One visitor's coming, staying and going.

    Attributes:
        portrait: a picture file of head and shoulders; in a script, relative to it.
        face_xyxy: the face in pixels of the portrait, from the middle of the forehead to the chin.
        enters_seconds: when the visitor comes into sight.
        approach_seconds, stays_seconds, leave_seconds: how long each lasts.
        from_x, door_x: where the face starts (and goes back to) and where it stays, as fractions of
            the picture's width; below 0 and above 1 is out of the picture.
        farthest_face, closest_face: height of the face there, as fractions of the picture's height.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    portrait: Path
    face_xyxy: tuple[float, float, float, float]
    enters_seconds: Seconds
    approach_seconds: Annotated[float, Field(gt=0.0, le=60.0)] = 1.8
    stays_seconds: Seconds = 2.7
    leave_seconds: Annotated[float, Field(gt=0.0, le=60.0)] = 1.2
    from_x: Annotated[float, Field(ge=-1.0, le=2.0)] = -0.15
    door_x: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    farthest_face: FaceFraction = 0.1
    closest_face: FaceFraction = 0.29

    @property
    def gone_seconds(self) -> float:
        """When the visitor is out of sight again."""
        return self.enters_seconds + self.approach_seconds + self.stays_seconds + self.leave_seconds

    def closest_face_pixels(self, picture_height: int) -> float:
        """Height of the face at the door: never more than the portrait has detail for."""
        portrait_face = self.face_xyxy[3] - self.face_xyxy[1]
        return min(self.closest_face * picture_height, MAX_ENLARGEMENT * portrait_face)

    def pose_at(self, time_seconds: float, width: int, height: int) -> Pose | None:
        """Where the visitor is in a picture of a size; None when out of sight."""
        if not self.enters_seconds <= time_seconds < self.gone_seconds:
            return None
        since = time_seconds - self.enters_seconds
        arriving = since / self.approach_seconds
        leaving = (self.gone_seconds - time_seconds) / self.leave_seconds
        nearness = _smooth(min(1.0, arriving, leaving))
        closest = self.closest_face_pixels(height)
        face = closest * (self.farthest_face / self.closest_face) ** (1.0 - nearness)
        # The body always reaches the lower edge: a visitor climbs up to the porch.
        x = (self.from_x + (self.door_x - self.from_x) * nearness) * width
        y = height - BODY_FACES * face
        # Steps while walking (two a second), and the slow sway of somebody who waits.
        walking = math.sin(math.pi * nearness)
        x += face * 0.03 * math.sin(2.1 * since)
        y += face * (0.04 * walking * abs(math.sin(2 * math.pi * since)) + 0.015)
        y += face * 0.015 * math.sin(1.3 * since + 1.0)
        lean = 2.0 * math.sin(1.7 * since) + 1.5 * walking * math.sin(2 * math.pi * since)
        left, top, right, bottom = self.face_xyxy
        half = face / 2 * (right - left) / (bottom - top)
        return Pose((x - half, y - face / 2, x + half, y + face / 2), lean)


@dataclass(frozen=True, slots=True)
class SceneScript:
    """A scene on a porch, the same for the same seed.

    Attributes:
        appearances: who comes; those who overlap in time are seen together.
        duration_seconds: one round of the scene.
        seed: of the porch, the light and the noise.
        light: how much of the day's light there is, 1 by day; the camera does not make up for it.
        shade: how much of the porch's light falls on who stands there; below 1 it is behind them.
        frame_number: whether each frame's number is drawn into it (``frame_number.py``), so that a
            picture shown anywhere tells how old it is.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    appearances: tuple[Appearance, ...]
    duration_seconds: Annotated[float, Field(gt=0.0, le=86400.0)]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    light: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    shade: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    frame_number: bool = False

    def visible_at(self, time_seconds: float) -> tuple[Appearance, ...]:
        """Who is in sight at a time of the round, at least in part."""
        return tuple(
            appearance
            for appearance in self.appearances
            if appearance.enters_seconds <= time_seconds < appearance.gone_seconds
        )


def demo_script(faces_directory: Path | None, seed: int = 1) -> SceneScript:
    """Write the built-in scene: a known visitor, a stranger, then both side by side.

    Between visits, and before the next round, the porch is empty for more than 7 s, so that the
    default absence of 5 s ends each visit.

    Args:
        faces_directory: with ``KNOWN_PORTRAIT`` and ``STRANGER_PORTRAIT``; None for the working
            directory.
        seed: of the porch, the light and the noise.

    Raises:
        CameraSetupError: a portrait is missing.
    """
    folder = faces_directory or Path()
    for name in (KNOWN_PORTRAIT, STRANGER_PORTRAIT):
        if not (folder / name).is_file():
            raise CameraSetupError(
                f"the simulated camera needs the portrait {name}, which is not in the folder "
                f"{folder}; run `doorbell models build`, or name the folder: "
                "camera.uri = 'simulated:?faces=FOLDER'"
            )
    known = Appearance(folder / KNOWN_PORTRAIT, _KNOWN_FACE, enters_seconds=0.5)
    stranger = Appearance(
        folder / STRANGER_PORTRAIT, _STRANGER_FACE, enters_seconds=13.4, from_x=1.15
    )
    return SceneScript(
        appearances=(
            known,
            stranger,
            replace(known, enters_seconds=26.3, door_x=0.27),
            replace(stranger, enters_seconds=26.9, stays_seconds=2.1, door_x=0.72),
        ),
        duration_seconds=38.6,
        seed=seed,
    )


def load_script(path: Path) -> SceneScript:
    """Read a scene script: the fields of ``SceneScript``, with a table for each appearance.

    Raises:
        CameraSetupError: the file cannot be read, or a key or value in it is wrong.
    """
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as exc:
        raise CameraSetupError(
            f"cannot read the scene script {path}: {exc.strerror}; correct camera.uri"
        ) from exc
    except ValueError as exc:
        raise CameraSetupError(f"the scene script {path} is not valid TOML: {exc}") from exc
    try:
        script = TypeAdapter(SceneScript).validate_python(tree)
    except ValidationError as exc:
        problems = "\n".join(
            f"  {'.'.join(map(str, error['loc']))}: {error['msg']}"
            for error in exc.errors(include_url=False)
        )
        raise CameraSetupError(f"the scene script {path} is wrong:\n{problems}") from exc
    return replace(
        script,
        appearances=tuple(
            replace(appearance, portrait=path.parent / appearance.portrait)
            for appearance in script.appearances
        ),
    )


def _smooth(fraction: float) -> float:
    """Ease in and out: 0 to 1 without a jerk at either end."""
    return fraction * fraction * (3.0 - 2.0 * fraction)
