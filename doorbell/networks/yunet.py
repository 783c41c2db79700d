"""YuNet, from the block-quantized file of the OpenCV Zoo to the outputs of BlazeFace.

Both networks look for faces by anchors on square grids, so that one decoding serves both: the
published heads are followed by what turns their values into BlazeFace's, for RGB in -1..1. YuNet
knows five points and no ear; the ears are put where five points as these have them on the average.

Source: Wu et al., "YuNet: A Tiny Millisecond-level Face Detector" (2023).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from doorbell.domain import Float32Array
from doorbell.errors import ModelError
from doorbell.networks.graph import finished_model
from doorbell.networks.sface import FOLDED_OPERATORS, Constants, check_operators, fold_constants

SIZE = 640
STRIDES = (8, 16, 32)
ANCHORS = sum((SIZE // stride) ** 2 for stride in STRIDES)

BODY_OPERATORS = frozenset({"Conv", "Relu", "MaxPool", "Resize", "Add"})
# What the published file does to its heads, and is done otherwise here.
TAIL_OPERATORS = frozenset({"Transpose", "Reshape", "Sigmoid"})

# Where float16 still tells a probability from 0 and 1.
SMALLEST_SCORE = 1e-3

# The ears by right eye, left eye, nose and the corners of the mouth. Measured 2026-11-28 by least
# squares on BlazeFace's ears in 900 press portraits: off by an eighth of the distance of the eyes.
EAR = {"same eye": 1.83, "other eye": -0.27, "nose": -1.86, "corner": 0.65}

# (12, 10): BlazeFace's six points, x and y in turns, of YuNet's five.
_POINTS = np.kron(
    np.array(
        [
            [1, 0, 0, 0, 0],
            [0, 1, 0, 0, 0],
            [0, 0, 1, 0, 0],
            [0, 0, 0, 0.5, 0.5],
            [EAR["same eye"], EAR["other eye"], EAR["nose"], EAR["corner"], EAR["corner"]],
            [EAR["other eye"], EAR["same eye"], EAR["nose"], EAR["corner"], EAR["corner"]],
        ]
    ),
    np.eye(2),
).astype(np.float32)


def yunet(content: bytes) -> onnx.ModelProto:
    """Rewrite the published file.

    Raises:
        ModelError: the file is not the graph that is known here.
    """
    source = onnx.load_model_from_string(content).graph
    check_operators("YuNet", source.node, BODY_OPERATORS | TAIL_OPERATORS | FOLDED_OPERATORS)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in source.initializer}
    nodes = fold_constants(source, constants)
    producers = {node.output[0]: node for node in nodes}
    heads = {output.name: _before_tail(output.name, producers) for output in source.output}
    body = [node for node in nodes if node.op_type in BODY_OPERATORS]
    _take_rgb(source.input[0].name, body, constants)
    for node in body:
        if node.op_type == "Resize":
            node.input[1] = ""  # a region of interest, which is for another way of resizing
    tail = _Tail(constants)
    regressors, scores = [], []
    for stride in STRIDES:
        regressors.append(tail.regressors(heads[f"bbox_{stride}"], heads[f"kps_{stride}"], stride))
        scores.append(tail.logits(heads[f"cls_{stride}"], heads[f"obj_{stride}"]))
    nodes = [
        *_pixels("image", source.input[0].name, constants),
        *body,
        *tail.nodes,
        helper.make_node("Concat", regressors, ["regressors"], name="regressors", axis=1),
        helper.make_node("Concat", scores, ["scores"], name="scores", axis=1),
    ]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "yunet",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", ANCHORS, values])
            for name, values in (("regressors", 16), ("scores", 1))
        ],
        [numpy_helper.from_array(v, name) for name, v in constants.items() if name in used],
    )
    return finished_model(graph)


def _before_tail(name: str, producers: dict[str, onnx.NodeProto]) -> str:
    """The values of a head as (batch, values, height, width), before they are flattened."""
    while (node := producers.get(name)) is not None and node.op_type in TAIL_OPERATORS:
        name = node.input[0]
    if node is None:
        raise ModelError("the YuNet file has an output that nothing computes")
    return name


def _take_rgb(name: str, nodes: list[onnx.NodeProto], constants: Constants) -> None:
    """Turn round the channels of the first convolution, which takes BGR."""
    for node in nodes:
        if node.input[0] == name:
            constants[node.input[1]] = np.ascontiguousarray(constants[node.input[1]][:, ::-1])


def _pixels(image: str, target: str, constants: Constants) -> list[onnx.NodeProto]:
    """-1..1 to 0..255: padding with zeros has to stay black."""
    constants["half_range"] = np.array(127.5, np.float32)
    scaled = f"{image}_scaled"
    return [
        helper.make_node("Mul", [image, "half_range"], [scaled], name=scaled),
        helper.make_node("Add", [scaled, "half_range"], [target], name=target),
    ]


class _Tail:
    """What follows the heads."""

    def __init__(self, constants: Constants) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._constants = constants
        constants["flat_regressors"] = np.array([0, -1, 16], np.int64)
        constants["flat_scores"] = np.array([0, -1, 1], np.int64)
        constants["smallest"] = np.array(SMALLEST_SCORE, np.float32)
        constants["largest"] = np.array(1 - SMALLEST_SCORE, np.float32)
        constants["one"] = np.array(1, np.float32)

    def regressors(self, box: str, points: str, stride: int) -> str:
        """Offsets from the middle of an anchor in pixels; YuNet's count cells from its corner."""
        place = np.eye(4, dtype=np.float32)[:2]
        size = np.eye(4, dtype=np.float32)[2:]
        # Each of a point's rows adds up to one, so that half a cell is taken off all alike.
        parts = [
            self._linear(box, place * stride, -stride / 2),
            self._node("Exp", [self._linear(box, size, math.log(stride))]),
            self._linear(points, _POINTS * stride, -stride / 2),
        ]
        return self._flat(self._node("Concat", parts, axis=1), "flat_regressors")

    def logits(self, kind: str, objectness: str) -> str:
        """The score before a sigmoid: YuNet's is the geometric mean of two probabilities."""
        product = self._node(
            "Mul", [self._node("Sigmoid", [kind]), self._node("Sigmoid", [objectness])]
        )
        score = self._node("Clip", [self._node("Sqrt", [product]), "smallest", "largest"])
        against = self._node("Log", [self._node("Sub", ["one", score])])
        logit = self._node("Sub", [self._node("Log", [score]), against])
        return self._flat(logit, "flat_scores")

    def _linear(self, source: str, matrix: Float32Array, bias: float) -> str:
        name = f"linear_{len(self.nodes)}"
        self._constants[f"{name}_weight"] = matrix.astype(np.float32)[:, :, None, None]
        self._constants[f"{name}_bias"] = np.full(len(matrix), bias, np.float32)
        return self._node("Conv", [source, f"{name}_weight", f"{name}_bias"])

    def _flat(self, source: str, shape: str) -> str:
        return self._node("Reshape", [self._node("Transpose", [source], perm=[0, 2, 3, 1]), shape])

    def _node(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        name = f"tail_{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name
