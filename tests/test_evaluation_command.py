"""What ``doorbell evaluate`` prints, draws and refuses."""

import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from evaluated import OBAMA_BOX
from matplotlib.patches import StepPatch
from PIL import Image

from doorbell.cli import main
from doorbell.domain import UInt8Array
from doorbell.errors import UsageError
from doorbell.measure.accuracy.plots import draw_histogram, draw_report, draw_roc
from doorbell.measure.accuracy.report import Report, Scores
from doorbell.measure.plots import drawing


@pytest.fixture
def call(models_directory: Path) -> Iterator[Callable[..., Result]]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run(*words: object) -> Result:
        models = f"inference.models_directory={models_directory}"
        return CliRunner().invoke(main, ["evaluate", *map(str, words), "--set", models])

    yield run
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.long
def test_plots_are_written_and_json_stays_alone_on_stdout(
    call: Callable[..., Result], photos: Path, tmp_path: Path
) -> None:
    plots = tmp_path / "new" / "plots"
    result = call("household", photos, "--json", "--plots", plots)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["members"] == 2
    drawn = {path.name: np.asarray(Image.open(path)) for path in plots.iterdir()}
    assert sorted(drawn) == [
        "household-highest-strangers.png",
        "household-lowest-members.png",
        "household-roc.png",
        "household-scores.png",
    ]
    assert all(pixels.std() > 5 for pixels in drawn.values())


def test_the_table_says_what_the_figures_do_not(call: Callable[..., Result], photos: Path) -> None:
    result = call("household", photos, "--baseline", "opencv")
    assert re.search(r"rank1 +0\.7500", result.stdout)
    assert "0 of 4 photos of members named as another member" in result.stdout
    assert "not enrolled:" in result.stdout
    assert "wall.jpg: no face found" in result.stdout


def test_which_of_several_doors_was_measured_is_said(
    call: Callable[..., Result], portraits: dict[str, UInt8Array], tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    for name, pixels in portraits.items():
        small = cv2.resize(pixels, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
        Image.fromarray(small).save(tmp_path / "images" / f"{name}.jpg")
    pairs = combinations(portraits, 2)
    rows = [f"{a},{b},{int((a, b) == ('obama', 'obama2'))}" for a, b in pairs]
    (tmp_path / "pairs.csv").write_text("\n".join(["first,second,same", *rows]))
    config = tmp_path / "doorbell.toml"
    config.write_text('[[door]]\nid = "garden"\nname = "Garden gate"\n')
    told = call("pairs", tmp_path, "--config", config, "--door", "garden")
    assert told.stdout.splitlines()[-1] == "as configured for Garden gate"
    wrong = call("pairs", tmp_path, "--config", config, "--door", "front")
    assert wrong.exit_code == 2
    assert "there is no door 'front': --door with one of garden" in wrong.stderr


def test_a_wrong_folder_is_a_usage_error(call: Callable[..., Result], tmp_path: Path) -> None:
    result = call("pairs", tmp_path)
    assert result.exit_code == 2
    assert f"{tmp_path} has no pairs.csv" in result.stderr


def test_a_plots_folder_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    scores = Scores(np.array([0.8]), np.array([0.1]))
    with pytest.raises(UsageError, match="give another folder"):
        draw_report(Report({}, scores), tmp_path / "file" / "plots", "pairs")


@pytest.mark.long
def test_without_matplotlib_the_figures_are_printed_and_how_to_get_plots_is_said(
    models_directory: Path, portraits: dict[str, UInt8Array], tmp_path: Path
) -> None:
    Image.fromarray(portraits["obama"]).save(tmp_path / "obama.png")
    (tmp_path / "boxes.json").write_text(json.dumps({"obama": [OBAMA_BOX]}))
    code = "import sys; sys.modules['matplotlib'] = None; from doorbell.cli import main; main()"
    words = ["evaluate", "scenes", str(tmp_path), "--json", "--plots", str(tmp_path / "plots")]
    models = f"inference.models_directory={models_directory}"
    ended = subprocess.run(
        [sys.executable, "-c", code, *words, "--set", models],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert json.loads(ended.stdout)["pictures"] == 1
    assert ended.stderr.rstrip().endswith(
        "plots take matplotlib: `pip install '.[plots]'` in the checkout"
    )


def test_curves_show_every_score() -> None:
    scores = Scores(np.array([0.8, 0.9]), np.array([0.1, 0.2, 0.3, 0.85]))
    with drawing():
        [roc], [spread] = draw_roc(scores).axes, draw_histogram(scores).axes
    [line] = roc.get_lines()
    # Of four who are to be refused the likeliest passes before one of two who are not.
    assert np.asarray(line.get_xydata()).tolist() == [
        [0.25, 0.5],
        [0.5, 1.0],
        [0.75, 1.0],
        [1.0, 1.0],
    ]
    shares = [patch.get_data()[0].sum() for patch in spread.patches if isinstance(patch, StepPatch)]
    assert shares == pytest.approx([100.0] * 4)


def test_the_baseline_has_one_precision(call: Callable[..., Result], photos: Path) -> None:
    result = call("precision", photos, "--baseline", "opencv")
    assert result.exit_code == 2
    assert "leave --baseline out" in result.stderr
