"""What the gallery takes and gives, and how a value becomes a row and comes back.

Enters: names, samples, preferences, rows. Leaves: checked columns, and the records of the gallery.
Knows no file and no SQL.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doorbell.domain import FaceSample, Float32Array, Person, Stranger, Visit, Visitor
from doorbell.errors import GalleryError, InvalidNameError, SealError, UsageError
from doorbell.sealing import Seal

EMBEDDING_SIZE = 128  # SFace's output
MAX_NAME_CHARACTERS = 100
MAX_CONSENT_CHARACTERS = 500

# How far from 1 the length of an embedding may be; float32 normalization stays within 1e-6.
UNIT_TOLERANCE = 1e-3

# What an embedding is to the seal; the same for all, because statements copy and compare them.
SEALED_AS = "an embedding"

# Little endian whatever the machine, so that the file can move between machines.
_STORED_FLOAT = np.dtype("<f4")

_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_REFUSED_BIDIRECTIONAL = frozenset(
    {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # they reorder what follows
)
_INVISIBLE_CATEGORIES = frozenset({"Zs", "Cf", "Mn"})

Row = Mapping[str, Any]


@dataclass(frozen=True, eq=False, slots=True)
class EnrolledSample:
    """A sample and the picture it came from.

    Attributes:
        sample: the face.
        source_sha256: hash of the picture, in hexadecimal, by which the same photo is known when
            it comes twice; None for a live frame.
    """

    sample: FaceSample
    source_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class EnrollmentOutcome:
    """What an enrollment did.

    Attributes:
        person: who, as stored.
        added: number of samples stored.
        duplicates: ``source_sha256`` of each sample left out because its picture was there before.
    """

    person: Person
    added: int
    duplicates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person agreed to, in the words of whoever noted it, and the wall time of noting."""

    words: str
    noted_at: float


@dataclass(frozen=True, slots=True)
class PersonSummary:
    """A person with what the gallery holds of them.

    ``last_seen_at`` is None before any visit, ``consent`` where none was noted.
    """

    person: Person
    samples: int
    visits: int
    last_seen_at: float | None
    consent: Consent | None = None


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was deleted; the pictures of ``visit_ids`` are the caller's to delete."""

    visitor: Visitor
    samples: int
    visit_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Correction:
    """What a correction did, or what undoing it did.

    Attributes:
        visit: as it stands now; None where it was forgotten since.
        before: whose it was.
        samples: how many faces of the visit the gallery has.
        learned: how many of them became samples of the person.
    """

    visit: Visit | None
    before: Visitor | None
    samples: int = 0
    learned: int = 0


def no_embeddings() -> Float32Array:
    """None at all: (0, 128) float32."""
    return np.empty((0, EMBEDDING_SIZE), np.float32)


def no_index() -> NDArray[np.int64]:
    """Places of none at all: (0,) int64."""
    return np.empty(0, np.int64)


@dataclass(frozen=True, eq=False, slots=True)
class Templates:
    """All samples of one embedder, ready for comparison. The arrays are read-only.

    Attributes:
        model_id: the embedder.
        people: everybody enrolled, whether or not with samples of this embedder.
        person_index: (N,) int64, the place in ``people`` of each row of the next.
        person_embeddings: (N, 128) float32, unit length.
        strangers, stranger_index, stranger_embeddings: the same for strangers.
        negative_index: (M,) int64, the place in ``people`` of who each row of the next is not.
        negative_embeddings: (M, 128) float32, unit length: faces once taken for that person.
        non_face_embeddings: (K, 128) float32, unit length: what looks like a face and is none.
    """

    model_id: str
    people: tuple[Person, ...]
    person_index: NDArray[np.int64]
    person_embeddings: Float32Array
    strangers: tuple[Stranger, ...]
    stranger_index: NDArray[np.int64]
    stranger_embeddings: Float32Array
    negative_index: NDArray[np.int64] = field(default_factory=no_index)
    negative_embeddings: Float32Array = field(default_factory=no_embeddings)
    non_face_embeddings: Float32Array = field(default_factory=no_embeddings)


def clean_name(name: str) -> str:
    """Trim a person's name and bring it to Unicode's NFC; any script and emoji are kept.

    Raises:
        InvalidNameError: nothing visible in it, too long, or characters that change how the text
            around it is shown; or it looks like a stranger's identifier.
    """
    cleaned = unicodedata.normalize("NFC", name.strip())
    for character in cleaned:
        if (
            unicodedata.category(character) in _REFUSED_CATEGORIES
            or unicodedata.bidirectional(character) in _REFUSED_BIDIRECTIONAL
        ):
            raise InvalidNameError(
                f"the name {name!r} has the control character U+{ord(character):04X}; "
                "write it without"
            )
    if all(unicodedata.category(character) in _INVISIBLE_CATEGORIES for character in cleaned):
        raise InvalidNameError(f"the name {name!r} is empty; write at least one letter")
    if len(cleaned) > MAX_NAME_CHARACTERS:
        raise InvalidNameError(
            f"the name {cleaned[:20]!r}... has {len(cleaned)} characters; "
            f"at most {MAX_NAME_CHARACTERS} are kept"
        )
    if re.fullmatch(r"stranger-\d+", cleaned, re.IGNORECASE):
        raise InvalidNameError(
            f"the name {cleaned!r} is how a stranger nobody has named is shown; choose another"
        )
    return cleaned


