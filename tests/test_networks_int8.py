"""What the layers in 8 bits compute, and which they are."""

from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from doorbell.errors import ModelError
from doorbell.inference import PROCESSOR
from doorbell.inference.openvino import OpenVinoRunner
from doorbell.networks.graph import finished_model
from doorbell.networks.int8 import to_int8

RANGE = (-2.0, 6.0)
VNNI = not {"avx_vnni", "avx512_vnni"}.isdisjoint(PROCESSOR.read_text().split())


def two_layers(first: NDArray[np.float32], second: NDArray[np.float32]) -> onnx.ModelProto:
    """``result`` is ``values`` times ``first``, times ``second``."""
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["values", "first"], ["middle"], transB=1),
            helper.make_node("Gemm", ["middle", "second"], ["result"], transB=1),
        ],
        "layers",
        [helper.make_tensor_value_info("values", TensorProto.FLOAT, ["batch", 3])],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(first, "first"), numpy_helper.from_array(second, "second")],
    )
    return finished_model(graph)


def run(
    model: onnx.ModelProto, values: NDArray[np.float32], directory: Path
) -> NDArray[np.float32]:
    path = directory / "layers.onnx"
    onnx.save(model, path)
    with closing(OpenVinoRunner(path, threads=1, cache_directory=None)) as runner:
        return runner.infer({"values": values})["result"]


@pytest.mark.parametrize(
    "greatest",
    [
        pytest.param(1.9, id="small"),
        pytest.param(
            RANGE[1],
            marks=pytest.mark.skipif(
                not VNNI, reason="sums of two products stop at 16 bits on this processor"
            ),
            id="any",
        ),
    ],
)
def test_values_and_weights_are_rounded_to_their_steps_and_no_more(
    tmp_path: Path, greatest: float
) -> None:
    """Of small values on any processor: two bytes of up to 127 times 127 fit into 16 bits."""
    generator = np.random.default_rng(1)
    first = np.eye(3, dtype=np.float32)
    second = generator.normal(size=(2, 3)).astype(np.float32)
    model = two_layers(first, second)
    values = generator.uniform(RANGE[0], greatest, (50, 3)).astype(np.float32)
    exact = run(model, values, tmp_path)
    rounded = run(to_int8(model, {"middle": RANGE}), values, tmp_path)
    step = (RANGE[1] - RANGE[0]) / 255
    largest = np.abs(second).max(axis=1)
    # Half a step of each value, and half a step of each weight.
    allowed = step / 2 * np.abs(second).sum(axis=1) + 3 * max(RANGE) * largest / 127 / 2
    difference = np.abs(exact - rounded)
    assert (difference <= allowed + 1e-5).all()
    assert difference.max() > step / 10


def test_what_lies_beyond_the_range_is_clipped(tmp_path: Path) -> None:
    one = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    model = to_int8(two_layers(one, one[:2]), {"middle": RANGE})
    values = np.array([[-50, 50, 0]], np.float32)
    np.testing.assert_allclose(run(model, values, tmp_path), [RANGE], atol=0.04)


def test_a_layer_without_a_range_stays_exact() -> None:
    first = np.random.default_rng(2).normal(size=(3, 3)).astype(np.float32)
    model = to_int8(two_layers(first, np.ones((2, 3), np.float32)), {"middle": RANGE})
    kept = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    np.testing.assert_array_equal(kept["first"], first)
    assert "second" not in kept
    assert kept["second_bytes"].dtype == np.int8


def test_an_output_whose_weights_are_all_zero_stays_zero(tmp_path: Path) -> None:
    second = np.array([[0, 0, 0], [1, 2, 3]], np.float32)
    model = to_int8(two_layers(np.eye(3, dtype=np.float32), second), {"middle": RANGE})
    result = run(model, np.full((1, 3), 1.5, np.float32), tmp_path)
    assert result[0, 0] == 0
    assert result[0, 1] == pytest.approx(9, abs=0.2)


def test_a_range_that_no_layer_reads_is_refused() -> None:
    model = two_layers(np.eye(3, dtype=np.float32), np.ones((2, 3), np.float32))
    with pytest.raises(ModelError, match=r"no layer that reads .*elsewhere"):
        to_int8(model, {"middle": RANGE, "elsewhere": RANGE})
