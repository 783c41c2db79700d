"""The stand-in for what TensorRT builds an engine with: the ONNX file, and what was asked for."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import onnx
from fake_tensorrt_parts import BuilderFlag, ComputeCapability, ILogger, MemoryPoolType, Part


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
