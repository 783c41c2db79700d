"""What every Runner promises, over every backend that can run on this machine."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnx
import pytest
from fake_device import FakeGpu
from numpy.typing import NDArray
from onnx import TensorProto, helper

from doorbell.config import InferenceSection
from doorbell.errors import InferenceError
from doorbell.inference import DeviceArray, NetworkFiles, Runner, open_runner
from doorbell.inference.tensorrt import open_tensorrt
from doorbell.models.store import network_files
from doorbell.networks.graph import finished_model

Open: TypeAlias = Callable[[NetworkFiles], Runner]

# TensorRT for RTX records by itself; a Jetson shares its memory; 8.6 has no strong typing.
PRETENDED = {
    "TensorRT 8.6 on a stand-in": FakeGpu(version="8.6"),
    "TensorRT 10.3 on a stand-in for a Jetson": FakeGpu(version="10.3", integrated=True),
    "TensorRT 11 on a stand-in": FakeGpu(version="11"),
    "TensorRT for RTX on a stand-in": FakeGpu(version="rtx", name="GeForce"),
}
# Where pycuda is there may be a GPU, for TensorRT of JetPack's or for RTX.
BACKENDS = ["openvino", *(["tensorrt"] if find_spec("pycuda") else []), *PRETENDED]


@pytest.fixture(scope="module", params=BACKENDS)
def open_network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Open:
    directory = tmp_path_factory.mktemp("engines")
    gpu = PRETENDED.get(request.param)
    if gpu is None:
        section = InferenceSection(backend=request.param, threads=1, cache_directory=directory)
        return lambda files: open_runner(files, section)
    return lambda files: open_tensorrt(files, cache_directory=directory, open_gpu=gpu.open)


@pytest.fixture(scope="module")
def blazeface(models_directory: Path) -> NetworkFiles:
    return network_files("blazeface_short", InferenceSection(models_directory=models_directory))


@pytest.fixture(scope="module")
def runner(open_network: Open, blazeface: NetworkFiles) -> Iterator[Runner]:
    runner = open_network(blazeface)
    yield runner
    runner.close()


def images(batch: int) -> NDArray[np.float32]:
    generator = np.random.default_rng(batch)
    return generator.uniform(-1, 1, (batch, 3, 128, 128)).astype(np.float32)


@pytest.mark.parametrize("batch", [1, 2, 16])
def test_outputs_are_named_and_follow_the_batch(runner: Runner, batch: int) -> None:
    outputs = runner.infer({"image": images(batch)})
    assert {name: value.shape for name, value in outputs.items()} == {
        "regressors": (batch, 896, 16),
        "scores": (batch, 896, 1),
    }
    assert all(value.dtype == np.float32 for value in outputs.values())


def test_a_batch_gives_what_its_members_give_alone(runner: Runner) -> None:
    batch = images(5)
    together = runner.infer({"image": batch})["regressors"]
    alone = [runner.infer({"image": batch[i : i + 1]})["regressors"][0] for i in range(5)]
    np.testing.assert_allclose(together, np.stack(alone), atol=1e-3)


def test_outputs_belong_to_the_caller(runner: Runner) -> None:
    first = runner.infer({"image": images(1)})["scores"]
    kept = first.copy()
    runner.infer({"image": -images(1)})
    np.testing.assert_array_equal(first, kept)


def test_inputs_are_left_alone_and_need_not_be_contiguous(runner: Runner) -> None:
    channels_last = np.ascontiguousarray(images(1).transpose(0, 2, 3, 1))
    view = channels_last.transpose(0, 3, 1, 2)
    kept = view.copy()
    from_view = runner.infer({"image": view})["scores"]
    np.testing.assert_array_equal(view, kept)
    np.testing.assert_allclose(from_view, runner.infer({"image": kept})["scores"], atol=1e-4)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, r"takes \['image'\]"),
        ({"picture": images(1)}, r"takes \['image'\], not \['picture'\]"),
        ({"image": images(1)[:, :, :64]}, r"\(batch, 3, 128, 128\), not \(1, 3, 64, 128\)"),
        ({"image": images(1)[0]}, "not .3, 128, 128"),
        ({"image": images(1)[:0]}, r"not \(0, 3, 128, 128\)"),
        ({"image": images(1)[0, 0, 0, 0]}, r"not \(\)"),
        ({"image": images(1).astype(np.float64)}, "float32, not float64"),
    ],
)
def test_wrong_inputs_are_refused(
    runner: Runner, inputs: dict[str, NDArray[np.float32]], message: str
) -> None:
    with pytest.raises(InferenceError, match=message):
        runner.infer(inputs)


def test_close_is_idempotent_and_final(open_network: Open, blazeface: NetworkFiles) -> None:
    runner = open_network(blazeface)
    runner.close()
    runner.close()
    with pytest.raises(InferenceError, match="closed"):
        runner.infer({"image": images(1)})


def test_a_file_that_is_no_network_is_refused(open_network: Open, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    with pytest.raises(InferenceError, match=r"broken\.onnx"):
        open_network(NetworkFiles("broken", broken, broken))


@pytest.fixture(scope="module")
def sampled(open_network: Open, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """A frame that the whole batch shares: each region gives its scale times the mean colours."""
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
    path = tmp_path_factory.mktemp("sampled") / "sampled.onnx"
    onnx.save(finished_model(graph), path)
    runner = open_network(NetworkFiles("sampled", path, path))
    yield runner
    runner.close()


def frame(height: int, width: int) -> NDArray[np.uint8]:
    generator = np.random.default_rng(height)
    return generator.integers(0, 256, (1, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("height", "width", "batch"), [(48, 64, 1), (720, 1280, 5), (31, 77, 37)])
def test_every_member_of_a_batch_sees_the_whole_frame(
    sampled: Runner, height: int, width: int, batch: int
) -> None:
    pixels = frame(height, width)
    regions = np.random.default_rng(batch).uniform(0, 1, (batch, 3)).astype(np.float32)
    colours = sampled.infer({"frame": pixels, "regions": regions})["colours"]
    np.testing.assert_allclose(colours, regions * pixels.mean((0, 1, 2)), rtol=2e-3)


def test_memory_that_the_device_shares_is_read_where_it_is(sampled: Runner) -> None:
    pixels, regions = frame(64, 64), np.ones((2, 3), np.float32)
    for gpu in PRETENDED.values():
        gpu.share(pixels)
    shared = DeviceArray(pixels.ctypes.data, pixels)
    first = sampled.infer({"frame": shared, "regions": regions})["colours"]
    pixels[:] = 255 - pixels
    second = sampled.infer({"frame": shared, "regions": regions})["colours"]
    np.testing.assert_allclose(first + second, 255, rtol=2e-3)


@pytest.mark.parametrize(
    ("pixels", "regions", "message"),
    [
        (frame(32, 32).astype(np.float32), np.ones((1, 3), np.float32), "uint8, not float32"),
        (frame(32, 32)[0], np.ones((1, 3), np.float32), r"\(1, any, any, 3\), not \(32, 32, 3\)"),
        (np.repeat(frame(32, 32), 2, axis=0), np.ones((2, 3), np.float32), r"not \(2, 32, 32, 3\)"),
    ],
)
def test_a_frame_that_does_not_fit_is_refused(
    sampled: Runner, pixels: NDArray[np.uint8], regions: NDArray[np.float32], message: str
) -> None:
    with pytest.raises(InferenceError, match=message):
        sampled.infer({"frame": pixels, "regions": regions})
