"""Pictures as a door camera would take them: light, lens, sensor, and things worn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from doorbell.domain import Face, Float32Array, Frame, UInt8Array
from doorbell.errors import UsageError
from doorbell.measure.accuracy import porch, worn
from doorbell.measure.accuracy.door_conditions import (
    CONDITIONS,
    FRAMES,
    Arrange,
    Condition,
    compressed,
    film,
    named_conditions,
)
from doorbell.measure.accuracy.image_formation import (
    Camera,
    luminance,
    scattered,
    smeared,
    to_light,
    to_pixels,
)
from doorbell.measure.accuracy.porch import Scene

# A face from the front, 100 pixels wide, in a photograph of 300: eyes, nose, mouth, ears.
EYES = 44.0
FACE = Face(
    np.array([100, 90, 200, 190], np.float32),
    np.array([[128, 120], [172, 120], [150, 146], [150, 168], [100, 126], [200, 126]], np.float32),
    0.9,
)
Places = list[tuple[float, float]]
PLAIN = Camera(blur_pixels=0, denoising_pixels=0)


def photograph() -> UInt8Array:
    """A skin-coloured square on a textured wall."""
    chance = np.random.default_rng(5)
    pixels = chance.integers(90, 140, (300, 300, 3)).astype(np.uint8)
    pixels[90:190, 100:200] = (190, 140, 115)
    pixels[118:123, 122:134] = pixels[118:123, 166:178] = (40, 30, 30)
    return pixels


def scene(level: float = 0.3) -> Scene:
    light = np.full((200, 200, 3), level, np.float32)
    keypoints = FACE.keypoints_xy - np.array([50, 50], np.float32)
    return Scene(light, keypoints, 100.0)


def chance() -> np.random.Generator:
    return np.random.default_rng(3)


def at(picture: NDArray[np.generic], x: float, y: float) -> float:
    """Of a picture of ``scene``, the mean value at a place in the face's own frame."""
    column, row = round(100 + x * EYES), round(70 + y * EYES)
    return float(np.mean(picture[row - 2 : row + 3, column - 2 : column + 3].astype(float)))


def by_key(key: str) -> Condition:
    [condition] = named_conditions([key])
    return condition


def shots(key: str, seed: int = 0) -> list[UInt8Array]:
    return [frame.pixels for frame in film(photograph(), FACE, by_key(key), [seed, "somebody"])]


def test_every_value_of_a_picture_comes_back_from_light() -> None:
    values = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    assert np.array_equal(to_pixels(to_light(values)), values)


@pytest.mark.parametrize("read_noise", [0.0, 20.0])
@pytest.mark.parametrize("electrons", [500.0, 2000.0])
def test_noise_is_that_of_so_many_electrons(electrons: float, read_noise: float) -> None:
    level = 0.2
    camera = replace(PLAIN, coloured=False, electrons=electrons, read_noise=read_noise)
    taken = to_light(camera.take(np.full((200, 200, 3), level, np.float32), 70, chance()))[..., 0]
    expected = np.sqrt(level / electrons + (read_noise / electrons) ** 2)
    assert float(taken.mean()) == pytest.approx(level, rel=0.02)
    assert float(taken.std()) == pytest.approx(expected, rel=0.05)


def test_the_mosaic_keeps_colours_and_costs_detail_of_colour() -> None:
    light = np.full((40, 40, 3), (0.6, 0.2, 0.1), np.float32)
    light[:, 20:] = (0.1, 0.2, 0.6)
    taken = to_light(replace(PLAIN, electrons=1e8, read_noise=0).take(light, 70, chance()))
    assert taken[10, 8] == pytest.approx(light[10, 8], abs=0.01)
    assert taken[10, 32] == pytest.approx(light[10, 32], abs=0.01)
    assert np.abs(taken[10, 19:21] - light[10, 19:21]).max() > 0.05


def test_amplified_light_is_brighter_and_as_noisy_as_its_electrons() -> None:
    light = np.full((100, 100, 3), 0.1, np.float32)
    once = replace(PLAIN, electrons=300, coloured=False)
    twice = replace(once, gain=2.0)
    dim, bright = (to_light(c.take(light, 70, chance()))[..., 0] for c in (once, twice))
    assert float(bright.mean()) == pytest.approx(2 * float(dim.mean()), rel=0.02)
    assert float(bright.std()) == pytest.approx(2 * float(dim.std()), rel=0.05)


def test_a_lens_spreads_light_and_loses_none() -> None:
    light = np.zeros((80, 80, 3), np.float32)
    light[40:, :] = 1.0
    seen = scattered(light, 0.2)
    assert float(seen.mean()) == pytest.approx(float(light.mean()), rel=0.02)
    assert 0.02 < float(seen[30, 40, 0]) < 0.12


