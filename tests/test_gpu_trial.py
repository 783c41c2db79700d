"""Trying a device, with a processor in the GPU's place: what is right passes, all else fails."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from doorbell.cli.check import deliver
from doorbell.config import load_config
from doorbell.domain import Face, Float32Array, UInt8Array
from doorbell.errors import InferenceError, OutputError
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.inference import NetworkFiles, Runner
from doorbell.measure.gpu.comparison import Bounds, FaceDifferences, compare_faces, output_cosine
from doorbell.measure.gpu.device import check_answers, try_device
from doorbell.measure.gpu.report import Check, DeviceReport, without_paths
from doorbell.measure.gpu.trial import Trial, gpu_trial
from doorbell.measure.speed.backends import Backend, openvino_backend
from doorbell.models.manifest import load_manifest
from doorbell.models.store import face_path


def say_nothing(work: str) -> None:
    del work


def portrait(name: str, directory: Path) -> UInt8Array:
    pixels = decode_photo(read_photo(face_path(name, directory)), name)
    return np.asarray(
        cv2.resize(pixels, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA), np.uint8
    )


class KeptOpen:
    """A network that stays open for whoever opens it next."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def infer(self, inputs: Mapping[str, Any]) -> dict[str, Float32Array]:
        return self._runner.infer(inputs)

    def close(self) -> None:
        pass


def opened_once(backend: Backend) -> Backend:
    """A backend that opens each network once, as opening takes OpenVINO longer than running it."""
    opened = cache(backend.open)
    return replace(backend, open=lambda files: KeptOpen(opened(files)))


