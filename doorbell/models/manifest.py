"""The manifest of models and sample pictures, read from ``models/manifest.toml``.

Fetches and converts nothing.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from doorbell.errors import ModelError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# In a checkout a link to models/manifest.toml; an installation has a copy of it.
MANIFEST_PATH = Path(__file__).parent / "manifest.toml"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Shape = tuple[Literal["batch"] | int, ...]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Package(_Record):
    """One file of a package index.

    Attributes:
        project: the name in the index; None where it is the record's own.
        version, file, sha256: which file exactly.
        licence: of the package; the files in it may have another.
    """

    project: str | None = None
    version: str
    file: str
    sha256: Sha256
    licence: str


class Member(_Record):
    """One file inside a package.

    Attributes:
        package: key of the package.
        member: path inside the archive.
        sha256: of the file itself.
        licence: of the file itself.
    """

    package: str
    member: str
    sha256: Sha256
    licence: str


class Model(Member):
    """A file of published weights, and the network that is built from it.

    Attributes:
        network: which conversion reads it.
        inputs, outputs: tensor shapes of the built ONNX.
        value_range: of the pixels it takes.
        cuts_regions: whether it is also built to take whole frames, for frames on a GPU.
        float32_only: whether it computes in float32 on every device, and is built for nothing else.
        float16_tolerance: how far float16 weights may move the values that ``expected`` has.
        int8_ranges: of what its layers in 8 bits read (``doorbell.networks.int8``); empty where it
            is not built in 8 bits.
        expected: some values of each output for ``check_image``, from the published file.
    """

    network: Literal[
        "blazeface_short",
        "blazeface_back",
        "blazeface_full",
        "blazeface_published",
        "yunet",
        "sface",
        "pedestrian_ssd",
    ]
    inputs: dict[str, Shape]
    outputs: dict[str, Shape]
    value_range: tuple[float, float]
    cuts_regions: bool = False
    float32_only: bool = False
    float16_tolerance: float = 1e-2
    int8_ranges: dict[str, tuple[float, float]] = {}
    expected: dict[str, tuple[float, ...]]


class Manifest(_Record):
    """Everything that is fetched.

    Attributes:
        packages: where the others are taken from.
        models: networks of the product.
        faces: sample portraits.
        baseline: networks of others that the product is compared with.
    """

    packages: dict[str, Package]
    models: dict[str, Model]
    faces: dict[str, Member]
    baseline: dict[str, Member] = {}


@cache
def load_manifest(path: Path = MANIFEST_PATH) -> Manifest:
    """Read and validate the manifest.

    Raises:
        ModelError: the file is missing or wrong: the installation is damaged.
    """
    try:
        with path.open("rb") as file:
            return Manifest.model_validate(tomllib.load(file))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as exc:
        raise ModelError(
            f"the manifest {path} cannot be used: {exc}; install doorbell again"
        ) from exc
