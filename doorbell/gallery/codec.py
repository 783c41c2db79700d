"""How a value becomes a row of the gallery, and comes back."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doorbell.domain import (
    FaceSample,
    Float32Array,
    Person,
    Stranger,
    Visit,
    Visitor,
    is_door_id,
    is_visit_id,
)
from doorbell.errors import EncryptionError, GalleryError, UsageError
from doorbell.gallery.records import Consent
from doorbell.recognition.templates import EMBEDDING_SIZE
from doorbell.storage.encryption import Cipher

_LOG = logging.getLogger(__name__)

# Preferences go out with each event of their person: what home automation reads takes some hundred
# bytes, and brokers refuse messages of 128 kB.
MAX_PREFERENCES_BYTES = 16_384
MAX_PREFERENCES_DEPTH = 32

# How far from 1 the length of an embedding may be; float32 normalization stays within 1e-6.
UNIT_TOLERANCE = 1e-3

# The beginning of the year 9999, which can be shown in every time zone.
LAST_WALL_TIME = 253_370_764_800.0

# What an embedding is to the seal; the same for all, because statements copy and compare them.
ENCRYPTED_AS = "an embedding"

# And a portrait.
PORTRAIT_ENCRYPTED_AS = "a portrait"

# And what a write is that waits for a server.
WRITE_ENCRYPTED_AS = "a write that waits"

# Little endian whatever the machine, so that the file can move between machines.
STORED_FLOAT = np.dtype("<f4")
_STORED_BYTES = EMBEDDING_SIZE * STORED_FLOAT.itemsize
_NONE = bytes(_STORED_BYTES)


Row = Mapping[str, Any]


class StoredEmbedding(bytes):
    """An embedding as it is kept: its bytes, encrypted where there is a key.

    PostgreSQL keeps it as a vector, and knows by this type what is one.
    """


def encode_embedding(sample: FaceSample, cipher: Cipher) -> StoredEmbedding:
    """Check an embedding and turn it into 512 bytes of little-endian float32, encrypted.

    Raises:
        GalleryError: the shape, type, length or quality is not that of an embedding.
    """
    embedding = sample.embedding
    if embedding.shape != (EMBEDDING_SIZE,) or embedding.dtype != np.float32:
        raise GalleryError(
            f"an embedding of shape {embedding.shape} and type {embedding.dtype} was refused; "
            f"({EMBEDDING_SIZE},) float32 is expected"
        )
    length = float(np.linalg.norm(embedding))
    if not abs(length - 1.0) <= UNIT_TOLERANCE:  # also refuses NaN and infinity
        raise GalleryError(f"an embedding of length {length:.4f} was refused; 1 is expected")
    if not 0.0 <= sample.quality <= 1.0:
        raise GalleryError(f"a sample of quality {sample.quality} was refused; give 0 to 1")
    return StoredEmbedding(cipher.encrypt(embedding.astype(STORED_FLOAT).tobytes(), ENCRYPTED_AS))


def decode_embeddings(rows: Sequence[Row], cipher: Cipher) -> Float32Array:
    """Stack the ``embedding`` of rows of samples to (N, 128) float32, read-only.

    Raises:
        GalleryError: one has not the size of an embedding; it is named.
        EncryptionError: one was encrypted by another key, or altered.
    """
    opened = [cipher.decrypt(row["embedding"], ENCRYPTED_AS) for row in rows]
    for row, embedding in zip(rows, opened, strict=True):
        if len(embedding) != _STORED_BYTES:
            raise GalleryError(
                f"sample {row['id']} of the gallery has {len(embedding)} bytes instead of "
                f"{_STORED_BYTES}; restore a copy of the gallery, or forget that person and "
                "enroll again"
            )
    return _stack(opened)


def unpack(stored: Sequence[bytes], cipher: Cipher) -> tuple[Float32Array, NDArray[np.bool_]]:
    """Stack stored embeddings, and tell which of them are whole.

    Returns:
        (N, 128) float32, read-only; and (N,) bool, false where a row is no embedding any more.
    """
    # Where nothing is encrypted bytes are as they are, and one that was encrypted is too long.
    opened = stored if cipher.proof is None else [_opened(each, cipher) for each in stored]
    embeddings = _stack([each if len(each) == _STORED_BYTES else _NONE for each in opened])
    with np.errstate(all="ignore"):  # the square of what a flipped bit made large
        lengths = np.sqrt(np.einsum("nd,nd->n", embeddings, embeddings))
        return embeddings, np.abs(lengths - 1.0) <= UNIT_TOLERANCE  # not NaN and infinity either


def readable(
    rows: Sequence[Row], cipher: Cipher, tell: Callable[[Sequence[Row]], None] | None = None
) -> tuple[list[Row], Float32Array]:
    """The rows of samples that hold an embedding, and those stacked to (N, 128) float32.

    Args:
        rows: of samples.
        cipher: how they are kept.
        tell: called with those that hold none.
    """
    embeddings, whole = unpack([row["embedding"] for row in rows], cipher)
    wrong = [row for row, is_whole in zip(rows, whole, strict=True) if not is_whole]
    if wrong and tell is not None:
        tell(wrong)
    return [row for row, is_whole in zip(rows, whole, strict=True) if is_whole], embeddings[whole]


def fault_of(row: Row, cipher: Cipher) -> str | None:
    """Why a row of samples holds no embedding; None where it does."""
    try:
        embeddings = decode_embeddings([row], cipher)
    except (GalleryError, EncryptionError) as exc:
        return str(exc).partition(";")[0]  # what to do about it depends on whose it is
    with np.errstate(all="ignore"):  # the square of what a flipped bit made large
        length = float(np.linalg.norm(embeddings))
    if abs(length - 1.0) <= UNIT_TOLERANCE:  # also refuses NaN and infinity
        return None
    return f"an embedding has the length {length:.3f}, and 1 is expected"


def _opened(stored: bytes, cipher: Cipher) -> bytes:
    try:
        return cipher.decrypt(stored, ENCRYPTED_AS)
    except EncryptionError:
        return _NONE


def _stack(opened: Sequence[bytes]) -> Float32Array:
    flat = np.frombuffer(b"".join(opened), dtype=STORED_FLOAT)
    embeddings = flat.reshape(-1, EMBEDDING_SIZE).astype(np.float32, copy=False)  # (N, 128)
    embeddings.setflags(write=False)
    return embeddings


def encode_preferences(preferences: Mapping[str, Any]) -> str:
    """Turn preferences into JSON.

    Raises:
        UsageError: they hold something that JSON cannot, or are too large or too deep for events.
    """
    try:
        text = json.dumps(dict(preferences), ensure_ascii=False, allow_nan=False)
        size = len(text.encode())  # no half of a surrogate pair
    except (TypeError, ValueError, RecursionError) as exc:
        raise UsageError(f"the preferences are not JSON: {exc}") from exc
    if size > MAX_PREFERENCES_BYTES or _depth(text) > MAX_PREFERENCES_DEPTH:
        raise UsageError(
            f"the preferences have {size:,} bytes of JSON, {_depth(text)} levels deep; they go out "
            f"with each event, so at most {MAX_PREFERENCES_BYTES:,} bytes and "
            f"{MAX_PREFERENCES_DEPTH} levels are kept"
        )
    return json.dumps(dict(preferences))


def preferences_from(text: str) -> dict[str, Any] | None:
    """Read preferences; None where they are too large or too deep for events.

    Raises:
        ValueError: they are not a JSON object.
    """
    if text == "{}":
        return {}
    if len(text) > 6 * MAX_PREFERENCES_BYTES:  # as they are written, in ASCII
        return None
    try:
        preferences = json.loads(text)
    except RecursionError:
        return None
    if not isinstance(preferences, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - the text is what is wrong
    try:
        encode_preferences(preferences)
    except UsageError:
        return None
    return preferences


def _depth(text: str) -> int:
    """How deep JSON is nested."""
    depth = deepest = 0
    for bracket in re.findall(r"[\[{\]}]", re.sub(r'"(?:[^"\\]|\\.)*"', "", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


@cache
def _tell_of_preferences(name: str) -> None:
    _LOG.warning(
        "the preferences of %s in the gallery are too large for events and are left out; set them "
        "anew with: doorbell people preferences",
        name,
    )


# What ``person_from`` reads of ``people``: all that the account of a door may, on a server.
PERSON_COLUMNS = "id, name, chime, preferences, ignored, earlier_subtype"


def person_from(row: Row) -> Person:
    """Read a row of ``PERSON_COLUMNS``.

    Preferences that are too large for events are left out and told.

    Raises:
        GalleryError: its preferences are not a JSON object.
    """
    try:
        preferences = preferences_from(row["preferences"])
    except ValueError:
        raise GalleryError(
            f"the preferences of {row['name']!r} in the gallery are not a JSON object; "
            "restore a copy of the gallery"
        ) from None
    if preferences is None:
        _tell_of_preferences(row["name"])
    return Person(
        row["id"],
        row["name"],
        row["chime"],
        preferences or {},
        bool(row["ignored"]),
        row["earlier_subtype"],
    )


def consent_from(row: Row) -> Consent | None:
    """Read the consent in a row of ``people``."""
    if row["consent"] is None:
        return None
    return Consent(row["consent"], wall_time(row["consent_at"] or 0.0))


def stranger_from(row: Row) -> Stranger:
    """Read a row of ``strangers``."""
    first, last = wall_time(row["first_seen_at"]), wall_time(row["last_seen_at"])
    week = max(1, row["visits_week"])
    return Stranger(row["id"], first, last, row["visits"], week, bool(row["ignored"]))


def is_visit(row: Row) -> bool:
    """Whether a row of ``visits`` can be one: by its identifier and its times."""
    times = (row["started_at"], row["last_seen_at"], row["ended_at"])
    return is_visit_id(row["id"]) and all(at is None or is_wall_time(at) for at in times)


def is_wall_time(seconds: float) -> bool:
    """Whether seconds since the epoch are a time that a clock can show, in every zone."""
    return 0.0 <= seconds <= LAST_WALL_TIME  # neither is NaN


def wall_time(seconds: float) -> float:
    """The nearest time that a clock can show: a damaged one is to stop nobody."""
    return min(max(seconds, 0.0), LAST_WALL_TIME)


def visit_from(row: Row, visitor: Visitor | None) -> Visit:
    """Read a row of ``visits``."""
    return Visit(
        visit_id=row["id"],
        started_at=row["started_at"],
        last_seen_at=row["last_seen_at"],
        ended_at=row["ended_at"],
        visitor=visitor,
        similarity=row["similarity"],
        frames_used=row["frames_used"],
        seconds_to_decision=row["seconds_to_decision"],
        corrected=bool(row["corrected"]),
        door_id=row["door_id"] if is_door_id(row["door_id"]) else "",
    )
