"""The gallery's people and strangers as a file that other machines and programs can read.

Visits, pictures and corrections are no part of it. The lines are described in docs/reliability.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from doorbell.config import GallerySection, StorageSection
from doorbell.errors import GalleryError, UsageError
from doorbell.gallery.codec import Row, consent_from, decode_embeddings
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.queries import all_people, all_strangers
from doorbell.gallery.sql import GalleryDatabase
from doorbell.household.exchange_format import (
    PLAIN,
    WITH_IGNORED,
    WITH_VARIANTS,
    End,
    FaceText,
    Head,
    PersonLine,
    SampleText,
    StrangerLine,
    describe,
    face_text,
    sample_text,
)
from doorbell.storage.files import write_whole


def export_file(
    storage: StorageSection, path: Path, model_id: str, section: GallerySection | None = None
) -> int:
    """Write a gallery to a new file, for its owner alone; how many lines.

    Raises:
        UsageError: there is such a file, or it cannot be written.
        GalleryError, EncryptionError: the gallery cannot be read.
    """
    if path.exists():
        raise UsageError(f"{path} is there already; give another name")
    if (section is None or section.url is None) and not storage.gallery_path.exists():
        raise UsageError(f"there is no gallery {storage.gallery_path} to export")
    try:
        with Gallery.of(storage, section) as gallery:
            lines = [line + "\n" for line in export_lines(gallery.file, model_id)]
        write_whole(path, "".join(lines).encode(), replace=False)
    except ValidationError as exc:
        raise GalleryError(
            "nothing was written: the gallery holds what cannot be exported "
            f"({describe(exc)}); see what is wrong with: doorbell gallery check"
        ) from None  # it shows the value
    except OSError as exc:
        raise UsageError(f"cannot write {path}: {exc.strerror}; give another place") from exc
    return len(lines)


def export_lines(file: GalleryDatabase, model_id: str) -> Iterator[str]:
    """Everybody enrolled and every stranger, with their samples of one embedder, decrypted."""
    with file.reading():
        rows = file.rows("SELECT * FROM people ORDER BY id")
        people, strangers = all_people(file), all_strangers(file)
        if any(each.ignored for each in people) or any(each.ignored for each in strangers):
            version = WITH_IGNORED
        else:
            version = WITH_VARIANTS if file.rows("SELECT 1 FROM variants LIMIT 1") else PLAIN
        yield Head(kind="doorbell-gallery", version=version, model_id=model_id).model_dump_json()
        for row, person in zip(rows, people, strict=True):
            consent = consent_from(row)
            yield PersonLine(
                kind="person",
                name=person.name,
                chime=person.chime,
                preferences=dict(person.preferences),
                consent=None if consent is None else consent.words,
                consent_at=None if consent is None else consent.noted_at,
                samples=_samples_text(file, "person_id", person.person_id, model_id),
                ignored=person.ignored,
            ).model_dump_json()
        told = 0
        for stranger in strangers:
            samples = _samples_text(file, "stranger_id", stranger.stranger_id, model_id)
            if samples:  # without, nobody could tell who it is
                told += 1
                yield StrangerLine(
                    kind="stranger",
                    first_seen_at=stranger.first_seen_at,
                    last_seen_at=stranger.last_seen_at,
                    visits=stranger.visits,
                    samples=samples,
                    ignored=stranger.ignored,
                ).model_dump_json()
        yield End(kind="end", people=len(people), strangers=told).model_dump_json()


def _samples_text(
    file: GalleryDatabase, column: str, visitor_id: int, model_id: str
) -> tuple[SampleText, ...]:
    rows: Sequence[Row] = file.rows(
        f"SELECT * FROM samples WHERE {column} = ? AND model_id = ? "  # noqa: S608 - our own words
        "AND hidden_by IS NULL ORDER BY id",
        visitor_id,
        model_id,
    )
    drawn: Sequence[Row] = file.rows(
        "SELECT variants.* FROM variants JOIN samples ON samples.id = sample_id "  # noqa: S608 - our own words
        f"WHERE {column} = ? ORDER BY variants.id",
        visitor_id,
    )
    variants: dict[int, dict[str, FaceText]] = defaultdict(dict)
    for row, embedding in zip(drawn, decode_embeddings(drawn, file.cipher), strict=True):
        variants[row["sample_id"]][row["drawing"]] = face_text(embedding, row["quality"])
    return tuple(
        sample_text(embedding, row["quality"], row["source_sha256"], variants.get(row["id"], {}))
        for row, embedding in zip(rows, decode_embeddings(rows, file.cipher), strict=True)
    )
