from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from doorbell.errors import ModelError
from doorbell.inference.openvino import OpenVinoRunner
from doorbell.models.build import check_image, sample_values
from doorbell.models.fetch import read_member
from doorbell.models.manifest import Model, load_manifest
from doorbell.models.store import face_path, network_path
from doorbell.networks import blazeface
from doorbell.networks.float16 import to_float16
from doorbell.networks.graph import GraphBuilder
from doorbell.networks.weights import SeededWeights, tflite_weights
from doorbell.networks.yunet import yunet

BLAZEFACES = ["blazeface_short", "blazeface_back", "blazeface_full"]
NETWORKS = [*BLAZEFACES, "yunet", "sface"]
FACES = ["obama", "obama2", "biden", "ardern", "macron"]
Floats = NDArray[np.float32]


def published_file(model: Model, directory: Path) -> bytes:
    archive = directory / "downloads" / load_manifest().packages[model.package].file
    return read_member(archive, model)


def pictures(directory: Path, size: int) -> Floats:
    """Every sample portrait, whole and its upper part, RGB 0..255: (10, 3, size, size)."""
    crops = []
    for name in FACES:
        content = np.frombuffer(face_path(name, directory).read_bytes(), np.uint8)
        pixels = cv2.imdecode(content, cv2.IMREAD_COLOR)
        assert pixels is not None
        pixels = np.ascontiguousarray(pixels[:, :, ::-1])
        parts = (pixels, pixels[: pixels.shape[1]])
        crops += [cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA) for part in parts]
    stacked: Floats = np.stack(crops).transpose(0, 3, 1, 2).astype(np.float32)
    return stacked


def blazeface_pictures(directory: Path, model: Model) -> Floats:
    images = pictures(directory, int(model.inputs["image"][-1]))
    return (images / 127.5 - 1).astype(np.float32)


def sface_pictures(directory: Path, model: Model) -> Floats:
    return pictures(directory, int(model.inputs["image"][-1]))


def run_litert(content: bytes, images: Floats) -> dict[int, Floats]:
    """What the published file gives, by the number of values per anchor."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    results: dict[int, list[Floats]] = {1: [], 16: []}
    for image in images:
        interpreter.set_tensor(entry["index"], image.transpose(1, 2, 0)[None].copy())
        interpreter.invoke()
        for detail in interpreter.get_output_details():
            values = interpreter.get_tensor(detail["index"])
            results[values.shape[-1]].append(values[0])
    return {values: np.stack(parts) for values, parts in results.items()}


def run_openvino(path: Path, images: Floats) -> dict[str, Floats]:
    runner = OpenVinoRunner(path, threads=1, cache_directory=None)
    outputs = runner.infer({"image": images})
    runner.close()
    return outputs


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("name", BLAZEFACES)
def test_blazeface_gives_what_litert_gives(
    name: str, precision: str, models_directory: Path
) -> None:
    model = load_manifest().models[name]
    images = blazeface_pictures(models_directory, model)
    expected = run_litert(published_file(model, models_directory), images)
    found = run_openvino(network_path(models_directory, name, precision), images)
    assert expected[1].max() > 2  # LiteRT itself sees faces there
    # The values of anchors far from any face are large, and float32 rounds them to as much.
    np.testing.assert_allclose(found["regressors"], expected[16], atol=1e-3, rtol=1e-5)
    np.testing.assert_allclose(found["scores"], expected[1], atol=1e-3, rtol=1e-5)


def yunet_in_the_form_of_blazeface(content: bytes, images: Floats) -> tuple[Floats, Floats]:
    """What OpenCV computes of the published file, as BlazeFace's regressors and scores."""
    network = cv2.dnn.readNetFromONNX(np.frombuffer(content, np.uint8))
    network.setInput(np.ascontiguousarray((images[:, ::-1] + 1) * 127.5))
    names = network.getUnconnectedOutLayersNames()
    outputs = dict(zip(names, network.forward(names), strict=True))
    regressors, scores = [], []
    for stride in (8, 16, 32):
        kind, objectness, box, points = (
            np.asarray(outputs[f"{head}_{stride}"]) for head in ("cls", "obj", "bbox", "kps")
        )
        points = points.reshape(-1, 5, 2)
        nose, mouth = points[:, 2], points[:, 3:].mean(axis=1)
        ears = [
            nose + 1.83 * (same - nose) - 0.27 * (other - nose) + 1.3 * (mouth - nose)
            for same, other in ((points[:, 0], points[:, 1]), (points[:, 1], points[:, 0]))
        ]
        six = np.stack([points[:, 0], points[:, 1], nose, mouth, *ears], axis=1)  # (n, 6, 2)
        # YuNet counts from a cell's corner, BlazeFace from its middle.
        parts = [box[0, :, :2] - 0.5, np.exp(box[0, :, 2:]), (six - 0.5).reshape(-1, 12)]
        regressors.append(np.concatenate(parts, axis=1) * stride)
        score = np.sqrt(kind[0] * objectness[0]).clip(1e-3, 1 - 1e-3)
        scores.append(np.log(score / (1 - score)))
    return np.concatenate(regressors), np.concatenate(scores)


