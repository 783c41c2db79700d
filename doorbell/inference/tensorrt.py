"""Running a network on an NVIDIA GPU with TensorRT.

Enters: the ONNX files of a network. Leaves: named arrays. An engine is built once for this GPU and
this TensorRT, kept in a directory, and built anew where it cannot be loaded. TensorRT itself comes
with JetPack or CUDA and is imported only here, inside functions.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doorbell.errors import InferenceError
from doorbell.inference import Input, NetworkFiles
from doorbell.inference.tensors import TensorSpec, check_inputs, host_array

logger = logging.getLogger(__name__)

# An engine reserves memory for its largest batch; larger ones run in parts.
MAX_BATCH = 16
USUAL_BATCH = 8
WORKSPACE_BYTES = 256 << 20


def open_tensorrt(files: NetworkFiles, *, cache_directory: Path | None) -> TensorRtRunner:
    """Load the engine of a network, building it first where there is none that fits.

    Args:
        files: where TensorRT is strongly typed (10 and later) float16 is taken, else float32.
        cache_directory: where engines are kept; None for ``engines`` beside the network.

    Raises:
        InferenceError: TensorRT or pycuda is not installed, there is no GPU, or it refuses the
            network.
    """
    try:
        import pycuda.driver as cuda
        import tensorrt as trt
    except ImportError as exc:
        raise InferenceError(
            f"TensorRT cannot be used: {exc}; on a Jetson it comes with JetPack and pycuda with "
            "`pip install doorbell[jetson]`, elsewhere set inference.backend to openvino"
        ) from exc
    try:
        cuda.init()
        device = cuda.Device(0)
        # The context that jetson-utils and the CUDA runtime use, so that memory can be shared.
        context = device.retain_primary_context()
        with _current(cuda, context):
            path = _engine_path(trt, device, files, cache_directory)
            engine = load_engine(trt, path, lambda: build_engine(trt, network_file(trt, files)))
            return TensorRtRunner(trt, cuda, context, engine, files.name)
    except cuda.Error as exc:
        raise InferenceError(
            f"the GPU failed while loading {files.name}: {exc}; check its driver, or set "
            "inference.backend to openvino"
        ) from exc


class TensorRtRunner:
    """One network on the first GPU; see ``Runner``. Any thread, one at a time."""

    def __init__(self, trt: Any, cuda: Any, context: Any, engine: Any, name: str) -> None:
        """Allocate buffers for the largest batch; the CUDA context is current."""
        self._cuda, self._context, self._name = cuda, context, name
        self._engine = engine
        self._execution: Any = engine.create_execution_context()
        self._stream = cuda.Stream()
        self._inputs: dict[str, TensorSpec] = {}
        self._output_shapes: dict[str, tuple[int, ...]] = {}
        self._buffers: dict[str, Any] = {}
        for index in range(engine.num_io_tensors):
            tensor = engine.get_tensor_name(index)
            shape = tuple(engine.get_tensor_shape(tensor))[1:]
            is_input = engine.get_tensor_mode(tensor) == trt.TensorIOMode.INPUT
            if is_input:
                self._inputs[tensor] = TensorSpec((None, *shape), np.dtype(np.float32))
            else:
                self._output_shapes[tensor] = shape
            buffer = cuda.mem_alloc(MAX_BATCH * int(np.prod(shape)) * np.float32().itemsize)
            self._buffers[tensor] = buffer
            self._execution.set_tensor_address(tensor, int(buffer))

    def infer(self, inputs: Mapping[str, Input]) -> dict[str, NDArray[np.float32]]:
        """Run the network once, in parts if the batch is large; see ``Runner``."""
        if self._execution is None:
            raise InferenceError(f"{self._name} was closed: open it again")
        batch = check_inputs(inputs, self._inputs)
        outputs = {
            name: np.empty((batch, *shape), np.float32)
            for name, shape in self._output_shapes.items()
        }
        try:
            with _current(self._cuda, self._context):
                for start in range(0, batch, MAX_BATCH):
                    part = slice(start, min(start + MAX_BATCH, batch))
                    self._infer_part(
                        {
                            name: np.ascontiguousarray(host_array(value)[part])
                            for name, value in inputs.items()
                        },
                        {name: value[part] for name, value in outputs.items()},
                    )
        except self._cuda.Error as exc:
            raise InferenceError(f"the GPU failed in {self._name}: {exc}") from exc
        return outputs

    def close(self) -> None:
        """Release the engine and its memory; idempotent."""
        if self._execution is None:
            return
        with _current(self._cuda, self._context):
            self._execution = self._engine = self._stream = None
            for buffer in self._buffers.values():
                buffer.free()
        self._context.detach()

    def _infer_part(
        self,
        inputs: Mapping[str, NDArray[np.float32]],
        outputs: Mapping[str, NDArray[np.float32]],
    ) -> None:
        for name, value in inputs.items():
            self._execution.set_input_shape(name, value.shape)
            self._cuda.memcpy_htod_async(self._buffers[name], value, self._stream)
        if not self._execution.execute_async_v3(self._stream.handle):
            raise InferenceError(f"TensorRT failed in {self._name}: see the log")
        for name, value in outputs.items():
            self._cuda.memcpy_dtoh_async(value, self._buffers[name], self._stream)
        self._stream.synchronize()


def is_strongly_typed(trt: Any) -> bool:
    """Say whether this TensorRT takes precision from the graph; 8.6 takes a flag instead."""
    return hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")


def network_file(trt: Any, files: NetworkFiles) -> Path:
    """Return the file to build from: the graph's own float16, or float32 and a flag, never both."""
    return files.float16 if is_strongly_typed(trt) else files.float32