def name_key(name: str) -> str:
    """By which two spellings are one name: letter case and Unicode composition do not count."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name.strip()).casefold())


def encode_embedding(sample: FaceSample, seal: Seal) -> bytes:
    """Check an embedding and turn it into 512 bytes of little-endian float32, sealed.

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
    return seal.seal(embedding.astype(_STORED_FLOAT).tobytes(), SEALED_AS)


def decode_embeddings(rows: Sequence[Row], seal: Seal) -> Float32Array:
    """Stack the ``embedding`` of rows of samples to (N, 128) float32, read-only.

    Raises:
        GalleryError: one has not the size of an embedding; it is named.
        SealError: one was sealed by another key, or altered.
    """
    ids, stored = [row["id"] for row in rows], [row["embedding"] for row in rows]
    return stack_embeddings(ids, stored, seal)


def stack_embeddings(ids: Sequence[int], stored: Sequence[bytes], seal: Seal) -> Float32Array:
    """Stack stored embeddings of samples; see ``decode_embeddings``."""
    size = EMBEDDING_SIZE * _STORED_FLOAT.itemsize
    opened = [seal.open(embedding, SEALED_AS) for embedding in stored]
    for sample_id, embedding in zip(ids, opened, strict=True):
        if len(embedding) != size:
            raise GalleryError(
                f"sample {sample_id} of the gallery has {len(embedding)} bytes instead of "
                f"{size}; restore a copy of the gallery, or forget that person and enroll again"
            )
    flat = np.frombuffer(b"".join(opened), dtype=_STORED_FLOAT)
    embeddings = flat.reshape(-1, EMBEDDING_SIZE).astype(np.float32, copy=False)  # (N, 128)
    embeddings.setflags(write=False)
    return embeddings


def readable(
    rows: Sequence[Row], seal: Seal, tell: Callable[[Sequence[Row], str], None] | None = None
) -> tuple[list[Row], Float32Array]:
    """The rows of samples that hold an embedding, and those stacked to (N, 128) float32, read-only.

    Args:
        rows: of samples.
        seal: how they are kept.
        tell: called with those that hold none, and what is wrong with the first.
    """
    faults = [fault_of(row, seal) for row in rows]
    wrong = [row for row, fault in zip(rows, faults, strict=True) if fault is not None]
    if wrong and tell is not None:
        tell(wrong, next(fault for fault in faults if fault is not None))
    right = [row for row, fault in zip(rows, faults, strict=True) if fault is None]
    return right, decode_embeddings(right, seal)


def fault_of(row: Row, seal: Seal) -> str | None:
    """Why a row of samples holds no embedding; None where it does."""
    try:
        embeddings = decode_embeddings([row], seal)
    except (GalleryError, SealError) as exc:
        return str(exc).partition(";")[0]  # what to do about it depends on whose it is
    with np.errstate(all="ignore"):  # the square of what a flipped bit made large
        length = float(np.linalg.norm(embeddings))
    if abs(length - 1.0) <= UNIT_TOLERANCE:  # also refuses NaN and infinity
        return None
    return f"an embedding has the length {length:.3f}, and 1 is expected"


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
        preferences = json.loads(row["preferences"])
    except ValueError:
        preferences = None
    if not isinstance(preferences, dict):
        raise GalleryError(
            f"the preferences of {row['name']!r} in the gallery are not a JSON object; "
            "restore a copy of the gallery"
        )
    return Person(row["id"], row["name"], row["chime"], preferences)


def consent_from(row: Row) -> Consent | None:
    """Read the consent in a row of ``people``."""
    return None if row["consent"] is None else Consent(row["consent"], row["consent_at"])


def clean_consent(words: str) -> str:
    """Trim what was agreed to, into one line.

    Raises:
        UsageError: nothing is left, or it is too long.
    """
    cleaned = " ".join(unicodedata.normalize("NFC", words).split())
    if not cleaned.isprintable() or not 0 < len(cleaned) <= MAX_CONSENT_CHARACTERS:
        raise UsageError(
            f"the consent {words[:20]!r} was refused; write what was agreed to, in 1 to "
            f"{MAX_CONSENT_CHARACTERS} characters, as in 'in writing, 1 March'"
        )
    return cleaned


def stranger_from(row: Row) -> Stranger:
    """Read a row of ``strangers``."""
    return Stranger(
        row["id"], row["first_seen_at"], row["last_seen_at"], row["visits"], row["visits_week"]
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
