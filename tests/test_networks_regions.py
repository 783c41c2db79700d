from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import tensorrt_rtx
from fake_device import FakeGpu
from onnx import TensorProto, helper, numpy_helper

from doorbell.config import InferenceSection
from doorbell.detection.blazeface import letterbox
from doorbell.detection.regions import Region, RegionKind
from doorbell.domain import Float32Array, UInt8Array
from doorbell.inference import keeps_frames_on_gpu
from doorbell.inference.openvino import OpenVinoRunner
from doorbell.inference.tensorrt import Precision, build_engine, keeps_float32
from doorbell.models.store import network_path
from doorbell.networks.float16 import to_float16
from doorbell.networks.graph import finished_model
from doorbell.networks.regions import cutting_regions

SIZE = 64
WIDTH, HEIGHT = 1280, 720

Cut = Callable[[UInt8Array, list[Region]], Float32Array]


def copying_network() -> onnx.ModelProto:
    """What it is shown is its output."""
    shape: list[str | int | None] = ["batch", 3, SIZE, SIZE]
    return finished_model(
        helper.make_graph(
            [helper.make_node("Conv", ["image", "same"], ["seen"], name="conv")],
            "copying",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("seen", TensorProto.FLOAT, shape)],
            [numpy_helper.from_array(np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1), "same")],
        )
    )


def cutter(network: onnx.ModelProto, path: Path) -> Cut:
    """Return a function that gives (n, size, size, 3) in 0..255, as the network saw it."""
    onnx.save(cutting_regions(network), path)
    runner = OpenVinoRunner(path, threads=1, cache_directory=None)

    def cut(frame: UInt8Array, regions: list[Region]) -> Float32Array:
        squares = np.array([[r.left, r.top, r.side] for r in regions], np.float32)
        seen = runner.infer({"frame": frame[None], "regions": squares})["seen"]
        return np.asarray((seen.transpose(0, 2, 3, 1) + 1) * 127.5)

    return cut


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Cut:
    return cutter(copying_network(), tmp_path_factory.mktemp("float32") / "cut.onnx")


@pytest.fixture(scope="module")
def frame() -> UInt8Array:
    """Smooth enough to be resized in several good ways, different everywhere."""
    noise = np.random.default_rng(7).integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), np.uint8)


def region(left: int, top: int, side: int) -> Region:
    return Region(left, top, side, RegionKind.TRACK)


def letterboxed(frame: UInt8Array, regions: list[Region]) -> UInt8Array:
    out = np.empty((len(regions), SIZE, SIZE, 3), np.uint8)
    for one, square in zip(out, regions, strict=True):
        letterbox(frame, square, one)
    return out


def test_a_region_of_the_input_s_size_is_copied(cut: Cut, frame: UInt8Array) -> None:
    places = [(0, 0), (WIDTH - SIZE, HEIGHT - SIZE), (517, 301)]
    seen = cut(frame, [region(left, top, SIZE) for left, top in places])
    for one, (left, top) in zip(seen, places, strict=True):
        expected = frame[top : top + SIZE, left : left + SIZE]
        np.testing.assert_allclose(one, expected, atol=0.05)


@pytest.mark.parametrize("side", [17, 40, 64, 97, 128])
def test_up_to_half_it_is_the_letterbox_s_interpolation(
    cut: Cut, frame: UInt8Array, side: int
) -> None:
    regions = [region(33, 21, side), region(701, 405, side)]
    # The border of a region sees beyond it here, and repeats itself there.
    inner = slice(3, -3)
    difference = cut(frame, regions) - letterboxed(frame, regions)
    assert np.abs(difference[:, inner, inner]).max() < 2.5


@pytest.mark.parametrize(("side", "worst"), [(200, 16), (256, 1), (400, 12), (720, 25)])
def test_below_half_it_averages_as_the_letterbox_does(
    cut: Cut, frame: UInt8Array, side: int, worst: float
) -> None:
    regions = [region(0, 0, side), region(480, 0, side)]
    difference = np.abs(cut(frame, regions) - letterboxed(frame, regions))
    assert difference.max() < worst
    assert difference.mean() < worst / 4


