"""Labelled folders: what is read, and what is said of one that is not as it should be."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from doorbell.errors import UsageError
from doorbell.measure.accuracy.labels import (
    Clip,
    list_videos,
    read_clips,
    read_household,
    read_pairs,
    read_scenes,
)


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.touch()


def write_pairs(folder: Path, *rows: str, header: str = "first,second,same") -> None:
    (folder / "pairs.csv").write_text("\n".join([header, *rows]), encoding="utf-8")


def test_pictures_of_pairs_are_named_with_or_without_suffix(tmp_path: Path) -> None:
    images = tmp_path / "images"
    touch(images / "Anna_1.jpg", images / "Ben.png", images / "Zoë.JPEG")
    write_pairs(tmp_path, "Anna_1,Anna_1.jpg,1", "Ben, Zoë ,0", *8 * ["Anna_1,Ben,0"])
    pairs = read_pairs(tmp_path)
    assert (pairs[0].first, pairs[0].second, pairs[0].same) == (*2 * [images / "Anna_1.jpg"], True)
    assert (pairs[1].first, pairs[1].second) == (images / "Ben.png", images / "Zoë.JPEG")
    assert [pair.same for pair in pairs] == [True, *9 * [False]]


def test_pictures_may_lie_beside_the_list(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg")
    write_pairs(tmp_path, "a,a,1", *9 * ["a,a,0"])
    assert read_pairs(tmp_path)[0].first == tmp_path / "a.jpg"


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("first,second", ["a,a"], "has no column same; its first line must be first,second,same"),
        ("first,second,same", ["a,a,maybe"], r"line 2: same is 'maybe'; write 1 or 0"),
        ("first,second,same", ["a,b,1"], r"there is no b in .*images \(tried \.jpg"),
        ("first,second,same", 9 * ["a,a,1"], "has 9 pairs; it takes at least 10"),
        ("first,second,same", 20 * ["a,a,1"], "some of one person and some of two"),
    ],
)
def test_wrong_pairs_are_refused(
    tmp_path: Path, header: str, rows: list[str], message: str
) -> None:
    touch(tmp_path / "images" / "a.jpg")
    write_pairs(tmp_path, *rows, header=header)
    with pytest.raises(UsageError, match=message):
        read_pairs(tmp_path)


def test_a_household_has_members_and_strangers(tmp_path: Path) -> None:
    images = tmp_path / "images"
    touch(images / "a.jpg", images / "b.jpg", images / "c.jpg")
    tree = {"members": {"Anna": {"enroll": ["a"], "probe": ["b.jpg"]}}, "strangers": ["c"]}
    (tmp_path / "household.json").write_text(json.dumps(tree))
    household = read_household(tmp_path)
    [anna] = household.members
    assert (anna.name, anna.enroll, anna.probe) == (
        "Anna",
        (images / "a.jpg",),
        (images / "b.jpg",),
    )
    assert household.strangers == (images / "c.jpg",)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ([], "holds list where names and values are expected"),
        ({"strangers": []}, "has no 'members'"),
        ({"members": {}, "strangers": []}, "names no member"),
        ({"members": {"Anna": {"enroll": []}}, "strangers": []}, "Anna has no 'probe'"),
        ({"members": {"Anna": ["a.jpg"]}, "strangers": []}, "Anna has no 'enroll'"),
        ({"members": {"Anna": {"enroll": [], "probe": []}}}, "has no 'strangers'"),
    ],
)
def test_a_wrong_household_is_refused(tmp_path: Path, tree: object, message: str) -> None:
    (tmp_path / "household.json").write_text(json.dumps(tree))
    with pytest.raises(UsageError, match=re.escape(message)):
        read_household(tmp_path)


def test_clips_keep_the_order_of_the_file(tmp_path: Path) -> None:
    touch(tmp_path / "z.mkv", tmp_path / "a.mp4")
    (tmp_path / "labels.json").write_text('{"z.mkv": "Anna", "a": "Ben"}')
    assert read_clips(tmp_path) == [
        Clip(tmp_path / "z.mkv", "Anna"),
        Clip(tmp_path / "a.mp4", "Ben"),
    ]


def test_clips_of_one_person_leave_no_stranger(tmp_path: Path) -> None:
    touch(tmp_path / "a.mkv")
    (tmp_path / "labels.json").write_text('{"a.mkv": "Anna"}')
    with pytest.raises(UsageError, match="fewer than two people"):
        read_clips(tmp_path)


def test_scenes_have_boxes_or_none(tmp_path: Path) -> None:
    touch(tmp_path / "a.jpg", tmp_path / "b.jpg")
    (tmp_path / "boxes.json").write_text('{"a.jpg": [[1, 2, 3, 4.5]], "b": []}')
    a, b = read_scenes(tmp_path)
    assert a.boxes_xyxy.tolist() == [[1, 2, 3, 4.5]]
    assert b.boxes_xyxy.shape == (0, 4)


@pytest.mark.parametrize("boxes", ["[[1, 2, 3]]", "[1, 2, 3, 4]", '[["a", 2, 3, 4]]', "7"])
def test_what_is_no_list_of_boxes_is_refused(tmp_path: Path, boxes: str) -> None:
    touch(tmp_path / "a.jpg")
    (tmp_path / "boxes.json").write_text(f'{{"a.jpg": {boxes}}}')
    with pytest.raises(
        UsageError, match=r"the boxes of a.jpg are not a list of \[x1, y1, x2, y2\]"
    ):
        read_scenes(tmp_path)


def test_videos_come_by_name_and_nothing_else_does(tmp_path: Path) -> None:
    touch(tmp_path / "b.mkv", tmp_path / "a.MP4", tmp_path / "labels.json")
    assert list_videos(tmp_path) == [tmp_path / "a.MP4", tmp_path / "b.mkv"]


@pytest.mark.parametrize("read", [read_pairs, read_household, read_clips, read_scenes, list_videos])
def test_an_empty_folder_is_refused(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(UsageError, match=r"has no \w+\.|holds no video"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "read"),
    [("household", read_household), ("labels", read_clips), ("boxes", read_scenes)],
)
def test_what_is_no_json_is_refused(
    tmp_path: Path, name: str, read: Callable[[Path], object]
) -> None:
    (tmp_path / f"{name}.json").write_text("{")
    with pytest.raises(UsageError, match="is not readable JSON"):
        read(tmp_path)
