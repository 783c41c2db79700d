"""Every float16 graph is one to a real TensorRT builder, and one with a wrong type is none to us.

Building takes no GPU; running an engine does.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.shape_inference import InferenceError as OnnxInferenceError

from doorbell.errors import InferenceError
from doorbell.inference.tensorrt import build_engine
from doorbell.models.manifest import load_manifest
from doorbell.models.store import CUTTING, network_path
from doorbell.networks import blazeface
from doorbell.networks.float16 import to_float16
from doorbell.networks.graph import GraphBuilder, finished_model
from doorbell.networks.mobilenet_ssd import mobilenet_ssd
from doorbell.networks.trained import unpack_weights
from doorbell.networks.weights import ReadWeights, SeededWeights

trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX has no package for this machine")

Find = Callable[[str], Path]

# Turing, Ampere, Ada and Blackwell; the builder knows no Orin (8.7).
ARCHITECTURES = ("SM75", "SM86", "SM89", "SM120")

MODELS = load_manifest().models
ROOT = Path(__file__).parents[1]
BUILT = [f"{name}.float16" for name in MODELS if not MODELS[name].float32_only]
CUTTING_REGIONS = [f"{name}.{CUTTING}float16" for name in MODELS if MODELS[name].cuts_regions]
TRAINED = unpack_weights((ROOT / "models/trained/blazeface_published.npz").read_bytes())
# No weights were published for these: the first we have trained.
WRITTEN: dict[str, Callable[[], onnx.ModelProto]] = {
    "blazeface_published": lambda: blazeface.published(
        GraphBuilder(ReadWeights(TRAINED.convolutions))
    ),
    "mobilenet_v2_ssd": lambda: mobilenet_ssd(GraphBuilder(SeededWeights(1))),
}
GRAPHS = [*BUILT, *CUTTING_REGIONS, *WRITTEN]


@pytest.fixture(scope="session")
def find(models_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Find:
    """Return the file of a float16 graph by its name."""
    folder = tmp_path_factory.mktemp("written")

    def path_of(graph: str) -> Path:
        if graph not in WRITTEN:
            return network_path(models_directory, *graph.split("."))
        path = folder / f"{graph}.onnx"
        if not path.exists():
            onnx.save(to_float16(WRITTEN[graph]()), path)
        return path

    return path_of


def test_the_graphs_are_all_that_is_built(models_directory: Path) -> None:
    built = {path.name for path in models_directory.glob("*float16.onnx")}
    assert built == {f"{graph}.onnx" for graph in [*BUILT, *CUTTING_REGIONS]}
    assert CUTTING_REGIONS


@pytest.mark.parametrize(
    "architecture",
    [ARCHITECTURES[0], *(pytest.param(each, marks=pytest.mark.long) for each in ARCHITECTURES[1:])],
)
@pytest.mark.parametrize("graph", GRAPHS)
def test_every_float16_graph_builds_strongly_typed(
    graph: str, architecture: str, find: Find
) -> None:
    assert build_engine(trt, find(graph), architecture=architecture)


@pytest.mark.parametrize("graph", GRAPHS)
def test_every_float16_graph_builds_with_a_fixed_batch(
    graph: str, find: Find, tmp_path: Path
) -> None:
    model = onnx.load(find(graph))
    for value in (*model.graph.input, *model.graph.output):
        batch = value.type.tensor_type.shape.dim[0]
        if batch.dim_param == "batch":
            batch.dim_value = 4
    path = tmp_path / "fixed.onnx"
    onnx.save(model, path)
    for architecture in ARCHITECTURES:
        assert build_engine(trt, path, architecture=architecture)


@pytest.mark.parametrize("graph", GRAPHS)
def test_every_layer_computes_in_float16_as_tensorrt_reads_it(graph: str, find: Find) -> None:
    log = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    assert trt.OnnxParser(network, log).parse_from_file(str(find(graph)))
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    first = [layer.name for layer in layers].index("cast_image_float16")
    # Before it regions are cut out of the frame, at places that float16 cannot hold.
    assert (first > 0) == (graph in CUTTING_REGIONS)
    outputs = {network.get_output(index).name for index in range(network.num_outputs)}
    weights = 0
    for layer in layers[first:]:
        for index in range(layer.num_outputs):
            value = layer.get_output(index)
            if value.name in outputs:
                assert (layer.type, value.dtype) == (trt.LayerType.CAST, trt.float32)
            else:
                # The sizes of a Pad are computed in int64.
                assert value.dtype in (trt.float16, trt.int64), layer.name
        if layer.type == trt.LayerType.CONVOLUTION:
            layer.__class__ = trt.IConvolutionLayer
            assert layer.kernel.dtype == layer.bias.dtype == np.float16
            weights += layer.kernel.size
    assert weights > 50_000


# Operator and which of its inputs is the constant.
MISTYPED = [
    ("blazeface_short.float16", "Pad", 2),
    (f"blazeface_short.{CUTTING}float16", "Pad", 2),
    ("blazeface_short.float16", "Conv", 1),
    ("blazeface_full.float16", "Conv", 2),
    ("sface.float16", "PRelu", 1),
    ("sface.float16", "Sub", 1),
    ("sface.float16", "Gemm", 1),
    ("mobilenet_v2_ssd", "Clip", 2),
]


def mistyped(model: onnx.ModelProto, operator: str, index: int) -> onnx.ModelProto:
    """Make one constant float32, as if ``to_float16`` had left it out."""
    node = next(
        node
        for node in model.graph.node
        if node.op_type == operator and not node.name.startswith("cut_")
    )
    constant = next(c for c in model.graph.initializer if c.name == node.input[index])
    assert constant.data_type == TensorProto.FLOAT16
    wide = numpy_helper.to_array(constant).astype(np.float32)
    constant.CopyFrom(numpy_helper.from_array(wide, constant.name))
    return model


@pytest.mark.parametrize(("graph", "operator", "index"), MISTYPED)
def test_one_constant_that_stays_float32_is_refused(
    graph: str, operator: str, index: int, find: Find, tmp_path: Path
) -> None:
    model = mistyped(onnx.load(find(graph)), operator, index)
    path = tmp_path / "mistyped.onnx"
    onnx.save(model, path)
    with pytest.raises(InferenceError, match=rf"mistyped\.onnx.*{operator}.*inconsistent type"):
        build_engine(trt, path, architecture="SM86")
    # `doorbell models build` does not get as far.
    with pytest.raises(OnnxInferenceError, match="inconsistent type"):
        finished_model(model.graph)


def test_what_tensorrt_does_not_know_is_said_in_its_words(tmp_path: Path) -> None:
    value: list[str | int | None] = ["batch", 3]
    graph = helper.make_graph(
        [helper.make_node("Bernoulli", ["image"], ["result"], name="coin")],
        "unknown",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, value)],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, value)],
    )
    path = tmp_path / "unknown.onnx"
    onnx.save(finished_model(graph), path)
    with pytest.raises(InferenceError, match=r"TensorRT .* cannot read .*unknown\.onnx.*Bernoulli"):
        build_engine(trt, path, architecture="SM86")
