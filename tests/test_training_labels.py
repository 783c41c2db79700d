"""What is learned of a folder: its parts, marks, agreement, and labels in samples."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from doorbell.config import InferenceSection
from doorbell.detection.blazeface import Candidates
from doorbell.domain import Face
from doorbell.errors import UsageError
from doorbell.training.anchors import TRAINABLE, Anchors
from doorbell.training.augmentation import augment, whole
from doorbell.training.labels import Labels, agreed, box_of_marks, join, labels_of
from doorbell.training.pictures import is_held_out, read_pictures

MARKS = np.array([[80, 90], [120, 90], [100, 110], [100, 130]], np.float32)
NOBODY = np.zeros((0, 4, 2), np.float32)


def candidates(*rows: tuple[float, float, float, float, float]) -> Candidates:
    """Faces as (left, top, right, bottom, score), their keypoints in the corner."""
    table = np.array(rows, np.float32).reshape(-1, 5)
    points = np.repeat(table[:, None, :2], 6, axis=1)
    return Candidates(table[:, :4], points, table[:, 4], np.zeros(len(table), np.int64))


def face(*box: float) -> Face:
    middle = (np.array(box[:2]) + np.array(box[2:])) / 2
    return Face(np.array(box, np.float32), np.tile(middle, (6, 1)).astype(np.float32), 0.9)


def labels(*boxes: tuple[float, float, float, float], ignored: tuple[float, ...] = ()) -> Labels:
    """Labels whose keypoints lie across the middle of each box, from left to right."""
    table = np.array(boxes, np.float32).reshape(-1, 4)
    along = np.linspace(0.25, 0.75, 6, dtype=np.float32)
    x = table[:, :1] + along * (table[:, 2:3] - table[:, :1])
    y = np.repeat((table[:, 1:2] + table[:, 3:]) / 2, 6, axis=1)
    return Labels(
        table,
        np.stack([x, y], axis=2),
        np.ones((len(table), 6), bool),
        np.array(ignored, np.float32).reshape(-1, 4),
    )


def folder_of(pictures: int, folder: Path, size: tuple[int, int] = (64, 48)) -> Path:
    folder.mkdir(exist_ok=True)
    for i in range(pictures):
        Image.new("RGB", size, (i % 256, 90, 120)).save(folder / f"{i}.png")
    return folder


def test_one_picture_in_ten_is_held_out_whatever_else_is_there(tmp_path: Path) -> None:
    first = read_pictures(folder_of(100, tmp_path))
    assert len(first.trained) + len(first.held_out) == 100
    assert {p.path for p in first.held_out} == {
        p for p in tmp_path.iterdir() if is_held_out(p.name)
    }
    more = read_pictures(folder_of(300, tmp_path))
    assert {p.path for p in first.held_out} <= {p.path for p in more.held_out}
    assert 20 <= len(more.held_out) <= 40


def test_too_few_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has 3 pictures, of which \d would be held out"):
        read_pictures(folder_of(3, tmp_path))


def test_marks_are_read_and_a_wrong_file_is_told(tmp_path: Path) -> None:
    header = "file," + ",".join(
        f"{point}_{axis}" for point in ("left_eye", "right_eye", "nose", "mouth") for axis in "xy"
    )
    marks = tmp_path / "faces.csv"
    folder_of(100, tmp_path / "pictures")
    marks.write_text(f"{header}\n7.png,1,2,3,4,5,6,7,8\n7.png,1,2,3,4,5,6,7,9\n")
    pictures = read_pictures(tmp_path)
    [marked] = [p for p in (*pictures.trained, *pictures.held_out) if len(p.marks_xy)]
    assert marked.path.name == "7.png"
    assert marked.marks_xy[0].tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert marked.marks_xy.shape == (2, 4, 2)
    for text, message in (
        ("file,left_eye_x\n", "has no column"),
        (f"{header}\n7.png,1,2,3,4,5,6,7,here\n", "line 2"),
        (f"{header}\nnobody.png,1,2,3,4,5,6,7,8\n", "names nobody.png"),
    ):
        marks.write_text(text)
        with pytest.raises(UsageError, match=message):
            read_pictures(tmp_path)


def test_a_face_is_what_two_networks_see() -> None:
    one = candidates((10, 10, 50, 50, 0.9), (100, 100, 140, 140, 0.95))
    other = candidates((12, 10, 52, 50, 0.6), (200, 200, 240, 240, 0.4))
    sure, doubtful = agreed([one, other, candidates()])
    [seen] = sure
    # Weighted by the squares of 0.9 and 0.6.
    assert seen.box_xyxy[0] == pytest.approx(10 + 2 * 0.36 / 1.17, abs=1e-4)
    assert sorted(float(each.box_xyxy[0]) for each in doubtful) == [100, 200]
    unsure, _ = agreed([candidates((10, 10, 50, 50, 0.45)), candidates((10, 10, 50, 50, 0.45))])
    assert unsure == []


def test_marks_settle_what_is_doubtful_and_add_what_nobody_saw() -> None:
    seen = face(*box_of_marks(MARKS))
    elsewhere = face(300, 300, 340, 340)
    joined = join([], [seen, elsewhere], MARKS[None])
    assert joined.boxes_xyxy.tolist() == [seen.box_xyxy.tolist()]
    assert joined.known.all()
    assert joined.ignored_xyxy.tolist() == [[300, 300, 340, 340]]

    alone = join([elsewhere], [], MARKS[None])
    assert alone.boxes_xyxy[1] == pytest.approx(box_of_marks(MARKS))
    assert alone.known.tolist() == [[True] * 6, [True] * 4 + [False] * 2]
    assert alone.keypoints_xy[1, :4].tolist() == MARKS.tolist()

    twice = join([seen], [], MARKS[None])
    assert len(twice.boxes_xyxy) == 1
    assert len(join([], [], NOBODY).boxes_xyxy) == 0


def test_portraits_are_labelled_once(models_directory: Path, faces: Path, tmp_path: Path) -> None:
    folder = folder_of(100, tmp_path / "pictures")
    for path in [path for path in folder.iterdir() if not is_held_out(path.name)][4:]:
        path.unlink()  # each would be looked at by three networks
    [*portraits] = sorted(faces.glob("*.jpg"))
    names = sorted(p.name for p in folder.iterdir() if is_held_out(p.name))
    with Image.open(portraits[0]) as portrait:
        portrait.convert("RGB").save(folder / names[0])
    pictures = read_pictures(folder)
    section = InferenceSection(models_directory=models_directory)
    told: list[tuple[str, int, int]] = []
    run = tmp_path / "run"
    _, held_out = labels_of(pictures, section, run, lambda *step: told.append(step))
    assert [len(each.boxes_xyxy) for each in held_out] == [1] + [0] * (len(names) - 1)
    assert told[-1] == ("label pictures", 4 + len(names), 4 + len(names))
    told.clear()
    _, again = labels_of(pictures, section, run, lambda *step: told.append(step))
    assert told == []
    assert again[0].keypoints_xy.tolist() == held_out[0].keypoints_xy.tolist()
    (folder / "more.png").write_bytes((folder / names[0]).read_bytes())
    with pytest.raises(UsageError, match="labels of other pictures"):
        labels_of(read_pictures(folder), section, run, lambda *_: None)


def marked_picture() -> tuple[np.ndarray, Labels]:
    """A grey picture with a bright square where its face is."""
    pixels = np.full((240, 320, 3), 60, np.uint8)
    pixels[80:120, 140:180] = 250
    return pixels, labels((140, 80, 180, 120), ignored=(10, 10, 60, 60))


def brightest(image: np.ndarray) -> np.ndarray:
    """The middle of what is bright, x and y from the corner."""
    y, x = np.nonzero(image.mean(axis=2) > 170)
    return np.array([x.mean() + 0.5, y.mean() + 0.5])


def test_the_whole_picture_keeps_its_labels_in_place() -> None:
    pixels, of = marked_picture()
    sample = whole(pixels, of, 128)
    assert sample.image.shape == (128, 128, 3)
    assert (sample.image[:15] == 0).all()
    assert sample.labels.boxes_xyxy[0] == pytest.approx([56, 48, 72, 64], abs=1e-3)
    assert brightest(sample.image) == pytest.approx([64, 56], abs=0.1)


def test_labels_follow_what_augmentation_does_to_a_picture() -> None:
    pixels, of = marked_picture()
    compared = mirrored = 0
    for seed in range(120):
        sample = augment(pixels, of, 128, np.random.default_rng(seed))
        if len(sample.labels.boxes_xyxy) == 0 or (sample.image.mean(axis=2) > 170).sum() < 9:
            continue
        box = sample.labels.boxes_xyxy[0]
        if (box < 3).any() or (box > 125).any() or sample.image.mean() > 130:
            continue
        middle = (box[:2] + box[2:]) / 2
        assert brightest(sample.image) == pytest.approx(middle, abs=1.5), seed
        points = sample.labels.keypoints_xy[0]
        assert points.mean(axis=0) == pytest.approx(middle, abs=1e-2)
        # Mirrored, the first eye is still the left one in the picture.
        assert points[0, 0] < points[1, 0]
        mirrored += points[2, 0] > points[3, 0]
        compared += 1
    assert compared > 30
    assert 0.25 < mirrored / compared < 0.75


def test_a_seed_gives_the_same_sample_again() -> None:
    pixels, of = marked_picture()
    one, same, other = (augment(pixels, of, 128, np.random.default_rng(s)) for s in (5, 5, 6))
    assert np.array_equal(one.image, same.image)
    assert not np.array_equal(one.image, other.image)


def test_a_face_that_is_cut_off_or_tiny_is_not_held_against_anybody() -> None:
    pixels, _ = marked_picture()
    for box in ((-30, 100, 10, 140), (100, 100, 104, 104)):
        sample = whole(pixels, labels(box), 128)
        assert len(sample.labels.boxes_xyxy) == 0
        assert len(sample.labels.ignored_xyxy) == 1


@pytest.mark.parametrize("network", [*TRAINABLE])
def test_anchors_learn_the_face_that_they_overlap(network: str) -> None:
    anchors = Anchors(TRAINABLE[network])
    of = labels((20, 30, 60, 70), (100, 100, 107, 107), ignored=(70, 10, 110, 50))
    targets = anchors.match(of)
    faces = targets.kinds == 1
    assert faces.sum() >= 2  # even the small one is somebody's
    centres = anchors.centres[faces] + targets.values[faces, :2]
    assert {tuple(np.round(each, 2).tolist()) for each in centres} == {(40, 50), (103.5, 103.5)}
    assert set(np.round(targets.values[faces, 2], 2).tolist()) == {40, 7}
    assert np.unique(targets.weights[faces].round(4)).tolist() == pytest.approx(
        [1 / 40, 1 / 7], abs=1e-4
    )
    inside = np.all((anchors.centres > (80, 20)) & (anchors.centres < (100, 40)), axis=1)
    assert (targets.kinds[inside & (anchors.sides < 25)] == -1).all()
    far = np.linalg.norm(anchors.centres - (20, 115), axis=1) < 10
    assert (targets.kinds[far] == 0).all()


def test_what_is_not_known_of_a_face_is_not_learned() -> None:
    of = labels((20, 30, 60, 70))
    of.known[0, 4:] = False
    targets = Anchors(TRAINABLE["table1"]).match(of)
    weights = targets.weights[targets.kinds == 1]
    assert (weights[:, -4:] == 0).all()
    assert (weights[:, :-4] > 0).all()
