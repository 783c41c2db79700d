"""Building engines with a real TensorRT builder; which graphs it builds is in ``test_engines``."""

import re
from functools import reduce
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from doorbell.errors import InferenceError
from doorbell.inference.tensorrt import build_engine
from doorbell.inference.tensorrt.log import open_log
from doorbell.inference.tensorrt.versions import TENSORRT
from doorbell.models.store import network_path
from doorbell.networks.graph import finished_model

trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has no package for this machine")


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(InferenceError, match=r"cannot read .*broken\.onnx.*parse"):
        build_engine(trt, path, architecture="SM86")


def test_a_network_that_shares_a_frame_builds_for_any_size_of_it(tmp_path: Path) -> None:
    path = tmp_path / "sampled.onnx"
    onnx.save(sampled("height"), path)
    assert build_engine(trt, path, architecture="SM86", precision="float32")
    onnx.save(sampled("depth"), path)
    with pytest.raises(InferenceError, match="'frame' leaves dimension 1 open as 'depth'"):
        build_engine(trt, path, architecture="SM86")


def sampled(height: str) -> onnx.ModelProto:
    return finished_model(
        helper.make_graph(
            [
                helper.make_node("Cast", ["frame"], ["floats"], to=TensorProto.FLOAT),
                helper.make_node("ReduceMean", ["floats"], ["mean"], axes=[1, 2], keepdims=0),
                helper.make_node("Mul", ["regions", "mean"], ["colours"]),
            ],
            "sampled",
            [
                helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, height, "width", 3]),
                helper.make_tensor_value_info("regions", TensorProto.FLOAT, ["batch", 3]),
            ],
            [helper.make_tensor_value_info("colours", TensorProto.FLOAT, ["batch", 3])],
        )
    )


def test_progress_only_grows_and_ends_whole(models_directory: Path) -> None:
    told: list[float] = []
    path = network_path(models_directory, "blazeface_short", "float16")
    build_engine(trt, path, architecture="SM86", progress=told.append)
    assert len(told) > 10
    assert all(0 <= share <= 1 for share in told)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_a_damaged_engine_is_refused_and_said(caplog: pytest.LogCaptureFixture) -> None:
    log = open_log(trt)
    log.take_errors()
    assert trt.Runtime(log).deserialize_cuda_engine(b"no engine") is None
    assert log.take_errors()
    assert log.take_errors() == []
    assert "TensorRT: " in caplog.text


def attribute(name: str) -> Any:
    return reduce(getattr, name.split("."), trt)


@pytest.mark.parametrize("name", [name for name, where in TENSORRT.items() if "rtx" in where])
def test_the_installed_module_has_what_the_table_says(name: str) -> None:
    attribute(name)


@pytest.mark.parametrize(
    "name", ["BuilderFlag.FP16", "NetworkDefinitionCreationFlag.EXPLICIT_BATCH"]
)
def test_what_only_old_versions_have_is_not_in_the_installed_module(name: str) -> None:
    with pytest.raises(AttributeError):
        attribute(name)


# As the device and the builder call them; the names of the arguments as NVIDIA documents them.
ARGUMENTS = {
    "Builder.build_serialized_network": "network, config",
    "Builder.create_network": "flags",
    "IBuilderConfig.add_optimization_profile": "profile",
    "IBuilderConfig.clear_flag": "flag",
    "IBuilderConfig.set_compute_capability": "compute_capability, index",
    "IBuilderConfig.set_memory_pool_limit": "pool, pool_size",
    "ICudaEngine.create_execution_context": "runtime_config",
    "ICudaEngine.get_tensor_dtype": "name",
    "ICudaEngine.get_tensor_mode": "name",
    "ICudaEngine.get_tensor_name": "index",
    "ICudaEngine.get_tensor_profile_shape": "name, profile_index",
    "ICudaEngine.get_tensor_shape": "name",
    "IExecutionContext.execute_async_v3": "stream_handle",
    "IExecutionContext.get_tensor_shape": "name",
    "IExecutionContext.set_input_shape": "name, shape",
    "IExecutionContext.set_tensor_address": "name, memory",
    "INetworkDefinition.get_input": "index",
    "IOptimizationProfile.set_shape": "input, min, opt, max",
    "IRuntimeCache.deserialize": "blob",
    "IRuntimeConfig.set_runtime_cache": "cache",
    "ITensor.get_dimension_name": "index",
    "OnnxParser.get_error": "index",
    "Runtime.deserialize_cuda_engine": "serialized_engine",
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_installed_module_takes_the_arguments_that_are_given(name: str) -> None:
    method = attribute(name)
    signatures = re.findall(rf"{method.__name__}\(self: [^,)]+(?:, )?(.*)\) -> ", method.__doc__)
    taken = [", ".join(re.findall(r"(\w+): ", signature)) for signature in signatures]
    assert ARGUMENTS[name] in taken
