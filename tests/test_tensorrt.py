"""Building engines with a real TensorRT builder; which graphs it builds is in ``test_engines``."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from doorbell.errors import InferenceError
from doorbell.inference.tensorrt import build_engine
from doorbell.inference.tensorrt.log import open_log
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
