"""Training itself, on the portraits: it learns, goes on where it was, and gives a file to build."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from doorbell.cli import main
from doorbell.config import InferenceSection
from doorbell.errors import UsageError
from doorbell.networks.trained import unpack_weights
from doorbell.training.pictures import Picture, fingerprint, read_pictures

torch = pytest.importorskip("torch", reason="PyTorch is only needed to train")

from doorbell.training.labels import label_pictures  # noqa: E402
from doorbell.training.loop import (  # noqa: E402
    Example,
    Progress,
    Settings,
    load_examples,
    train,
)


@pytest.fixture(scope="module")
def folder(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty pictures of five portraits, in other sizes."""
    folder = tmp_path_factory.mktemp("portraits")
    for path in sorted(faces.glob("*.jpg")):
        with Image.open(path) as portrait:
            for i in range(12):
                side = 160 + 10 * i
                portrait.convert("RGB").resize((side, side)).save(folder / f"{path.stem}-{i}.jpg")
    return folder


@pytest.fixture(scope="module")
def examples(
    folder: Path, models_directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Example], Sequence[Picture]]:
    torch.set_num_threads(1)
    pictures = read_pictures(folder).trained[:12]
    section = InferenceSection(models_directory=models_directory)
    cache = tmp_path_factory.mktemp("labels") / "labels.npz"
    labels = label_pictures(pictures, section, cache, lambda *_: None)
    assert all(len(each.boxes_xyxy) == 1 for each in labels)
    return load_examples(pictures, labels, lambda *_: None), pictures


class CutOffError(Exception):
    """The power failed."""


def test_a_run_that_is_cut_off_ends_as_if_it_had_not_been(
    examples: tuple[list[Example], Sequence[Picture]], tmp_path: Path
) -> None:
    loaded, pictures = examples
    settings = Settings("table1", 24, 2, 3e-3, 5, fingerprint(pictures))

    def run(checkpoint: Path, *, fails: bool = False) -> list[np.ndarray]:
        def say(_: Progress) -> None:
            if fails:
                raise CutOffError

        network = train(loaded, settings, checkpoint, say, checkpoint_steps=10)
        return [kernel for kernel, _ in network.folded()]

    whole = run(tmp_path / "whole")
    with pytest.raises(CutOffError):  # at step 20: what step 10 left is gone on from
        run(tmp_path / "cut", fails=True)
    state = torch.load(tmp_path / "cut", weights_only=True)
    assert state["step"] == 10
    for kernel, again in zip(whole, run(tmp_path / "cut"), strict=True):
        np.testing.assert_array_equal(kernel, again)
    other = Settings("table1", 24, 4, 3e-3, 5, fingerprint(pictures))
    with pytest.raises(UsageError, match="a run with another batch"):
        train(loaded, other, tmp_path / "cut", lambda _: None)


def test_the_loss_falls(examples: tuple[list[Example], Sequence[Picture]], tmp_path: Path) -> None:
    loaded, pictures = examples
    told: list[Progress] = []
    settings = Settings("table1", 60, 4, 3e-3, 5, fingerprint(pictures))
    train(loaded, settings, tmp_path / "checkpoint", told.append)
    assert [each.step for each in told] == [20, 40, 60]
    assert told[-1].score_loss < 0.7 * told[0].score_loss
    assert told[-1].place_loss < 0.8 * told[0].place_loss


def test_the_command_trains_compares_and_its_weights_can_be_built(
    folder: Path, models_directory: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    directory = tmp_path / "models"
    shutil.copytree(models_directory, directory, copy_function=os.link)
    setting = ["--set", f"inference.models_directory={directory}"]

    def call(*words: str) -> str:
        result = CliRunner().invoke(main, [*words, *setting])
        assert result.exit_code == 0, result.stderr
        return result.stdout

    call("train", "detector", str(folder), "--run", str(run), "--steps", "3", "--batch", "2")
    weights = run / "table1.npz"
    assert unpack_weights(weights.read_bytes()).network == "blazeface_published"
    assert weights.stat().st_size < 200_000
    further = ["--steps", "2", "--batch", "2", "--from", str(weights)]
    call("train", "detector", str(folder), "--run", str(tmp_path / "further"), *further)
    told = call("train", "compare", str(folder), str(weights), "--run", str(run), "--json")
    figures = json.loads(told)
    assert figures["faces"] == figures["pictures"] > 0
    assert figures["blazeface_short, blending"]["average_precision"] == pytest.approx(1)
    assert figures["table1.npz, nms"]["recall"] == 0  # three steps are none
    call("models", "build", "--no-portraits", "--detector", str(weights))
