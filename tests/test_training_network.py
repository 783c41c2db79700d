"""The trainable networks against the graphs that are written by the same functions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from doorbell.errors import ModelError
from doorbell.inference.openvino import OpenVinoRunner
from doorbell.networks import blazeface
from doorbell.networks.graph import Builder, GraphBuilder
from doorbell.networks.mobilenet_ssd import mobilenet_ssd
from doorbell.networks.trained import rounded
from doorbell.networks.weights import ReadWeights, SeededWeights

torch = pytest.importorskip("torch", reason="PyTorch is only needed to train")

from doorbell.training.anchors import TRAINABLE  # noqa: E402
from doorbell.training.network import TrainableBuilder, TrainableNetwork  # noqa: E402

Write = Callable[[Builder[Any]], Any]
NETWORKS = [blazeface.published, blazeface.full_range, mobilenet_ssd]


def run_graph(model: onnx.ModelProto, images: np.ndarray, path: Path) -> dict[str, np.ndarray]:
    onnx.save(model, path)
    runner = OpenVinoRunner(path, threads=1, cache_directory=None)
    outputs = dict(runner.infer({"image": images}))
    runner.close()
    return outputs


def random_images(side: int, count: int = 2) -> np.ndarray:
    shape = (count, 3, side, side)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize("write", NETWORKS)
def test_the_same_weights_give_the_same_values(write: Write, tmp_path: Path) -> None:
    network = write(TrainableBuilder(SeededWeights(1)))
    images = random_images(network.input_pixels)
    with torch.no_grad():
        outputs = network.compute(torch.from_numpy(images))
    graph = run_graph(write(GraphBuilder(SeededWeights(1))), images, tmp_path / "graph.onnx")

    assert outputs.keys() == graph.keys()
    for name, values in graph.items():
        np.testing.assert_allclose(outputs[name].numpy(), values, rtol=1e-3, atol=1e-3)


def normalized(write: Write = blazeface.published) -> TrainableNetwork:
    """A network whose normalization has seen something."""
    torch.manual_seed(1)
    network: TrainableNetwork = write(TrainableBuilder())
    for convolution in network.convolutions:
        for name in ("scale", "shift"):
            if name in convolution.learned:
                convolution.learned[name].uniform_(0.5, 1.5)
    network.compute(torch.from_numpy(random_images(network.input_pixels, 4)), training=True)
    return network


@pytest.mark.parametrize("write", [blazeface.published, mobilenet_ssd])
def test_normalization_is_folded_into_the_graph(write: Write, tmp_path: Path) -> None:
    network = normalized(write)
    images = random_images(network.input_pixels)
    outputs = network.compute(torch.from_numpy(images))
    graph = run_graph(
        write(GraphBuilder(ReadWeights(network.folded()))), images, tmp_path / "graph.onnx"
    )

    for name, values in graph.items():
        assert np.abs(values).max() > 0.1
        np.testing.assert_allclose(outputs[name].numpy(), values, rtol=1e-3, atol=2e-3)


def test_what_is_exported_does_not_change_while_training_goes_on() -> None:
    network = normalized()
    before = network.folded()
    kept = [kernel.copy() for kernel, _ in before]
    with torch.no_grad():
        for values in network.parameters():
            values.add_(1)

    assert all(np.array_equal(kernel, old) for (kernel, _), old in zip(before, kept, strict=True))


def test_boxes_begin_in_the_size_of_their_anchors() -> None:
    network: TrainableNetwork = blazeface.published(TrainableBuilder())
    sides = TRAINABLE["table1"].sides
    network.begin_at(sides)
    outputs = network.compute(torch.zeros(1, 3, 128, 128))

    widths = outputs["regressors"][0, :, 2].numpy()
    assert widths[:2] == pytest.approx(sides[0], abs=1e-3)
    assert widths[-6:] == pytest.approx(sides[1], abs=1e-3)
    assert float(outputs["scores"].max()) < -4


def test_weights_of_another_network_are_refused() -> None:
    convolutions = rounded(normalized().folded())
    with pytest.raises(ModelError, match="another network"):
        mobilenet_ssd(TrainableBuilder(ReadWeights(convolutions)))
    with pytest.raises(ModelError, match="another network"):
        blazeface.published(TrainableBuilder(ReadWeights([*convolutions, convolutions[0]])))
