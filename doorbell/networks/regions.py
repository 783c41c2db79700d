"""A network that cuts its regions out of the frame itself, so that a frame on a GPU stays there.

What a region has outside the frame is black, as in the detector's own letterbox.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper

from doorbell.networks.graph import finished_model

# A region that shrinks to less than half is averaged over this many samples a side for each pixel,
# exactly where it shrinks to a quarter: tiles do by 2 to 3, a whole 720p frame by 7 or 10.
SAMPLES = 4
# Values of a pixel are from 0 to twice this.
MIDDLE = 127.5


def cutting_regions(network: onnx.ModelProto) -> onnx.ModelProto:
    """Put the cutting of regions before a network.

    Coordinates are float32 whatever the network computes in: float16 counts only to 2048 in whole
    pixels, and a region is sampled between them.

    Args:
        network: float32 or float16 inside; its input is float32.
    """
    (image,) = network.graph.input
    size = image.type.tensor_type.shape.dim[-1].dim_value
    return finished_model(compose.merge_models(_cutter(size), network, [("image", "image")]).graph)


def _cutter(size: int) -> onnx.ModelProto:
    g = _Nodes()
    pixels = g.add("Cast", "frame", to=TensorProto.FLOAT)
    planes = g.add("Transpose", pixels, perm=[0, 3, 1, 2])  # (1, 3, height, width)
    frame_size = g.add("Cast", g.add("Shape", "frame", start=1, end=3), to=TensorProto.FLOAT)
    height, width = g.split(frame_size, 2, axis=0)  # (1,)
    left, top, side = g.split("regions", 3, axis=1)  # (batch, 1)

    # Where the samples of one side are, as parts of it: about the middle of their pixel, or all of
    # them in the middle where the region does not shrink enough for averaging.
    samples = size * SAMPLES
    middles = np.repeat((np.arange(size) + 0.5) / size, SAMPLES)  # (samples,)
    spread = (np.arange(samples) + 0.5) / samples - middles
    shrinks = g.add("Cast", g.add("Greater", side, g.float32(2 * size)), to=TensorProto.FLOAT)
    places = g.add("Add", g.add("Mul", shrinks, g.float32(spread)), g.float32(middles))
    along = g.add("Mul", places, side)  # (batch, samples) pixels from the region's corner

    # GridSample takes one grid for one frame: the regions stand below each other in it. Its
    # coordinates are -1 and 1 at the outer edges of the frame.
    x = g.add("Unsqueeze", g.ends(g.add("Add", along, left), width), g.int64([1, 3]))
    y = g.add("Unsqueeze", g.ends(g.add("Add", along, top), height), g.int64([2, 3]))
    grid = g.add(
        "Concat",
        g.add("Add", x, g.float32(np.zeros((1, samples, 1, 1)))),
        g.add("Add", y, g.float32(np.zeros((1, 1, samples, 1)))),
        axis=3,
    )  # (batch, samples, samples, 2)
    grid = g.add("Reshape", grid, g.int64([1, -1, samples, 2]))
    sampled = g.add(
        "GridSample", planes, grid, mode="bilinear", padding_mode="zeros", align_corners=0
    )  # (1, 3, batch * samples, samples)
    means = g.add(
        "AveragePool", sampled, kernel_shape=[SAMPLES, SAMPLES], strides=[SAMPLES, SAMPLES]
    )
    apart = g.add("Reshape", means, g.int64([3, -1, size, size]))
    batch = g.add("Transpose", apart, perm=[1, 0, 2, 3])  # (batch, 3, size, size)
    scaled = g.add("Mul", batch, g.float32(1 / MIDDLE))
    g.add("Sub", scaled, g.float32(1), output="image")
    return finished_model(
        helper.make_graph(
            g.nodes,
            "cutting_regions",
            [
                helper.make_tensor_value_info(
                    "frame", TensorProto.UINT8, [1, "height", "width", 3]
                ),
                helper.make_tensor_value_info("regions", TensorProto.FLOAT, ["batch", 3]),
            ],
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, size, size])],
            g.constants,
        )
    )


class _Nodes:
    """The nodes and constants of the graph being written; names begin with ``cut``."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        name = output or f"cut_{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def split(self, value: str, parts: int, *, axis: int) -> list[str]:
        name = f"cut_split_{len(self.nodes)}"
        outputs = [f"{name}_{part}" for part in range(parts)]
        self.nodes.append(helper.make_node("Split", [value], outputs, name=name, axis=axis))
        return outputs

    def ends(self, pixels: str, length: str) -> str:
        """Rescale pixels of 0 to ``length`` to -1..1."""
        doubled = self.add("Mul", self.add("Div", pixels, length), self.float32(2))
        return self.add("Sub", doubled, self.float32(1))

    def float32(self, value: float | NDArray[np.float64]) -> str:
        return self._constant(np.asarray(value, np.float32))

    def int64(self, value: list[int]) -> str:
        return self._constant(np.asarray(value, np.int64))

    def _constant(self, value: NDArray[Any]) -> str:
        name = f"cut_constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name
