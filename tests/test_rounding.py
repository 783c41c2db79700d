"""What is compared as float16 really is float16, after every operator."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from doorbell.errors import InferenceError
from doorbell.inference.openvino import OpenVinoRunner
from doorbell.measure.accuracy.rounding import RoundingRunner, rounded
from doorbell.models.store import network_path
from doorbell.networks.float16 import to_float16
from doorbell.networks.graph import finished_model


def there_and_back() -> onnx.ModelProto:
    """Add 1 to the input, then subtract 2048, in float16."""
    shape: list[str | int | None] = ["batch", 1]
    return to_float16(
        finished_model(
            helper.make_graph(
                [
                    helper.make_node("Add", ["image", "one"], ["sum"], name="add"),
                    helper.make_node("Sub", ["sum", "large"], ["result"], name="sub"),
                ],
                "there_and_back",
                [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
                [helper.make_tensor_value_info("result", TensorProto.FLOAT, shape)],
                [
                    helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
                    helper.make_tensor("large", TensorProto.FLOAT, [], [2048.0]),
                ],
            )
        )
    )


def test_every_result_is_rounded_which_a_cpu_does_not_do_by_itself(tmp_path: Path) -> None:
    images = np.array([[2048], [2050], [0.1]], np.float32)
    numpy = images.astype(np.float16) + np.float16(1) - np.float16(2048)
    path = tmp_path / "there_and_back.onnx"
    onnx.save(there_and_back(), path)
    unrounded = OpenVinoRunner(path, threads=1, cache_directory=None).infer({"image": images})
    result = RoundingRunner(there_and_back(), threads=1).infer({"image": images})["result"]
    np.testing.assert_array_equal(result, numpy.astype(np.float32))
    assert unrounded["result"][0] == 1
    assert result[0] == 0


@pytest.mark.parametrize(
    "name", ["blazeface_short", "blazeface_full", "blazeface_back", "sface", "pedestrian_ssd"]
)
def test_every_operator_of_a_network_is_rounded(name: str, models_directory: Path) -> None:
    network = onnx.load(network_path(models_directory, name, "float16"))
    operators = [node for node in network.graph.node if node.op_type != "Cast"]
    nodes = rounded(network).graph.node
    kept = {node.input[0]: node.output[0] for node in nodes if node.op_type == "Cast"}
    for node in operators:
        (output,) = node.output
        half = kept[f"{output}_exact"]
        assert kept[half] == output
    assert not {tensor.data_type for tensor in rounded(network).graph.initializer} & {
        TensorProto.FLOAT16
    }


def test_a_wrong_input_is_said() -> None:
    runner = RoundingRunner(there_and_back(), threads=1)
    with pytest.raises(InferenceError, match=r"takes \['image'\]"):
        runner.infer({"picture": np.zeros((1, 1), np.float32)})
    with pytest.raises(InferenceError, match=r"\(batch, 1\)"):
        runner.infer({"image": np.zeros((1, 2), np.float32)})