def test_yunet_gives_what_the_published_file_gives(models_directory: Path) -> None:
    model = load_manifest().models["yunet"]
    images = blazeface_pictures(models_directory, model)[:1]
    content = published_file(model, models_directory)
    regressors, scores = yunet_in_the_form_of_blazeface(content, images)
    assert scores.max() > 2  # it sees the face itself
    found = run_openvino(network_path(models_directory, "yunet", "float32"), images)
    assert np.abs(found["regressors"][0] - regressors).max() < 0.01
    assert np.abs(found["scores"][0] - scores).max() < 1e-3
    wave = yunet_in_the_form_of_blazeface(content, check_image(model))
    for name, values in zip(("regressors", "scores"), wave, strict=True):
        assert sample_values(values) == pytest.approx(model.expected[name], abs=1e-3)


def test_another_file_is_no_yunet() -> None:
    node = helper.make_node("Softmax", ["image"], ["scores"])
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("image", "scores")
    ]
    graph = helper.make_graph([node], "another", values[:1], values[1:])
    with pytest.raises(ModelError, match=r"YuNet file holds unknown operators \['Softmax'\]"):
        yunet(helper.make_model(graph).SerializeToString())


def test_sface_gives_what_the_published_file_gives(models_directory: Path) -> None:
    model = load_manifest().models["sface"]
    content = published_file(model, models_directory)
    images = sface_pictures(models_directory, model)[:1]
    (expected,) = ReferenceEvaluator(onnx.load_model_from_string(content)).run(
        None, {"data": images}
    )
    for precision, tolerance in (("float32", 1e-4), ("float16", 1e-2)):
        path = network_path(models_directory, "sface", precision)
        found = run_openvino(path, images)["embedding"]
        assert np.abs(found - np.asarray(expected)).max() < tolerance


@pytest.mark.parametrize(
    ("name", "cosine"),
    [(name, 0.9999) for name in ("blazeface_short", "blazeface_back", "sface")],
)
def test_float16_arithmetic_keeps_the_answer(
    name: str, cosine: float, models_directory: Path
) -> None:
    """The reference computes every step in float16, as a GPU does; OpenVINO would not."""
    model = load_manifest().models[name]
    prepare = sface_pictures if name == "sface" else blazeface_pictures
    images = prepare(models_directory, model)[:1]
    exact = run_openvino(network_path(models_directory, name, "float32"), images)
    path = network_path(models_directory, name, "float16")
    rounded = ReferenceEvaluator(str(path)).run(list(exact), {"image": images})
    for expected, result in zip(exact.values(), rounded, strict=True):
        found = np.asarray(result)
        assert found.dtype == np.float32
        a, b = expected.ravel(), found.ravel()
        assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > cosine


@pytest.mark.parametrize("name", [*BLAZEFACES, "sface", "pedestrian_ssd"])
def test_float16_graphs_hold_no_float32_inside(name: str, models_directory: Path) -> None:
    model = onnx.load(network_path(models_directory, name, "float16"))
    graph = shape_inference.infer_shapes(model, strict_mode=True).graph
    scales = {node.input[2] for node in graph.node if node.op_type == "Resize"}
    float32_constants = {t.name for t in graph.initializer if t.data_type == TensorProto.FLOAT}
    assert float32_constants == scales  # which ONNX defines as float32
    assert {v.type.tensor_type.elem_type for v in graph.value_info} == {TensorProto.FLOAT16}
    ends = [*graph.input, *graph.output]
    assert {v.type.tensor_type.elem_type for v in ends} == {TensorProto.FLOAT}


