"""Faces found once more before they are embedded."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from doorbell.domain import Face, UInt8Array
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.models.store import face_path
from doorbell.pipeline.perception import Perception


def portrait(name: str, perception: Perception, models_directory: Path) -> tuple[UInt8Array, Face]:
    """A photograph whose face is 80 pixels wide, and the face."""
    photo = decode_photo(read_photo(face_path(name, models_directory)), name)
    scale = 80 / max(face.width_pixels for face in perception.detect_still(photo))
    small = np.asarray(cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    found = perception.detect_still(small.astype(np.uint8))
    return small.astype(np.uint8), max(found, key=lambda each: each.width_pixels)


def against_the_sky(photo: UInt8Array, face: Face, seed: int) -> UInt8Array:
    """The head dark before something white, and a part of that light over all."""
    light = (photo / 255) ** 2.2
    middle = (face.box_xyxy[:2] + face.box_xyxy[2:]) / 2
    head = np.zeros(photo.shape[:2], np.uint8)
    axes = (round(0.62 * face.width_pixels), round(0.85 * face.height_pixels))
    cv2.ellipse(head, tuple(round(float(v)) for v in middle), axes, 0, 0, 360, 255, -1)
    shown = (cv2.GaussianBlur(head, (0, 0), 3) / 255)[..., None]
    light = 0.15 * light * shown + 1.5 * (1 - shown) + 0.12
    noise = np.random.default_rng(seed).normal(0, 0.004, light.shape)
    return np.asarray(np.round(255 * np.clip(light + noise, 0, 1) ** (1 / 2.2)), np.uint8)


def mistaken(face: Face, seed: int) -> Face:
    """The same face as a first look may give it: the box a little off, the keypoints a lot."""
    chance = np.random.default_rng(seed)
    wide = face.width_pixels
    box = face.box_xyxy + np.tile(chance.normal(0, 0.06 * wide, 2), 2).astype(np.float32)
    points = face.keypoints_xy + chance.normal(0, 0.12 * wide, (6, 2)).astype(np.float32)
    return Face(box, points, face.score)


def off(face: Face, true: Face) -> float:
    """How far eyes, nose and mouth are from where they are, in distances between the eyes."""
    apart = float(np.linalg.norm(true.keypoints_xy[0] - true.keypoints_xy[1]))
    missed = np.linalg.norm(face.keypoints_xy[:4] - true.keypoints_xy[:4], axis=1)
    return float(missed.mean()) / apart


@pytest.mark.parametrize("name", ["obama", "biden", "macron", "ardern"])
def test_a_face_against_the_sky_is_cut_out_where_a_second_look_finds_it(
    name: str, perception: Perception, models_directory: Path
) -> None:
    photo, true = portrait(name, perception, models_directory)
    for seed in range(3):
        veiled, first = against_the_sky(photo, true, seed), mistaken(true, seed)
        crop = perception.portray(veiled, first)
        assert off(first, true) > 0.2
        assert off(crop.face, true) < 0.12
        assert crop.face.score == first.score


@pytest.mark.parametrize("pixels", [21, 80])
@pytest.mark.parametrize("name", ["obama", "macron"])
def test_a_face_of_a_stream_is_cut_out_where_a_second_look_finds_it(
    name: str, pixels: int, perception: Perception, models_directory: Path
) -> None:
    photo, true = portrait(name, perception, models_directory)
    scale = pixels / true.width_pixels
    size = round(photo.shape[1] * scale), round(photo.shape[0] * scale)
    small = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)
    here = Face(true.box_xyxy * scale, true.keypoints_xy * scale, true.score)
    for seed in range(3):
        first = mistaken(here, seed)
        crop = perception.portray(small, first)
        assert off(first, here) > 0.2
        assert off(crop.face, here) < 0.12
        assert (crop.face.box_xyxy == first.box_xyxy).all()
        assert perception.crop_face(small, first).face is first


def test_where_no_face_is_found_again_the_first_look_counts(
    perception: Perception, models_directory: Path
) -> None:
    photo, true = portrait("obama", perception, models_directory)
    fog = np.random.default_rng(1).integers(170, 180, photo.shape).astype(np.uint8)
    assert perception.portray(fog, true).face is true
    assert perception.portray(np.zeros_like(photo), true).face is true
    beside = Face(true.box_xyxy - true.width_pixels * 1.2, true.keypoints_xy, true.score)
    assert perception.portray(against_the_sky(photo, true, 1), beside).face is beside
