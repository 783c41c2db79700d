"""How fast the camera is, and what it makes of faces."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing

from doorbell.camera.exposed import can_be_exposed
from doorbell.camera.latest import LatestFrame
from doorbell.camera.opening import open_latest
from doorbell.camera.rotated import rotate
from doorbell.camera.uri import Kind, source_of
from doorbell.config import CameraSection, Config, RecognitionSection, control_socket
from doorbell.control.camera import DaemonCamera, open_daemon_camera
from doorbell.domain import Face, Frame, UInt8Array
from doorbell.errors import CameraError, InferenceError, ModelError
from doorbell.imaging.view import (
    FaceView,
    advise_on_face,
    advise_on_noise,
    advise_on_picture,
    describe_face,
    describe_sizes,
    view_face,
    view_picture,
)
from doorbell.models.store import models_directory
from doorbell.pipeline.latency import Latency, Stage, describe
from doorbell.pipeline.perception import Perception

CAMERA_FRAMES = 6  # as many as tell whether it is slow
# How a camera may hang, in degrees.
TURNS = (0, 90, 180, 270)
STAND_THERE = "stand at the door and check again: then your face is measured"


def check_camera(
    config: Config,
    *,
    networks: Callable[[], Perception],
    door_id: str | None = None,
    field_of_view_degrees: float,
) -> tuple[str, Sequence[str]]:
    """Look through the camera: how fast it is, and what it makes of faces.

    Args:
        config: what is to be checked, of one door.
        networks: gives what finds faces, and remains its owner's; raises as ``open_perception``.
        door_id: as the running doorbell is asked for it; None for its first.
        field_of_view_degrees: of the camera's width, for how large faces will be.

    Returns:
        What was found, and what would make it better, in whole sentences.

    Raises:
        CameraError: it does not open, or gives no frame in time.
        ConfigError: it cannot be opened as configured.
        ControlError: the running doorbell refuses, or has no such door.
    """
    section = config.camera
    faces = models_directory(config.inference) / "faces"
    latency = Latency()
    frames = []
    # A running doorbell holds the camera, and shows what it sees.
    running = open_daemon_camera(control_socket(config), door_id)
    with closing(running or open_latest(section, faces)) as camera:
        for _ in range(CAMERA_FRAMES):
            frame = _next_frame(camera, section.timeout_seconds)
            latency.add(Stage.CAPTURE, time.time() - frame.captured_at)
            frames.append(frame.pixels)
        slow = [camera.slow_reason] if camera.slow_reason else []
    seen = f"{frame.width} x {frame.height} pixels from {_name_of(section)}"
    if running is not None:
        seen += ", by way of the running doorbell"
    seen += f"; {describe(latency.take())}"
    smallest = config.recognition.min_face_pixels
    picture, (face, turn) = view_picture(frames), _face_in_sight(networks, frames[-1])
    if turn:
        return f"{seen}; faces are turned", [_advise_on_rotation(section, turn)]
    if face is not None:
        advice = [*slow, *advise_on_face(face, smallest), *advise_on_noise(picture)]
        if face.is_ill_exposed:
            advice.append(advise_on_exposure(section))
        advice += advise_on_far_faces(config.recognition)
        return f"{seen}; {describe_face(face)}", advice
    advice = [*slow, *advise_on_picture(picture, smallest, field_of_view_degrees)]
    if picture.is_ill_exposed:
        advice.append(advise_on_exposure(section))
    advice += [*advise_on_far_faces(config.recognition), STAND_THERE]
    return f"{seen}; no face in sight: {describe_sizes(frame.width, field_of_view_degrees)}", advice


def _name_of(section: CameraSection) -> str:
    source = source_of(section)
    return "the simulated camera" if source.kind is Kind.SIMULATED else source.shown


def _next_frame(camera: LatestFrame | DaemonCamera, timeout_seconds: float) -> Frame:
    """Take a frame; one that a stream cannot be decoded before is given the time it takes."""
    while True:
        try:
            return camera.get(timeout_seconds + 1.0)
        except CameraError:  # noqa: PERF203 - seldom more than once
            if isinstance(camera, DaemonCamera) or not camera.waits_for_key_frame:
                raise


def _face_in_sight(
    networks: Callable[[], Perception], pixels: UInt8Array
) -> tuple[FaceView | None, int]:
    """Measure the nearest face of a picture, or tell how far it must be turned to show one.

    Returns:
        The face, None where there is none; degrees clockwise, 0 where it is upright.
    """
    try:
        perception = networks()
        seen = {turn: perception.detect_still(rotate(pixels, turn)) for turn in TURNS}
    except (ModelError, InferenceError):  # said by the other parts
        return None, 0
    # A face that is turned is found too, but less surely, and its eyes need not be above its mouth.
    scores = {turn: max(map(_upright_score, faces), default=0.0) for turn, faces in seen.items()}
    turn = max(TURNS, key=lambda turn: scores[turn])
    if turn and scores[turn]:
        return None, turn
    nearest = max(seen[0], key=lambda face: face.width_pixels, default=None)
    return (None if nearest is None else view_face(pixels, nearest)), 0


def _upright_score(face: Face) -> float:
    """How surely something is a face whose eyes are above its mouth, 0 to 1."""
    eyes, mouth = face.keypoints_xy[:2].mean(0), face.keypoints_xy[3]
    across, down = (float(part) for part in mouth - eyes)
    return face.score if down > abs(across) else 0.0


def _advise_on_rotation(section: CameraSection, turn: int) -> str:
    """Say which rotation makes faces upright."""
    return (
        f"a face is upright when the picture is turned by {turn} degrees: set camera.rotate = "
        f"{(section.rotate + turn) % 360} and check again"
    )


def advise_on_exposure(section: CameraSection) -> str:
    """Say whether this camera can be exposed by the face."""
    if not can_be_exposed(section):
        return (
            "this camera's exposure cannot be set from here: look for exposure compensation, "
            "backlight compensation or WDR in its own settings"
        )
    if section.expose_faces:
        return "camera.expose_faces is on, and comes to work when somebody stands there"
    return "this camera can be exposed by the face: set camera.expose_faces = true"


def advise_on_far_faces(section: RecognitionSection) -> list[str]:
    """Say whether the configuration keeps faces unnamed that could be."""
    enough = RecognitionSection().min_face_pixels
    if section.min_face_pixels <= enough:
        return []
    return [
        f"recognition.min_face_pixels = {section.min_face_pixels} leaves faces unnamed that are "
        f"narrower: {enough} pixels are enough, take it out of the configuration"
    ]
