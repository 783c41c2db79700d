"""How much the networks compute for a frame, and how fast this processor could at best.

Their quotient is the floor below which no frame of the same work can be.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from doorbell.config import InferenceSection
from doorbell.inference import Input, NetworkFiles, Runner, open_runner
from doorbell.measure.speed.multiply_adds import count_work
from doorbell.networks.graph import finished_model

# A product of two square matrices of this size fits a core's second cache in parts and takes
# milliseconds: long enough for the clock, short enough to find an undisturbed moment.
PEAK_SIDE = 1024
PEAK_ROUNDS = 30


class WorkCounter:
    """Counts what networks compute that are opened with ``open_network``."""

    def __init__(self) -> None:
        self.multiply_adds = 0
        self.faces: Counter[str] = Counter()
        """Pictures that went through each network."""

    def open_network(self, files: NetworkFiles, section: InferenceSection) -> Runner:
        """Load a network as ``open_runner`` does."""
        work = count_work(onnx.load(files.float32))
        return _Counted(open_runner(files, section), files.name, work.multiply_adds, self)


class _Counted:
    """A runner whose runs are counted; see ``Runner``."""

    def __init__(self, runner: Runner, name: str, multiply_adds: int, counter: WorkCounter) -> None:
        self._runner = runner
        self._name = name
        self._multiply_adds = multiply_adds
        self._counter = counter

    def infer(self, inputs: Mapping[str, Input]) -> dict[str, NDArray[np.float32]]:
        outputs = self._runner.infer(inputs)
        batch = len(next(iter(outputs.values())))
        self._counter.faces[self._name] += batch
        self._counter.multiply_adds += batch * self._multiply_adds
        return outputs

    def close(self) -> None:
        self._runner.close()


def peak_multiply_adds(section: InferenceSection, scratch: Path) -> float:
    """Multiply-adds a second of a large product of matrices, by the configured backend.

    The fastest of some rounds, because whatever else runs can only slow it down.
    """
    with closing(open_runner(_product(scratch), section)) as runner:
        ones = np.ones((PEAK_SIDE, PEAK_SIDE), np.float32)
        taken = []
        for _ in range(PEAK_ROUNDS):
            started = time.perf_counter()
            runner.infer({"left": ones})
            taken.append(time.perf_counter() - started)
    return PEAK_SIDE**3 / min(taken)


def floor_ms(multiply_adds: float, peak: float) -> float:
    """How long so many multiply-adds take at the peak."""
    return multiply_adds / peak * 1000


def _product(scratch: Path) -> NetworkFiles:
    """A network of one product of matrices, in a directory."""
    right = np.ones((PEAK_SIDE, PEAK_SIDE), np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["left", "right"], ["product"])],
        "peak",
        [helper.make_tensor_value_info("left", TensorProto.FLOAT, ["batch", PEAK_SIDE])],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, ["batch", PEAK_SIDE])],
        [numpy_helper.from_array(right, "right")],
    )
    path = scratch / "peak.onnx"
    onnx.save(finished_model(graph), path)
    return NetworkFiles("peak", path, path)