def test_what_moves_is_smeared_along_its_way() -> None:
    light = np.zeros((41, 41, 3), np.float32)
    light[20, 20] = 1.0
    seen = smeared(light, (8.0, 0.0))[..., 0]
    assert float(seen.sum()) == pytest.approx(1.0, abs=1e-5)
    assert np.flatnonzero(seen.sum(axis=0) > 0.02).size in (9, 10)
    assert float(seen[19:22].sum()) == pytest.approx(1.0, abs=1e-5)
    assert smeared(light, (0.0, 0.0)) is light


@pytest.mark.parametrize("key", [condition.key for condition in CONDITIONS])
def test_the_same_seed_gives_the_same_frames_each_with_noise_of_its_own(key: str) -> None:
    first, again, other = shots(key), shots(key), shots(key, seed=1)
    assert len(first) == FRAMES
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert first[0].shape == first[-1].shape
    assert first[0].dtype == np.uint8
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[0], first[1])


def test_a_stream_is_timed_as_a_camera_times_it() -> None:
    frames: list[Frame] = film(photograph(), FACE, by_key("daylight"), [0])
    assert [frame.index for frame in frames] == [*range(FRAMES)]
    assert frames[-1].time_seconds == pytest.approx(7 / 15)


def test_darker_is_darker_and_noisier() -> None:
    day, low, dark = (np.stack(shots(key))[:, 60:110, 60:120] for key in DARKNESS)
    assert float(day.mean()) > 1.2 * float(low.mean()) > 2 * float(dark.mean())
    assert 20 < float(dark.mean()) < 40
    relative = [float(s.std(axis=0).mean() / s.mean()) for s in (day, low, dark)]
    assert relative[0] < relative[1] < relative[2]


DARKNESS = ("daylight", "low_light", "dark")


def test_who_is_farther_away_is_smaller() -> None:
    widths = [shots(key)[0].shape[1] for key in ("daylight", "2m", "3m", "4m")]
    assert widths == [pytest.approx(2.6 * face, abs=2) for face in (70, 40, 28, 21)]


def test_infrared_has_no_colour_and_hides_what_is_behind() -> None:
    seen = porch.by_infrared(scene(), 0.3).light
    assert np.array_equal(seen[..., 0], seen[..., 2])
    assert at(seen, 0, 0.7) == pytest.approx(0.3, rel=0.1)
    assert at(seen, -1.9, -1.4) < 0.1
    assert at(seen, 0.5, 0) > at(seen, 0.2, 0.2)  # the pupil shines


def test_against_the_light_a_veil_lies_over_a_dark_face() -> None:
    drawn = scene()
    drawn.light[60:64, 75:81] = 0.0  # an eye
    seen = porch.against_the_light(drawn, 0.05, 0.15).light
    face = luminance(seen)[50:110, 60:140]
    assert float(face.max()) < 0.5 < at(seen, -1.9, -1.4)
    assert float(face.min()) > 0.03  # not even an eye is black


def test_one_side_of_the_face_is_lit() -> None:
    seen = porch.lit_from_a_side(scene(), chance()).light
    bright, dim = sorted((at(seen, -0.7, 0.5), at(seen, 0.7, 0.5)), reverse=True)
    assert bright > 5 * dim


def test_drops_cover_parts_of_the_picture_only() -> None:
    drawn = scene()
    drawn.light[:] = np.linspace(0, 1, 200, dtype=np.float32)[:, None, None]
    changed = np.abs(porch.through_rain(drawn, chance()).light - drawn.light).max(axis=2)
    assert 0.05 < float((changed > 0.1).mean()) < 0.6


def test_at_a_wide_lens_edge_faces_are_stretched_and_keypoints_follow() -> None:
    drawn = scene()
    nose = drawn.keypoints_xy[2].round().astype(int)
    drawn.light[nose[1] - 2 : nose[1] + 3, nose[0] - 2 : nose[0] + 3] = 3.0
    seen = porch.at_the_edge(drawn, chance())
    across = np.linalg.norm(np.diff(seen.keypoints_xy[:2], axis=0))
    assert float(across) > 1.15 * EYES
    row, column = np.unravel_index(int(seen.light[..., 1].argmax()), seen.light.shape[:2])
    assert (column, row) == pytest.approx(seen.keypoints_xy[2], abs=4)


