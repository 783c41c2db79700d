from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from doorbell.camera import open_camera
from doorbell.camera.simulated.background import draw_porch
from doorbell.camera.simulated.camera import SceneRenderer, SimulatedCamera
from doorbell.camera.simulated.cutout import MAX_ENLARGEMENT, cut_out
from doorbell.camera.simulated.frame_number import draw_frame_number, read_frame_number
from doorbell.camera.simulated.script import (
    KNOWN_PORTRAIT,
    STRANGER_PORTRAIT,
    Appearance,
    SceneScript,
    demo_script,
    load_script,
)
from doorbell.config import CameraSection
from doorbell.domain import Frame, UInt8Array
from doorbell.errors import CameraError, EndOfStreamError

MAGENTA = (214, 60, 190)  # nothing on the porch has the colour of this visitor's face
FACE = (110.0, 90.0, 190.0, 200.0)


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person without features before a blue curtain."""
    rng = np.random.default_rng(7)
    picture = np.full((420, 300, 3), (40, 60, 150), np.float64)
    cv2.ellipse(picture, (150, 400), (130, 170), 0, 0, 360, (190, 60, 50), -1)
    cv2.rectangle(picture, (125, 190), (175, 250), MAGENTA, -1)
    cv2.ellipse(picture, (150, 140), (48, 72), 0, 0, 360, MAGENTA, -1)
    picture += rng.normal(0, 4, picture.shape)
    path = tmp_path_factory.mktemp("faces") / "visitor.png"
    cv2.imwrite(str(path), np.clip(picture, 0, 255).astype(np.uint8)[..., ::-1])
    return path


def appearance(portrait: Path, *, enters_seconds: float = 0.2, door_x: float = 0.5) -> Appearance:
    return Appearance(
        portrait,
        FACE,
        enters_seconds=enters_seconds,
        approach_seconds=0.6,
        stays_seconds=0.6,
        leave_seconds=0.4,
        door_x=door_x,
        closest_face=0.25,
    )


def section(*, realtime: bool = False, loop: bool = False) -> CameraSection:
    return CameraSection(width=640, height=360, realtime=realtime, loop=loop)


def frames_of(script: SceneScript, count: int, *, loop: bool = False) -> list[Frame]:
    camera = SimulatedCamera(section(loop=loop), script)
    return [camera.read() for _ in range(count)]


def skin(pixels: UInt8Array) -> UInt8Array:
    """Where the picture has the colour of the visitor's face."""
    distance = np.abs(pixels.astype(int) - MAGENTA).max(axis=2)
    return np.asarray(distance < 45, np.uint8)


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(portrait: Path) -> None:
    script = SceneScript((appearance(portrait),), duration_seconds=2.0, seed=5)
    first, second = frames_of(script, 20), frames_of(script, 20)
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
    other_seed = SceneScript((appearance(portrait),), duration_seconds=2.0, seed=6)
    assert not np.array_equal(frames_of(other_seed, 1)[0].pixels, first[0].pixels)


def test_a_frame_depends_on_its_index_only_not_on_those_before(portrait: Path) -> None:
    script = SceneScript((appearance(portrait),), duration_seconds=2.0)
    tenth = frames_of(script, 11)[10]
    renderer = SceneRenderer(script, 640, 360, 30.0)
    assert np.array_equal(renderer.render(10 / 30, 10), tenth.pixels)


def test_who_comes_again_is_cut_out_once(portrait: Path) -> None:
    def seconds_to_open(visits: int) -> float:
        coming = (replace(appearance(portrait), enters_seconds=10.0 * n) for n in range(visits))
        began = time.perf_counter()
        SceneRenderer(SceneScript(tuple(coming), duration_seconds=5000.0), 640, 360, 30.0)
        return time.perf_counter() - began

    assert seconds_to_open(200) < 20 * seconds_to_open(1)


