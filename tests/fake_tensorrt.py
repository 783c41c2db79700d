"""A stand-in for TensorRT of any version of the table, on the stand-in for a GPU.

Networks are run by OpenVINO from the ONNX file that the engine was built of, so outputs are real.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from fake_cuda import FakeHardware, Names, public
from fake_tensorrt_builder import (
    Builder,
    IBuilderConfig,
    INetworkDefinition,
    IOptimizationProfile,
    ITimingCache,
    OnnxParser,
)
from fake_tensorrt_engine import (
    ICudaEngine,
    IExecutionContext,
    IRuntimeCache,
    IRuntimeConfig,
    Runtime,
)
from fake_tensorrt_parts import (
    BuilderFlag,
    ComputeCapability,
    CudaGraphStrategy,
    DataType,
    ILogger,
    IProgressMonitor,
    ITensor,
    MemoryPoolType,
    NetworkDefinitionCreationFlag,
    Part,
    TensorIOMode,
)

from doorbell.inference.tensorrt.versions import TENSORRT

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
