"""MobileNetV2-SSD against what is published of MobileNetV2, and on every builder that is here."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from doorbell.inference.openvino import OpenVinoRunner
from doorbell.inference.tensorrt import build_engine
from doorbell.measure.speed.multiply_adds import count_work
from doorbell.networks.float16 import to_float16
from doorbell.networks.graph import GraphBuilder
from doorbell.networks.mobilenet_ssd import LAST_CHANNELS, backbone, mobilenet_ssd
from doorbell.networks.weights import SeededWeights

CLASSES = 1000


def test_the_backbone_is_the_published_one() -> None:
    """Table 4 of the MobileNetV2 paper: 300 M multiply-adds and 3.4 M parameters at 224 pixels."""
    g = GraphBuilder(SeededWeights(1))
    levels = backbone(g, g.image(224))
    g.per_anchor(levels[-1], LAST_CHANNELS, output="features")
    work = count_work(g.model("backbone", {"features": (7 * 7, LAST_CHANNELS)}))

    assert [(x.channels, x.height) for x in levels] == [
        (96, 112),
        (144, 56),
        (192, 28),
        (576, 14),
        (1280, 7),
    ]
    classifier = LAST_CHANNELS * CLASSES
    assert work.multiply_adds + classifier == pytest.approx(300e6, rel=0.01)
    assert work.parameters + classifier + CLASSES == pytest.approx(3.4e6, rel=0.03)


def test_the_detector_runs_on_any_batch_and_keeps_its_pictures_apart(tmp_path: Path) -> None:
    path = tmp_path / "ssd.onnx"
    onnx.save(mobilenet_ssd(GraphBuilder(SeededWeights(1))), path)
    runner = OpenVinoRunner(path, threads=1, cache_directory=None)
    images = np.random.default_rng(0).uniform(-1, 1, (3, 3, 128, 128)).astype(np.float32)
    together = runner.infer({"image": images})
    alone = runner.infer({"image": images[2:]})
    runner.close()

    assert {name: value.shape for name, value in together.items()} == {
        "regressors": (3, 680, 16),
        "scores": (3, 680, 1),
    }
    for name, value in together.items():
        assert np.abs(value).max() > 1e-3
        np.testing.assert_allclose(value[2:], alone[name], atol=1e-4)


def test_the_detector_is_the_same_each_time_it_is_written() -> None:
    first, second = (
        mobilenet_ssd(GraphBuilder(SeededWeights(1))).SerializeToString() for _ in range(2)
    )
    assert first == second


def test_tensorrt_builds_it_in_float16(tmp_path: Path) -> None:
    trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has no package for this machine")
    path = tmp_path / "ssd.onnx"
    onnx.save(to_float16(mobilenet_ssd(GraphBuilder(SeededWeights(1)))), path)
    engine = build_engine(trt, path, architecture="SM86")
    # Float32 weights would take twice the file.
    assert path.stat().st_size < len(engine) < path.stat().st_size + (4 << 20)