def test_the_visitor_is_where_the_script_says(portrait: Path) -> None:
    visitor = appearance(portrait)
    script = SceneScript((visitor,), duration_seconds=2.0)
    renderer = SceneRenderer(script, 640, 360, 30.0)
    for time_seconds in (0.6, 0.8, 1.2):
        pose = visitor.pose_at(time_seconds, 640, 360)
        assert pose is not None
        left, top, right, bottom = (round(edge) for edge in pose.face_xyxy)
        face = skin(renderer.render(time_seconds, 0)[top:bottom, left:right])
        assert face.mean() > 0.75
        # Beside the head the curtain is gone and the porch is seen.
        width = right - left
        beside = renderer.render(time_seconds, 0)[top:bottom, right + width // 3 : right + width]
        assert skin(beside).mean() < 0.1
        curtain = np.abs(beside.astype(int) - (40, 60, 150)).max(axis=2) < 40
        assert curtain.mean() < 0.02


def test_the_visitor_grows_while_approaching_and_shrinks_while_leaving(portrait: Path) -> None:
    visitor = appearance(portrait)
    heights = [
        pose.face_pixels
        for time_seconds in np.arange(0.2, 1.8, 0.1)
        if (pose := visitor.pose_at(float(time_seconds), 640, 360)) is not None
    ]
    assert heights[0] == pytest.approx(36, abs=1)
    assert max(heights) == pytest.approx(90, abs=1)
    assert heights[:7] == sorted(heights[:7])
    assert heights[-3:] == sorted(heights[-3:], reverse=True)


def test_who_is_visible_when(portrait: Path) -> None:
    first = appearance(portrait)
    second = appearance(portrait, enters_seconds=1.0, door_x=0.8)
    script = SceneScript((first, second), duration_seconds=3.0)
    assert script.visible_at(0.1) == ()
    assert script.visible_at(0.5) == (first,)
    assert script.visible_at(1.5) == (first, second)
    assert script.visible_at(2.0) == (second,)
    assert script.visible_at(2.7) == ()
    assert first.pose_at(0.1, 640, 360) is None


def test_light_changes_and_noise_is_on_every_frame() -> None:
    renderer = SceneRenderer(SceneScript((), duration_seconds=30.0), 320, 180, 30.0)
    brightness = [renderer.render(second, 0).mean() for second in range(0, 30, 2)]
    assert np.ptp(brightness) > 8
    difference = renderer.render(1.0, 0).astype(int) - renderer.render(1.0, 1)
    assert 3 < difference.std() < 7


def test_movement_is_blurred(portrait: Path) -> None:
    visitor = appearance(portrait)

    def sharpness(frames_per_second: float) -> float:
        renderer = SceneRenderer(SceneScript((visitor,), 2.0), 640, 360, frames_per_second)
        pose = visitor.pose_at(0.5, 640, 360)
        assert pose is not None
        x, y = (round(part) for part in pose.centre_xy)
        # Around the head only: the door frame and the wall do not move.
        line = renderer.render(0.5, 0)[y - 8 : y + 8, x - 50 : x + 50].mean(axis=0)  # (100, 3)
        return float(np.abs(np.diff(line[:, 0] - line[:, 1])).max())

    assert sharpness(10.0) < 0.4 * sharpness(240.0)


def test_a_scene_ends_or_repeats_with_time_going_on(portrait: Path) -> None:
    script = SceneScript((appearance(portrait),), duration_seconds=0.5)
    camera = SimulatedCamera(section(), script)
    assert [round(camera.read().time_seconds * 30) for _ in range(15)] == list(range(15))
    with pytest.raises(EndOfStreamError, match=r"camera\.loop"):
        camera.read()
    looped = frames_of(script, 40, loop=True)
    assert looped[-1].time_seconds == pytest.approx(39 / 30)
    assert np.abs(looped[24].pixels.astype(int) - looped[9].pixels).mean() < 8


def test_at_its_own_speed_late_frames_are_left_out() -> None:
    camera = SimulatedCamera(section(realtime=True), SceneScript((), duration_seconds=5.0))
    start = time.monotonic()
    first = camera.read()
    time.sleep(0.4)
    second = camera.read()
    assert first.index == 0
    elapsed = time.monotonic() - start
    assert second.index >= 10
    assert elapsed - 0.5 < second.time_seconds <= elapsed


def test_a_portrait_is_never_enlarged_until_it_is_soft(portrait: Path) -> None:
    visitor = appearance(portrait)
    assert cut_out(portrait, FACE, 500.0).face_pixels == pytest.approx(110 * MAX_ENLARGEMENT, abs=1)
    pose = visitor.pose_at(1.0, 3840, 2160)
    assert pose is not None
    assert pose.face_pixels == pytest.approx(110 * MAX_ENLARGEMENT, abs=1)


def test_the_cut_out_keeps_the_person_and_leaves_the_curtain(portrait: Path) -> None:
    visitor = cut_out(portrait, FACE, 110.0)
    coverage = visitor.premultiplied[..., 3]
    x, y = (round(part) for part in visitor.face_centre_xy)
    assert coverage[y - 40 : y + 40, x - 30 : x + 30].min() > 250
    assert coverage[y + 160, x - 60 : x + 60].min() > 250
    assert coverage[: y + 30, : x - 80].max() == 0
    assert coverage[:10].max() == 0
    brightest = visitor.premultiplied[..., :3].max(axis=2)
    assert (brightest.astype(int) <= coverage.astype(int) + 3).all()


@pytest.mark.parametrize("size", [(320, 180), (1280, 720), (1920, 1080), (480, 640)])
def test_the_porch_fits_any_size(size: tuple[int, int]) -> None:
    porch = draw_porch(*size, seed=2)
    assert porch.shape == (size[1], size[0], 3)
    assert porch.std() > 30


def test_the_built_in_scene_gives_each_visit_time_to_end(tmp_path: Path) -> None:
    for name in (KNOWN_PORTRAIT, STRANGER_PORTRAIT):
        (tmp_path / name).touch()
    script = demo_script(tmp_path)
    names = [
        tuple(sorted(visitor.portrait.name for visitor in script.visible_at(tenth / 10)))
        for tenth in range(round(script.duration_seconds * 10))
    ]
    rounds = [name for index, name in enumerate(names) if index == 0 or name != names[index - 1]]
    both = (STRANGER_PORTRAIT, KNOWN_PORTRAIT)
    known, stranger = (KNOWN_PORTRAIT,), (STRANGER_PORTRAIT,)
    assert [name for name in rounds if name] == [known, stranger, known, both]
    assert rounds.count(()) == 4
    empty = "".join("-" if name else " " for name in names)
    assert [len(pause) for pause in empty.strip().split("-") if pause] == [72, 72]
    assert len(empty) - len(empty.rstrip()) + len(empty) - len(empty.lstrip()) >= 70
    at_once = [visitor.pose_at(29.0, 1280, 720) for visitor in script.visible_at(29.0)]
    boxes = sorted(pose.face_xyxy for pose in at_once if pose is not None)
    assert boxes[1][0] - boxes[0][2] > 200
    assert all(150 <= pose.face_pixels <= 220 for pose in at_once if pose is not None)


def test_the_built_in_scene_without_portraits_says_what_to_do(tmp_path: Path) -> None:
    for uri in ("simulated:", f"simulated:?faces={tmp_path}"):
        with pytest.raises(CameraError, match="doorbell models build"):
            open_camera(CameraSection(uri=uri), tmp_path)


def test_a_script_is_read_from_a_file_with_portraits_beside_it(portrait: Path) -> None:
    path = portrait.with_name("scene.toml")
    path.write_text(
        """
        seed = 9
        duration_seconds = 4
        [[appearances]]
        portrait = "visitor.png"
        face_xyxy = [110, 90, 190, 200]
        enters_seconds = 1
        """,
        encoding="utf-8",
    )
    script = load_script(path)
    assert script == SceneScript((Appearance(portrait, FACE, 1.0),), 4.0, seed=9)
    camera = open_camera(CameraSection(uri=f"simulated:{path}?seed=9", width=320, height=180))
    again = open_camera(CameraSection(uri=f"simulated:{path}", width=320, height=180))
    assert np.array_equal(camera.read().pixels, again.read().pixels)
    camera.close()
    again.close()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("duration_seconds = ", "not valid TOML"),
        ("duration_seconds = -1\nappearances = []", "duration_seconds"),
        ("duration_seconds = 1\nappearances = []\nsped = 2", "sped"),
        ("duration_seconds = 1\n[[appearances]]\nportrait = 'a.png'", "face_xyxy"),
        (
            "duration_seconds = 1\n[[appearances]]\nportrait = 'none.png'\n"
            "face_xyxy = [1, 1, 5, 5]\nenters_seconds = 0",
            "none.png is not a picture",
        ),
        (
            "duration_seconds = 1\n[[appearances]]\nportrait = 'visitor.png'\n"
            "face_xyxy = [1, 1, 500, 500]\nenters_seconds = 0",
            "300x420",
        ),
    ],
)
def test_a_wrong_script_is_refused_by_name(portrait: Path, text: str, problem: str) -> None:
    path = portrait.with_name("wrong.toml")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CameraError, match=problem):
        open_camera(CameraSection(uri=f"simulated:{path}"))


