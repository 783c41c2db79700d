"""The stand-in for an engine of TensorRT: its network is run by OpenVINO."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from fake_tensorrt_parts import (
    CudaGraphStrategy,
    DataType,
    ILogger,
    ITensor,
    Part,
    TensorIOMode,
)
from numpy.typing import NDArray

from doorbell.inference.openvino import OpenVinoRunner

DTYPES = {onnx.TensorProto.FLOAT: np.float32, onnx.TensorProto.UINT8: np.uint8}


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
