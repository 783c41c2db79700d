"""What the check finds out about the camera and the faces before it."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from doorbell.camera.rotated import rotate
from doorbell.camera.simulated.background import draw_porch
from doorbell.config import CameraSection, RecognitionSection, load_config
from doorbell.diagnostics import Finding, check_all
from doorbell.diagnostics.camera import STAND_THERE, advise_on_exposure, advise_on_far_faces
from doorbell.domain import UInt8Array
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.models.store import face_path
from doorbell.testbed.scenes import Visitor, simulated


@pytest.fixture
def portrait(models_directory: Path) -> UInt8Array:
    pixels = decode_photo(read_photo(face_path("obama", models_directory)), "obama")
    small = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def check_camera(*settings: str) -> Finding:
    """The camera is the second that is checked; nothing after it is."""
    findings = [*islice(check_all(load_config(None, settings), field_of_view_degrees=110.0), 2)]
    assert [each.part for each in findings] == ["models", "camera"]
    return findings[1]


def check_picture(folder: Path, pixels: UInt8Array, *settings: str) -> Finding:
    cv2.imwrite(str(folder / "seen.png"), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    return check_camera(f"camera.uri={folder}", *settings)


def test_a_good_face_is_measured_and_needs_nothing(tmp_path: Path, portrait: UInt8Array) -> None:
    found = check_picture(tmp_path, portrait)

    assert found.ok
    assert re.search(r"; a face 1\d\d pixels wide, brightness 1\d\d of 255$", found.message)
    assert found.advice == ()


def says_how_to_turn(found: Finding, degrees: int) -> bool:
    told = (
        f"a face is upright when the picture is turned by {degrees} degrees: set camera.rotate = "
        f"{degrees} and check again"
    )
    return found.ok and found.advice == (told,)


def test_a_camera_that_hangs_upside_down_is_found_out(tmp_path: Path, portrait: UInt8Array) -> None:
    assert says_how_to_turn(check_picture(tmp_path, rotate(portrait, 180)), 180)


@pytest.mark.long
def test_a_camera_that_hangs_sideways_is_found_out_and_righted_by_what_is_advised(
    tmp_path: Path, portrait: UInt8Array
) -> None:
    assert says_how_to_turn(check_picture(tmp_path, rotate(portrait, 90)), 270)
    righted = check_camera(f"camera.uri={tmp_path}", "camera.rotate=270")
    assert righted.advice == ()


def test_a_dark_face_is_told_what_helps(tmp_path: Path, portrait: UInt8Array) -> None:
    dark = np.rint(255 * ((portrait / 255.0) ** 2.2 * 0.02) ** (1 / 2.2)).astype(np.uint8)

    found = check_picture(tmp_path, dark)

    assert found.ok, "advice changes no exit code"
    assert [each.split(" (")[0][:40] for each in found.advice] == [
        "the face is too dark",
        "this camera's exposure cannot be set fro",
    ]


def test_a_blurred_face_in_good_light_is_not_to_be_exposed(
    tmp_path: Path, portrait: UInt8Array
) -> None:
    found = check_picture(tmp_path, np.asarray(cv2.blur(portrait, (25, 25)), np.uint8))

    assert [each.split(":")[0] for each in found.advice] == ["the face is blurred"]


def far_faces(pixels: int) -> str:
    """What is said of that width, where it leaves faces unnamed."""
    return (
        f"recognition.min_face_pixels = {pixels} leaves faces unnamed that are narrower: 18 pixels "
        "are enough, take it out of the configuration"
    )


@pytest.mark.parametrize(("pixels", "said"), [(17, False), (18, False), (19, True), (40, True)])
def test_a_width_that_leaves_far_faces_unnamed_is_said(*, pixels: int, said: bool) -> None:
    told = advise_on_far_faces(RecognitionSection(min_face_pixels=pixels))
    assert told == ([far_faces(pixels)] if said else [])


@pytest.mark.long
def test_such_a_width_is_said_where_somebody_stands_there(
    tmp_path: Path, portrait: UInt8Array
) -> None:
    found = check_picture(tmp_path, portrait, "recognition.min_face_pixels=19")
    assert found.ok
    assert found.advice == (far_faces(19),)


def test_without_a_face_sizes_are_those_of_the_lens_and_such_a_width_is_said(
    tmp_path: Path,
) -> None:
    found = check_picture(tmp_path, draw_porch(1280, 720, 1), "recognition.min_face_pixels=19")

    assert found.ok
    assert found.message.endswith(
        "; no face in sight: a face would be 69 pixels wide at 1 m, 34 at 2 m, 23 at 3 m "
        "(with 110 degrees of view)"
    )
    assert found.advice[-2:] == (far_faces(19), STAND_THERE)


def test_a_camera_that_can_be_exposed_is_said_to(tmp_path: Path, faces: Path) -> None:
    visitor = Visitor(enters=0.0, approach=0.1)
    uri = simulated(tmp_path, faces, visitor, shade=0.02)

    found = check_camera(
        f"camera.uri={uri}",
        *("camera.width=640", "camera.height=360"),
        *("camera.realtime=false", "camera.frames_per_second=10"),
    )

    assert "the face is too dark" in found.advice[0]
    assert "set camera.expose_faces = true" in found.advice[-1]


def test_a_camera_that_is_exposed_already_is_not_to_be_set(tmp_path: Path, faces: Path) -> None:
    uri = simulated(tmp_path, faces, Visitor(enters=0.0, approach=0.1))
    advice = advise_on_exposure(CameraSection(uri=uri, expose_faces=True))
    assert "camera.expose_faces is on" in advice
