"""``doorbell bench``: what is measured is real, how long it took is nobody's claim."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from doorbell.cli import main
from doorbell.config import InferenceSection
from doorbell.measure.speed.backends import openvino_backend
from doorbell.measure.speed.machine import describe_machine, power_mode, temperatures
from doorbell.measure.speed.networks import (
    PUBLISHED,
    RELEASED,
    SSD,
    compared_networks,
    measure_networks,
)
from doorbell.measure.speed.timing import MIN_ROUNDS, WARM_UP_ROUNDS, time_alternating

ROOT = Path(__file__).parent.parent


def test_calls_take_turns_and_each_is_timed_as_often() -> None:
    order: list[str] = []
    timings = time_alternating(
        {"first": lambda: order.append("first"), "second": lambda: order.append("second")},
        seconds=0,
    )
    assert order == ["first", "second"] * (WARM_UP_ROUNDS + MIN_ROUNDS)
    assert [timing.rounds for timing in timings.values()] == [MIN_ROUNDS] * 2
    assert all(0 <= timing.p50_ms <= timing.p99_ms for timing in timings.values())


@pytest.fixture
def jetson(tmp_path: Path) -> Path:
    """The files of a Jetson, as far as they are read."""
    for name, content in {
        "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic\n",
        "etc/nvpmodel.conf": (
            "< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n"
        ),
        "etc/os-release": 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 22.04.5 LTS"\n',
        "var/lib/nvpmodel/status": "pmode:0002 fmode:quiet\n",
        "var/lib/dpkg/status": (
            "Package: nvidia-jetpack\nStatus: install ok installed\nVersion: 6.2+b77\n"
            "Architecture: arm64\nMaintainer: nobody\nDescription: JetPack\n"
        ),
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
        "usr/local/cuda/version.json": (
            '{"cuda": {"name": "CUDA SDK", "version": "12.6.11"}, "nvcc": {"version": "12.6.68"}}'
        ),
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
        "sys/class/thermal/thermal_zone0/temp": "48156\n",
        "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",
        "sys/class/thermal/thermal_zone1/temp": "-256000\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (tmp_path / "sys/class/thermal/thermal_zone2").mkdir()
    return tmp_path


def test_a_jetson_is_described(jetson: Path) -> None:
    machine = describe_machine(jetson)
    assert machine["board"] == "NVIDIA Jetson Orin Nano Developer Kit"
    assert machine["l4t"] == "36.4.3"
    assert machine["jetpack"] == "6.2+b77"
    assert machine["cuda"] == "12.6.11"
    assert machine["power mode"] == "2 (MAXN_SUPER)"
    assert machine["distribution"] == "Ubuntu 22.04.5 LTS"
    assert temperatures(jetson) == {"cpu-thermal": 48.156}


def test_a_mode_without_a_name_is_its_number(jetson: Path) -> None:
    (jetson / "etc/nvpmodel.conf").unlink()
    assert power_mode(jetson) == "2"


def test_any_other_machine_is_described_without_what_it_lacks(tmp_path: Path) -> None:
    machine = describe_machine(tmp_path)
    assert machine["cores"] >= "1"
    assert machine["openvino"]
    assert not {"board", "l4t", "jetpack", "cuda", "power mode"} & machine.keys()
    assert temperatures(tmp_path) == {}


def test_networks_are_measured_beside_each_other(models_directory: Path, tmp_path: Path) -> None:
    section = InferenceSection(models_directory=models_directory, threads=1)
    said: list[str] = []
    report = measure_networks(
        compared_networks(section, tmp_path),
        [openvino_backend(section), openvino_backend(section, "float16")],
        seconds=0,
        machine={"processor": "this one"},
        say=said.append,
    )
    assert [(result.name, result.backend) for result in report.results] == [
        (name, f"OpenVINO {precision}")
        for precision in ("float32", "float16")
        for name in ("BlazeFace, Table 1", "BlazeFace, released", "MobileNetV2-SSD")
    ]
    assert len(said) == 7
    times = {result.name: result.timing.p50_ms for result in report.results[:3]}
    for blazeface, title in ((PUBLISHED, "Table 1"), (RELEASED, "released")):
        expected = times["MobileNetV2-SSD"] / times[f"BlazeFace, {title}"]
        assert report.ratios[f"{SSD} / {blazeface}, OpenVINO float32"] == expected
    assert report.ratios[f"{SSD} / {PUBLISHED}, multiply-adds"] == pytest.approx(3.2, abs=0.01)


@pytest.fixture
def call(models_directory: Path) -> Iterator[Callable[..., Result]]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run(*words: str) -> Result:
        models = f"inference.models_directory={models_directory}"
        return CliRunner().invoke(main, ["bench", *words, "--seconds", "0", "--set", models])

    yield run
    root.handlers[:] = handlers
    root.setLevel(level)


def test_the_verb_prints_a_table_that_fits(call: Callable[..., Result]) -> None:
    result = call("networks", "--set", "inference.threads=1")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "OpenVINO float32, 1 thread" in lines
    row = next(line for line in lines if line.startswith("MobileNetV2-SSD"))
    assert row.split()[1:5] == ["109.2", "M", "2807", "k"]
    assert row.split()[-2:] == ["1.00", "x"]
    assert max(map(len, lines)) <= 80


def test_the_verb_prints_json(call: Callable[..., Result]) -> None:
    document = json.loads(call("networks", "--json").stdout)
    assert set(document) == {"machine", "results", "ratios"}
    first = document["results"][0]
    assert first["name"] == "BlazeFace, Table 1"
    assert first["multiply_adds"] == 34_140_672
    assert first["rounds"] >= MIN_ROUNDS
    assert first["p50_ms"] <= first["p99_ms"]
    assert first["threads"] >= 1


def test_the_tool_of_the_checkout_is_the_verb() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "bench.py", "networks", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("Usage: doorbell bench networks ")
