"""How much work a network is, counted from its graph.

Runs nothing and measures no time.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import onnx
from onnx import shape_inference

# The operators that multiply a weight with an input and add it up; what a network computes beside
# them (activations, sums, pooling) is left out, as it is in published figures.
COUNTED = ("Conv", "Gemm")
LEARNED = (*COUNTED, "PRelu")


@dataclass(frozen=True, slots=True)
class Work:
    """What one picture costs.

    Attributes:
        multiply_adds: of convolutions and dense layers; a multiplication and an addition are one.
        parameters: learned numbers, biases included.
    """

    multiply_adds: int
    parameters: int


def count_work(model: onnx.ModelProto) -> Work:
    """Count the work of a network for a batch of one."""
    graph = shape_inference.infer_shapes(model, strict_mode=True).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    outputs = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim[1:]]
        for value in (*graph.value_info, *graph.output)
    }
    return Work(
        multiply_adds=sum(
            _weights_per_output(node, shapes[node.input[1]]) * prod(outputs[node.output[0]])
            for node in graph.node
            if node.op_type in COUNTED
        ),
        parameters=sum(
            prod(shapes[name])
            for node in graph.node
            if node.op_type in LEARNED
            for name in node.input[1:]
        ),
    )


def _weights_per_output(node: onnx.NodeProto, shape: tuple[int, ...]) -> int:
    """How many weights one output value is the sum of."""
    if node.op_type == "Conv":
        return prod(shape[1:])  # (out, in / groups, height, width)
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    return shape[1] if transposed else shape[0]
