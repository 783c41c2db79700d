"""Trained weights beside the released network, as ``doorbell train compare`` shows them."""

import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from doorbell.cli import main
from doorbell.training.pictures import is_held_out

OURS = Path(__file__).parents[1] / "models/trained/blazeface_published.npz"


@pytest.fixture(scope="module")
def folder(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five portraits that are held out, and one that isn't."""
    folder = tmp_path_factory.mktemp("portraits")
    names = (f"{i}.jpg" for i in range(1000))
    held_out = [name for name in names if is_held_out(name)]
    for path, name in zip(sorted(faces.glob("*.jpg")), held_out, strict=False):
        with Image.open(path) as portrait:
            portrait.convert("RGB").resize((256, 256)).save(folder / name)
    (folder / "train.jpg").write_bytes((folder / held_out[0]).read_bytes())
    assert not is_held_out("train.jpg")
    return folder


@pytest.fixture(scope="module")
def clips(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A portrait that moves evenly, in noise."""
    clips = tmp_path_factory.mktemp("clips")
    portrait = cv2.imread(str(min(folder.iterdir())))
    assert portrait is not None
    generator = np.random.default_rng(1)
    writer = cv2.VideoWriter(
        str(clips / "one.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (400, 300)
    )
    for i in range(8):
        frame = np.full((300, 400, 3), 90, np.float64)
        frame[20:276, 20 + 4 * i : 276 + 4 * i] = portrait
        noisy = frame + generator.normal(0, 6, frame.shape)
        writer.write(np.clip(noisy, 0, 255).astype(np.uint8))
    writer.release()
    return clips


def call(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["train", *words])
    return result.exit_code, result.stdout, result.stderr


def test_both_networks_find_the_portraits_that_are_held_out(
    folder: Path, clips: Path, tmp_path: Path
) -> None:
    words = ["compare", str(folder), str(OURS), "--run", str(tmp_path), "--clips", str(clips)]
    code, told, error = call(*words, "--json")
    assert code == 0, error
    figures = json.loads(told)
    assert (figures.pop("pictures"), figures.pop("faces")) == (5, 5)
    assert [*figures] == [
        f"{network}, {method}"
        for network in ("blazeface_short", OURS.name)
        for method in ("nms", "blending")
    ]
    for name, figure in figures.items():
        assert figure["average_precision"] == pytest.approx(1), name
        assert (figure["recall"], figure["false_per_picture"]) == (1, 0), name
        assert 0 < figure["keypoint_error"] < 0.4, name
        assert 0 < figure["jitter"] < 0.2, name


def test_a_table_is_for_people(folder: Path, tmp_path: Path) -> None:
    code, told, error = call("compare", str(folder), str(OURS), "--run", str(tmp_path))
    assert code == 0, error
    assert told.count(OURS.name) == 2
    assert "5 faces on 5 pictures that are held out" in told
    assert "jitter" not in told


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="PyTorch is here")
def test_without_pytorch_it_is_said_what_to_install(folder: Path, tmp_path: Path) -> None:
    code, told, error = call("detector", str(folder), "--run", str(tmp_path / "run"))
    assert (code, told) == (2, "")
    assert "pip install 'doorbell[train]'" in error
    assert not (tmp_path / "run").exists()