@pytest.mark.parametrize(("degrees", "direction"), [(25, 1), (-25, -1), (0, 0)])
def test_from_above_the_nose_is_nearer_to_the_mouth(degrees: float, direction: int) -> None:
    drawn = scene()
    nose = drawn.keypoints_xy[2].round().astype(int)
    drawn.light[nose[1] - 1 : nose[1] + 2, nose[0] - 1 : nose[0] + 2] = 3.0
    seen = porch.pitched(drawn, degrees).light
    rows, _ = np.nonzero(seen[..., 0] > 1.0)
    moved = float(rows.mean()) - float(nose[1])
    assert np.sign(round(moved)) == direction
    assert abs(moved) < 0.6 * EYES


def test_the_border_cuts_an_eye_off_and_leaves_the_nose() -> None:
    seen = porch.cut_off(scene(), chance())
    inside = (seen.keypoints_xy[:, 0] >= 0) & (seen.keypoints_xy[:, 0] < seen.light.shape[1])
    assert inside[2]
    assert sorted(inside[:2]) == [False, True]


COVERED: dict[Arrange, tuple[Places, Places]] = {
    worn.masked: ([(0, 1.1), (0, 1.6), (0.5, 0.8)], [(-0.5, 0), (0.5, 0), (0, -0.5)]),
    worn.scarfed: ([(0, 1.1), (0, 1.9), (0.9, 1.5)], [(-0.5, 0), (0.5, 0), (0, 0.4)]),
    worn.in_sunglasses: ([(-0.5, 0.1), (0.5, 0.1)], [(0, 0.6), (0, 1.1), (0, -0.5)]),
    worn.in_a_hat: ([(0, -0.8), (0.5, -0.9)], [(0.5, 0), (0, 0.6), (0, 1.1)]),
    worn.hooded: ([(-1.3, 0.3), (1.3, 0.3), (0, -1.2)], [(0, 1.0), (0.4, 0.9)]),
}


@pytest.mark.parametrize("put_on", [*COVERED])
def test_what_is_worn_covers_its_part_of_the_face(put_on: Arrange) -> None:
    covered, bare = COVERED[put_on]
    before = scene(0.35).light
    seen = put_on(scene(0.35), np.random.default_rng(8)).light
    changed = np.abs(seen - before).max(axis=2)
    assert min(at(changed, *place) for place in covered) > 0.02
    assert max(at(changed, *place) for place in bare) < 0.02


def test_what_is_worn_stays_the_same_in_every_frame() -> None:
    frames = np.stack(shots("scarf")).astype(float)
    others = np.stack(shots("scarf", seed=4)).astype(float)
    between_frames = np.abs(frames[0] - frames[-1])[120:150, 70:110].mean()
    between_visits = np.abs(frames[0] - others[0])[120:150, 70:110].mean()
    assert between_frames < 5 < between_visits


def test_h264_leaves_as_many_frames_that_are_alike() -> None:
    noise = [
        np.random.default_rng(i).integers(0, 256, (96, 96, 3)).astype(np.uint8) for i in range(8)
    ]
    flat = [np.full((96, 96, 3), 60 + 10 * i, np.uint8) for i in range(8)]
    for sent, most in ((noise, 100.0), (flat, 4.0)):
        received = compressed(sent, 150_000)
        assert [frame.shape for frame in received] == [(96, 96, 3)] * 8
        differences = [
            float(np.abs(a.astype(float) - b).mean()) for a, b in zip(sent, received, strict=True)
        ]
        assert 0 < max(differences) < most


def test_an_unknown_condition_is_refused_and_the_known_are_told() -> None:
    with pytest.raises(UsageError, match="'fog'; there are daylight, 2m"):
        named_conditions(["dark", "fog"])
    assert named_conditions([]) == CONDITIONS
    assert [each.key for each in named_conditions(["mask", "dark", "mask"])] == ["mask", "dark"]


def test_a_photograph_is_cut_around_the_face_and_keypoints_follow() -> None:
    pixels: UInt8Array = np.zeros((300, 300, 3), np.uint8)
    x, y = FACE.keypoints_xy[2].astype(int)
    pixels[y - 4 : y + 5, x - 4 : x + 5] = 255
    drawn = porch.before_the_door(pixels, FACE, 50.0)
    weights: Float32Array = drawn.light[..., 0]
    rows, columns = np.mgrid[: weights.shape[0], : weights.shape[1]]
    centre = [float((axis * weights).sum() / weights.sum()) for axis in (columns, rows)]
    assert weights.shape == (130, 130)
    assert centre == pytest.approx(drawn.keypoints_xy[2], abs=0.6)
    assert drawn.eyes_pixels == pytest.approx(EYES / 2, rel=0.03)