@pytest.fixture(scope="session")
def trial(models_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """OpenVINO in the place of the GPU: as it is, and with weights rounded to float16."""
    compiled = tmp_path_factory.mktemp("compiled")
    config = load_config(
        None,
        [
            f"inference.models_directory={models_directory}",
            f"inference.cache_directory={compiled}",
        ],
    )
    reference = opened_once(openvino_backend(config.inference))
    float16 = opened_once(openvino_backend(config.inference, "float16"))
    return Trial(
        config,
        reference,
        replace(reference, name="device float32"),
        replace(float16, name="device float16"),
        [portrait("obama", models_directory)],
        {"processor": "this one", "gpu": "none"},
        seconds=0,
    )


class Wrong:
    """A device whose answers are not those of the network."""

    def __init__(self, runner: Runner, spoil: Callable[[Float32Array], Float32Array]) -> None:
        self._runner = runner
        self._spoil = spoil

    def infer(self, inputs: Mapping[str, Any]) -> dict[str, Float32Array]:
        return {name: self._spoil(value) for name, value in self._runner.infer(inputs).items()}

    def close(self) -> None:
        self._runner.close()


def spoiled(
    backend: Backend, network: str, spoil: Callable[[Float32Array], Float32Array]
) -> Backend:
    """A backend on which one network is wrong."""

    def open_network(files: NetworkFiles) -> Runner:
        runner = backend.open(files)
        return Wrong(runner, spoil) if files.name == network else runner

    return replace(backend, open=open_network)


def refusing(backend: Backend, network: str) -> Backend:
    """A backend that cannot build one network, and says so with the place of its file."""

    def open_network(files: NetworkFiles) -> Runner:
        if files.name == network:
            raise InferenceError(f"TensorRT cannot build {files.float16}: out of memory")
        return backend.open(files)

    return replace(backend, open=open_network)


@pytest.fixture(scope="session")
def passed(trial: Trial) -> DeviceReport:
    return try_device(trial, say_nothing)


def test_a_device_that_computes_the_same_passes(passed: DeviceReport) -> None:
    assert passed.passed
    networks = [
        "blazeface_short",
        "blazeface_short of a frame",
        "blazeface_back",
        "blazeface_full",
        "blazeface_full of a frame",
        "yunet",
        "sface",
        "pedestrian_ssd",
        "faces",
    ]
    assert [check.name for check in passed.checks] == [
        f"{name}, device {precision}" for precision in ("float32", "float16") for name in networks
    ]
    cosines = [check.figures["cosine"] for check in passed.checks if "cosine" in check.figures]
    assert all(0.999 < cosine <= 1 + 1e-9 for cosine in cosines)
    assert any(cosine < 1 - 1e-7 for cosine in cosines)  # float16 does change SFace
    assert [c.figures["faces"] for c in passed.checks if "faces" in c.figures] == [1, 1]


def test_times_of_networks_and_steps_are_in_the_report(passed: DeviceReport) -> None:
    assert passed.bench is not None
    measured = {(result.name, result.backend) for result in passed.bench.results}
    for precision in ("float32", "float16"):
        assert ("MobileNetV2-SSD", f"device {precision}") in measured
        assert ("BlazeFace, Table 1", f"device {precision}") in measured
    for step in ("detect", "align", "embed"):
        assert (f"{step}, 720p", "device float16") in measured
        assert (f"{step}, 720p", "OpenVINO float32") in measured
    assert "blazeface_short, device float32 / device float16" in passed.bench.ratios
    assert "mobilenet_v2_ssd / blazeface_published, device float16" in passed.bench.ratios
    assert "(claimed: 2.3)" in passed.notes[0]
    assert "(its paper: 3.5)" in passed.notes[1]


@pytest.mark.long
def test_a_network_with_wrong_outputs_fails(trial: Trial) -> None:
    wrong = replace(trial, float16=spoiled(trial.float16, "blazeface_back", np.negative))
    checks = check_answers(wrong, say_nothing)
    assert [c.name for c in checks if not c.ok] == ["blazeface_back, device float16"]
    # With a wrong network there is no use in looking for faces.
    assert "faces, device float16" not in [c.name for c in checks]


@pytest.mark.long
def test_an_engine_that_cannot_be_built_fails_and_says_why_without_places(
    trial: Trial, models_directory: Path
) -> None:
    broken = replace(trial, float32=refusing(trial.float32, "blazeface_short"))
    report = try_device(broken, say_nothing)
    failed = [c for c in report.checks if not c.ok]
    assert [c.name for c in failed] == [
        "blazeface_short, device float32",
        "blazeface_short of a frame, device float32",
        "times",
    ]
    assert report.bench is None
    text = report.markdown() + json.dumps(report.document())
    assert "TensorRT cannot build blazeface_short.float16.onnx: out of memory" in text
    assert str(models_directory) not in text


def test_a_report_is_written_twice_and_the_verdict_is_the_exit_code(
    passed: DeviceReport, tmp_path: Path
) -> None:
    @click.command()
    @click.option("--failed", is_flag=True)
    def check(*, failed: bool) -> None:
        checks = (*passed.checks, Check("one more", not failed, "found"))
        deliver(replace(passed, checks=checks), tmp_path / "my.board", as_json=failed)

    good = CliRunner().invoke(check)
    assert good.exit_code == 0, good.output
    assert "\nPASS\n" in good.stdout
    assert "FAIL" not in good.stdout
    assert max(map(len, good.stdout.split("detect, 720p")[1].splitlines())) <= 80
    document = json.loads((tmp_path / "my.board.json").read_text())
    assert document["passed"] is True
    assert (tmp_path / "my.board.md").read_text().startswith("# PASS\n")

    bad = CliRunner().invoke(check, ["--failed"])
    assert bad.exit_code == 1
    assert json.loads(bad.stdout) == json.loads((tmp_path / "my.board.json").read_text())
    assert json.loads(bad.stdout)["passed"] is False


def test_a_place_that_cannot_be_written_is_said(passed: DeviceReport, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*missing/report.json.* --report"):
        deliver(passed, tmp_path / "missing" / "report", as_json=False)


@pytest.mark.skipif(find_spec("pycuda") is not None, reason="there may be a GPU")
def test_without_a_gpu_the_verb_says_so_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("doorbell"), "check", "--gpu"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith("doorbell: TensorRT cannot be used: pycuda cannot be loaded")
    assert done.stderr.count("\n") == 1
    assert not [*tmp_path.iterdir()]


def test_the_report_tells_nothing_of_its_owner(
    passed: DeviceReport, models_directory: Path
) -> None:
    text = passed.markdown() + json.dumps(passed.document(), ensure_ascii=False)
    for told in (*load_manifest().faces, str(Path.home()), str(models_directory)):
        assert told not in text
    assert not re.findall(r"/(?:home|root|tmp)\b", text)
    # A vector would be a long list of numbers.
    assert not re.findall(r"(?:-?\d+\.\d+,\s*){6}", text)


def test_the_report_can_be_read(passed: DeviceReport) -> None:
    report = replace(
        passed,
        made_at=datetime(2026, 11, 22, 15, 4, tzinfo=timezone.utc),
        temperatures={"before": {"gpu-thermal": 48.2}, "after": {}},
        checks=(Check("sface, device", False, "a | b"),),
    )
    lines = report.markdown().splitlines()
    assert lines[0] == "# FAIL: 1 of 1 checks"
    assert "Doorbell on a GPU, 2026-11-22 15:04 UTC." in lines
    assert "| gpu | none |" in lines
    assert "Temperatures before: gpu-thermal 48 °C." in lines
    assert "| sface, device | FAIL | a / b |" in lines
    assert report.document()["made_at"] == "2026-11-22T15:04:00+00:00"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("cannot read /home/anna/x/sface.onnx: no", "cannot read sface.onnx: no"),
        (f"at {Path.home()}/m/a.engine.", "at a.engine."),
        ("in /home/anna or /opt/doorbell/models", "in (a folder) or (a folder)"),
        ("two\nlines\n  of it", "two lines of it"),
        ("half and half: 1/2, 16x16/8x8", "half and half: 1/2, 16x16/8x8"),
    ],
)
def test_folders_are_taken_out_of_messages(message: str, expected: str) -> None:
    assert without_paths(message) == expected


