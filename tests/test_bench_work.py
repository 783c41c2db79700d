from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from doorbell.measure.speed.multiply_adds import Work, count_work
from doorbell.models.store import network_path
from doorbell.networks.graph import finished_model


@pytest.mark.parametrize(("name", "millions"), [("blazeface_short", 30.8), ("sface", 574)], ids=str)
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_known_networks_have_the_known_work(
    name: str, millions: float, precision: str, models_directory: Path
) -> None:
    work = count_work(onnx.load(network_path(models_directory, name, precision)))
    assert work.multiply_adds / 1e6 == pytest.approx(millions, rel=0.002)
    # A parameter is four bytes or two; what else is in the file is small.
    size = network_path(models_directory, name, precision).stat().st_size
    assert work.parameters * (4 if precision == "float32" else 2) == pytest.approx(size, rel=0.1)


def test_convolutions_and_dense_layers_are_counted_by_hand() -> None:
    """A strided grouped convolution to 2x2x8, a bias, and a dense layer in both orders."""
    constants = {
        "kernel": np.zeros((8, 2, 3, 3), np.float32),
        "bias": np.zeros(8, np.float32),
        "dense": np.zeros((5, 32), np.float32),
        "last": np.zeros((5, 7), np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node(
                "Conv",
                ["image", "kernel", "bias"],
                ["a"],
                group=2,
                strides=[2, 2],
                kernel_shape=[3, 3],
                pads=[0, 0, 1, 1],
            ),
            helper.make_node("Flatten", ["a"], ["b"]),
            helper.make_node("Gemm", ["b", "dense"], ["c"], transB=1),
            helper.make_node("Gemm", ["c", "last"], ["d"]),
        ],
        "counted",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 4, 4, 4])],
        [helper.make_tensor_value_info("d", TensorProto.FLOAT, ["batch", 7])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    assert count_work(finished_model(graph)) == Work(
        multiply_adds=2 * 2 * 8 * 2 * 9 + 32 * 5 + 5 * 7, parameters=8 * 2 * 9 + 8 + 160 + 35
    )
