"""The weights of a frozen TensorFlow graph, read without TensorFlow.

Batch normalization is folded into the convolution before it. Only what a graph of convolutions
holds is read: ``GraphDef`` of TensorFlow's graph.proto, node_def.proto and tensor.proto, whose
field numbers stand below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from doorbell.domain import Float32Array
from doorbell.errors import ModelError
from doorbell.networks.weights import ReadWeights

_DAMAGED = "the graph is damaged"
_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")

# Adds to the variance; every FusedBatchNorm of the graphs read here has it.
EPSILON = 1e-3

# Of a number of 64 bits, 7 in each.
_VARINT_BYTES = 10
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class _Node:
    name: str
    operator: str
    inputs: tuple[str, ...]
    tensor: bytes | None


def frozen_graph_weights(content: bytes) -> ReadWeights:
    """Read the weights of a frozen graph.

    Raises:
        ModelError: it is none, or holds what is not read here.
    """
    return ReadWeights(_read_convolutions(content))


def _read_convolutions(content: bytes) -> list[tuple[Float32Array, Float32Array]]:
    nodes = [_read_node(value) for number, value in _fields(content) if number == 1]
    by_name = {node.name: node for node in nodes}
    after = {
        node.inputs[0]: node for node in nodes if node.operator in ("FusedBatchNorm", "BiasAdd")
    }
    convolutions = []
    for node in nodes:
        if node.operator not in _CONVOLUTIONS:
            continue
        kernel = _constant(by_name, node.inputs[1])  # (height, width, in, out or multiplier)
        is_depthwise = node.operator == "DepthwiseConv2dNative"
        kernel = kernel.transpose((2, 3, 0, 1) if is_depthwise else (3, 2, 0, 1))
        following = after[node.name]
        values = [_constant(by_name, name) for name in following.inputs[1:]]
        if following.operator == "BiasAdd":
            [bias] = values
        else:
            gamma, beta, mean, variance = values
            if not (variance > -EPSILON).all():
                raise ModelError(
                    f"{following.name} of the graph has a variance below 0: {_DAMAGED}"
                )
            scale = gamma / np.sqrt(variance + np.float32(EPSILON))
            kernel, bias = kernel * scale[:, None, None, None], beta - mean * scale
        convolutions.append((np.ascontiguousarray(kernel, np.float32), bias))
    return convolutions


def _constant(nodes: dict[str, _Node], name: str) -> Float32Array:
    node = nodes[name]
    for _ in nodes:
        if node.operator != "Identity":
            break
        node = nodes[node.inputs[0]]
    else:
        raise ModelError(f"{name} of the graph is made of itself: {_DAMAGED}")
    if node.operator != "Const" or node.tensor is None:
        raise ModelError(f"{name} of the graph is no constant: it is the file of another network")
    shape: list[int] = []
    raw = b""
    for number, value in _fields(node.tensor):
        if number == 2:  # the shape, each dimension's size is its first field
            for _, dimension in _fields(_bytes(value)):
                shape += [_number(size) for key, size in _fields(_bytes(dimension)) if key == 1]
        elif number == 4:  # the values
            raw = _bytes(value)
    values: Float32Array = np.frombuffer(raw, "<f4").astype(np.float32)
    return values.reshape(shape)


def _read_node(content: bytes | int) -> _Node:
    name = operator = ""
    inputs: list[str] = []
    tensor = None
    for number, value in _fields(_bytes(content)):
        match number:
            case 1:
                name = _bytes(value).decode()
            case 2:
                operator = _bytes(value).decode()
            case 3:
                inputs.append(_bytes(value).decode())
            case 5:  # an attribute: its key, and its value, whose eighth field is a tensor
                attribute = dict(_fields(_bytes(value)))
                if attribute.get(1) == b"value":
                    held = dict(_fields(_bytes(attribute[2]))).get(8)
                    tensor = None if held is None else _bytes(held)
    return _Node(name, operator, tuple(inputs), tensor)


def _fields(content: bytes | int) -> Iterator[tuple[int, bytes | int]]:
    """The fields of a protocol buffer: number and value, in their order."""
    content = _bytes(content)
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(content, at)
            yield key >> 3, value
            continue
        if kind == _LENGTH:
            length, at = _varint(content, at)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            length = 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ModelError(f"a field of kind {kind} is in the graph: it is no frozen graph")
        if at + length > len(content):
            raise ModelError("the graph ends within a field: it is cut off")
        yield key >> 3, content[at : at + length]
        at += length


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """The number that begins at a place, and where the next thing begins."""
    value = 0
    for shift in range(0, 7 * _VARINT_BYTES, 7):
        if at >= len(content):
            raise ModelError("the graph ends within a number: it is cut off")
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ModelError("a number in the graph has no end: it is damaged")


def _bytes(value: bytes | int) -> bytes:
    if isinstance(value, int):
        raise ModelError("a number stands in the graph where a message belongs: it is damaged")
    return value


def _number(value: bytes | int) -> int:
    if isinstance(value, bytes):
        raise ModelError("a message stands in the graph where a number belongs: it is damaged")
    return value
