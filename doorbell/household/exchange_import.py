"""Adding to the gallery the people and strangers of a file that another gallery was exported to.

What is not understood is refused with its line, and nothing is added then. The lines are described
in docs/reliability.md.
"""

from __future__ import annotations

import time
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from doorbell.config import GallerySection, StorageSection
from doorbell.domain import FaceSample, Float32Array
from doorbell.errors import UsageError
from doorbell.gallery.codec import decode_embeddings, encode_preferences
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.names import clean_consent, clean_name
from doorbell.gallery.queries import (
    add_sample,
    add_stranger_samples,
    add_variants,
    all_people,
    find_or_create_person,
    person_by_id,
)
from doorbell.gallery.sql import GalleryDatabase
from doorbell.household.exchange_format import (
    ENTRY,
    PLAIN,
    WITH_IGNORED,
    End,
    Head,
    PersonLine,
    StrangerLine,
    describe,
    read_sample,
)
from doorbell.storage.files import open_regular

# A sample takes 0.8 kB, with its variants five times as much: some 60,000 of them.
MAX_BYTES = 256 * 2**20

# Two faces less alike are of two people, by SFace's authors (OpenCV's sample of FaceRecognizerSF).
SAME_PERSON_COSINE = 0.363


@dataclass
class Imported:
    """What an import added.

    Attributes:
        people: names of those who were not there.
        merged: names of those who were, and now have what both had.
        samples: how many samples of people.
        strangers: how many strangers.
        conflicts: what the file has otherwise, and was kept as it was here.
    """

    people: list[str] = field(default_factory=list)
    merged: list[str] = field(default_factory=list)
    samples: int = 0
    strangers: int = 0
    conflicts: list[str] = field(default_factory=list)


def import_file(
    storage: StorageSection,
    path: Path,
    model_id: str,
    is_chime: Callable[[str], bool],
    section: GallerySection | None = None,
) -> Imported:
    """Add such a file to a gallery; see ``import_lines``.

    Raises:
        UsageError: it cannot be read, is too large, or is not understood; nothing was added.
        GalleryError, EncryptionError: the gallery cannot be used.
    """
    try:
        with (
            open_regular(path, MAX_BYTES) as lines,
            Gallery.of(storage, section) as gallery,
        ):
            if lines.read(len(BOM_UTF8)) != BOM_UTF8:  # which some editors put before it
                lines.seek(0)
            return import_lines(gallery.file, lines, model_id, is_chime)
    except OSError as exc:
        raise UsageError(
            f"{path} is not a file that can be read: {exc.strerror}; give one of at most "
            f"{MAX_BYTES // 2**20} MB that doorbell gallery export wrote"
        ) from exc
    except UsageError as exc:
        raise UsageError(f"nothing was added from {path}: {exc}") from exc


def import_lines(
    file: GalleryDatabase,
    lines: Iterable[bytes],
    model_id: str,
    is_chime: Callable[[str], bool],
) -> Imported:
    """Add what such lines tell to a gallery: all of it or, on any error, nothing.

    A person of a name that is there gets the samples that are new; chime, preferences and consent
    stay where there are some, and so does whether they are ignored. A stranger whose face is there
    already is left out. So a second import adds nothing.

    Args:
        file: the gallery.
        lines: of the file, as ``exchange_export.export_lines`` makes them.
        model_id: the embedder in use.
        is_chime: whether a chime can be played on this machine; others are left out.

    Raises:
        UsageError: a line that is not understood, with its number; or a name that is somebody
            else's here.
        GalleryError: the gallery fails.
    """
    imported = Imported()
    # Before the transaction: reading may take its time, and others write meanwhile.
    entries = list(_read(lines, model_id))
    named = {entry.chime for _, entry in entries if isinstance(entry, PersonLine) and entry.chime}
    chimes = {chime for chime in named if is_chime(chime)}
    with file.writing():
        known = _Known(file, model_id, chimes)
        for number, entry in entries:
            _import(file, number, entry, known, imported)
    return imported


def _import(
    file: GalleryDatabase,
    number: int,
    entry: PersonLine | StrangerLine,
    known: _Known,
    imported: Imported,
) -> None:
    """Add the person or stranger of a line."""
    try:
        match entry:
            case PersonLine():
                _import_person(file, entry, known, imported)
            case StrangerLine():
                _import_stranger(file, entry, known, imported)
    except UsageError as exc:
        raise UsageError(f"line {number}: {exc}") from exc


def _read(lines: Iterable[bytes], model_id: str) -> Iterator[tuple[int, PersonLine | StrangerLine]]:
    """What lines tell, each with its number, as far as it can be checked without the gallery."""
    numbered = enumerate(lines, start=1)
    _, first = next(numbered, (1, b""))
    _check_head(first, model_id)
    counts = {"person": 0, "stranger": 0}
    end: End | None = None
    for number, line in numbered:
        if end is not None:
            raise UsageError(f"line {number}: there is something after the end")
        try:
            entry = ENTRY.validate_json(line)
            match entry:
                case End():
                    end = entry
                    continue
                case PersonLine():
                    entry = _checked(entry)
        except ValidationError as exc:
            raise UsageError(f"line {number}: {describe(exc)}") from None  # it shows the line
        except UsageError as exc:
            raise UsageError(f"line {number}: {exc}") from exc
        counts[entry.kind] += 1
        yield number, entry
    if end is None or (end.people, end.strangers) != (counts["person"], counts["stranger"]):
        raise UsageError(
            f"the file ends after {counts['person']} people and {counts['stranger']} strangers "
            "without saying so: it was cut off or changed; export it again"
        )


