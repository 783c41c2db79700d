"""Running an engine: named arrays in, named arrays out.

Copies inputs into memory of the GPU unless they are there, cuts large batches into parts, and
records runs whose shapes recur.
"""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from doorbell.errors import InferenceError
from doorbell.inference import DeviceArray, Input
from doorbell.inference.tensorrt.device import Device, Kernels, Memory, Recording
from doorbell.inference.tensorrt.engine import MAX_BATCH
from doorbell.inference.tensors import TensorSpec, check_inputs, host_array

Shape: TypeAlias = tuple[int, ...]
logger = logging.getLogger(__name__)

# Where each input lies and how large it is.
Binding: TypeAlias = tuple[tuple[str, int, Shape], ...]

# A recorded run needs an execution context, with its memory, of its own. A stream of frames has one
# or two sizes of batch; the ring of a jetson-utils camera has four places.
MAX_RECORDINGS = 4
# Recording takes as long as several runs: only for what comes again and again.
RUNS_BEFORE_RECORDING = 10
# Shapes that are being counted; a scene seldom has more than one size of batch for each face.
MAX_COUNTED = 256
FLOAT32 = np.dtype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class RecordedRun:
    """A run of fixed shapes and addresses.

    Attributes:
        recording: does it.
        context: what it uses; must live as long.
        shapes: of the outputs.
    """

    recording: Recording
    context: Any
    shapes: dict[str, Shape]


