"""The lines of an exported gallery, described in docs/reliability.md."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    model_serializer,
)

from doorbell.domain import FaceSample, Float32Array
from doorbell.errors import UsageError
from doorbell.gallery.codec import LAST_WALL_TIME, UNIT_TOLERANCE
from doorbell.recognition.templates import EMBEDDING_SIZE

# The second has variants, the third also says who is ignored. The first that can say it all is
# written, for earlier doorbells.
PLAIN, WITH_VARIANTS, WITH_IGNORED = 1, 2, 3

_EMBEDDING = np.dtype("<f4")

_WallTime = Annotated[float, Field(ge=0.0, le=LAST_WALL_TIME)]  # seconds since the epoch


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Visitor(_Line):
    """Somebody; whether they are ignored is said of those who are alone."""

    ignored: bool = False

    @model_serializer(mode="wrap")
    def _without_default(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        return {key: value for key, value in written.items() if value or key != "ignored"}


class Head(_Line):
    """The first line."""

    kind: Literal["doorbell-gallery"]
    version: int
    model_id: str


class FaceText(_Line):
    """A face: little-endian float32 in Base64, and how good the picture was."""

    embedding: Annotated[str, Field(max_length=1000)]
    quality: Annotated[float, Field(ge=0.0, le=1.0)]


class SampleText(FaceText):
    """A face, where it comes from, and what was drawn over it by the name of the drawing."""

    source_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}(-[0-9]{1,5})?$")] | None = None
    variants: dict[Annotated[str, Field(pattern="^[a-z]{1,20}$")], FaceText] = {}

    @model_serializer(mode="wrap")
    def _without_empty(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        return {key: value for key, value in written.items() if value or key != "variants"}


class PersonLine(_Visitor):
    """A person."""

    kind: Literal["person"]
    name: str
    chime: Annotated[str, Field(max_length=1000)] | None
    preferences: dict[str, Any]
    consent: Annotated[str, Field(max_length=500)] | None
    consent_at: _WallTime | None
    samples: tuple[SampleText, ...]


class StrangerLine(_Visitor):
    """A stranger."""

    kind: Literal["stranger"]
    first_seen_at: _WallTime
    last_seen_at: _WallTime
    visits: Annotated[int, Field(ge=1, le=10**9)]
    samples: Annotated[tuple[SampleText, ...], Field(min_length=1)]


class End(_Line):
    """The last line, by which a file that was cut off is known."""

    kind: Literal["end"]
    people: int
    strangers: int


_Entry = Annotated[PersonLine | StrangerLine | End, Field(discriminator="kind")]
ENTRY: TypeAdapter[PersonLine | StrangerLine | End] = TypeAdapter(_Entry)


def face_text(embedding: Float32Array, quality: float) -> FaceText:
    """Write a variant's embedding, (128,) float32, as text."""
    return FaceText(embedding=_text(embedding), quality=quality)


def sample_text(
    embedding: Float32Array,
    quality: float,
    source_sha256: str | None,
    variants: Mapping[str, FaceText] = MappingProxyType({}),
) -> SampleText:
    """Write an embedding, (128,) float32, as text."""
    return SampleText(
        embedding=_text(embedding),
        quality=quality,
        source_sha256=source_sha256,
        variants=dict(variants),
    )


def _text(embedding: Float32Array) -> str:
    return base64.b64encode(embedding.astype(_EMBEDDING).tobytes()).decode("ascii")


def read_sample(text: FaceText, model_id: str) -> FaceSample:
    """Read an embedding.

    Raises:
        UsageError: it is none.
    """
    try:
        stored = base64.b64decode(text.embedding, validate=True)
    except (binascii.Error, ValueError):
        raise UsageError("an embedding is not Base64") from None
    if len(stored) != EMBEDDING_SIZE * _EMBEDDING.itemsize:
        raise UsageError(
            f"an embedding has {len(stored)} bytes; "
            f"{EMBEDDING_SIZE * _EMBEDDING.itemsize} are expected"
        )
    embedding = np.frombuffer(stored, _EMBEDDING).astype(np.float32)
    length = float(np.linalg.norm(embedding))
    if not abs(length - 1.0) <= UNIT_TOLERANCE:  # also refuses NaN and infinity
        raise UsageError(f"an embedding has the length {length:.4f}; 1 is expected")
    return FaceSample(embedding, model_id, text.quality)


def describe(error: ValidationError) -> str:
    """What is wrong and where, without the value: it may be somebody's face."""
    first: Mapping[str, Any] = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where or 'the line'}: {first['msg']}"
