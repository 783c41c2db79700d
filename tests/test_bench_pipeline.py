"""Frames as work grows, a daemon with a broker, aims and pictures: real parts, tiny durations."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from doorbell.camera.simulated.script import load_script
from doorbell.cli import main
from doorbell.cli.bench_printing import print_results, print_targets
from doorbell.config import Config, load_config
from doorbell.errors import UsageError
from doorbell.measure.plots import drawing
from doorbell.measure.speed.end_to_end import ARRIVED, DECIDED, NAMED, READY, measure_answers
from doorbell.measure.speed.memory import CAMERA, PART
from doorbell.measure.speed.pipeline import NOBODY, measure_pipeline
from doorbell.measure.speed.plots import Curve, curves, draw, draw_curves, draw_report
from doorbell.measure.speed.product import DOORBELL
from doorbell.measure.speed.report import BenchReport, Result
from doorbell.measure.speed.scene import P480, visits
from doorbell.measure.speed.stages import EMBED, FACES_720
from doorbell.measure.speed.targets import target_results
from doorbell.measure.speed.time_to_detect import ARRIVING, measure_arrivals
from doorbell.measure.speed.timing import MIN_ROUNDS, Timing
from doorbell.testbed.broker import find_mosquitto, open_broker
from doorbell.testbed.scenes import write_scene


@pytest.fixture
def config(models_directory: Path) -> Config:
    return load_config(None, [f"inference.models_directory={models_directory}"])


@pytest.mark.long
def test_frames_are_measured_as_work_grows(config: Config) -> None:
    said: list[str] = []
    report = measure_pipeline(
        config, {"two": (2, P480)}, threads=1, seconds=0, machine={"a": "b"}, say=said.append
    )
    two, nobody = report.results
    assert (two.name, nobody.name) == ("two", NOBODY)
    assert two.figures["visitors"] == 2
    assert two.figures["found"] > 0.9
    assert two.figures["frames_per_second"] == pytest.approx(1000 / two.timing.mean_ms)
    assert two.timing.rounds == nobody.timing.rounds == MIN_ROUNDS
    assert nobody.figures["core"] > 0
    assert said == ["measuring: two", f"measuring: {NOBODY}"]
    assert report.machine == {"a": "b"}


@pytest.mark.long
def test_who_comes_is_found(config: Config) -> None:
    report = measure_arrivals(config, count=2, threads=1, machine={})
    (coming,) = report.results
    assert coming.name == ARRIVING
    assert coming.timing.rounds == 2
    assert coming.figures["found"] == 1
    assert 0 <= coming.timing.p50_ms < 500


@pytest.mark.long
@pytest.mark.system
def test_a_daemon_answers_a_visit(config: Config) -> None:
    report = measure_answers(config, count=1, threads=1, machine={}, say=lambda _: None)
    assert [result.name for result in report.results] == [ARRIVED, NAMED]
    assert report.machine["broker"] in ("mosquitto", "amqtt, embedded")
    for result in report.results:
        assert result.timing.rounds == 1
        assert result.figures["answered"] == 1
        assert result.figures["resident_mb"] > 50


@pytest.mark.long
@pytest.mark.system
def test_a_start_is_measured_and_its_memory(models_directory: Path) -> None:
    words = ["bench", "startup", "--starts", "1", "--json"]
    models = f"inference.models_directory={models_directory}"
    result = CliRunner().invoke(main, [*words, "--set", models])
    assert result.exit_code == 0, result.output
    results = {each["name"]: each for each in json.loads(result.stdout)["results"]}
    assert 0 < results[READY]["p50_ms"] <= results[DECIDED]["p50_ms"]
    parts = [each for name, each in results.items() if name.startswith(PART.format(""))]
    assert parts[-1]["resident_mb"] == pytest.approx(sum(p["added_mb"] for p in parts), abs=0.01)
    assert PART.format("network sface") in results
    assert PART.format(CAMERA) in results


@pytest.mark.system
@pytest.mark.skipif(find_mosquitto() is None, reason="absent")
def test_mosquitto_is_the_broker_where_it_is_installed(tmp_path: Path) -> None:
    with open_broker(tmp_path) as (port, name):
        assert name == "mosquitto"
        assert port > 0


def test_a_script_is_read_as_it_was_written(models_directory: Path, tmp_path: Path) -> None:
    script = visits(3, models_directory / "faces", seed=2, between_seconds=3.5)
    path = tmp_path / "scene.toml"
    assert write_scene(path, script) == f"simulated:{path}"
    assert load_script(path) == script
    gaps = [
        later.enters_seconds - earlier.gone_seconds
        for earlier, later in zip(script.appearances, script.appearances[1:], strict=False)
    ]
    assert min(gaps) >= 3.5


def result(name: str, milliseconds: float, backend: str = DOORBELL, **figures: float) -> Result:
    timing = Timing(milliseconds, 2 * milliseconds, milliseconds, 30)
    return Result(name, backend, timing, 2, figures)


def report(*results: Result, ratios: Mapping[str, float] | None = None) -> BenchReport:
    return BenchReport({"processor": "this one"}, results, ratios or {})


def test_aims_stand_beside_what_was_measured_and_nothing_else() -> None:
    found = report(
        result(NAMED, 200, p95_ms=251.0),
        result(NOBODY, 3, core=0.05),
        result(PART.format("Python"), 0, added_mb=100.0),
        result(PART.format(CAMERA), 0, added_mb=150.0),
        result(PART.format("frames"), 0, added_mb=50.0),
        ratios={f"{FACES_720}: MediaPipe, short range / doorbell": 2.0},
    )
    rows = {row.target.what: row for row in target_results(found)}
    assert len(rows) == 4
    assert rows[f"{FACES_720}, beside MediaPipe, short range"].met
    assert not rows[f"{NAMED}, p95"].met
    assert rows[NOBODY].figure == pytest.approx(5.0)
    assert rows["resident memory, camera aside"].figure == 150.0
    assert rows[NOBODY].document() == {
        "what": NOBODY,
        "figure": 5.0,
        "below": 8.0,
        "unit": "% of a core",
        "met": True,
    }


def test_what_falls_short_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    print_targets(target_results(report(result(NAMED, 200, p95_ms=251.0))))
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.split()[-5:] == ["251", "ms", "below", "250", "short"]


def test_results_are_printed_with_their_figures(capsys: pytest.CaptureFixture[str]) -> None:
    print_results(
        report(
            result(EMBED, 2, floor_ms=1.5),
            result(EMBED, 5, backend="OpenCV SFace", cosine=0.5),
            result("alone", 3, found=0.5),
        )
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == EMBED
    assert lines[3].split() == ["doorbell", "2", "2.00", "4.00", "2.00", "1.500", "1.00", "x"]
    assert lines[4].split()[3:] == ["5.00", "10.00", "5.00", "0.5000", "2.50", "x"]
    assert lines[-2].split() == ["alone", "3.00", "6.00", "3.00", "50%"]


def test_growth_is_drawn(tmp_path: Path) -> None:
    found = report(
        *(result(f"{n}", n, visitors=n, megapixels=0.9216) for n in (1, 2, 8)),
        result("4K", 9, visitors=1, megapixels=8.2944),
        *(result("nearest", n / 1e5, embeddings=n, exact=1.0) for n in (10, 1000)),
    )
    assert [curve.name for curve in curves(found)] == ["visitors", "sizes", "gallery"]
    written = draw_report(found, tmp_path / "plots")
    assert [path.name for path in written] == ["visitors.svg", "sizes.svg", "gallery.svg"]
    for path in written:
        ET.fromstring(path.read_text())  # noqa: S314 - written above
        assert "milliseconds" in path.read_text()
    assert "visitors at the door" in written[0].read_text()


def test_a_curve_goes_through_what_was_measured() -> None:
    curve = Curve("drift", "Time of a frame", "minutes", [(1.0, 8.0, 20.0), (2.0, 9.0, 21.0)])
    with drawing():
        [axes] = draw(curve).axes
    drawn = {line.get_label(): np.asarray(line.get_xydata()).tolist() for line in axes.get_lines()}
    assert drawn == {
        "median": [[1.0, 8.0], [2.0, 9.0]],
        "99 of 100 are faster": [[1.0, 20.0], [2.0, 21.0]],
    }
    assert axes.get_ylim()[0] == 0


def test_the_same_figures_make_the_same_file(tmp_path: Path) -> None:
    curve = Curve("drift", "Time of a frame", "minutes", [(1.0, 8.0, 20.0), (2.0, 9.0, 21.0)])
    first, second = (draw_curves([curve], tmp_path / name)[0] for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()


def test_one_point_is_no_curve() -> None:
    assert curves(report(result("one", 1, visitors=1, megapixels=0.9216))) == []


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = report(*(result(f"{n}", n, visitors=n, megapixels=0.9216) for n in (1, 2)))
    with pytest.raises(UsageError, match="give another folder"):
        draw_report(found, tmp_path / "file")


def test_options_go_behind_the_verb_and_peers_are_known() -> None:
    before = CliRunner().invoke(main, ["bench", "--json", "stages"])
    assert before.exit_code == 2
    assert "doorbell bench stages ..." in before.stderr
    unknown = CliRunner().invoke(main, ["bench", "stages", "--against", "opencv,dlib"])
    assert unknown.exit_code == 2
    assert "there is no peer 'dlib'" in unknown.stderr
