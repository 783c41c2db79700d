"""Building the engines of all networks, as ``doorbell models build --engine`` does."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from fake_device import FakeGpu

from doorbell.cli import main
from doorbell.config import InferenceSection
from doorbell.inference.tensorrt import build_engines, gpu_fault
from doorbell.models.store import built_networks


def test_every_network_that_is_built_gets_an_engine(models_directory: Path, tmp_path: Path) -> None:
    networks = built_networks(InferenceSection(models_directory=models_directory))
    names = [files.name for files in networks]
    assert {"blazeface_short", "blazeface_full", "blazeface_back", "yunet", "sface"} <= set(names)
    assert len(names) == len(set(names)) == len(list(models_directory.glob("*float32.onnx")))
    gpu = FakeGpu()
    finished = []

    def show(name: str, share: float) -> None:
        if share == 1.0:
            finished.append(name)

    build_engines(networks, cache_directory=tmp_path, progress=show, open_gpu=gpu.open)
    assert list(dict.fromkeys(finished)) == names
    assert len(list(tmp_path.glob("*.engine"))) == len(gpu.builds) == len(names)
    assert (gpu.memory, gpu.contexts) == ({}, 0)


@pytest.mark.skipif(gpu_fault() is None, reason="a GPU is here")
def test_without_a_gpu_engines_are_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    setting = f"inference.models_directory={tmp_path}"
    result = CliRunner().invoke(main, ["models", "build", "--engine", "--set", setting])
    assert result.exit_code == 3
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "TensorRT cannot be used" in result.stderr
    assert list(tmp_path.iterdir()) == []
