"""How a value becomes a row of the gallery, and comes back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doorbell.domain import FaceSample, Float32Array, Person, Stranger, Visit, Visitor
from doorbell.errors import EncryptionError, GalleryError, UsageError
from doorbell.gallery.records import Consent
from doorbell.recognition.templates import EMBEDDING_SIZE
from doorbell.storage.encryption import Cipher

# How far from 1 the length of an embedding may be; float32 normalization stays within 1e-6.
UNIT_TOLERANCE = 1e-3

# What an embedding is to the seal; the same for all, because statements copy and compare them.
ENCRYPTED_AS = "an embedding"

# Little endian whatever the machine, so that the file can move between machines.
_STORED_FLOAT = np.dtype("<f4")
_STORED_BYTES = EMBEDDING_SIZE * _STORED_FLOAT.itemsize
_NONE = bytes(_STORED_BYTES)


Row = Mapping[str, Any]


def encode_embedding(sample: FaceSample, cipher: Cipher) -> bytes:
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
    return cipher.encrypt(embedding.astype(_STORED_FLOAT).tobytes(), ENCRYPTED_AS)


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
    flat = np.frombuffer(b"".join(opened), dtype=_STORED_FLOAT)
    embeddings = flat.reshape(-1, EMBEDDING_SIZE).astype(np.float32, copy=False)  # (N, 128)
    embeddings.setflags(write=False)
    return embeddings


def encode_preferences(preferences: Mapping[str, Any]) -> str:
    """Turn preferences into JSON.

    Raises:
        UsageError: they hold something that JSON cannot.
    """
    try:
        json.dumps(dict(preferences), ensure_ascii=False).encode()  # no half of a surrogate pair
        return json.dumps(dict(preferences), allow_nan=False)
    except (TypeError, ValueError) as exc:
        raise UsageError(f"the preferences {preferences!r} are not JSON: {exc}") from exc


def person_from(row: Row) -> Person:
    """Read a row of ``people``.

    Raises:
        GalleryError: its preferences are not a JSON object.
    """
    try:
        preferences = {} if row["preferences"] == "{}" else json.loads(row["preferences"])
    except ValueError:
        preferences = None
    if not isinstance(preferences, dict):
        raise GalleryError(
            f"the preferences of {row['name']!r} in the gallery are not a JSON object; "
            "restore a copy of the gallery"
        )
    return Person(
        row["id"],
        row["name"],
        row["chime"],
        preferences,
        bool(row["ignored"]),
        row["earlier_subtype"],
    )


def consent_from(row: Row) -> Consent | None:
    """Read the consent in a row of ``people``."""
    return None if row["consent"] is None else Consent(row["consent"], row["consent_at"])


def stranger_from(row: Row) -> Stranger:
    """Read a row of ``strangers``."""
    return Stranger(
        row["id"],
        row["first_seen_at"],
        row["last_seen_at"],
        row["visits"],
        row["visits_week"],
        bool(row["ignored"]),
    )


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
    )