class TensorRtRunner:
    """One network on the first GPU; see ``Runner``. Any thread, one at a time."""

    def __init__(
        self,
        device: Device,
        engine: Any,
        name: str,
        *,
        kernels: Kernels | None = None,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare an engine to run.

        Args:
            device: closed with the runner.
            engine: loaded by ``device``.
            name: of the network, for messages.
            kernels: where compiled kernels come from and go to, where the engine has none.
            on_close: called before anything is released.

        Raises:
            InferenceError: the GPU has no memory for it.
        """
        self._device, self._name, self._on_close = device, name, on_close
        self._engine, self._kernels = engine, kernels
        self._inputs, self._outputs = _specs(device.trt, engine)
        self._limits = {name: _limits(engine, name) for name in self._inputs}
        self._buffers: dict[str, Memory] = {}
        self._runs: Counter[Binding] = Counter()
        self._recorded: OrderedDict[Binding, RecordedRun] = OrderedDict()
        # Where kernels are compiled as they are needed, TensorRT also records by itself.
        self._records = device.can_record and kernels is None
        with device.current(f"preparing {name}"):
            self._context: Any = device.open_context(engine, kernels)

    def infer(self, inputs: Mapping[str, Input]) -> dict[str, NDArray[np.float32]]:
        """Run the network once, in parts if the batch is large; see ``Runner``."""
        if self._context is None:
            raise InferenceError(f"{self._name} was closed: open it again")
        batch = check_inputs(inputs, self._inputs)
        self._check_sizes(inputs)
        parts = []
        with self._device.current(f"running {self._name}"):
            whole = {
                name: self._bind(name, value)
                for name, value in inputs.items()
                if not self._inputs[name].is_batched
            }
            for start in range(0, batch, MAX_BATCH):
                part = {
                    name: self._bind(name, _members(value, start, min(start + MAX_BATCH, batch)))
                    for name, value in inputs.items()
                    if self._inputs[name].is_batched
                }
                parts.append(self._run({**whole, **part}))
        if len(parts) == 1:
            return parts[0]
        return {
            name: np.concatenate([part[name] for part in parts])
            if spec.is_batched
            else parts[0][name]
            for name, spec in self._outputs.items()
        }

    def close(self) -> None:
        """Release the engine and its memory; idempotent."""
        if self._context is None:
            return
        self._on_close()
        with self._device.current(f"closing {self._name}"):
            self._forget_recordings()
            self._context = self._engine = self._kernels = None
            for memory in self._buffers.values():
                memory.free()
            self._buffers.clear()
        self._device.close()

    def _check_sizes(self, inputs: Mapping[str, Input]) -> None:
        """Refuse what the engine was not built for."""
        for name, value in inputs.items():
            shape = host_array(value).shape
            smallest, largest = self._limits[name]
            first = 1 if self._inputs[name].is_batched else 0
            if shape[first:] != tuple(np.clip(shape, smallest, largest)[first:]):
                raise InferenceError(
                    f"input {name!r} of {self._name} must be from {smallest} to {largest} on a "
                    f"GPU, not {shape}"
                )

    def _bind(self, name: str, value: Input) -> tuple[int, Shape]:
        """Have an input where the GPU reads it; return its address and shape."""
        if isinstance(value, DeviceArray):
            if not value.host.flags.c_contiguous:
                raise InferenceError(f"input {name!r} must lie in one piece, not strided")
            return value.address, value.host.shape
        memory = self._buffer(name, value.shape, value.dtype)
        target = memory.host[: value.nbytes].view(value.dtype).reshape(value.shape)
        np.copyto(target, value)
        self._device.upload(memory, value.nbytes)
        return memory.address, value.shape

    def _run(self, bound: Mapping[str, tuple[int, Shape]]) -> dict[str, NDArray[np.float32]]:
        key = tuple((name, address, shape) for name, (address, shape) in bound.items())
        recorded = self._recorded.get(key)
        if recorded is not None:
            self._recorded.move_to_end(key)
            self._device.replay(recorded.recording)
            shapes = recorded.shapes
        else:
            shapes = self._prepare(self._context, bound)
            self._device.execute(self._context)
        for name, shape in shapes.items():
            self._device.download(self._buffers[name], _bytes(shape, FLOAT32))
        self._device.wait()
        if recorded is None and self._records:
            self._count(key, bound)
        return {
            name: self._buffers[name]
            .host[: _bytes(shape, FLOAT32)]
            .view(np.float32)
            .reshape(shape)
            .copy()
            for name, shape in shapes.items()
        }

    def _prepare(self, context: Any, bound: Mapping[str, tuple[int, Shape]]) -> dict[str, Shape]:
        """Tell an execution context its shapes and addresses; return the shapes of the outputs."""
        for name, (address, shape) in bound.items():
            context.set_input_shape(name, shape)
            context.set_tensor_address(name, address)
        shapes = {name: tuple(context.get_tensor_shape(name)) for name in self._outputs}
        for name, shape in shapes.items():
            context.set_tensor_address(name, self._buffer(name, shape, FLOAT32).address)
        return shapes

    def _count(self, key: Binding, bound: Mapping[str, tuple[int, Shape]]) -> None:
        if len(self._runs) >= MAX_COUNTED:
            self._runs.clear()
        self._runs[key] += 1
        if self._runs[key] >= RUNS_BEFORE_RECORDING:
            self._record(key, bound)

    def _record(self, key: Binding, bound: Mapping[str, tuple[int, Shape]]) -> None:
        """Record the run that has just been made, for the next time."""
        del self._runs[key]
        while len(self._recorded) >= MAX_RECORDINGS:
            self._device.forget(self._recorded.popitem(last=False)[1].recording)
        try:
            context = self._device.open_context(self._engine)
            shapes = self._prepare(context, bound)
            # NVIDIA: run once after a change of shapes, so that no preparation is recorded.
            self._device.execute(context)
            self._device.wait()
            recording = self._device.record(lambda: self._device.execute(context))
        except InferenceError as exc:
            logger.warning("runs of %s are not recorded: %s", self._name, exc)
            self._records = False
            return
        self._recorded[key] = RecordedRun(recording, context, shapes)

    def _buffer(self, name: str, shape: Shape, dtype: np.dtype[Any]) -> Memory:
        """Return memory for a tensor, the same until it must grow."""
        if (self._inputs.get(name) or self._outputs[name]).is_batched:
            shape = (MAX_BATCH, *shape[1:])
        size = _bytes(shape, dtype)
        memory = self._buffers.get(name)
        if memory is None or memory.host.size < size:
            if memory is not None:
                # What was recorded uses the old address.
                self._forget_recordings()
                self._buffers.pop(name).free()
            memory = self._buffers[name] = self._device.allocate(size)
        return memory

    def _forget_recordings(self) -> None:
        for run in self._recorded.values():
            self._device.forget(run.recording)
        self._recorded.clear()
        self._runs.clear()


def _specs(trt: Any, engine: Any) -> tuple[dict[str, TensorSpec], dict[str, TensorSpec]]:
    """Return the inputs and the outputs of an engine."""
    types: dict[Any, np.dtype[Any]] = {
        trt.DataType.FLOAT: FLOAT32,
        trt.DataType.UINT8: np.dtype(np.uint8),
    }
    inputs: dict[str, TensorSpec] = {}
    outputs: dict[str, TensorSpec] = {}
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        shape = tuple(None if size < 0 else size for size in engine.get_tensor_shape(name))
        spec = TensorSpec(shape, types[engine.get_tensor_dtype(name)])
        is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        (inputs if is_input else outputs)[name] = spec
    return inputs, outputs


def _limits(engine: Any, name: str) -> tuple[Shape, Shape]:
    """Return the smallest and the largest shape that an input may have."""
    smallest, _, largest = engine.get_tensor_profile_shape(name, 0)
    return tuple(smallest), tuple(largest)


def _members(value: Input, start: int, stop: int) -> Input:
    """Return some members of a batch, where they are."""
    if isinstance(value, DeviceArray):
        return DeviceArray(value.address + start * value.host.strides[0], value.host[start:stop])
    return value[start:stop]


def _bytes(shape: Shape, dtype: np.dtype[Any]) -> int:
    return int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
