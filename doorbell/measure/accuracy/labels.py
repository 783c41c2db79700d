"""Labelled folders to records: who is on which picture, what is to be compared with what.

Opens no picture and no video.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from doorbell.domain import Float32Array
from doorbell.errors import UsageError

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
MIN_PAIRS = 10  # one for each fold
VIDEO_SUFFIXES = (".mkv", ".mp4", ".avi", ".mov", ".webm", ".m4v")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures, and whether they show one person."""

    first: Path
    second: Path
    same: bool


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody of the household: photos to enroll and photos to be recognized on."""

    name: str
    enroll: tuple[Path, ...]
    probe: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Household:
    """Members, and photos of people who must never be named."""

    members: tuple[Member, ...]
    strangers: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Clip:
    """A video and its main person."""

    path: Path
    person: str


@dataclass(frozen=True, eq=False, slots=True)
class Scene:
    """A picture and the boxes of its faces, (n, 4) float32 xyxy in pixels."""

    path: Path
    boxes_xyxy: Float32Array


def read_pairs(folder: Path) -> list[Pair]:
    """Read ``pairs.csv`` (first, second, same) beside ``images/``.

    Raises:
        UsageError: a file, a column or a picture is missing, or ``same`` is neither 0 nor 1.
    """
    path = _file(folder, "pairs.csv")
    pictures = _Pictures(folder)
    pairs = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file, skipinitialspace=True)
        missing = {"first", "second", "same"} - set(rows.fieldnames or ())
        if missing:
            raise UsageError(
                f"{path} has no column {', '.join(sorted(missing))}; "
                "its first line must be first,second,same"
            )
        for row in rows:
            same = (row["same"] or "").strip().lower()
            if same not in _TRUTHS:
                raise UsageError(f"{path}, line {rows.line_num}: same is {same!r}; write 1 or 0")
            pairs.append(
                Pair(pictures.find(row["first"]), pictures.find(row["second"]), _TRUTHS[same])
            )
    if len(pairs) < MIN_PAIRS or len({pair.same for pair in pairs}) < 2:
        raise UsageError(
            f"{path} has {len(pairs)} pairs; it takes at least {MIN_PAIRS}, some of one person and "
            "some of two"
        )
    return pairs


_TRUTHS = {"1": True, "0": False, "true": True, "false": False}


def read_household(folder: Path) -> Household:
    """Read ``household.json`` (members: name to enroll and probe; strangers) beside ``images/``.

    Raises:
        UsageError: a file, a key or a picture is missing.
    """
    path = _file(folder, "household.json")
    tree = _mapping(_json(path), path)
    pictures = _Pictures(folder)
    members = tuple(
        Member(
            name,
            tuple(pictures.find(picture) for picture in _key(photos, "enroll", f"{path}: {name}")),
            tuple(pictures.find(picture) for picture in _key(photos, "probe", f"{path}: {name}")),
        )
        for name, photos in _mapping(_key(tree, "members", str(path)), path).items()
    )
    if not members:
        raise UsageError(f"{path} names no member; write at least one, with enroll and probe")
    strangers = tuple(pictures.find(picture) for picture in _key(tree, "strangers", str(path)))
    return Household(members, strangers)


def read_clips(folder: Path) -> list[Clip]:
    """Read ``labels.json`` (video to its main person), in its order.

    Raises:
        UsageError: a file is missing, or no clip is left to play once everybody is enrolled.
    """
    path = _file(folder, "labels.json")
    labels = _mapping(_json(path), path)
    clips = [Clip(_named(folder, name, VIDEO_SUFFIXES), str(who)) for name, who in labels.items()]
    if len({clip.person for clip in clips}) < 2:
        raise UsageError(f"{path} names fewer than two people; one has to be the stranger")
    return clips


def read_scenes(folder: Path) -> list[Scene]:
    """Read ``boxes.json`` (picture to a list of [x1, y1, x2, y2]).

    Raises:
        UsageError: a file is missing, or a box is not four numbers.
    """
    path = _file(folder, "boxes.json")
    scenes = []
    for name, boxes in _mapping(_json(path), path).items():
        try:
            array = np.array(boxes, np.float32).reshape(len(boxes), 4)
        except (TypeError, ValueError) as exc:
            raise UsageError(
                f"{path}: the boxes of {name} are not a list of [x1, y1, x2, y2]: {exc}"
            ) from exc
        scenes.append(Scene(_named(folder, name, PICTURE_SUFFIXES), array))
    if not scenes:
        raise UsageError(f"{path} names no picture")
    return scenes


def list_videos(folder: Path) -> list[Path]:
    """The videos of a folder, by name.

    Raises:
        UsageError: there is none.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; give one of videos")
    videos = sorted(p for p in folder.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES)
    if not videos:
        raise UsageError(f"{folder} holds no video ({', '.join(VIDEO_SUFFIXES)})")
    return videos


class _Pictures:
    """The pictures of a folder's ``images/``, found by name with or without the suffix."""

    def __init__(self, folder: Path) -> None:
        images = folder / "images"
        self._folder = images if images.is_dir() else folder

    def find(self, name: object) -> Path:
        return _named(self._folder, str(name).strip(), PICTURE_SUFFIXES)


def _named(folder: Path, name: str, suffixes: tuple[str, ...]) -> Path:
    for suffix in ("", *suffixes, *(suffix.upper() for suffix in suffixes)):
        path = folder / f"{name}{suffix}"
        if path.is_file():
            return path
    raise UsageError(f"there is no {name} in {folder} (tried {', '.join(suffixes)} too)")


def _file(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise UsageError(
            f"{folder} has no {name}; see `doorbell evaluate --help` for what it holds"
        )
    return path


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as exc:
        raise UsageError(f"{path} is not readable JSON: {exc}") from exc


def _mapping(tree: Any, path: Path) -> dict[str, Any]:
    if not isinstance(tree, dict):
        raise UsageError(f"{path} holds {type(tree).__name__} where names and values are expected")
    return tree


def _key(tree: Any, key: str, where: str) -> Any:
    if not isinstance(tree, dict) or key not in tree:
        raise UsageError(f"{where} has no {key!r}")
    return tree[key]
