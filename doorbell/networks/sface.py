"""SFace, from the block-quantized file of the OpenCV Zoo to a clean float32 graph.

The file keeps every weight as int8 behind DequantizeLinear and Reshape, and lists its weights among
its inputs, which no runtime takes as it is. All that depends on constants alone is computed once
here, with the reference semantics of ONNX, and batch normalization is folded into its neighbours.

Source: Zhong et al., "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition"
(2021).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from doorbell.errors import ModelError
from doorbell.networks.graph import finished_model

SIZE = 112
EMBEDDING_VALUES = 128

KEPT_OPERATORS = frozenset({"Sub", "Mul", "Conv", "PRelu", "Flatten", "Gemm"})
# What is computed here; of others, some could be made to take all time and memory.
FOLDED_OPERATORS = frozenset(
    {"Constant", "DequantizeLinear", "Reshape", "Dropout", "BatchNormalization"}
)

Constants = dict[str, NDArray[Any]]


def sface(content: bytes) -> onnx.ModelProto:
    """Clean up the published file.

    Raises:
        ModelError: the file is not the graph that is known here.
    """
    source = onnx.load_model_from_string(content).graph
    check_operators("SFace", source.node, KEPT_OPERATORS | FOLDED_OPERATORS)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in source.initializer}
    nodes = fold_constants(source, constants)
    nodes = _fold_batch_normalization(nodes, constants)
    check_operators("SFace", nodes, KEPT_OPERATORS)
    renamed = {source.input[0].name: "image", source.output[0].name: "embedding"}
    for node in nodes:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "sface",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])],
        [
            helper.make_tensor_value_info(
                "embedding", TensorProto.FLOAT, ["batch", EMBEDDING_VALUES]
            )
        ],
        [numpy_helper.from_array(v, name) for name, v in constants.items() if name in used],
    )
    return finished_model(graph)


def check_operators(name: str, nodes: Iterable[onnx.NodeProto], known: frozenset[str]) -> None:
    """Refuse a graph that holds other operators.

    Raises:
        ModelError: it does.
    """
    unknown = {node.op_type for node in nodes} - known
    if unknown:
        raise ModelError(
            f"the {name} file holds unknown operators {sorted(unknown)}: take the one that the "
            "manifest names"
        )


def fold_constants(graph: onnx.GraphProto, constants: Constants) -> list[onnx.NodeProto]:
    """Compute what needs no input, and drop Dropout, which does nothing after training."""
    nodes: list[onnx.NodeProto] = []
    same: dict[str, str] = {}
    for node in graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]
        if node.op_type == "Dropout":
            same[node.output[0]] = node.input[0]
        elif all(name in constants for name in node.input):
            inputs = {name: constants[name] for name in node.input}
            (value,) = ReferenceEvaluator(node).run(None, inputs)
            constants[node.output[0]] = np.asarray(value)
        else:
            nodes.append(node)
    return nodes


def _fold_batch_normalization(
    nodes: list[onnx.NodeProto], constants: Constants
) -> list[onnx.NodeProto]:
    """Fold each normalization into the Conv or Gemm before it, or else into the Gemm after it."""
    producers = {node.output[0]: node for node in nodes}
    consumers = {node.input[0]: node for node in nodes}
    for node in [node for node in nodes if node.op_type == "BatchNormalization"]:
        epsilon = next(a.f for a in node.attribute if a.name == "epsilon")
        gamma, beta, mean, variance = (
            constants[name].astype(np.float64) for name in node.input[1:]
        )
        scale = gamma / np.sqrt(variance + epsilon)
        shift = beta - mean * scale
        before = producers[node.input[0]]
        if before.op_type in ("Conv", "Gemm"):
            _scale_outputs(before, scale, shift, constants)
            before.output[0] = node.output[0]
            producers[node.output[0]] = before
        else:
            flatten = consumers[node.output[0]]
            flatten.input[0] = node.input[0]
            _scale_inputs(consumers[flatten.output[0]], scale, shift, constants)
        nodes.remove(node)
    return nodes


def _scale_outputs(
    node: onnx.NodeProto,
    scale: NDArray[np.float64],
    shift: NDArray[np.float64],
    constants: Constants,
) -> None:
    weight = constants[node.input[1]]
    rows = scale.reshape(-1, *[1] * (weight.ndim - 1))
    constants[node.input[1]] = (weight * rows).astype(np.float32)
    bias = constants[node.input[2]] * scale if len(node.input) > 2 else 0.0
    name = f"{node.output[0]}_bias"
    constants[name] = (bias + shift).astype(np.float32)
    node.input[:] = [*node.input[:2], name]


def _scale_inputs(
    gemm: onnx.NodeProto,
    scale: NDArray[np.float64],
    shift: NDArray[np.float64],
    constants: Constants,
) -> None:
    weight, bias = constants[gemm.input[1]], constants[gemm.input[2]]  # (128, 50176), (128,)
    cells = weight.shape[1] // len(scale)
    constants[gemm.input[1]] = (weight * np.repeat(scale, cells)).astype(np.float32)
    constants[gemm.input[2]] = (bias + weight @ np.repeat(shift, cells)).astype(np.float32)
