"""Scenes of the simulated camera, written for another process."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from doorbell.camera.simulated.script import Appearance, SceneScript, demo_script

# Whom the portraits of the demo show; the tests and tools enroll the first from another photo.
Who: TypeAlias = Literal["known", "stranger"]
KNOWN: Who = "known"
STRANGER: Who = "stranger"


@dataclass(frozen=True)
class Visitor:
    """Who comes straight up the path, so that no slow machine loses them.

    Attributes:
        enters: seconds of the scene, as all that follow.
        approach: how long it takes to the door.
        stays: how long they stand there.
        leave: how long it takes to go.
        who: whose portrait it is.
        from_x: where they come from, in widths of the picture.
    """

    enters: float
    approach: float
    stays: float = 250.0
    leave: float = 0.5
    who: Who = KNOWN
    from_x: float = 0.45

    def appearance(self, faces: Path) -> Appearance:
        """Write it as a scene has it; ``faces`` is the folder of portraits."""
        known, stranger, *_ = demo_script(faces).appearances
        return replace(
            known if self.who == KNOWN else stranger,
            enters_seconds=self.enters,
            approach_seconds=self.approach,
            stays_seconds=self.stays,
            leave_seconds=self.leave,
            from_x=self.from_x,
        )


def simulated(
    folder: Path,
    faces: Path,
    *visitors: Visitor,
    duration_seconds: float = 300.0,
    light: float = 1.0,
    shade: float = 1.0,
) -> str:
    """The address of a camera before which these come.

    Args:
        folder: gets the script.
        faces: the folder of portraits.
        visitors: in any order.
        duration_seconds: of the scene.
        light: how much of the day's there is, above 0 and at most 1.
        shade: how much of it falls on the visitors, likewise.

    Raises:
        CameraSetupError: a portrait is missing.
    """
    appearances = tuple(each.appearance(faces) for each in visitors)
    return write_scene(
        folder / "scene.toml", SceneScript(appearances, duration_seconds, light=light, shade=shade)
    )


def write_scene(path: Path, script: SceneScript) -> str:
    """Write a script into a file; the address of the camera that plays it."""
    path.write_text(scene_toml(script), encoding="utf-8")
    return f"simulated:{path}"


def scene_toml(script: SceneScript) -> str:
    """Write a script as the simulated camera reads it."""
    keys = ("duration_seconds", "seed", "light", "shade", "frame_number")
    lines = [f"{key} = {json.dumps(getattr(script, key))}" for key in keys]
    for appearance in script.appearances:
        lines.append("[[appearances]]")
        lines += [
            f"{key} = {json.dumps(_plain(getattr(appearance, key)))}"
            for key in appearance.__dataclass_fields__
        ]
    return "\n".join(lines) + "\n"


def _plain(value: object) -> object:
    return str(value.resolve()) if isinstance(value, Path) else value
