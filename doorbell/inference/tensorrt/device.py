"""The first NVIDIA GPU: its memory, its stream, and running on it.

This is the only place that calls a GPU; which names it calls stands in ``versions``.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doorbell.errors import InferenceError
from doorbell.inference.tensorrt.log import open_log
from doorbell.inference.tensorrt.versions import DRIVER

logger = logging.getLogger(__name__)

# CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: what other threads do with the GPU, such as the camera's,
# does not spoil a recording.
CAPTURE_THIS_THREAD = 1


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """Bytes that the processor writes or reads and the GPU uses.

    Attributes:
        host: page-locked, (size,) uint8.
        address: where the GPU sees them.
        copy: the GPU's own copy; None where both share their memory, as on a Jetson.
    """

    host: NDArray[np.uint8]
    address: int
    copy: Any

    def free(self) -> None:
        """Give the memory back; nobody may use ``host`` afterwards."""
        if self.copy is not None:
            self.copy.free()
        self.host.base.free()  # type: ignore[union-attr] # pycuda's HostAllocation


class Device:
    """The first GPU and the CUDA context that this process shares with jetson-utils on it."""

    def __init__(self, trt: Any, cuda: Any, library: Any) -> None:
        """Take hold of the GPU.

        Args:
            trt: the module ``tensorrt`` or ``tensorrt_rtx``.
            cuda: the module ``pycuda.driver``.
            library: the CUDA driver's library, to record runs with; None runs without.

        Raises:
            InferenceError: there is none that answers.
        """
        self.trt, self._cuda, self._library = trt, cuda, library
        try:
            cuda.init()
            if cuda.Device.count() == 0:
                raise InferenceError("no NVIDIA GPU is there")
            device = cuda.Device(0)
            self.name: str = device.name()
            self.compute_capability: tuple[int, int] = tuple(device.compute_capability())
            self._shares_memory = bool(device.get_attribute(cuda.device_attribute.INTEGRATED))
            # A context of our own, such as pycuda.autoinit makes, could not read what jetson-utils
            # and the CUDA runtime allocate.
            self._context: Any = device.retain_primary_context()
        except cuda.Error as exc:
            raise InferenceError(f"the NVIDIA GPU does not answer: {exc}") from exc
        with self.current("opening a stream"):
            self._stream: Any = cuda.Stream()

    @property
    def description(self) -> str:
        """What the GPU and its TensorRT are called."""
        major, minor = self.compute_capability
        module = self.trt.__name__
        return f"{self.name} (compute capability {major}.{minor}), {module} {self.trt.__version__}"

    @contextmanager
    def current(self, work: str) -> Iterator[None]:
        """Let this thread use the GPU for a while; ``work`` is for messages.

        Raises:
            InferenceError: the GPU failed meanwhile.
        """
        try:
            self._context.push()
            try:
                yield
            finally:
                self._cuda.Context.pop()
        except self._cuda.Error as exc:
            raise InferenceError(
                f"the GPU {self.name} failed while {work}: {exc}; look into the kernel's log, or "
                "set inference.backend to openvino"
            ) from exc

    def load(self, serialized: bytes) -> Any:
        """Return an engine, None if it was not built for this GPU and this TensorRT."""
        return self.trt.Runtime(open_log(self.trt)).deserialize_cuda_engine(serialized)

    def open_context(self, engine: Any, kernels: Kernels | None = None) -> Any:
        """Return an execution context of an engine.

        Raises:
            InferenceError: the GPU has no memory left for it.
        """
        if kernels is None:
            context = engine.create_execution_context()
        else:
            context = engine.create_execution_context(kernels.configure(engine))
        if context is None:
            errors = open_log(self.trt).take_errors()
            raise InferenceError(f"TensorRT cannot prepare to run a network: {errors}")
        return context

    def open_kernels(self) -> Kernels | None:
        """Return the store of compiled kernels, None where engines hold them themselves."""
        return Kernels(self.trt) if hasattr(self.trt, "IRuntimeCache") else None

    def allocate(self, size: int) -> Memory:
        """Return ``size`` bytes."""
        if self._shares_memory:
            # Coherent with the caches from Xavier on, the oldest board that JetPack 5 runs on.
            flags = self._cuda.host_alloc_flags.DEVICEMAP
            host = self._cuda.pagelocked_empty(size, np.uint8, mem_flags=flags)
            return Memory(host, int(host.base.get_device_pointer()), None)
        copy = self._cuda.mem_alloc(size)
        return Memory(self._cuda.pagelocked_empty(size, np.uint8), int(copy), copy)

    def upload(self, memory: Memory, size: int) -> None:
        """Let the GPU see the first ``size`` bytes, in the order of the stream."""
        if memory.copy is not None:
            self._cuda.memcpy_htod_async(memory.copy, memory.host[:size], self._stream)

    def download(self, memory: Memory, size: int) -> None:
        """Let the processor see the first ``size`` bytes once ``wait`` has returned."""
        if memory.copy is not None:
            self._cuda.memcpy_dtoh_async(memory.host[:size], memory.copy, self._stream)

    def execute(self, context: Any) -> None:
        """Run an execution context, in the order of the stream.

        Raises:
            InferenceError: TensorRT refused.
        """
        if not context.execute_async_v3(self._stream.handle):
            errors = open_log(self.trt).take_errors()
            raise InferenceError(f"TensorRT failed to run a network: {errors}")

    def wait(self) -> None:
        """Wait until all that was asked for is done."""
        self._stream.synchronize()

    @property
    def can_record(self) -> bool:
        """Whether runs can be recorded."""
        return self._library is not None

    def record(self, run: Callable[[], None]) -> Recording:
        """Record what ``run`` asks of the GPU instead of doing it.

        Raises:
            InferenceError: it cannot be recorded.
        """
        stream = ctypes.c_void_p(self._stream.handle)
        graph, ready = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuStreamBeginCapture_v2", stream, ctypes.c_int(CAPTURE_THIS_THREAD))
        try:
            run()
        finally:
            # Also after a failure, or the stream would go on recording.
            self._call("cuStreamEndCapture", stream, ctypes.byref(graph))
        try:
            self._call(
                "cuGraphInstantiateWithFlags", ctypes.byref(ready), graph, ctypes.c_ulonglong(0)
            )
        finally:
            self._call("cuGraphDestroy", graph)
        return Recording(ready)

    def replay(self, recording: Recording) -> None:
        """Do what was recorded, in the order of the stream."""
        self._call("cuGraphLaunch", recording.handle, ctypes.c_void_p(self._stream.handle))

    def forget(self, recording: Recording) -> None:
        """Release a recording."""
        self._call("cuGraphExecDestroy", recording.handle)

    def close(self) -> None:
        """Let go of the GPU; idempotent. Memory and engines must have been given back before."""
        if self._context is None:
            return
        with self.current("closing"):
            self._stream = None
        self._context.detach()
        self._context = None

    def _call(self, name: str, *arguments: Any) -> None:
        code = getattr(self._library, name)(*arguments)
        if code != 0:
            raise InferenceError(f"the CUDA driver's {name} failed with code {code}")


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A CUDA graph that is ready to run.

    Attributes:
        handle: a CUgraphExec.
    """

    handle: ctypes.c_void_p


