"""What every Runner promises, over every backend that can run on this machine."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from doorbell.config import InferenceSection
from doorbell.errors import InferenceError
from doorbell.inference import DeviceArray, NetworkFiles, Runner, open_runner
from doorbell.models.store import network_files
from doorbell.networks.graph import finished_model

BACKENDS = ["openvino"] + (["tensorrt"] if find_spec("tensorrt") else [])


@pytest.fixture(scope="module", params=BACKENDS)
def section(request: pytest.FixtureRequest, models_directory: Path) -> InferenceSection:
    return InferenceSection(backend=request.param, models_directory=models_directory, threads=1)


@pytest.fixture(scope="module")
def runner(section: InferenceSection) -> Iterator[Runner]:
    runner = open_runner(network_files("blazeface_short", section), section)
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


def test_close_is_idempotent_and_final(section: InferenceSection) -> None:
    runner = open_runner(network_files("blazeface_short", section), section)
    runner.close()
    runner.close()
    with pytest.raises(InferenceError, match="closed"):
        runner.infer({"image": images(1)})


def test_a_file_that_is_no_network_is_refused(section: InferenceSection, tmp_path: Path) -> None:
    files = network_files("blazeface_short", section)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    with pytest.raises(InferenceError, match=r"broken\.onnx"):
        open_runner(type(files)("broken", broken, broken), section)


@pytest.fixture(scope="module")
def sampled(
    section: InferenceSection, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Runner]:
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
    runner = open_runner(NetworkFiles("sampled", path, path), section)
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
