"""What building and running an engine share in the stand-in for TensorRT."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import onnx
from fake_cuda import FakeHardware

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
