"""The directory of built models: where it is, and that what lies there is what was built.

Builds and fetches nothing, and loads no conversion code, so that the daemon starts without it.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from doorbell.config import InferenceSection
from doorbell.config.paths import expand
from doorbell.errors import ConfigError, ModelError
from doorbell.inference import NetworkFiles
from doorbell.models.manifest import Model, load_manifest

DIRECTORY_VARIABLE = "DOORBELL_MODELS_DIRECTORY"
RECORD_NAME = "built.json"
# Begins the kind of a built file that cuts regions out of a frame by itself.
CUTTING = "regions_"
BUILD_HINT = "run `doorbell models build`"


class BuiltNetwork(BaseModel):
    """What one conversion left behind.

    Attributes:
        source_sha256: of the published file.
        recipe: of the code that converted it.
        files: SHA-256 of each built file, by kind: its precision, after ``CUTTING`` or nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source_sha256: str
    recipe: str
    files: dict[str, str]


def models_directory(section: InferenceSection) -> Path:
    """Say where built models are.

    The first of: the configuration, the environment, ``models/built`` of the checkout that this
    package runs from, and the user's data directory.
    """
    if section.models_directory is not None:
        return expand(section.models_directory)
    named = os.environ.get(DIRECTORY_VARIABLE)
    if named:
        return expand(named)
    checkout = Path(__file__).parents[2]
    if (checkout / "pyproject.toml").is_file():
        return checkout / "models" / "built"
    try:
        return expand("~/.local/share/doorbell/models")
    except ConfigError as exc:
        raise ConfigError(f"{exc}, in inference.models_directory or ${DIRECTORY_VARIABLE}") from exc


def network_files(
    name: str, section: InferenceSection, *, cutting_regions: bool = False
) -> NetworkFiles:
    """Return the built files of a network of the manifest, checked.

    Args:
        name: of the model in the manifest.
        section: says where they are.
        cutting_regions: those that take a frame and regions of it, not pictures; see
            ``doorbell.networks.regions``.

    Raises:
        ModelError: they are missing, or altered since they were built.
    """
    kind = CUTTING if cutting_regions else ""
    directory = models_directory(section)
    built = read_record(directory).get(name)
    if built is None or f"{kind}float32" not in built.files:
        raise ModelError(f"model {name} is not in {directory}: {BUILD_HINT}")
    for each, sha256 in built.files.items():
        check_hash(network_path(directory, name, each), sha256)
    has_int8 = f"{kind}int8" in built.files
    return NetworkFiles(
        name,
        float32=network_path(directory, name, f"{kind}float32"),
        float16=None
        if load_manifest().models[name].float32_only
        else network_path(directory, name, f"{kind}float16"),
        int8=network_path(directory, name, f"{kind}int8") if has_int8 else None,
    )


def built_networks(section: InferenceSection) -> list[NetworkFiles]:
    """Return every network of the manifest, checked, of every kind that is built.

    Raises:
        ModelError: one is missing, or altered since it was built.
    """
    record = read_record(models_directory(section))
    networks = []
    for name in load_manifest().models:
        networks.append(network_files(name, section))
        if f"{CUTTING}float32" in record[name].files:
            cutting = network_files(name, section, cutting_regions=True)
            networks.append(replace(cutting, name=f"{name} (regions)"))
    return networks


def verify_models(directory: Path) -> list[Path]:
    """Check every built file of every model of the manifest; return them.

    Raises:
        ModelError: one is missing or altered.
    """
    record = read_record(directory)
    checked = []
    for name in load_manifest().models:
        if name not in record:
            raise ModelError(f"model {name} is not in {directory}: {BUILD_HINT}")
        for kind, sha256 in record[name].files.items():
            path = network_path(directory, name, kind)
            check_hash(path, sha256)
            checked.append(path)
    return checked


def face_path(name: str, directory: Path) -> Path:
    """Return a sample picture of the manifest, checked.

    Raises:
        ModelError: it is missing or altered.
    """
    member = load_manifest().faces[name]
    path = directory / "faces" / f"{name}{Path(member.member).suffix}"
    check_hash(path, member.sha256)
    return path


def kinds_of(model: Model) -> frozenset[str]:
    """Say what is built of a model; for the kinds see ``BuiltNetwork``."""
    precisions = ("float32",) if model.float32_only else ("float32", "float16")
    shapes = ("", CUTTING) if model.cuts_regions else ("",)
    kinds = {shape + precision for shape in shapes for precision in precisions}
    return frozenset(kinds | {"int8"} if model.int8_ranges else kinds)


def network_path(directory: Path, name: str, kind: str) -> Path:
    """Say where a built file lies; for its kind see ``BuiltNetwork``."""
    return directory / f"{name}.{kind}.onnx"


def read_record(directory: Path) -> dict[str, BuiltNetwork]:
    """Return what has been built there; empty if nothing has.

    Raises:
        ModelError: the record cannot be read.
    """
    path = directory / RECORD_NAME
    try:
        tree = json.loads(path.read_bytes())
        return {name: BuiltNetwork.model_validate(entry) for name, entry in tree.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, ValidationError) as exc:
        raise ModelError(f"{path} cannot be read: {exc}; delete it and {BUILD_HINT}") from exc


def check_hash(path: Path, sha256: str) -> None:
    """Compare a file with its SHA-256.

    Raises:
        ModelError: it is missing, unreadable or another file.
    """
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as exc:
        raise ModelError(f"cannot read {path}: {exc.strerror}; {BUILD_HINT}") from exc
    if found != sha256:
        raise ModelError(
            f"{path} is not the file it should be: its SHA-256 is {found}, not {sha256}; "
            f"delete it and {BUILD_HINT}"
        )
