"""A float32 network to one that multiplies bytes.

Layers that read a tensor whose range is known take it in 8 bits, and their weights too; all others
stay as they are. Written as ONNX's QuantizeLinear and DequantizeLinear: the graph computes in
float32 what a runtime that knows them computes in bytes.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference" (2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from doorbell.errors import ModelError
from doorbell.networks.graph import finished_model

WEIGHTED_OPERATORS = frozenset({"Conv", "Gemm"})
# Of unsigned bytes, and of signed ones without -128, so that zero lies in the middle.
STEPS, MOST = 255, 127


def to_int8(model: onnx.ModelProto, ranges: Mapping[str, tuple[float, float]]) -> onnx.ModelProto:
    """Return the graph with the layers behind some tensors in 8 bits.

    Args:
        model: float32; the first dimension of each weight is that of the outputs.
        ranges: least and greatest value of each tensor, with 0 within; what lies beyond is clipped.

    Raises:
        ModelError: no layer with weights reads a tensor of that name.
    """
    source = model.graph
    weights = {
        node.input[1]
        for node in source.node
        if node.op_type in WEIGHTED_OPERATORS and node.input[0] in ranges
    }
    read = {node.input[0] for node in source.node if node.op_type in WEIGHTED_OPERATORS}
    if unread := ranges.keys() - read:
        raise ModelError(f"{source.name} has no layer that reads {sorted(unread)}")
    constants, nodes = [], []
    for tensor in source.initializer:
        if tensor.name in weights:
            constants += _bytes_of(tensor)
            nodes.append(_dequantize(tensor.name, axis=0))
        else:
            constants.append(tensor)
    for original in source.node:
        node = onnx.NodeProto()
        node.CopyFrom(original)
        name = node.input[0]
        if node.op_type in WEIGHTED_OPERATORS and name in ranges:
            rounded = f"{name}_rounded"
            constants += _scale(rounded, *ranges[name])
            parameters = [f"{rounded}_scale", f"{rounded}_zero"]
            nodes.append(
                helper.make_node("QuantizeLinear", [name, *parameters], [f"{rounded}_bytes"])
            )
            nodes.append(_dequantize(rounded))
            node.input[0] = rounded
        nodes.append(node)
    return finished_model(
        helper.make_graph(nodes, source.name, source.input, source.output, constants)
    )


def _bytes_of(weights: onnx.TensorProto) -> list[onnx.TensorProto]:
    """Weights in signed bytes, with a scale for each output."""
    values = numpy_helper.to_array(weights)  # (outputs, ...)
    rows = values.reshape(len(values), -1)
    scales = np.maximum(np.abs(rows).max(axis=1), np.finfo(np.float32).tiny) / MOST
    rounded = np.rint(rows / scales[:, None]).astype(np.int8).reshape(values.shape)
    scales = scales.astype(np.float32)
    return _named(weights.name, bytes=rounded, scale=scales, zero=np.zeros(len(values), np.int8))


def _scale(name: str, low: float, high: float) -> list[onnx.TensorProto]:
    scale = (high - low) / STEPS
    zero = np.array(round(-low / scale), np.uint8)
    return _named(name, scale=np.array(scale, np.float32), zero=zero)


def _named(name: str, **parts: NDArray[Any]) -> list[onnx.TensorProto]:
    return [numpy_helper.from_array(array, f"{name}_{part}") for part, array in parts.items()]


def _dequantize(name: str, axis: int | None = None) -> onnx.NodeProto:
    inputs = [f"{name}_{part}" for part in ("bytes", "scale", "zero")]
    return helper.make_node("DequantizeLinear", inputs, [name], axis=axis)
