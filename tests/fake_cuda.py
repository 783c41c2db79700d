"""The memory, streams and graphs of a pretended GPU, as pycuda and the CUDA driver give them.

It is strict where a GPU is silent: work is done when the stream is waited for and not before,
memory must be known and still there, and a context must be current.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray


class FakeCudaError(Exception):
    pass


@dataclass
class FakeHardware:
    """What all parts of one pretended GPU share, and what tests look at."""

    version: str = "10.3"
    name: str = "Orin"
    integrated: bool = False
    present: bool = True
    broken: bool = False
    refuses: bool = False
    spoils: bool = False
    records: bool = True
    memory: dict[int, int] = field(default_factory=dict)
    streams: dict[int, Any] = field(default_factory=dict)
    graphs: dict[int, list[Callable[[], None]]] = field(default_factory=dict)
    depths: dict[int, int] = field(default_factory=dict)
    contexts: int = 0
    builds: list[dict[str, Any]] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    replays: int = 0
    kernels: bytes = b""
    numbers: Any = field(default_factory=lambda: count(1))

    def share(self, array: NDArray[Any]) -> int:
        """Let the GPU see an array where it is, as the memory of a camera."""
        address = int(array.ctypes.data)
        self.memory[address] = array.nbytes
        return address

    def check(self) -> None:
        if self.broken:
            raise FakeCudaError("an illegal memory access was encountered")
        if self.depths.get(threading.get_ident(), 0) < 1:
            raise FakeCudaError("invalid device context")

    def bytes_at(self, address: int, size: int) -> NDArray[np.uint8]:
        """Return memory that the GPU sees, as it is now."""
        for start, length in self.memory.items():
            if start <= address and address + size <= start + length:
                kind = ctypes.c_uint8 * size
                return np.ctypeslib.as_array(kind.from_address(address))
        raise FakeCudaError(f"illegal address {address:#x}")


# pycuda.driver


class Allocation:
    def __init__(self, gpu: FakeHardware, size: int) -> None:
        gpu.check()
        self._gpu = gpu
        self._content = np.full(size, 255, np.uint8)
        self._address = int(self._content.ctypes.data)

    def free(self) -> None:
        self._gpu.check()
        self._gpu.memory.pop(self._address, None)


class FakeDeviceAllocation(Allocation):
    def __init__(self, gpu: FakeHardware, size: int) -> None:
        super().__init__(gpu, size)
        gpu.memory[self._address] = size

    def __int__(self) -> int:
        return self._address


class FakeHostAllocation(Allocation):
    def __init__(self, gpu: FakeHardware, size: int, *, mapped: bool) -> None:
        super().__init__(gpu, size)
        self._mapped = mapped
        self.__array_interface__ = self._content.__array_interface__

    def get_device_pointer(self) -> int:
        if not self._mapped:
            raise FakeCudaError("this memory is not mapped")
        self._gpu.memory[self._address] = self._content.size
        return self._address


class FakeStream:
    def __init__(self, gpu: FakeHardware) -> None:
        gpu.check()
        self._gpu = gpu
        self._queue: list[Callable[[], None]] = []
        self._recorded: list[Callable[[], None]] | None = None
        self.handle = next(gpu.numbers) + (1 << 40)
        gpu.streams[self.handle] = self

    def synchronize(self) -> None:
        self._gpu.check()
        if self._recorded is not None:
            raise FakeCudaError("a stream that is recording cannot be waited for")
        while self._queue:
            self._queue.pop(0)()

    def _add(self, work: Callable[[], None]) -> None:
        self._gpu.check()
        (self._queue if self._recorded is None else self._recorded).append(work)


class FakeContext:
    def __init__(self, gpu: FakeHardware) -> None:
        self._gpu = gpu
        gpu.contexts += 1

    def push(self) -> None:
        depths = self._gpu.depths
        depths[threading.get_ident()] = depths.get(threading.get_ident(), 0) + 1

    def detach(self) -> None:
        self._gpu.contexts -= 1


class FakeCudaDevice:
    def __init__(self, gpu: FakeHardware) -> None:
        self._gpu = gpu

    def name(self) -> str:
        return self._gpu.name

    def compute_capability(self) -> tuple[int, int]:
        return (8, 7)

    def get_attribute(self, attribute: str) -> int:
        return int({"integrated": self._gpu.integrated}[attribute])

    def retain_primary_context(self) -> FakeContext:
        return FakeContext(self._gpu)


class Names:
    """A module or class that has what it is given."""

    def __init__(self, **names: Any) -> None:
        self.__dict__.update(names)


class DeviceNames:
    def __init__(self, gpu: FakeHardware) -> None:
        self._gpu = gpu

    def __call__(self, index: int) -> FakeCudaDevice:
        assert index == 0
        return FakeCudaDevice(self._gpu)

    def count(self) -> int:
        return int(self._gpu.present)


def public(part: object, prefix: str) -> set[str]:
    """Return the names in a class or module, those in classes within it too."""
    names = set()
    for name, value in vars(part).items():
        if not name.startswith("_"):
            inner = public(value, f"{prefix}{name}.") if isinstance(value, type) else set()
            names |= inner or {f"{prefix}{name}"}
    return names


def cuda_module(gpu: FakeHardware) -> Any:
    """Return what stands in for ``pycuda.driver``."""

    def pop() -> None:
        gpu.depths[threading.get_ident()] -= 1

    def pagelocked_empty(size: int, dtype: type, mem_flags: int = 0) -> NDArray[np.uint8]:
        assert dtype is np.uint8
        return np.asarray(FakeHostAllocation(gpu, size, mapped=mem_flags == 2))

    def memcpy_htod_async(target: FakeDeviceAllocation, source: Any, stream: FakeStream) -> None:
        def copy() -> None:
            gpu.bytes_at(int(target), source.nbytes)[:] = source

        stream._add(copy)

    def memcpy_dtoh_async(target: Any, source: FakeDeviceAllocation, stream: FakeStream) -> None:
        def copy() -> None:
            target[:] = gpu.bytes_at(int(source), target.nbytes)

        stream._add(copy)

    return Names(
        Context=Names(pop=pop),
        Device=DeviceNames(gpu),
        Error=FakeCudaError,
        Stream=lambda: FakeStream(gpu),
        device_attribute=Names(INTEGRATED="integrated"),
        host_alloc_flags=Names(DEVICEMAP=2),
        init=lambda: None,
        mem_alloc=lambda size: FakeDeviceAllocation(gpu, size),
        memcpy_dtoh_async=memcpy_dtoh_async,
        memcpy_htod_async=memcpy_htod_async,
        pagelocked_empty=pagelocked_empty,
    )


Handle = ctypes.c_void_p
Handles = ctypes.POINTER(ctypes.c_void_p)


class FakeDriver:
    """``libcuda.so.1``, called as C calls it: each function returns 0 or the code of an error."""

    def __init__(self, gpu: FakeHardware) -> None:
        self._gpu = gpu
        # As cuda.h declares them.
        for name, function, *arguments in (
            ("cuStreamBeginCapture_v2", self._begin, Handle, ctypes.c_int),
            ("cuStreamEndCapture", self._end, Handle, Handles),
            ("cuGraphInstantiateWithFlags", self._instantiate, Handles, Handle, ctypes.c_ulonglong),
            ("cuGraphLaunch", self._launch, Handle, Handle),
            ("cuGraphDestroy", self._destroy, Handle),
            ("cuGraphExecDestroy", self._destroy, Handle),
        ):
            setattr(self, name, ctypes.CFUNCTYPE(ctypes.c_int, *arguments)(function))

    def _begin(self, stream: int, mode: int) -> int:
        if not self._gpu.records or mode != 1:
            return 900
        self._gpu.streams[stream]._recorded = []
        return 0

    def _end(self, stream: int, graph: Any) -> int:
        self._keep(graph, self._gpu.streams[stream]._recorded)
        self._gpu.streams[stream]._recorded = None
        return 0

    def _instantiate(self, ready: Any, graph: int, flags: int) -> int:
        self._keep(ready, self._gpu.graphs[graph])
        return flags

    def _launch(self, ready: int, stream: int) -> int:
        if ready not in self._gpu.graphs:
            return 400
        for work in self._gpu.graphs[ready]:
            self._gpu.streams[stream]._add(work)
        self._gpu.replays += 1
        return 0

    def _destroy(self, graph: int) -> int:
        return 0 if self._gpu.graphs.pop(graph, None) else 400

    def _keep(self, target: Any, work: list[Callable[[], None]]) -> None:
        # As large as the handles of a 64-bit machine.
        target[0] = number = next(self._gpu.numbers) + (1 << 40)
        self._gpu.graphs[number] = work


# What there is to call, to be compared with the tables.
PYCUDA_NAMES = {
    *vars(cuda_module(FakeHardware())).keys() - {"Context", "device_attribute", "host_alloc_flags"},
    *public(FakeContext, "Context."),
    "Context.pop",
    *public(DeviceNames, "Device."),
    *public(FakeCudaDevice, "Device."),
    *public(Allocation, "HostAllocation."),
    *public(FakeHostAllocation, "HostAllocation."),
    *public(Allocation, "DeviceAllocation."),
    *public(FakeStream, "Stream."),
    "Stream.handle",
    "device_attribute.INTEGRATED",
    "host_alloc_flags.DEVICEMAP",
}
DRIVER_NAMES = {name for name in vars(FakeDriver(FakeHardware())) if not name.startswith("_")}
