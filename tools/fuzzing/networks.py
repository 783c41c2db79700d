"""Published weights whose hash was forged, and trained ones: the conversion meets anything.

The conversion never sees a published file with another hash; this is what would happen if it did.
Weights that were trained are a household's own file, of any content.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import flatbuffers
import numpy as np
import tflite
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from doorbell.errors import ModelError
from doorbell.models.build import convert
from doorbell.networks.trained import TrainedWeights, pack_weights

MAX_BYTES = 4096
MAX_SECONDS = 1.0

NETWORKS = ("sface", "blazeface_short", "pedestrian_ssd", "blazeface_published")

Node: TypeAlias = tuple[str, str, list[str], NDArray[np.float32] | None]
"""Name, operator, inputs, and of a constant its values."""

# As in the person detector: kernels behind an Identity, batch normalization after a convolution.
CONVOLUTION: list[Node] = [
    ("image", "Placeholder", [], None),
    ("kernel", "Const", [], np.ones((1, 1, 3, 2), np.float32)),
    ("weights", "Identity", ["kernel"], None),
    *((name, "Const", [], np.ones(2, np.float32)) for name in ("gamma", "beta", "mean", "var")),
    ("conv", "Conv2D", ["image", "weights"], None),
    ("norm", "FusedBatchNorm", ["conv", "gamma", "beta", "mean", "var"], None),
]


def seeds() -> Iterator[bytes]:
    """Make small graphs of the kinds that are converted."""
    for quantized in (False, True):
        yield b"\x00" + _onnx(quantized=quantized)
    yield b"\x01" + _tflite()
    yield b"\x02" + frozen_graph(CONVOLUTION)
    yield b"\x02" + frozen_graph([*CONVOLUTION, ("weights", "Identity", ["weights"], None)])
    kernel, bias = np.ones((2, 3, 1, 1), np.float32), np.zeros(2, np.float32)
    yield b"\x03" + pack_weights(TrainedWeights("blazeface_published", [(kernel, bias)], {}))


def check(content: bytes) -> None:
    """Convert it as the network that the first byte says."""
    name = NETWORKS[content[0] % len(NETWORKS)] if content else NETWORKS[0]
    try:
        convert(name, content[1:])
    except ModelError:
        return


def frozen_graph(nodes: Iterable[Node]) -> bytes:
    """Write TensorFlow's ``GraphDef``."""
    return b"".join(_message(1, _node(*node)) for node in nodes)


def _node(
    name: str, operator: str, inputs: Sequence[str], values: NDArray[np.float32] | None
) -> bytes:
    fields = [_message(1, name.encode()), _message(2, operator.encode())]
    fields += [_message(3, each.encode()) for each in inputs]
    if values is not None:
        sizes = b"".join(_message(2, b"\x08" + _varint(size)) for size in values.shape)
        tensor = _message(2, sizes) + _message(4, values.astype("<f4").tobytes())
        fields.append(_message(5, _message(1, b"value") + _message(2, _message(8, tensor))))
    return b"".join(fields)


def _message(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    more = b""
    while value > 127:
        more, value = more + bytes([value & 127 | 128]), value >> 7
    return more + bytes([value])


def _onnx(*, quantized: bool) -> bytes:
    """Conv, BatchNormalization, PRelu, Flatten, Gemm, as in SFace, on four pixels."""
    constants = {
        "kernel": np.ones((2, 3, 1, 1), np.float32),
        "gamma": np.ones(2, np.float32),
        "beta": np.zeros(2, np.float32),
        "mean": np.zeros(2, np.float32),
        "variance": np.ones(2, np.float32),
        "slope": np.ones((2, 1, 1), np.float32),
        "weight": np.ones((4, 8), np.float32),
        "bias": np.zeros(4, np.float32),
    }
    nodes = []
    if quantized:
        constants["kernel_flat"] = np.ones((2, 3), np.int8)
        constants["scale"] = np.ones(1, np.float32)
        constants["zero"] = np.zeros(1, np.int8)
        constants["shape"] = np.array([2, 3, 1, 1], np.int64)
        del constants["kernel"]
        nodes += [
            helper.make_node("DequantizeLinear", ["kernel_flat", "scale", "zero"], ["floats"]),
            helper.make_node("Reshape", ["floats", "shape"], ["kernel"]),
        ]
    nodes += [
        helper.make_node("Conv", ["data", "kernel"], ["a"], kernel_shape=[1, 1]),
        helper.make_node(
            "BatchNormalization", ["a", "gamma", "beta", "mean", "variance"], ["b"], epsilon=1e-3
        ),
        helper.make_node("PRelu", ["b", "slope"], ["c"]),
        helper.make_node("Dropout", ["c"], ["d"]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("Gemm", ["e", "weight", "bias"], ["f"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 2, 2])],
        [helper.make_tensor_value_info("f", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return bytes(helper.make_model(graph, ir_version=8).SerializeToString())


def _tflite() -> bytes:
    """One convolution with float32 weights."""
    b = flatbuffers.Builder(512)
    values = b.CreateByteVector(np.ones(4, np.float32).tobytes())
    buffers = []
    for data in (None, values):
        tflite.BufferStart(b)
        if data is not None:
            tflite.BufferAddData(b, data)
        buffers.append(tflite.BufferEnd(b))
    names = [b.CreateString(name) for name in ("image", "kernel", "bias", "out")]
    tensors = []
    for name, buffer, shape in zip(
        names, (0, 1, 1, 0), ((1, 2, 2, 1), (4, 1, 1, 1), (4,), (1, 2, 2, 4)), strict=True
    ):
        dimensions = b.CreateNumpyVector(np.array(shape, np.int32))
        tflite.TensorStart(b)
        tflite.TensorAddShape(b, dimensions)
        tflite.TensorAddBuffer(b, buffer)
        tflite.TensorAddName(b, name)
        tensors.append(tflite.TensorEnd(b))
    inputs = b.CreateNumpyVector(np.array([0, 1, 2], np.int32))
    outputs = b.CreateNumpyVector(np.array([3], np.int32))
    tflite.OperatorStart(b)
    tflite.OperatorAddInputs(b, inputs)
    tflite.OperatorAddOutputs(b, outputs)
    operator = tflite.OperatorEnd(b)
    tflite.OperatorCodeStart(b)
    tflite.OperatorCodeAddBuiltinCode(b, tflite.BuiltinOperator.CONV_2D)
    code = tflite.OperatorCodeEnd(b)
    operators, all_tensors = _vector(b, [operator]), _vector(b, tensors)
    tflite.SubGraphStart(b)
    tflite.SubGraphAddTensors(b, all_tensors)
    tflite.SubGraphAddOperators(b, operators)
    graph = tflite.SubGraphEnd(b)
    graphs, codes, all_buffers = _vector(b, [graph]), _vector(b, [code]), _vector(b, buffers)
    tflite.ModelStart(b)
    tflite.ModelAddSubgraphs(b, graphs)
    tflite.ModelAddOperatorCodes(b, codes)
    tflite.ModelAddBuffers(b, all_buffers)
    b.Finish(tflite.ModelEnd(b))
    return bytes(b.Output())


def _vector(b: flatbuffers.Builder, offsets: list[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return int(b.EndVector())
