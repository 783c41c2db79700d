"""Every float16 graph is built by a real TensorRT builder; running an engine needs a GPU."""

import math
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from doorbell.config import InferenceSection
from doorbell.errors import InferenceError
from doorbell.inference import NetworkFiles, open_runner
from doorbell.inference.tensorrt import (
    MAX_BATCH,
    TensorRtRunner,
    build_engine,
    engine_file_name,
    load_engine,
    network_file,
)
from doorbell.models.store import network_path
from doorbell.networks import blazeface
from doorbell.networks.float16 import to_float16
from doorbell.networks.graph import finished_model
from doorbell.networks.weights import SeededWeights

Floats = NDArray[np.float32]

trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has no package for this machine")


@pytest.mark.parametrize("name", ["blazeface_short", "blazeface_back", "blazeface_full", "sface"])
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


class Memory:
    """A buffer on the pretended device."""

    def __init__(self, size: int) -> None:
        self.content = np.zeros(size, np.uint8)
        self.freed = False

    def __int__(self) -> int:
        return id(self)

    def free(self) -> None:
        assert not self.freed
        self.freed = True


class Cuda:
    """The part of ``pycuda.driver`` that the runner uses, over ordinary memory."""

    class Error(Exception):
        pass

    class Stream:
        handle = 7

        def synchronize(self) -> None:
            pass

    class Context:
        depth = 0

        def push(self) -> None:
            Cuda.Context.depth += 1

        @staticmethod
        def pop() -> None:
            Cuda.Context.depth -= 1

        def detach(self) -> None:
            pass

    def __init__(self) -> None:
        self.memory: dict[int, Memory] = {}

    def mem_alloc(self, size: int) -> Memory:
        memory = Memory(size)
        self.memory[int(memory)] = memory
        return memory

    def memcpy_htod_async(self, target: Memory, source: Floats, stream: object) -> None:
        assert stream is not None
        assert Cuda.Context.depth == 1
        raw = source.reshape(-1).view(np.uint8)
        target.content[: raw.size] = raw

    def memcpy_dtoh_async(self, target: Floats, source: Memory, stream: object) -> None:
        assert stream is not None
        raw = target.reshape(-1).view(np.uint8)
        raw[:] = source.content[: raw.size]


class Engine:
    """An engine of one network: ``total`` (batch, 1) is the sum of ``image`` (batch, 2, 3)."""

    tensors = ("image", "total")
    num_io_tensors = 2

    def __init__(self, cuda: Cuda) -> None:
        self.cuda = cuda
        self.batches: list[int] = []
        self.fails = False
        self.addresses: dict[str, int] = {}
        self.shape = (0, 2, 3)

    def get_tensor_name(self, index: int) -> str:
        return self.tensors[index]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, 2, 3) if name == "image" else (-1, 1)

    def get_tensor_mode(self, name: str) -> Any:
        return trt.TensorIOMode.INPUT if name == "image" else trt.TensorIOMode.OUTPUT

    def create_execution_context(self) -> "Engine":
        return self

    def set_tensor_address(self, name: str, address: int) -> None:
        self.addresses[name] = address

    def set_input_shape(self, name: str, shape: tuple[int, int, int]) -> None:
        assert name == "image"
        self.shape = shape

    def execute_async_v3(self, stream_handle: int) -> bool:
        assert stream_handle == Cuda.Stream.handle
        self.batches.append(self.shape[0])
        image, total = (self.cuda.memory[self.addresses[name]].content for name in self.tensors)
        values = image.view(np.float32)[: math.prod(self.shape)].reshape(self.shape)
        total.view(np.float32)[: self.shape[0]] = values.sum((1, 2))
        return not self.fails


@pytest.fixture
def engine() -> Engine:
    return Engine(Cuda())


@pytest.fixture
def runner(engine: Engine) -> TensorRtRunner:
    return TensorRtRunner(trt, engine.cuda, Cuda.Context(), engine, "sums")


def test_a_large_batch_runs_in_parts(runner: TensorRtRunner, engine: Engine) -> None:
    batch = 2 * MAX_BATCH + 3
    images = np.random.default_rng(0).standard_normal((batch, 2, 3)).astype(np.float32)
    total = runner.infer({"image": images})["total"]
    assert engine.batches == [MAX_BATCH, MAX_BATCH, 3]
    np.testing.assert_allclose(total[:, 0], images.sum((1, 2)), rtol=1e-5)
    assert Cuda.Context.depth == 0


def test_a_failed_run_is_said_and_leaves_no_context(runner: TensorRtRunner, engine: Engine) -> None:
    engine.fails = True
    with pytest.raises(InferenceError, match="failed in sums"):
        runner.infer({"image": np.zeros((1, 2, 3), np.float32)})
    assert Cuda.Context.depth == 0


def test_close_frees_everything_once(runner: TensorRtRunner, engine: Engine) -> None:
    runner.close()
    runner.close()
    assert len(engine.cuda.memory) == 2
    assert all(memory.freed for memory in engine.cuda.memory.values())
    with pytest.raises(InferenceError, match="closed"):
        runner.infer({"image": np.zeros((1, 2, 3), np.float32)})


class Runtime:
    """A runtime that loads what this machine built, and nothing else."""

    def __init__(self, log: object) -> None:
        assert log is not None

    def deserialize_cuda_engine(self, serialized: bytes) -> str | None:
        return "engine" if serialized == b"built here" else None


def test_an_engine_is_built_once_and_again_when_it_does_not_load(tmp_path: Path) -> None:
    module = SimpleNamespace(ILogger=trt.ILogger, Runtime=Runtime)
    path = tmp_path / "engines" / "network.engine"
    builds = []

    def build() -> bytes:
        builds.append(path)
        return b"built here"

    assert [load_engine(module, path, build) for _ in range(2)] == ["engine", "engine"]
    assert len(builds) == 1
    path.write_bytes(b"built by another TensorRT")
    assert load_engine(module, path, build) == "engine"
    assert len(builds) == 2
    assert [entry.name for entry in path.parent.iterdir()] == ["network.engine"]


def test_an_engine_that_never_loads_is_said(tmp_path: Path) -> None:
    module = SimpleNamespace(ILogger=trt.ILogger, Runtime=Runtime)
    with pytest.raises(InferenceError, match="just built"):
        load_engine(module, tmp_path / "network.engine", lambda: b"useless")


@pytest.mark.skipif(find_spec("tensorrt") is not None, reason="TensorRT is installed here")
def test_missing_tensorrt_is_said(models_directory: Path) -> None:
    path = network_path(models_directory, "sface", "float16")
    with pytest.raises(InferenceError, match=r"inference\.backend to openvino"):
        open_runner(NetworkFiles("sface", path, path), InferenceSection(backend="tensorrt"))
