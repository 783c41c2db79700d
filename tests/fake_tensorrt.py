"""A stand-in for TensorRT of any version of the table, on the stand-in for a GPU.

Networks are run by OpenVINO from the ONNX file that the engine was built of, so outputs are real.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from fake_cuda import FakeHardware, Names, public
from numpy.typing import NDArray

from doorbell.inference.openvino import OpenVinoRunner
from doorbell.inference.tensorrt.versions import TENSORRT

DTYPES = {onnx.TensorProto.FLOAT: np.float32, onnx.TensorProto.UINT8: np.uint8}


# Each class has all names of the table; a module gets those of its version.


class Part:
    """An object of a TensorRT module, without names of other versions."""

    _module: Any
    _gpu: FakeHardware

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_") and not hasattr(type(self), name):
            raise AttributeError(f"this version has no {type(self).__name__}.{name}")
        object.__setattr__(self, name, value)


class ILogger(Part):
    class Severity(IntEnum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2


class IProgressMonitor(Part):
    pass


class BuilderFlag(IntEnum):
    FP16 = 0
    TF32 = 7


class ComputeCapability(IntEnum):
    SM75 = 75
    SM86 = 86
    SM89 = 89
    SM120 = 120


class CudaGraphStrategy(IntEnum):
    WHOLE_GRAPH_CAPTURE = 1


class DataType(IntEnum):
    FLOAT = 0
    UINT8 = 5


class MemoryPoolType(IntEnum):
    WORKSPACE = 0


class TensorIOMode(IntEnum):
    INPUT = 1


class NetworkDefinitionCreationFlag(IntEnum):
    EXPLICIT_BATCH = 0
    STRONGLY_TYPED = 1


class ITensor(Part):
    def __init__(self, info: onnx.ValueInfoProto) -> None:
        self._info = info

    @property
    def name(self) -> str:
        return str(self._info.name)

    @property
    def shape(self) -> tuple[int, ...]:
        dims = self._info.type.tensor_type.shape.dim
        return tuple(-1 if dim.dim_param else dim.dim_value for dim in dims)

    def get_dimension_name(self, index: int) -> str | None:
        return self._info.type.tensor_type.shape.dim[index].dim_param or None


class INetworkDefinition(Part):
    def __init__(self, flags: int) -> None:
        self._flags = flags
        self._model = onnx.ModelProto()

    @property
    def num_inputs(self) -> int:
        return len(self._model.graph.input)

    def get_input(self, index: int) -> Any:
        return self._module._make("ITensor", self._model.graph.input[index])


class OnnxParser(Part):
    def __init__(self, network: INetworkDefinition, log: Any) -> None:
        assert log is not None
        self._network = network
        self._errors: list[str] = []

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def parse_from_file(self, path: str) -> bool:
        try:
            self._network._model = onnx.load(path)
            onnx.checker.check_model(self._network._model)
        except Exception as exc:  # noqa: BLE001 - protobuf's and onnx's, whatever they are
            self._errors = [f"cannot parse: {exc}", "nothing was parsed"]
        return not self._errors

    def get_error(self, index: int) -> str:
        return self._errors[index]


class IOptimizationProfile(Part):
    def __init__(self) -> None:
        self._shapes: dict[str, list[list[int]]] = {}

    def set_shape(self, name: str, low: Any, usual: Any, high: Any) -> None:
        self._shapes[name] = [list(low), list(usual), list(high)]


class ITimingCache(Part):
    def __init__(self, content: bytes) -> None:
        self._content = content

    def serialize(self) -> bytes:
        return self._content


class IBuilderConfig(Part):
    progress_monitor: Any = None
    num_compute_capabilities = 0

    def __init__(self) -> None:
        self._flags = {BuilderFlag.TF32}
        self._profile: Any = None
        self._cache: Any = None

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        self._profile = profile
        return 0

    def set_flag(self, flag: BuilderFlag) -> None:
        self._flags.add(flag)

    def clear_flag(self, flag: BuilderFlag) -> None:
        self._flags.discard(flag)

    def set_memory_pool_limit(self, pool: MemoryPoolType, size: int) -> None:
        assert pool == MemoryPoolType.WORKSPACE
        assert size > 0

    def set_compute_capability(self, capability: ComputeCapability, index: int) -> bool:
        return index < self.num_compute_capabilities and bool(capability)

    def create_timing_cache(self, content: bytes) -> Any:
        good = not content or content.startswith(b"timings of ")
        return self._module._make("ITimingCache", content) if good else None

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        own = f"timings of {self._gpu.name}".encode()
        if cache._content and not cache._content.startswith(own) and not ignore_mismatch:
            return False
        self._cache = cache
        return True

    def get_timing_cache(self) -> ITimingCache | None:
        return self._cache  # type: ignore[no-any-return] # made by the module


class Builder(Part):
    def __init__(self, log: Any) -> None:
        self._log = log

    def create_network(self, flags: int) -> Any:
        wanted = self._module.NetworkDefinitionCreationFlag
        assert flags in [1 << int(flag) for flag in vars(wanted).values()]
        return self._module._make("INetworkDefinition", flags)

    def create_builder_config(self) -> Any:
        return self._module._make("IBuilderConfig")

    def create_optimization_profile(self) -> Any:
        return self._module._make("IOptimizationProfile")

    def build_serialized_network(self, network: Any, config: Any) -> bytes | None:
        monitor = getattr(config, "progress_monitor", None)
        if monitor is not None:
            monitor.phase_start("Building engine", None, 2)
            monitor.step_complete("Building engine", 0)
            monitor.phase_start("Timing layers", "Building engine", 2)
            for step in range(2):
                assert monitor.step_complete("Timing layers", step)
            monitor.phase_finish("Timing layers")
            monitor.phase_finish("Building engine")
        if self._gpu.refuses:
            self._log.log(ILogger.Severity.ERROR, "no implementation of node 7")
            return None
        about = {
            "version": self._gpu.version,
            "gpu": self._gpu.name,
            "network": network._model.graph.name,
            "profile": config._profile._shapes,
            "flags": sorted(flag.name for flag in config._flags),
            "timings": config._cache is not None and config._cache._content.decode(),
        }
        if config._cache is not None:
            config._cache._content = f"timings of {self._gpu.name}".encode()
        self._gpu.builds.append(about)
        content: bytes = json.dumps(about).encode() + b"\n" + network._model.SerializeToString()
        return hashlib.sha256(content).digest() + content[self._gpu.spoils :]


class Runtime(Part):
    def __init__(self, log: Any) -> None:
        self._log = log

    def deserialize_cuda_engine(self, serialized: bytes) -> Any:
        self._gpu.check()
        digest, content = serialized[:32], serialized[32:]
        head, _, network = content.partition(b"\n")
        if hashlib.sha256(content).digest() != digest:
            self._log.log(ILogger.Severity.ERROR, "the engine is damaged")
            return None
        about = json.loads(head)
        if (about["version"], about["gpu"]) != (self._gpu.version, self._gpu.name):
            self._log.log(ILogger.Severity.ERROR, "the engine is of another version or GPU")
            return None
        return self._module._make("ICudaEngine", onnx.ModelProto.FromString(network), about)


class ICudaEngine(Part):
    def __init__(self, model: onnx.ModelProto, about: dict[str, Any]) -> None:
        self._profile = about["profile"]
        graph = model.graph
        self._tensors = {info.name: info for info in (*graph.input, *graph.output)}
        self._input_names = [info.name for info in graph.input]
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "network.onnx"
            path.write_bytes(model.SerializeToString())
            self._runner = OpenVinoRunner(path, threads=1, cache_directory=None)

    @property
    def num_io_tensors(self) -> int:
        return len(self._tensors)

    def get_tensor_name(self, index: int) -> str:
        return str(list(self._tensors)[index])

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return ITensor(self._tensors[name]).shape

    def get_tensor_dtype(self, name: str) -> DataType:
        is_float = self._tensors[name].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        return DataType.FLOAT if is_float else DataType.UINT8

    def get_tensor_mode(self, name: str) -> int:
        return TensorIOMode.INPUT if name in self._input_names else 2

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[list[int]]:
        assert profile_index == 0
        return self._profile[name]  # type: ignore[no-any-return] # from JSON

    def create_execution_context(self, config: Any = None) -> Any:
        self._gpu.check()
        return self._module._make("IExecutionContext", self, config)

    def create_runtime_config(self) -> Any:
        return self._module._make("IRuntimeConfig")


class IRuntimeCache(Part):
    def __init__(self) -> None:
        self._content = b""

    def deserialize(self, content: bytes) -> bool:
        self._content = content
        return True

    def serialize(self) -> bytes:
        return self._content


class IRuntimeConfig(Part):
    cuda_graph_strategy: CudaGraphStrategy | None = None

    def __init__(self) -> None:
        self._cache: Any = None

    def create_runtime_cache(self) -> Any:
        return self._module._make("IRuntimeCache")

    def set_runtime_cache(self, cache: Any) -> bool:
        self._cache = cache
        self._gpu.kernels = cache._content
        return True


class IExecutionContext(Part):
    def __init__(self, engine: ICudaEngine, config: Any) -> None:
        self._engine, self._config = engine, config
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        low, _, high = self._engine._profile[name]
        assert all(a <= size <= b for a, size, b in zip(low, shape, high, strict=True)), shape
        self._shapes[name] = tuple(shape)
        return True

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        sizes = {
            dim.dim_param: size
            for given, shape in self._shapes.items()
            for dim, size in zip(self._dims(given), shape, strict=True)
            if dim.dim_param
        }
        return tuple(sizes.get(dim.dim_param, dim.dim_value) for dim in self._dims(name))

    def execute_async_v3(self, stream_handle: int) -> bool:
        if self._gpu.refuses:
            return False
        addresses = dict(self._addresses)
        shapes = {name: self.get_tensor_shape(name) for name in self._engine._tensors}

        def at(name: str) -> NDArray[Any]:
            dtype = np.dtype(DTYPES[self._engine._tensors[name].type.tensor_type.elem_type])
            size = int(np.prod(shapes[name])) * dtype.itemsize
            return self._gpu.bytes_at(addresses[name], size).view(dtype).reshape(shapes[name])

        def run() -> None:
            inputs = {name: at(name).copy() for name in self._engine._input_names}
            for name, value in self._engine._runner.infer(inputs).items():
                at(name)[:] = value
            self._gpu.batches.append(max(shape[0] for shape in shapes.values()))
            if self._config is not None:
                assert self._config.cuda_graph_strategy == CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
                self._config._cache._content = b"kernels"

        self._gpu.streams[stream_handle]._add(run)
        return True

    def _dims(self, name: str) -> Any:
        return self._engine._tensors[name].type.tensor_type.shape.dim


PARTS: tuple[type, ...] = (
    Builder,
    BuilderFlag,
    ComputeCapability,
    CudaGraphStrategy,
    DataType,
    IBuilderConfig,
    ICudaEngine,
    IExecutionContext,
    ILogger,
    INetworkDefinition,
    IOptimizationProfile,
    IProgressMonitor,
    IRuntimeCache,
    IRuntimeConfig,
    ITensor,
    ITimingCache,
    MemoryPoolType,
    NetworkDefinitionCreationFlag,
    OnnxParser,
    Runtime,
    TensorIOMode,
)


def tensorrt_module(gpu: FakeHardware) -> Any:
    """Return what stands in for ``tensorrt`` of the version of a GPU's machine."""
    names = [name.split(".") for name, versions in TENSORRT.items() if gpu.version in versions]
    parts: dict[str, Any] = {}
    module = Names(__name__="tensorrt", __version__=gpu.version)
    for part in PARTS:
        allowed = {name[1] for name in names if name[0] == part.__name__ and len(name) > 1}
        if issubclass(part, IntEnum):
            parts[part.__name__] = Names(**{name: part[name] for name in allowed})
        else:
            own = {
                name: value
                for name, value in vars(part).items()
                if name.startswith("_") or name in allowed
            }
            parts[part.__name__] = type(
                part.__name__, (Part,), {**own, "_gpu": gpu, "_module": module}
            )
        if [part.__name__] in names or (allowed and issubclass(part, IntEnum)):
            setattr(module, part.__name__, parts[part.__name__])
    module.__dict__["_make"] = lambda name, *arguments: parts[name](*arguments)
    return module


# What there is to call, to be compared with the tables. Enumerations and classes count by what is
# in them; those that are called or asked for themselves count too.
CALLED = {"Builder", "ILogger", "IProgressMonitor", "IRuntimeCache", "OnnxParser", "Runtime"}
TENSORRT_NAMES = {"__version__", *CALLED}.union(
    *(public(part, f"{part.__name__}.") for part in PARTS)
)