class Kernels:
    """The kernels that TensorRT for RTX compiles when an engine first runs, to be kept."""

    def __init__(self, trt: Any) -> None:
        self._trt = trt
        self._content = b""
        self._cache: Any = None

    def restore(self, content: bytes) -> None:
        """Take what ``serialize`` gave; what does not fit this GPU is ignored."""
        self._content = content

    def configure(self, engine: Any) -> Any:
        """Return how execution contexts of an engine are made."""
        config = engine.create_runtime_config()
        if self._cache is None:
            self._cache = config.create_runtime_cache()
            if self._content:
                self._cache.deserialize(self._content)
        config.set_runtime_cache(self._cache)
        # It records runs by itself, for each shape.
        config.cuda_graph_strategy = self._trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        return config

    def serialize(self) -> bytes:
        """Return all kernels compiled so far."""
        return b"" if self._cache is None else bytes(self._cache.serialize())


def open_device() -> Device:
    """Take hold of the first GPU with the TensorRT of this machine.

    ``tensorrt`` comes with JetPack and CUDA; where it is missing ``tensorrt_rtx`` does the same for
    desktop GPUs.

    Raises:
        InferenceError: a module is missing, or there is no GPU that answers.
    """
    missing = []
    try:
        import tensorrt as trt
    except ImportError:
        try:
            import tensorrt_rtx as trt
        except ImportError:
            missing.append("neither tensorrt nor tensorrt_rtx is installed")
    try:
        import pycuda.driver as cuda
    except ImportError as exc:
        missing.append(f"pycuda cannot be loaded ({exc})")
    if missing:
        raise InferenceError(", and ".join(missing))
    return Device(trt, cuda, _open_library())


def _open_library() -> Any:
    try:
        library = ctypes.CDLL("libcuda.so.1")
        for name in DRIVER:
            getattr(library, name)
    except (OSError, AttributeError) as exc:
        logger.info("runs are not recorded as CUDA graphs: %s", exc)
        return None
    return library
