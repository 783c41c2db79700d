"""The runner and its files, over a stand-in for a GPU that runs networks by OpenVINO."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import onnx
import pytest
from fake_cuda import DRIVER_NAMES, PYCUDA_NAMES
from fake_device import FakeGpu
from fake_tensorrt import TENSORRT_NAMES, tensorrt_module
from numpy.typing import NDArray
from onnx import TensorProto, helper

from doorbell.config import InferenceSection
from doorbell.errors import InferenceError
from doorbell.inference import DeviceArray, NetworkFiles, open_runner, tensorrt_precision
from doorbell.inference.tensorrt import (
    MAX_BATCH,
    TensorRtRunner,
    build_engines,
    gpu_fault,
    open_tensorrt,
    require_gpu,
)
from doorbell.inference.tensorrt.cache import engine_file_name
from doorbell.inference.tensorrt.runner import MAX_RECORDINGS, RUNS_BEFORE_RECORDING
from doorbell.inference.tensorrt.versions import DRIVER, PYCUDA, TENSORRT, VERSIONS
from doorbell.networks.graph import finished_model

Floats = NDArray[np.float32]


def test_the_stand_in_has_the_names_of_the_tables_and_no_more() -> None:
    assert set(TENSORRT) == TENSORRT_NAMES
    assert set(PYCUDA) == PYCUDA_NAMES
    assert set(DRIVER) == DRIVER_NAMES


@pytest.mark.parametrize("version", VERSIONS)
def test_the_stand_in_of_a_version_has_what_that_version_has(version: str) -> None:
    module = tensorrt_module(FakeGpu(version=version))
    for name, versions in TENSORRT.items():
        part, _, member = name.partition(".")
        if version not in versions:
            assert not hasattr(getattr(module, part, None), member or part), name


@pytest.fixture
def gpu() -> FakeGpu:
    return FakeGpu()


@pytest.fixture
def files(tmp_path: Path) -> NetworkFiles:
    """``colours`` (batch, 3) are ``regions`` (batch, 3) times the mean of ``frame``."""
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["frame"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["floats"], ["mean"], axes=[1, 2], keepdims=0),
            helper.make_node("Mul", ["regions", "mean"], ["colours"]),
        ],
        "sampled",
        [
            helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, "height", "width", 3]),
            helper.make_tensor_value_info("regions", TensorProto.FLOAT, ["batch", 3]),
        ],
        [helper.make_tensor_value_info("colours", TensorProto.FLOAT, ["batch", 3])],
    )
    onnx.save(finished_model(graph), tmp_path / "sampled.float32.onnx")
    # Marked, so that it can be told which file an engine was built of.
    graph.name = "half"
    onnx.save(finished_model(graph), tmp_path / "sampled.float16.onnx")
    return NetworkFiles(
        "sampled", tmp_path / "sampled.float32.onnx", tmp_path / "sampled.float16.onnx"
    )


Open = Callable[[], TensorRtRunner]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "engines"


@pytest.fixture
def open_again(gpu: FakeGpu, files: NetworkFiles, directory: Path) -> Open:
    return lambda: open_tensorrt(files, cache_directory=directory, open_gpu=gpu.open)


def frame(height: int = 32, width: int = 48, seed: int = 0) -> NDArray[np.uint8]:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (1, height, width, 3), dtype=np.uint8)


def regions(batch: int) -> Floats:
    return np.random.default_rng(batch).uniform(0, 1, (batch, 3)).astype(np.float32)


def check(runner: TensorRtRunner, pixels: NDArray[np.uint8], scales: Floats) -> None:
    colours = runner.infer({"frame": pixels, "regions": scales})["colours"]
    np.testing.assert_allclose(colours, scales * pixels.mean((0, 1, 2)), rtol=1e-4)


@pytest.mark.parametrize("integrated", [False, True])
def test_a_large_batch_runs_in_parts(gpu: FakeGpu, open_again: Open, integrated: bool) -> None:
    gpu.integrated = integrated
    runner = open_again()
    check(runner, frame(), regions(2 * MAX_BATCH + 3))
    assert gpu.batches == [MAX_BATCH, MAX_BATCH, 3]
    check(runner, frame(200, 300), regions(1))
    check(runner, frame(100, 100), regions(MAX_BATCH))
    runner.close()
    runner.close()
    # Nothing is left: no memory, no graph, no reference to the context, none pushed.
    assert (gpu.memory, gpu.graphs, gpu.contexts) == ({}, {}, 0)
    assert set(gpu.depths.values()) == {0}


def test_any_thread_may_run_it(gpu: FakeGpu, open_again: Open) -> None:
    runner = open_again()
    thread = Thread(target=check, args=(runner, frame(), regions(2)))
    thread.start()
    thread.join()
    assert gpu.batches == [2]
    assert len(gpu.depths) == 2
    runner.close()


def test_memory_of_the_device_is_not_copied(gpu: FakeGpu, open_again: Open) -> None:
    runner = open_again()
    pixels, scales = frame(), regions(MAX_BATCH + 2)
    shared = DeviceArray(gpu.share(pixels), pixels)
    before = sum(gpu.memory.values())
    colours = runner.infer({"frame": shared, "regions": DeviceArray(gpu.share(scales), scales)})[
        "colours"
    ]
    np.testing.assert_allclose(colours, scales * pixels.mean((0, 1, 2)), rtol=1e-4)
    # Only the output was allocated.
    assert sum(gpu.memory.values()) - before - scales.nbytes == MAX_BATCH * 3 * 4
    with pytest.raises(InferenceError, match="in one piece"):
        runner.infer({"frame": DeviceArray(shared.address, pixels[:, :, ::2]), "regions": scales})


@pytest.mark.parametrize("shape", [(1, 8, 48, 3), (1, 48, 4000, 3)])
def test_sizes_that_the_engine_was_not_built_for_are_refused(
    open_again: Open, shape: tuple[int, ...]
) -> None:
    runner = open_again()
    with pytest.raises(InferenceError, match=r"from \(1, 16, 16, 3\) to \(1, 2160, 3840, 3\)"):
        runner.infer({"frame": np.zeros(shape, np.uint8), "regions": regions(1)})


def test_what_recurs_is_recorded_and_replayed_with_new_contents(
    gpu: FakeGpu, open_again: Open
) -> None:
    runner = open_again()
    for seed in range(RUNS_BEFORE_RECORDING + 3):
        check(runner, frame(seed=seed), regions(2))
    assert gpu.replays == 3
    # Other shapes run as before, between the recorded ones.
    check(runner, frame(), regions(5))
    check(runner, frame(seed=1), regions(2))
    assert gpu.replays == 4
    # A larger frame needs other memory: what was recorded is forgotten.
    check(runner, frame(320, 480), regions(2))
    check(runner, frame(), regions(2))
    assert gpu.replays == 4
    assert gpu.graphs == {}
    runner.close()


def test_only_so_many_runs_are_recorded(gpu: FakeGpu, open_again: Open) -> None:
    runner = open_again()
    for batch in range(1, MAX_RECORDINGS + 3):
        for _ in range(RUNS_BEFORE_RECORDING + 1):
            check(runner, frame(), regions(batch))
    assert gpu.replays == MAX_RECORDINGS + 2
    assert len(gpu.graphs) == MAX_RECORDINGS
    runner.close()
    assert gpu.graphs == {}


def test_a_driver_that_does_not_record_is_said_once(
    gpu: FakeGpu, open_again: Open, caplog: pytest.LogCaptureFixture
) -> None:
    gpu.records = False
    runner = open_again()
    for _ in range(2 * RUNS_BEFORE_RECORDING + 2):
        check(runner, frame(), regions(1))
    assert gpu.replays == 0
    assert caplog.text.count("not recorded: the CUDA driver's cuStreamBeginCapture_v2") == 1
    runner.close()


def test_a_failed_run_is_said_and_leaves_no_context(gpu: FakeGpu, open_again: Open) -> None:
    runner = open_again()
    gpu.refuses = True
    with pytest.raises(InferenceError, match="failed to run a network"):
        check(runner, frame(), regions(1))
    gpu.refuses, gpu.broken = False, True
    with pytest.raises(InferenceError, match="Orin failed while running sampled: an illegal"):
        check(runner, frame(), regions(1))
    assert set(gpu.depths.values()) == {0}


@pytest.mark.parametrize(
    ("version", "precision", "built"),
    [
        ("8.6", "float16", ("sampled", ["FP16", "TF32"])),
        ("8.6", "float32", ("sampled", [])),
        ("10.0", "float16", ("half", ["TF32"])),
        ("10.3", "float32", ("sampled", [])),
        ("11", "float16", ("half", ["TF32"])),
        ("rtx", "float16", ("half", ["TF32"])),
    ],
)
def test_precision_comes_from_a_flag_or_from_the_graph_never_both(
    version: str, precision: str, built: tuple[str, list[str]], files: NetworkFiles, tmp_path: Path
) -> None:
    gpu = FakeGpu(version=version)
    chosen = tensorrt_precision(InferenceSection.model_validate({"precision": precision}))
    open_tensorrt(files, cache_directory=tmp_path, precision=chosen, open_gpu=gpu.open).close()
    assert [(build["network"], build["flags"]) for build in gpu.builds] == [built]


@pytest.mark.parametrize("version", ["8.6", "10.3"])
def test_a_network_for_float32_alone_is_built_in_it(
    version: str, files: NetworkFiles, tmp_path: Path
) -> None:
    gpu = FakeGpu(version=version)
    exact = replace(files, float16=None)
    open_tensorrt(exact, cache_directory=tmp_path, open_gpu=gpu.open).close()
    assert [(build["network"], build["flags"]) for build in gpu.builds] == [("sampled", [])]


def test_what_tensorrt_computes_in_is_chosen() -> None:
    assert tensorrt_precision(InferenceSection()) == "float16"
    for precision in ("bfloat16", "int8"):
        with pytest.raises(InferenceError, match=r"inference\.precision"):
            tensorrt_precision(InferenceSection.model_validate({"precision": precision}))


def test_an_engine_is_built_once(gpu: FakeGpu, open_again: Open, directory: Path) -> None:
    for _ in range(2):
        open_again().close()
    assert len(gpu.builds) == 1
    assert sorted(path.suffix for path in directory.iterdir()) == [".engine", ".timings"]


def test_an_engine_that_does_not_load_is_built_again(
    gpu: FakeGpu, open_again: Open, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    open_again().close()
    (path,) = directory.glob("*.engine")
    whole = path.read_bytes()
    for content in (whole[:-7], whole[:10], b"", b"made by another TensorRT"):
        path.write_bytes(content)
        runner = open_again()
        check(runner, frame(), regions(1))
        runner.close()
        assert len(path.read_bytes()) >= len(whole)
    assert len(gpu.builds) == 5
    assert "cannot be loaded; building it anew" in caplog.text


def test_another_tensorrt_or_gpu_has_an_engine_of_its_own(
    gpu: FakeGpu, open_again: Open, directory: Path
) -> None:
    open_again().close()
    gpu.version = "10.13"
    open_again().close()
    gpu.name = "Thor"
    open_again().close()
    assert len(gpu.builds) == len(list(directory.glob("*.engine"))) == 3


def test_an_engine_that_never_loads_is_said(gpu: FakeGpu, open_again: Open) -> None:
    gpu.spoils = True
    with pytest.raises(InferenceError, match="just built"):
        open_again()
    assert gpu.contexts == 0


def test_what_the_builder_says_is_said(gpu: FakeGpu, open_again: Open) -> None:
    gpu.refuses = True
    with pytest.raises(InferenceError, match=r"cannot build .*no implementation of node 7"):
        open_again()
    assert gpu.contexts == 0


def test_a_directory_that_cannot_be_written_is_a_warning(
    gpu: FakeGpu, open_again: Open, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory.write_text("a file, where a directory should be")
    for _ in range(2):
        runner = open_again()
        check(runner, frame(), regions(1))
        runner.close()
    assert len(gpu.builds) == 2
    assert "cannot be kept" in caplog.text


def test_timings_are_kept_for_one_gpu(gpu: FakeGpu, open_again: Open, directory: Path) -> None:
    open_again().close()
    (engine,) = directory.glob("*.engine")
    (timings,) = directory.glob("*.timings")
    assert timings.name == "tensorrt-10.3-Orin.timings"
    for content in (timings.read_bytes(), b"timings of Thor", b"damaged"):
        engine.unlink()
        timings.write_bytes(content)
        open_again().close()
    assert [build["timings"] for build in gpu.builds] == ["", "timings of Orin", "", ""]
    assert timings.read_bytes() == b"timings of Orin"


def test_rtx_keeps_the_kernels_that_it_compiled(files: NetworkFiles, directory: Path) -> None:
    gpu = FakeGpu(version="rtx", name="GeForce")
    for expected in (b"", b"kernels"):
        runner = open_tensorrt(files, cache_directory=directory, open_gpu=gpu.open)
        assert gpu.kernels == expected
        for _ in range(RUNS_BEFORE_RECORDING + 1):
            check(runner, frame(), regions(1))
        runner.close()
    assert gpu.replays == 0
    assert gpu.builds[0]["timings"] is False
    assert sorted(path.suffix for path in directory.iterdir()) == [".engine", ".kernels"]


@pytest.mark.parametrize(
    ("version", "told"), [("10.3", [0.0, 0.5, 0.75, 1.0]), ("8.6", [0.0, 1.0])]
)
def test_builds_show_how_far_they_are(
    version: str, told: list[float], files: NetworkFiles, directory: Path
) -> None:
    gpu = FakeGpu(version=version)
    shares: list[float] = []

    def show(name: str, share: float) -> None:
        assert name == "sampled"
        shares.append(share)

    for _ in range(2):
        build_engines([files], cache_directory=directory, progress=show, open_gpu=gpu.open)
    assert require_gpu(gpu.open) == f"Orin (compute capability 8.7), tensorrt {version}"
    assert list(dict.fromkeys(shares)) == told
    assert (len(gpu.builds), gpu.contexts) == (1, 0)


def test_a_first_start_logs_how_far_it_is(
    open_again: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    open_again().close()
    for words in ("it takes minutes, once", "built to 50 %", "built to 100 %"):
        assert words in caplog.text


def test_an_engine_is_named_by_all_it_depends_on(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"

    def name(
        content: bytes = b"a",
        version: str = "10.3.0",
        gpu: str = "Orin",
        capability: tuple[int, int] = (8, 7),
        precision: str = "float16",
    ) -> str:
        path.write_bytes(content)
        return engine_file_name(
            path,
            tensorrt_version=version,
            gpu_name=gpu,
            compute_capability=capability,
            precision=precision,
        )

    others = {
        name(content=b"b"),
        name(version="10.16.0"),
        name(gpu="Thor"),
        name(capability=(11, 0)),
        name(precision="float32"),
    }
    assert name() == name()
    assert len(others | {name()}) == 6


def test_a_machine_without_a_gpu_is_said(gpu: FakeGpu, open_again: Open) -> None:
    gpu.present = False
    with pytest.raises(InferenceError, match=r"no NVIDIA GPU.*inference\.backend to openvino"):
        open_again()


@pytest.mark.skipif(gpu_fault() is None, reason="a GPU is here")
def test_a_machine_without_tensorrt_is_told_what_is_missing(files: NetworkFiles) -> None:
    with pytest.raises(InferenceError, match=r"cannot be used: .*inference\.backend to openvino"):
        open_runner(files, InferenceSection(backend="tensorrt"))
