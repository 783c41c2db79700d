"""What a GPU computes from a float16 network, computed on the CPU.

Slow: made to be compared with, not to be used.

A float16 graph given to a CPU runtime does not show that. OpenVINO and ONNX Runtime round its
weights and compute in float32 from the first cast to the last: 2048 + 1 - 2048 is 1 in both, in
float16 it is 0 (tried 2026-11-22 with OpenVINO 2026.4 and ONNX Runtime 1.32 on x86-64). So each
rounding is written into the graph as two casts, which ONNX Runtime keeps.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from doorbell.config import InferenceSection
from doorbell.errors import UsageError
from doorbell.inference import Input, NetworkFiles, Runner, open_runner
from doorbell.inference.tensors import TensorSpec, check_inputs, host_array


class RoundingRunner:
    """A float16 network on the CPU, rounded as on a GPU; see ``Runner``."""

    def __init__(self, model: onnx.ModelProto, *, threads: int) -> None:
        """Load the network.

        Args:
            model: a float16 graph; inputs and outputs are float32.
            threads: 0 for as many as the machine has cores.

        Raises:
            UsageError: ONNX Runtime is not installed.
        """
        try:
            import onnxruntime
        except ImportError as exc:
            raise UsageError(
                "rounding as a GPU does takes ONNX Runtime: `pip install '.[precision]'` in the "
                "checkout"
            ) from exc
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # What is optimized away might be a rounding.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = onnxruntime.InferenceSession(
            rounded(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {value.name: _spec(value) for value in model.graph.input}
        self._output_names = [output.name for output in self._session.get_outputs()]

    def infer(self, inputs: Mapping[str, Input]) -> dict[str, NDArray[np.float32]]:
        """Run the network once; see ``Runner``."""
        check_inputs(inputs, self._inputs)
        arrays = {name: host_array(value) for name, value in inputs.items()}
        outputs = self._session.run(self._output_names, arrays)
        return dict(zip(self._output_names, outputs, strict=True))

    def close(self) -> None:
        """Hold nothing but memory."""


def open_rounding(files: NetworkFiles, section: InferenceSection) -> Runner:
    """Load the float16 graph of a network, unless that is never used; raises as ``open_runner``."""
    if section.precision == "float32" or files.float16 is None:
        return open_runner(files, section)
    return RoundingRunner(onnx.load(files.float16), threads=section.threads)


def rounded(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a float32 graph that rounds wherever a float16 graph holds a float16 value."""
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    halves = {
        value.name
        for value in inferred.graph.value_info
        if value.type.tensor_type.elem_type == TensorProto.FLOAT16
    }
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    graph.ClearField("node")
    graph.ClearField("initializer")
    graph.ClearField("value_info")
    graph.initializer.extend(_widened(tensor) for tensor in model.graph.initializer)
    for original in model.graph.node:
        node = graph.node.add()
        node.CopyFrom(original)
        if node.op_type == "Cast" and original.output[0] in halves:
            node.attribute[0].i = TensorProto.FLOAT
        for index, name in enumerate(original.output):
            if name in halves:
                exact, half = f"{name}_exact", f"{name}_half"
                node.output[index] = exact
                graph.node.add().CopyFrom(
                    helper.make_node("Cast", [exact], [half], to=TensorProto.FLOAT16)
                )
                graph.node.add().CopyFrom(
                    helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT)
                )
    onnx.checker.check_model(result, full_check=True)
    return result


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    tensor = value.type.tensor_type
    return TensorSpec(
        tuple(size.dim_value or None for size in tensor.shape.dim),
        helper.tensor_dtype_to_np_dtype(tensor.elem_type),
    )


def _widened(tensor: onnx.TensorProto) -> onnx.TensorProto:
    if tensor.data_type != TensorProto.FLOAT16:
        return tensor
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)