def test_it_is_black_outside_the_frame(cut: Cut, frame: UInt8Array) -> None:
    bright = np.maximum(frame, 100).astype(np.uint8)
    whole = region(0, -(WIDTH - HEIGHT) // 2, WIDTH)
    beyond = [region(-100, -50, 256), region(WIDTH - 128, HEIGHT - 128, 256)]
    away = region(5000, -4000, 300)
    seen = cut(bright, [whole, *beyond, away])
    bar = round(SIZE * (WIDTH - HEIGHT) / 2 / WIDTH)
    assert (seen[0, : bar - 1] == 0).all()
    assert (seen[0, bar + 1 : -bar - 1] >= 99).all()
    assert (seen[0, -bar + 1 :] == 0).all()
    assert (seen[1, :12] == 0).all()
    assert (seen[1, :, :24] == 0).all()
    assert (seen[1, 13:, 26:] >= 99).all()
    assert (seen[2, 33:] == 0).all()
    assert (seen[2, :31, :31] >= 99).all()
    assert (seen[3] == 0).all()


def test_many_regions_are_the_same_as_one_by_one(cut: Cut, frame: UInt8Array) -> None:
    generator = np.random.default_rng(3)
    regions = [
        region(int(left), int(top), int(side))
        for left, top, side in generator.integers([-200, -200, 10], [1200, 700, 1500], (19, 3))
    ]
    alone = np.concatenate([cut(frame, [one]) for one in regions])
    np.testing.assert_allclose(cut(frame, regions), alone, atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(480, 640), (1080, 1920), (90, 50)])
def test_any_frame_will_do(cut: Cut, height: int, width: int) -> None:
    ramp = np.zeros((height, width, 3), np.uint8)
    ramp[..., 0] = np.linspace(0, 255, width).astype(np.uint8)
    ramp[..., 1] = np.linspace(0, 255, height).astype(np.uint8)[:, None]
    side = min(width, height) - 10
    square = region(5, 5, side)
    difference = np.abs(cut(ramp, [square])[0] - letterboxed(ramp, [square])[0])
    assert difference[3:-3, 3:-3].max() < 4


def test_a_float16_network_does_not_move_a_region(tmp_path: Path) -> None:
    """Float16 cannot tell column 3001 from 3002; the coordinates before such a network must."""
    wide = np.zeros((SIZE, 3840, 3), np.uint8)
    wide[:, 3001::2] = 255
    seen = cutter(to_float16(copying_network()), tmp_path / "cut.onnx")(
        wide, [region(3001, 0, SIZE), region(3002, 0, SIZE)]
    )
    assert (seen[0, :, ::2] > 250).all()
    assert (seen[0, :, 1::2] < 5).all()
    assert (seen[1, :, 1::2] > 250).all()
    assert (seen[1, :, ::2] < 5).all()


@pytest.mark.parametrize("name", ["blazeface_short", "blazeface_full"])
def test_tensorrt_builds_an_engine_that_cuts_regions(name: str, models_directory: Path) -> None:
    path = network_path(models_directory, name, "regions_float16")
    assert len(build_engine(tensorrt_rtx, path, architecture="SM86")) > 100_000


def test_only_the_cutting_is_float32(models_directory: Path) -> None:
    path = network_path(models_directory, "blazeface_short", "regions_float16")
    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    types = {value.name: value.type.tensor_type.elem_type for value in graph.value_info}
    for node in graph.node:
        if node.op_type in ("GridSample", "AveragePool"):
            assert types[node.output[0]] == TensorProto.FLOAT
        if node.op_type in ("Conv", "Relu"):
            assert types[node.output[0]] == TensorProto.FLOAT16


@pytest.mark.parametrize(
    ("version", "precision", "keeps"),
    [
        ("8.6", "float16", False),
        ("8.6", "float32", True),
        ("10.3", "float16", True),
        ("11", "float16", True),
    ],
)
def test_where_tensorrt_may_halve_coordinates_it_does_not_cut(
    version: str, precision: Precision, keeps: bool
) -> None:
    gpu = FakeGpu(version=version)
    assert keeps_float32(precision, open_gpu=gpu.open) == keeps


def test_without_a_gpu_no_frame_stays_on_it() -> None:
    assert not keeps_frames_on_gpu(InferenceSection(backend="openvino"))
