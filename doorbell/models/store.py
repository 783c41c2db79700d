"""The directory of built models: where it is, and that what lies there is what was built.

Enters: the ``[inference]`` section. Leaves: paths of files whose hash has just been checked. Builds
and fetches nothing, and loads no conversion code, so that the daemon starts without it.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from doorbell.config import InferenceSection
from doorbell.errors import ModelError
from doorbell.inference import NetworkFiles
from doorbell.models.manifest import load_manifest

DIRECTORY_VARIABLE = "DOORBELL_MODELS_DIRECTORY"
RECORD_NAME = "built.json"
BUILD_HINT = "run `doorbell models build`"


class BuiltNetwork(BaseModel):
    """What one conversion left behind.

    Attributes:
        source_sha256: of the published file.
        recipe: of the code that converted it.
        files: SHA-256 of each built file, by precision.
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
        return section.models_directory.expanduser()
    named = os.environ.get(DIRECTORY_VARIABLE)
    if named:
        return Path(named).expanduser()
    checkout = Path(__file__).parents[2]
    if (checkout / "pyproject.toml").is_file():
        return checkout / "models" / "built"
    return Path("~/.local/share/doorbell/models").expanduser()


def network_files(name: str, section: InferenceSection) -> NetworkFiles:
    """Return the built files of a network of the manifest, checked.

    Raises:
        ModelError: they are missing, or altered since they were built.
    """
    directory = models_directory(section)
    built = read_record(directory).get(name)
    if built is None:
        raise ModelError(f"model {name} is not in {directory}: {BUILD_HINT}")
    for precision, sha256 in built.files.items():
        check_hash(network_path(directory, name, precision), sha256)
    return NetworkFiles(
        name,
        float32=network_path(directory, name, "float32"),
        float16=network_path(directory, name, "float16"),
    )


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
        for precision, sha256 in record[name].files.items():
            path = network_path(directory, name, precision)
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


def network_path(directory: Path, name: str, precision: str) -> Path:
    """Say where a built file lies."""
    return directory / f"{name}.{precision}.onnx"


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