def _checked(line: PersonLine) -> PersonLine:
    """A person as they may be taken in."""
    encode_preferences(line.preferences)
    consent = None if line.consent is None else clean_consent(line.consent)
    return line.model_copy(update={"name": clean_name(line.name), "consent": consent})


class _Known:
    """What is here already: who, and whose embeddings; and which of the chimes can be played."""

    def __init__(self, file: GalleryDatabase, model_id: str, chimes: Set[str]) -> None:
        self.model_id = model_id
        self.chimes = chimes
        self.names = {person.person_id: person.name for person in all_people(file)}
        self.anywhere: set[bytes] = set()
        self.of_person: dict[int | None, dict[bytes, Float32Array]] = {}
        rows = file.rows("SELECT * FROM samples WHERE model_id = ? ORDER BY id", model_id)
        for row, embedding in zip(rows, decode_embeddings(rows, file.cipher), strict=True):
            self.add(row["person_id"], embedding)

    def add(self, person_id: int | None, embedding: Float32Array) -> None:
        key = embedding.tobytes()
        self.anywhere.add(key)
        self.of_person.setdefault(person_id, {})[key] = embedding

    def likeness(self, person_id: int, samples: Sequence[FaceSample]) -> float | None:
        """The largest cosine between what is here of a person and samples; None without both."""
        here = list(self.of_person.get(person_id, {}).values())
        if not here or not samples:
            return None
        theirs = np.stack([sample.embedding for sample in samples])
        return float((np.stack(here) @ theirs.T).max())


def _check_head(line: bytes, model_id: str) -> None:
    try:
        head = Head.model_validate_json(line)
    except ValidationError:
        raise UsageError(
            "line 1: this is no export of a gallery; make one with: doorbell gallery export FILE"
        ) from None
    if not PLAIN <= head.version <= WITH_IGNORED:
        raise UsageError(
            f"line 1: the file is of version {head.version}; this doorbell reads version {PLAIN} "
            f"to {WITH_IGNORED}: update the older of the two"
        )
    if head.model_id != model_id:
        raise UsageError(
            f"line 1: its samples were made by {head.model_id[:40]!r} and cannot be compared with "
            f"those of {model_id!r}; enroll the people again from photographs"
        )


def _import_person(
    file: GalleryDatabase, line: PersonLine, known: _Known, imported: Imported
) -> None:
    name = line.name
    if line.chime is not None and line.chime not in known.chimes:
        imported.conflicts.append(f"{name} gets no chime: {line.chime} is none here")
        line = line.model_copy(update={"chime": None})
    samples = [read_sample(text, known.model_id) for text in line.samples]
    person_id, _ = find_or_create_person(file, name)
    if (here := known.names.get(person_id)) is not None:
        likeness = known.likeness(person_id, samples)
        if likeness is not None and likeness < SAME_PERSON_COSINE:
            raise UsageError(
                f"{name!r} of the file does not look like {here!r} here (the "
                f"most alike pictures have a cosine of {likeness:.2f}); if they are two people, "
                "rename one here first: doorbell people rename NAME NEW_NAME"
            )
        imported.merged.append(here)
        if line.ignored and not person_by_id(file, person_id).ignored:
            imported.conflicts.append(f"{here} is not ignored here")
    else:
        imported.people.append(name)
        file.execute("UPDATE people SET ignored = ? WHERE id = ?", line.ignored, person_id)
        known.names[person_id] = name
    for text, sample in zip(line.samples, samples, strict=True):
        if sample.embedding.tobytes() in known.of_person.get(person_id, {}):
            continue
        sample_id, is_new = add_sample(file, person_id, sample, text.source_sha256, time.time())
        if is_new:
            variants = {
                drawing: read_sample(variant, known.model_id)
                for drawing, variant in text.variants.items()
            }
            add_variants(file, sample_id, variants)
            known.add(person_id, sample.embedding)
            imported.samples += 1
    _fill_in(file, person_id, line, imported)


def _fill_in(file: GalleryDatabase, person_id: int, line: PersonLine, imported: Imported) -> None:
    """Set what the person has none of here."""
    person = person_by_id(file, person_id)
    if person.chime not in (None, line.chime) and line.chime is not None:
        imported.conflicts.append(f"{person.name} keeps the chime {person.chime}")
    preferences = {**line.preferences, **person.preferences}
    if any(line.preferences.get(key, value) != value for key, value in person.preferences.items()):
        imported.conflicts.append(f"{person.name} keeps the preferences of here")
    file.execute(
        "UPDATE people SET chime = coalesce(chime, ?), preferences = ?, "
        "consent_at = CASE WHEN consent IS NULL THEN ? ELSE consent_at END, "
        "consent = coalesce(consent, ?) WHERE id = ?",
        line.chime,
        encode_preferences(preferences),
        line.consent_at,
        line.consent,
        person_id,
    )


def _import_stranger(
    file: GalleryDatabase, line: StrangerLine, known: _Known, imported: Imported
) -> None:
    samples = [read_sample(text, known.model_id) for text in line.samples]
    if any(sample.embedding.tobytes() in known.anywhere for sample in samples):
        return
    stranger_id = file.insert(
        "strangers",
        first_seen_at=line.first_seen_at,
        last_seen_at=line.last_seen_at,
        visits=line.visits,
        ignored=line.ignored,
    )
    add_stranger_samples(file, stranger_id, samples)
    for sample in samples:
        known.add(None, sample.embedding)
    imported.strangers += 1