@pytest.mark.parametrize("name", NETWORKS)
def test_built_graphs_take_any_batch_and_hide_their_weights(
    name: str, models_directory: Path
) -> None:
    graph = onnx.load(network_path(models_directory, name, "float32")).graph
    assert [value.name for value in graph.input] == ["image"]
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert not {n.op_type for n in graph.node} & {"DequantizeLinear", "BatchNormalization"}


def test_the_published_network_has_the_blocks_of_table_1() -> None:
    graph = blazeface.published(GraphBuilder(SeededWeights(7))).graph
    constants = {t.name: tuple(t.dims) for t in graph.initializer}
    kernels = [constants[node.input[1]] for node in graph.node if node.op_type == "Conv"]
    depthwise = [shape[0] for shape in kernels if shape[1] == 1]
    # Each double block squeezes to 24 channels and works on those once more.
    assert depthwise == [24, 24, 24, 48, 48, *[48, 24], *[96, 24] * 5]
    assert kernels[0] == (24, 3, 5, 5)
    assert all(shape[2:] == (5, 5) for shape in kernels if shape[1] == 1)


def test_the_published_network_runs(tmp_path: Path) -> None:
    model = blazeface.published(GraphBuilder(SeededWeights(7)))
    path, half = tmp_path / "float32.onnx", tmp_path / "float16.onnx"
    onnx.save(model, path)
    onnx.save(to_float16(model), half)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 3, 128, 128)).astype(np.float32)
    outputs = run_openvino(path, images)
    assert outputs["regressors"].shape == (2, 896, 16)
    assert outputs["scores"].shape == (2, 896, 1)
    assert np.isfinite(outputs["scores"]).all()
    assert not np.allclose(outputs["scores"][0], outputs["scores"][1])
    assert run_openvino(half, images)["scores"] == pytest.approx(outputs["scores"], abs=0.05)


def test_a_seed_gives_the_same_weights_again() -> None:
    models = [
        blazeface.published(GraphBuilder(SeededWeights(seed))).SerializeToString()
        for seed in (1, 1, 2)
    ]
    assert models[0] == models[1] != models[2]


def test_seeded_weights_keep_the_variance_of_what_passes() -> None:
    kernel, bias = SeededWeights(3).take((64, 48, 5, 5))
    assert kernel.std() == pytest.approx(np.sqrt(1 / (48 * 25)), rel=0.02)
    assert not bias.any()


def test_weights_of_another_network_are_refused(models_directory: Path) -> None:
    model = load_manifest().models["blazeface_full"]
    weights = tflite_weights(published_file(model, models_directory))
    with pytest.raises(ModelError, match=r"convolution 0 of the weights .* another network"):
        blazeface.short_range(GraphBuilder(weights))


def test_too_few_or_too_many_weights_are_refused(models_directory: Path) -> None:
    model = load_manifest().models["blazeface_short"]
    content = published_file(model, models_directory)
    short = GraphBuilder(tflite_weights(content))
    short.convolution(short.image(128), 24, kernel=5, stride=2)
    with pytest.raises(ModelError, match="hold 37 convolutions, the network used 1"):
        short.model("short", {})
    weights = tflite_weights(content)
    blazeface.short_range(GraphBuilder(weights))
    with pytest.raises(ModelError, match="37 convolutions and the network has more"):
        weights.take((1, 1, 1, 1))


def test_float16_rounds_every_weight_and_no_shape() -> None:
    source = blazeface.published(GraphBuilder(SeededWeights(5)))
    half = to_float16(source)
    pairs = zip(source.graph.initializer, half.graph.initializer, strict=True)
    for before, after in pairs:
        old, new = numpy_helper.to_array(before), numpy_helper.to_array(after)
        if old.dtype == np.float32:
            np.testing.assert_array_equal(old.astype(np.float16), new)
        else:
            np.testing.assert_array_equal(old, new)
