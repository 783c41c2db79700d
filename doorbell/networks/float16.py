"""A float32 graph to one that computes in float16, with float32 inputs and outputs.

Enters and leaves: an ONNX model. Every constant becomes float16, a Pad's value too: a strongly
typed TensorRT network refuses one that stayed float32. The scales of a Resize are float32 by its
definition and stay.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from doorbell.networks.graph import finished_model


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph cast to float16 between one cast after each input and before each output."""
    source = model.graph
    float32_inputs = {
        name for node in source.node if node.op_type == "Resize" for name in node.input[1:]
    }
    casts_in, casts_out, renamed = [], [], {}
    for value in source.input:
        renamed[value.name] = f"{value.name}_float16"
        casts_in.append(_cast(value.name, renamed[value.name], TensorProto.FLOAT16))
    for value in source.output:
        renamed[value.name] = f"{value.name}_float16"
        casts_out.append(_cast(renamed[value.name], value.name, TensorProto.FLOAT))
    nodes = []
    for original in source.node:
        node = onnx.NodeProto()
        node.CopyFrom(original)
        node.input[:] = [renamed.get(name, name) for name in original.input]
        node.output[:] = [renamed.get(name, name) for name in original.output]
        nodes.append(node)
    constants = [
        tensor if tensor.name in float32_inputs else _constant_to_float16(tensor)
        for tensor in source.initializer
    ]
    graph = helper.make_graph(
        [*casts_in, *nodes, *casts_out], source.name, source.input, source.output, constants
    )
    return finished_model(graph)


def _cast(source: str, target: str, element_type: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"cast_{target}", to=element_type)


def _constant_to_float16(tensor: onnx.TensorProto) -> onnx.TensorProto:
    if tensor.data_type != TensorProto.FLOAT:
        return tensor
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name)
