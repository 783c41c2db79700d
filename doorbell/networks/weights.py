"""Where the weights of a network written as code come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tflite

from doorbell.domain import Float32Array
from doorbell.errors import ModelError

_TYPES: dict[int, np.dtype[Any]] = {
    tflite.TensorType.FLOAT16: np.dtype("<f2"),
    tflite.TensorType.FLOAT32: np.dtype("<f4"),
}


class ReadWeights:
    """The weights of a published file, in the order of its convolutions.

    Args:
        convolutions: kernel (out, in / groups, height, width) and bias (out,) of each, float32.
    """

    def __init__(self, convolutions: Sequence[tuple[Float32Array, Float32Array]]) -> None:
        self._convolutions = convolutions
        self._taken = 0

    def take(self, shape: tuple[int, int, int, int]) -> tuple[Float32Array, Float32Array]:
        """Return the next kernel and bias; see ``WeightSource``."""
        if self._taken == len(self._convolutions):
            raise ModelError(
                f"the weights hold {self._taken} convolutions and the network has more: "
                "it is the file of another network"
            )
        kernel, bias = self._convolutions[self._taken]
        if kernel.shape != shape or bias.shape != shape[:1]:
            raise ModelError(
                f"convolution {self._taken} of the weights has kernel {kernel.shape} and bias "
                f"{bias.shape}, the network needs {shape} and {shape[:1]}: "
                "it is the file of another network"
            )
        self._taken += 1
        return kernel, bias

    def finish(self) -> None:
        """Check that nothing is left over; see ``WeightSource``."""
        if self._taken != len(self._convolutions):
            raise ModelError(
                f"the weights hold {len(self._convolutions)} convolutions, the network used "
                f"{self._taken}: it is the file of another network"
            )


def tflite_weights(content: bytes) -> ReadWeights:
    """Read the weights of a TensorFlow Lite file.

    Raises:
        ModelError: it is none.
    """
    return ReadWeights(_read_convolutions(content))


class SeededWeights:
    """Initial weights for a network that nobody has published.

    After LeCun et al. (1998), variance 1 / fan-in: most convolutions here follow another one or a
    sum, not a ReLU.
    """

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)

    def take(self, shape: tuple[int, int, int, int]) -> tuple[Float32Array, Float32Array]:
        """Return random weights of that shape, and a zero bias; see ``WeightSource``."""
        deviation = np.sqrt(1 / np.prod(shape[1:]))
        kernel = self._generator.standard_normal(shape, np.float32) * np.float32(deviation)
        return kernel, np.zeros(shape[0], np.float32)

    def finish(self) -> None:
        """Do nothing: there are always more."""


def _read_convolutions(content: bytes) -> list[tuple[Float32Array, Float32Array]]:
    model = tflite.Model.GetRootAsModel(content, 0)
    graph = model.Subgraphs(0)
    # Weights are float16 tensors behind a DEQUANTIZE each: its output stands for its input.
    stored: dict[int, int] = {}
    convolutions = []
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        code = model.OperatorCodes(operator.OpcodeIndex())
        kind = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if kind == tflite.BuiltinOperator.DEQUANTIZE:
            stored[operator.Outputs(0)] = operator.Inputs(0)
        elif kind in (tflite.BuiltinOperator.CONV_2D, tflite.BuiltinOperator.DEPTHWISE_CONV_2D):
            kernel, bias = (
                _read_tensor(model, stored.get(tensor, tensor))
                for tensor in (operator.Inputs(1), operator.Inputs(2))
            )
            # A plain kernel is (out, height, width, in), a depthwise one (1, height, width, out).
            depthwise = kind == tflite.BuiltinOperator.DEPTHWISE_CONV_2D
            axes = (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)
            convolutions.append((np.ascontiguousarray(kernel.transpose(axes)), bias))
    return convolutions


def _read_tensor(model: tflite.Model, index: int) -> Float32Array:
    tensor = model.Subgraphs(0).Tensors(index)
    stored_type = _TYPES.get(tensor.Type())
    if stored_type is None:
        raise ModelError(
            f"tensor {tensor.Name().decode()} of the weights has type {tensor.Type()}, "
            "not float16 or float32: take the float16 file"
        )
    raw = model.Buffers(tensor.Buffer()).DataAsNumpy().tobytes()
    values: Float32Array = np.frombuffer(raw, stored_type).astype(np.float32)
    shape: tuple[int, ...] = tuple(tensor.ShapeAsNumpy())
    return values.reshape(shape)