def face(left: float) -> Face:
    box = np.array([left, 0, left + 100, 100], np.float32)
    return Face(box, np.full((6, 2), left, np.float32), 0.9)


def test_faces_are_compared_picture_by_picture() -> None:
    first, second = np.eye(2, dtype=np.float32)
    turned = np.array([0.8, 0.6], np.float32)
    reference = [(face(0), first), (face(0), first), (face(0), second), None, None]
    found = [(face(3), turned), None, (face(400), second), (face(0), first), None]
    apart = compare_faces(reference, found)
    assert (apart.faces, apart.missed) == (3, 3)
    assert apart.shift == pytest.approx(np.hypot(3, 3) / 100)
    assert apart.embedding_cosine == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("change", "within"),
    [
        ({}, True),
        ({"faces": 0}, False),
        ({"missed": 1}, False),
        ({"shift": 0.03}, False),
        ({"shift": float("nan")}, False),
        ({"embedding_cosine": 0.9}, False),
        ({"embedding_cosine": float("nan")}, False),
    ],
)
def test_every_bound_counts(change: dict[str, Any], within: bool) -> None:
    bounds = Bounds(output_cosine=0.999, shift=0.02, embedding_cosine=0.99)
    exact = FaceDifferences(faces=2, missed=0, shift=0.01, embedding_cosine=0.995)
    assert replace(exact, **change).within(bounds) is within


def test_the_worst_output_decides() -> None:
    reference = {"a": np.array([[1, 0]], np.float32), "b": np.array([[0, 2]], np.float32)}
    found = {"a": np.array([[2, 0]], np.float32), "b": np.array([[3, 4]], np.float32)}
    assert output_cosine(reference, found) == pytest.approx(0.8)


def test_outputs_that_cannot_be_compared_have_no_cosine() -> None:
    reference = {"a": np.ones((1, 2), np.float32), "b": np.ones((1, 2), np.float32)}
    for other in (np.full((1, 2), np.nan, np.float32), np.ones((1, 3), np.float32)):
        for name in reference:
            assert np.isnan(output_cosine(reference, {**reference, name: other}))
    assert np.isnan(output_cosine(reference, {"a": reference["a"]}))


def test_a_gpu_is_tried_with_every_portrait(trial: Trial) -> None:
    tried = gpu_trial(trial.config, "Orin, tensorrt 10.3.0")
    assert len(tried.pictures) == len(load_manifest().faces)
    assert (tried.float32.name, tried.float16.name) == ("TensorRT float32", "TensorRT float16")
    assert tried.float16.threads is None
    assert tried.machine["gpu"] == "Orin, tensorrt 10.3.0"
    assert tried.machine["openvino"]