def build_engine(trt: Any, network_path: Path, *, architecture: str | None = None) -> bytes:
    """Build a serialized engine for batches of 1 to ``MAX_BATCH``.

    Args:
        trt: the module ``tensorrt``, or ``tensorrt_rtx``, which has the same interface.
        network_path: see ``network_file``.
        architecture: such as ``SM86``, to build for a GPU that is not here, which only
            ``tensorrt_rtx`` can; None for the GPU of this machine.

    Raises:
        InferenceError: with everything that the parser and the builder said.
    """
    log = _open_log(trt)
    builder = trt.Builder(log)
    strongly_typed = is_strongly_typed(trt)
    creation = trt.NetworkDefinitionCreationFlag
    flag = creation.STRONGLY_TYPED if strongly_typed else creation.EXPLICIT_BATCH
    network = builder.create_network(1 << int(flag))
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(network_path)):
        errors = [str(parser.get_error(index)) for index in range(parser.num_errors)]
        raise InferenceError(f"TensorRT {trt.__version__} cannot read {network_path}: {errors}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    if not strongly_typed:
        config.set_flag(trt.BuilderFlag.FP16)
    if architecture is not None:
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, architecture), 0)
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        shape = tuple(tensor.shape)[1:]
        profile.set_shape(tensor.name, (1, *shape), (USUAL_BATCH, *shape), (MAX_BATCH, *shape))
    config.add_optimization_profile(profile)
    serialized = builder.build_serialized_network(network, config)
    if serialized is None:
        raise InferenceError(
            f"TensorRT {trt.__version__} cannot build {network_path}: {log.errors}"
        )
    return bytes(serialized)


def engine_file_name(
    network: Path, *, tensorrt_version: str, gpu_name: str, compute_capability: tuple[int, int]
) -> str:
    """Name an engine by everything it depends on.

    An engine loads only on one GPU architecture and with one exact TensorRT version; the network
    file's content stands for model and precision.
    """
    content = hashlib.sha256(network.read_bytes()).hexdigest()
    parts = (content, tensorrt_version, gpu_name, f"{compute_capability}")
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return f"{network.stem}-{key[:16]}.engine"


def _engine_path(trt: Any, device: Any, files: NetworkFiles, directory: Path | None) -> Path:
    network = network_file(trt, files)
    name = engine_file_name(
        network,
        tensorrt_version=trt.__version__,
        gpu_name=device.name(),
        compute_capability=device.compute_capability(),
    )
    return (directory or network.parent / "engines") / name


def load_engine(trt: Any, path: Path, build: Callable[[], bytes]) -> Any:
    """Load the engine at ``path``; build and keep it where there is none that loads.

    Raises:
        InferenceError: a new engine cannot be built or loaded.
    """
    runtime = trt.Runtime(_open_log(trt))
    if path.is_file():
        engine = runtime.deserialize_cuda_engine(path.read_bytes())
        if engine is not None:
            return engine
        logger.warning("engine %s cannot be loaded; building it anew", path)
    logger.info("building engine %s for this GPU; it takes minutes, once", path.name)
    serialized = build()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        scratch.write_bytes(serialized)
        scratch.replace(path)
    except OSError as exc:
        logger.warning("engine %s cannot be kept (%s); the next start builds it again", path, exc)
    engine = runtime.deserialize_cuda_engine(serialized)
    if engine is None:
        raise InferenceError(f"TensorRT cannot load the engine {path.name} that it has just built")
    return engine


@contextmanager
def _current(cuda: Any, context: Any) -> Iterator[None]:
    """Make a CUDA context current in this thread for a while."""
    context.push()
    try:
        yield
    finally:
        cuda.Context.pop()


def _open_log(trt: Any) -> Any:
    """Make a TensorRT logger that writes to ours and keeps the errors for the exception."""

    class Log(trt.ILogger):  # type: ignore[misc] # the module is known only now
        def __init__(self) -> None:
            super().__init__()
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                self.errors.append(message)
                logger.error("TensorRT: %s", message)
            elif severity == trt.ILogger.Severity.WARNING:
                logger.warning("TensorRT: %s", message)
            else:
                logger.debug("TensorRT: %s", message)

    return Log()
