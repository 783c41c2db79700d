"""Every float16 graph is built by a real TensorRT builder; running an engine needs a GPU."""

from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest
from onnx import TensorProto, helper

from doorbell.config import InferenceSection
from doorbell.errors import InferenceError
from doorbell.inference import NetworkFiles, open_runner
from doorbell.inference.tensorrt import build_engine, engine_file_name, network_file
from doorbell.models.store import network_path
from doorbell.networks import blazeface
from doorbell.networks.float16 import to_float16
from doorbell.networks.graph import finished_model
from doorbell.networks.weights import SeededWeights

trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has no package for this machine")


@pytest.mark.parametrize("name", ["blazeface_short", "blazeface_full", "sface"])
def test_every_float16_graph_builds_strongly_typed(name: str, models_directory: Path) -> None:
    path = network_path(models_directory, name, "float16")
    engine = build_engine(trt, path, architecture="SM86")
    # Float32 weights would take twice the file.
    assert path.stat().st_size < len(engine) < path.stat().st_size + (4 << 20)


def test_the_published_network_builds(tmp_path: Path) -> None:
    path = tmp_path / "published.onnx"
    onnx.save(to_float16(blazeface.published(SeededWeights(1))), path)
    assert build_engine(trt, path, architecture="SM86")


def test_a_file_that_is_no_network_is_refused_with_the_parsers_words(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(InferenceError, match=r"cannot read .*broken\.onnx.*parse"):
        build_engine(trt, path, architecture="SM86")


def test_mixed_precision_is_refused_with_the_builders_words(tmp_path: Path) -> None:
    """A constant that stayed float32 in a float16 graph is what strong typing forbids."""
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["half"], to=TensorProto.FLOAT16),
            helper.make_node("Add", ["half", "one"], ["sum"]),
            helper.make_node("Cast", ["sum"], ["result"], to=TensorProto.FLOAT),
        ],
        "mixed",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 2, 4, 4])],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, ["batch", 2, 4, 4])],
        [helper.make_tensor("one", TensorProto.FLOAT16, [], [1.0])],
    )
    model = finished_model(graph)
    model.graph.initializer[0].CopyFrom(helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]))
    path = tmp_path / "mixed.onnx"
    onnx.save(model, path)
    with pytest.raises(InferenceError, match=r"mixed\.onnx"):
        build_engine(trt, path, architecture="SM86")


def test_an_engine_is_named_by_all_it_depends_on(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"

    def name(content: bytes, version: str, gpu: str, capability: tuple[int, int]) -> str:
        path.write_bytes(content)
        return engine_file_name(
            path, tensorrt_version=version, gpu_name=gpu, compute_capability=capability
        )

    first = name(b"a", "10.3.0", "Orin", (8, 7))
    others = {
        name(b"b", "10.3.0", "Orin", (8, 7)),
        name(b"a", "10.16.0", "Orin", (8, 7)),
        name(b"a", "10.3.0", "Thor", (8, 7)),
        name(b"a", "10.3.0", "Orin", (11, 0)),
    }
    assert name(b"a", "10.3.0", "Orin", (8, 7)) == first
    assert len(others | {first}) == 5


def test_old_tensorrt_gets_float32_and_new_tensorrt_float16() -> None:
    files = NetworkFiles("network", float32=Path("32.onnx"), float16=Path("16.onnx"))
    old = SimpleNamespace(NetworkDefinitionCreationFlag=SimpleNamespace(EXPLICIT_BATCH=0))
    assert network_file(trt, files) == files.float16
    assert network_file(old, files) == files.float32


@pytest.mark.skipif(find_spec("tensorrt") is not None, reason="TensorRT is installed here")
def test_missing_tensorrt_is_said(models_directory: Path) -> None:
    path = network_path(models_directory, "sface", "float16")
    with pytest.raises(InferenceError, match=r"inference\.backend to openvino"):
        open_runner(NetworkFiles("sface", path, path), InferenceSection(backend="tensorrt"))
