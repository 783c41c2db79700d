"""Writing a convolutional network as code, and getting an ONNX graph out.

A network is a function of a ``Builder``: what builds it decides what becomes of it. Here that is a
graph that runtimes read; ``doorbell.training`` makes of the same function what can be trained.

Everything is NCHW. Padding is TensorFlow's SAME, which for stride 2 is asymmetric: the odd pixel is
added at the bottom and at the right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from doorbell.domain import Float32Array

# The newest pair that TensorRT 8.6 reads; every later version of it and OpenVINO read it as well.
OPSET = 17
IR_VERSION = 8


class WeightSource(Protocol):
    """Hands out the weights of one convolution after the other, in the order of the network."""

    def take(self, shape: tuple[int, int, int, int]) -> tuple[Float32Array, Float32Array]:
        """Return the next kernel (out, in / groups, height, width) and bias (out,).

        Raises:
            ModelError: the next weights have another shape, or there are none left.
        """

    def finish(self) -> None:
        """Check that nothing is left over.

        Raises:
            ModelError: the network did not use every weight.
        """


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value of the graph: (batch, channels, height, width)."""

    name: str
    channels: int
    height: int
    width: int


Network = TypeVar("Network")
_Network_co = TypeVar("_Network_co", covariant=True)


class Builder(Protocol[_Network_co]):
    """Builds one network, from its input to its outputs."""

    def image(self, size: int) -> Tensor:
        """Declare the input ``image``: (batch, 3, size, size)."""

    def convolution(self, x: Tensor, channels: int, *, kernel: int = 1, stride: int = 1) -> Tensor:
        """Add a plain convolution with bias."""

    def depthwise(self, x: Tensor, *, kernel: int = 3, stride: int = 1) -> Tensor:
        """Add a depthwise convolution with bias."""

    def relu(self, x: Tensor) -> Tensor:
        """Add a ReLU."""

    def relu6(self, x: Tensor) -> Tensor:
        """Add a ReLU that ends at 6."""

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        """Add two tensors of one shape."""

    def max_pool(self, x: Tensor) -> Tensor:
        """Halve height and width by the maximum of 2x2."""

    def pad_channels(self, x: Tensor, channels: int) -> Tensor:
        """Append zero channels up to ``channels``."""

    def upsample(self, x: Tensor) -> Tensor:
        """Double height and width, bilinear over pixel centres."""

    def per_anchor(self, x: Tensor, values: int, *, output: str | None = None) -> str:
        """Rearrange to (batch, anchors, values): row by row, the anchors of a cell side by side.

        ``output`` names the result where it is an output of the network.
        """

    def concatenate_anchors(self, parts: list[str], *, output: str) -> None:
        """Join (batch, anchors, values) of several layers to an output of the network."""

    def model(self, name: str, outputs: dict[str, tuple[int, int]]) -> _Network_co:
        """Finish the network; ``outputs`` maps each output to its (anchors, values).

        Raises:
            ModelError: weights are left over.
        """


