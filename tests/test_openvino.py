import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import openvino
import pytest
from numpy.typing import NDArray

from doorbell.config import InferenceSection
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.inference import PROCESSOR, Runner, in_float32, on_processor, open_runner, says_how
from doorbell.inference.openvino import HINTS, OpenVinoRunner, own_precision, what_helps
from doorbell.models.store import face_path, network_files, network_path
from doorbell.pipeline.perception import Perception

SILENT = """
import sys
sockets = []
sys.addaudithook(lambda event, args: sockets.append(event) if event.startswith("socket.") else None)
import numpy as np
from pathlib import Path
from doorbell.inference.openvino import OpenVinoRunner, what_helps
runner = OpenVinoRunner(Path(sys.argv[1]), threads=1, cache_directory=None)
runner.infer({"image": np.zeros((1, 3, 128, 128), np.float32)})
runner.close()
loaded = [name for name, module in sys.modules.items() if "telemetry" in name and module]
vendor = [name for name in loaded if name.startswith("openvino_telemetry")]
sys.exit(f"sockets {sockets}, reporting {vendor}" if sockets or vendor else 0)
"""


def test_nobody_is_called(models_directory: Path) -> None:
    path = network_path(models_directory, "blazeface_short", "float32")
    result = subprocess.run(
        [sys.executable, "-c", SILENT, str(path)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_compiled_networks_are_kept_where_configured(
    models_directory: Path, tmp_path: Path
) -> None:
    path = network_path(models_directory, "blazeface_short", "float32")
    image = {"image": np.ones((1, 3, 128, 128), np.float32)}
    outputs = []
    for _ in range(2):
        runner = OpenVinoRunner(path, threads=1, cache_directory=tmp_path)
        outputs.append(runner.infer(image)["scores"])
        runner.close()
    assert list(tmp_path.glob("*.blob"))
    np.testing.assert_array_equal(outputs[0], outputs[1])


@pytest.mark.skipif(find_spec("tensorrt") is not None, reason="TensorRT is installed here")
def test_a_machine_without_tensorrt_takes_openvino_by_itself(models_directory: Path) -> None:
    section = InferenceSection(models_directory=models_directory)
    runner = open_runner(network_files("blazeface_short", section), section)
    assert isinstance(runner, OpenVinoRunner)
    runner.close()


@pytest.fixture(scope="module")
def crops(models_directory: Path, perception: Perception) -> NDArray[np.float32]:
    """(4, 3, 112, 112), of portraits."""
    found = []
    for name in ("obama", "biden", "ardern", "macron"):
        path = face_path(name, models_directory)
        pixels = decode_photo(read_photo(path), name)
        found.append(perception.crop_face(pixels, perception.detect_still(pixels)[0]).crop)
    return np.asarray(np.stack(found).transpose(0, 3, 1, 2), np.float32)


def embed(runner: Runner, images: NDArray[np.float32]) -> NDArray[np.float32]:
    with closing(runner):
        vectors = runner.infer({"image": images})["embedding"]
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize(
    ("precision", "least"), [("float16", 0.9999), ("bfloat16", 0.995), ("int8", 0.99)]
)
def test_less_precision_hardly_turns_an_embedding(
    models_directory: Path, crops: NDArray[np.float32], precision: str, least: float
) -> None:
    sections = [
        InferenceSection.model_validate(
            {"models_directory": models_directory, "precision": chosen, "backend": "openvino"}
        )
        for chosen in ("float32", precision)
    ]
    exact, rough = (
        embed(open_runner(network_files("sface", section), section), crops) for section in sections
    )
    # A processor without bfloat16 computes in float32 after all.
    assert precision == "bfloat16" or not np.array_equal(exact, rough)
    assert (exact * rough).sum(axis=1).min() >= least


def test_faces_are_embedded_the_same_however_many_there_are(
    models_directory: Path, crops: NDArray[np.float32]
) -> None:
    section = InferenceSection.model_validate(
        {"models_directory": models_directory, "precision": "float32", "backend": "openvino"}
    )
    runner = open_runner(network_files("sface", section), section)
    turned = np.concatenate([crops, crops[:, :, ::-1], crops[:, :, :, ::-1]] * 10)[:19]
    with closing(runner):
        alone = np.concatenate(
            [runner.infer({"image": each[np.newaxis]})["embedding"] for each in turned]
        )
        for count in (2, 7, 8, 9, 16, 19):
            some = runner.infer({"image": turned[:count]})["embedding"]
            np.testing.assert_allclose(some, alone[:count], atol=2e-3)


@pytest.mark.skipif(
    "FP16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
    reason="this processor does not compute in float16",
)
def test_what_arm64_is_left_to_compute_in_hardly_turns_an_embedding(
    models_directory: Path, crops: NDArray[np.float32]
) -> None:
    path = network_path(models_directory, "sface", "float32")
    exact, rough = (
        embed(OpenVinoRunner(path, threads=1, cache_directory=None, precision=precision), crops)
        for precision in ("float32", "float16")
    )
    assert not np.array_equal(exact, rough)
    assert (exact * rough).sum(axis=1).min() >= 0.999


def test_left_to_itself_a_network_computes_as_the_processor_does_best(
    models_directory: Path,
) -> None:
    best = openvino.Core().get_property("CPU", "INFERENCE_PRECISION_HINT").to_string()
    own = own_precision()
    assert HINTS[own] == best
    image = {"image": np.random.default_rng(1).uniform(-1, 1, (1, 3, 128, 128)).astype(np.float32)}
    outputs = {}
    for precision in {"auto", "float32", own}:
        section = InferenceSection.model_validate(
            {"models_directory": models_directory, "precision": precision, "backend": "openvino"}
        )
        files = network_files("blazeface_short", section)
        taken = own if precision == "auto" else precision
        assert says_how(files, section) == f"OpenVINO in {taken}"
        with closing(open_runner(files, section)) as runner:
            outputs[precision] = runner.infer(image)["regressors"]
    np.testing.assert_array_equal(outputs["auto"], outputs[own])
    assert np.array_equal(outputs["auto"], outputs["float32"]) == (own == "float32")


@pytest.mark.parametrize("precision", ["auto", "bfloat16", "float16"])
def test_a_network_for_float32_alone_computes_in_it_whatever_is_configured(
    models_directory: Path, precision: str
) -> None:
    image = {"image": np.random.default_rng(1).uniform(-1, 1, (1, 3, 128, 128)).astype(np.float32)}
    built = network_files("blazeface_short", InferenceSection(models_directory=models_directory))
    outputs = []
    for files, chosen in (
        (built, "float32"),
        (replace(built, float16=None), precision),
    ):
        section = InferenceSection.model_validate({"precision": chosen, "backend": "openvino"})
        with closing(open_runner(files, section)) as runner:
            outputs.append(runner.infer(image)["regressors"])
    np.testing.assert_array_equal(outputs[0], outputs[1])


@pytest.mark.skipif(
    "avx2" not in PROCESSOR.read_text().split(), reason="8 bits were not measured to be faster here"
)
def test_left_to_itself_the_embedder_computes_in_8_bits(models_directory: Path) -> None:
    section = InferenceSection(models_directory=models_directory, backend="openvino")
    sface, blazeface = (network_files(name, section) for name in ("sface", "blazeface_short"))
    assert on_processor(sface, section) == (sface.int8, own_precision())
    assert on_processor(blazeface, section) == (blazeface.float32, own_precision())
    assert says_how(sface, section) == "OpenVINO in 8 bits"


@pytest.mark.parametrize(
    ("precision", "kind", "said"),
    [
        ("float32", "float32", "OpenVINO in float32"),
        ("bfloat16", "float32", "OpenVINO in bfloat16"),
        ("float16", "float16", "OpenVINO in float16"),
        ("int8", "int8", "OpenVINO in 8 bits"),
    ],
)
def test_what_is_asked_for_is_what_is_taken(
    models_directory: Path, precision: str, kind: str, said: str
) -> None:
    section = InferenceSection.model_validate(
        {"models_directory": models_directory, "precision": precision, "backend": "openvino"}
    )
    files = network_files("sface", section)
    assert on_processor(files, section)[0] == network_path(models_directory, "sface", kind)
    assert says_how(files, section) == said


def test_float32_is_asked_for_only_where_it_costs_time_alone() -> None:
    chosen = {
        (backend, precision): in_float32(
            InferenceSection.model_validate({"backend": backend, "precision": precision})
        ).precision
        for backend in ("openvino", "tensorrt")
        for precision in ("auto", "int8", "bfloat16", "float16")
    }
    assert chosen.pop(("openvino", "auto")) == "float32"
    assert chosen.pop(("openvino", "int8")) == "float32"
    assert all(precision == asked for (_, asked), precision in chosen.items())


@pytest.mark.parametrize(
    "said",
    [
        "Exception from src/inference/src/dev/plugin.cpp:54: std::bad_alloc",
        "plugin.cpp:54: can't alloc",
        "plugin.cpp:54: Resource temporarily unavailable",
        'Cannot load library "libopenvino_intel_cpu_plugin.so": failed to map segment from shared '
        "object",
    ],
)
def test_memory_that_was_not_given_is_not_called_a_network_to_build_anew(said: str) -> None:
    """Said by OpenVINO 2026.4 with ``ulimit -v`` at 0.6 to 1.8 GB."""
    assert "models build" not in what_helps(said)
    assert "memory" in what_helps(said)