@pytest.mark.parametrize(
    "uri", ["simulated:?sed=3", "simulated:?seed=x", "simulated:a.toml?faces=b"]
)
def test_an_option_that_is_not_understood_is_refused(uri: str) -> None:
    with pytest.raises(CameraError, match="is not understood"):
        open_camera(CameraSection(uri=uri))


def test_the_number_of_a_frame_can_be_read_from_its_jpeg_of_half_the_size() -> None:
    script = SceneScript((), duration_seconds=2.0, frame_number=True)
    renderer = SceneRenderer(script, 1280, 720, 30.0)
    for number in (0, 1, 30, 2**24 - 1):
        pixels = renderer.render(1.0, number)
        assert read_frame_number(pixels) == number
        small = cv2.resize(pixels, (640, 360), interpolation=cv2.INTER_AREA)
        jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
        shown = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
        assert shown is not None
        assert read_frame_number(np.asarray(shown, np.uint8)) == number


def test_a_number_is_drawn_only_where_the_script_says_so_and_covers_one_corner() -> None:
    plain = SceneRenderer(SceneScript((), 2.0), 640, 360, 30.0).render(1.0, 5)
    numbered = SceneRenderer(SceneScript((), 2.0, frame_number=True), 640, 360, 30.0).render(1.0, 5)
    assert read_frame_number(plain) is None
    rows, columns = np.nonzero((plain != numbered).any(axis=2))
    assert rows.min() >= 352
    assert columns.max() < 208
    draw_frame_number(plain, 5)
    assert np.array_equal(plain, numbered)