class GraphBuilder:
    """Builds an ONNX graph from given weights; see ``Builder``."""

    def __init__(self, weights: WeightSource) -> None:
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []

    def image(self, size: int) -> Tensor:
        """Declare the input ``image``: (batch, 3, size, size)."""
        shape: list[str | int | None] = ["batch", 3, size, size]
        self._inputs.append(helper.make_tensor_value_info("image", TensorProto.FLOAT, shape))
        return Tensor("image", 3, size, size)

    def convolution(self, x: Tensor, channels: int, *, kernel: int = 1, stride: int = 1) -> Tensor:
        """Add a plain convolution with bias."""
        return self._convolve(x, channels, kernel, stride, groups=1)

    def depthwise(self, x: Tensor, *, kernel: int = 3, stride: int = 1) -> Tensor:
        """Add a depthwise convolution with bias."""
        return self._convolve(x, x.channels, kernel, stride, groups=x.channels)

    def relu(self, x: Tensor) -> Tensor:
        """Add a ReLU."""
        name = self._node("Relu", [x.name])
        return Tensor(name, x.channels, x.height, x.width)

    def relu6(self, x: Tensor) -> Tensor:
        """Add a ReLU that ends at 6."""
        bounds = [self._constant(np.array(bound, np.float32)) for bound in (0, 6)]
        return Tensor(self._node("Clip", [x.name, *bounds]), x.channels, x.height, x.width)

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        """Add two tensors of one shape."""
        name = self._node("Add", [x.name, y.name])
        return Tensor(name, x.channels, x.height, x.width)

    def max_pool(self, x: Tensor) -> Tensor:
        """Halve height and width by the maximum of 2x2."""
        name = self._node("MaxPool", [x.name], kernel_shape=[2, 2], strides=[2, 2])
        return Tensor(name, x.channels, x.height // 2, x.width // 2)

    def pad_channels(self, x: Tensor, channels: int) -> Tensor:
        """Append zero channels up to ``channels``."""
        if channels == x.channels:
            return x
        pads = self._constant(np.array([0, 0, 0, 0, 0, channels - x.channels, 0, 0], np.int64))
        zero = self._constant(np.zeros((), np.float32))
        return Tensor(self._node("Pad", [x.name, pads, zero]), channels, x.height, x.width)

    def upsample(self, x: Tensor) -> Tensor:
        """Double height and width, bilinear over pixel centres."""
        scales = self._constant(np.array([1, 1, 2, 2], np.float32))
        name = self._node(
            "Resize",
            [x.name, "", scales],
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )
        return Tensor(name, x.channels, x.height * 2, x.width * 2)

    def per_anchor(self, x: Tensor, values: int, *, output: str | None = None) -> str:
        """Rearrange to (batch, anchors, values); see ``Builder``."""
        last = self._node("Transpose", [x.name], perm=[0, 2, 3, 1])
        anchors = x.height * x.width * x.channels // values
        shape = self._constant(np.array([0, anchors, values], np.int64))
        return self._node("Reshape", [last, shape], output=output)

    def concatenate_anchors(self, parts: list[str], *, output: str) -> None:
        """Join (batch, anchors, values) of several layers to an output of the network."""
        self._node("Concat", parts, output=output, axis=1)

    def model(self, name: str, outputs: dict[str, tuple[int, int]]) -> onnx.ModelProto:
        """Finish the graph; see ``Builder``."""
        self._weights.finish()
        infos = [
            helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", *shape])
            for output, shape in outputs.items()
        ]
        graph = helper.make_graph(self._nodes, name, self._inputs, infos, self._initializers)
        return finished_model(graph)

    def _convolve(self, x: Tensor, channels: int, kernel: int, stride: int, groups: int) -> Tensor:
        weight, bias = self._weights.take((channels, x.channels // groups, kernel, kernel))
        height, top, bottom = same_padding(x.height, kernel, stride)
        width, left, right = same_padding(x.width, kernel, stride)
        name = self._node(
            "Conv",
            [x.name, self._constant(weight), self._constant(bias)],
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[top, left, bottom, right],
            group=groups,
        )
        return Tensor(name, channels, height, width)

    def _node(
        self, operator: str, inputs: list[str], *, output: str | None = None, **attributes: Any
    ) -> str:
        name = output or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def _constant(self, value: np.ndarray) -> str:
        name = f"constant_{len(self._initializers)}"
        self._initializers.append(numpy_helper.from_array(value, name))
        return name


def finished_model(graph: onnx.GraphProto) -> onnx.ModelProto:
    """Wrap a graph into a checked model that every supported backend reads."""
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(
        graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="doorbell"
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int, int]:
    """Return the output size and TensorFlow's SAME padding before and after."""
    out = -(-size // stride)
    total = max((out - 1) * stride + kernel - size, 0)
    return out, total // 2, total - total // 2
