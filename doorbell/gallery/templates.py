"""What faces are compared with, read from the gallery: everybody, or whom a change concerns.

A row that no longer holds an embedding is left out and logged, with whose it was: one flipped bit
on the disk is no reason to know nobody.
"""

# ruff: noqa: S608 - the words put into statements are written here

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from doorbell.domain import Float32Array, Person, Stranger
from doorbell.gallery.codec import (
    PERSON_COLUMNS,
    STORED_FLOAT,
    Row,
    StoredEmbedding,
    fault_of,
    person_from,
    readable,
    stranger_from,
    unpack,
)
from doorbell.gallery.queries import STRANGERS, all_people, all_strangers
from doorbell.gallery.sql import GalleryDatabase
from doorbell.gallery.vector_place import VectorPlace
from doorbell.recognition.candidates import Source
from doorbell.recognition.nearest import VectorIndex
from doorbell.recognition.templates import (
    EMBEDDING_SIZE,
    SourceVectors,
    Templates,
    directions,
    no_embeddings,
    no_ids,
)
from doorbell.recognition.variants import DRAWINGS
from doorbell.recognition.vectors import Vectors

_LOG = logging.getLogger(__name__)

BLOCK_ROWS = 4_096

# So many more are asked for than are wanted: what a database finds is compared anew.
_MORE = 4

_OF_MODEL = "model_id = ? AND hidden_by IS NULL"

# A photograph is known by the hash of its file; so are the frames of a video, with their number.
_OF_PHOTOGRAPH = "(source_sha256 IS NOT NULL AND source_sha256 NOT LIKE '%-%')"

# Of one source alone its vector is the template.
_ONE_SOURCE: dict[Source, SourceVectors] = {
    source: MappingProxyType({source: None}) for source in Source
}


class TemplateReader:
    """Reads the templates of one embedder; within ``GalleryDatabase.reading``."""

    def __init__(self, file: GalleryDatabase, model_id: str, place: VectorPlace) -> None:
        self._file = file
        self._model_id = model_id
        self._place = place
        self._told: set[str] = set()  # of what is left out

    def everybody(self) -> Templates:
        """All of one moment."""
        people = {each.person_id: each for each in all_people(self._file)}
        strangers = {each.stranger_id: each for each in all_strangers(self._file)}
        photographs, frames = _Sums(people), _Sums(people)
        of_strangers = _Sums(strangers)
        wrong: list[Row] = []
        for batch in self._file.batches(
            BLOCK_ROWS,
            "SELECT id, coalesce(person_id, 0), coalesce(stranger_id, 0), "
            f"{_OF_PHOTOGRAPH}, embedding FROM samples WHERE {_OF_MODEL} ORDER BY id",
            self._model_id,
        ):
            ids, person_ids, stranger_ids, photographed, stored = zip(*batch, strict=True)
            embeddings, whole = unpack(stored, self._file.cipher)
            persons = np.array(person_ids, np.int64)
            is_photograph = np.array(photographed, np.bool_)
            photographs.add(persons, embeddings, whole & is_photograph)
            frames.add(persons, embeddings, whole & ~is_photograph)
            of_strangers.add(np.array(stranger_ids, np.int64), embeddings, whole)
            wrong += [
                {
                    "id": ids[place],
                    "person_id": person_ids[place],
                    "stranger_id": stranger_ids[place],
                    "embedding": stored[place],
                }
                for place in np.flatnonzero(~whole).tolist()
            ]
        self._tell(
            [row for row in wrong if row["person_id"] or row["stranger_id"] in strangers],
            lambda row: (people.get(row["person_id"]) or strangers[row["stranger_id"]]).label,
        )
        sources = _sources(photographs, frames)  # before both are added up
        for source, sums in self._drawn("IS NOT NULL", people).items():
            for place in np.flatnonzero(sums.any).tolist():
                person_id = int(sums.ids[place])
                if person_id in sources:  # else what they were drawn over is damaged
                    template = directions(sums.sums[place].copy())
                    sources[person_id] = {**sources[person_id], source: template}
        templates = Templates(
            people,
            self._kept("people", photographs.plus(frames)),
            strangers,
            self._kept("strangers", of_strangers),
            sources,
        )
        self.read_corrected(templates)
        return templates

    def most_alike(self, signature: Float32Array, people: int, strangers: int) -> Templates | None:
        """Those of the people and strangers whom a face is most like, without drawn variants.

        Args:
            signature: (128,) float32 of unit length.
            people: how many of them.
            strangers: likewise.

        Returns:
            None where all have to be read to know who that is.
        """
        embedding = StoredEmbedding(signature.astype(STORED_FLOAT).tobytes())
        person_ids, stranger_ids = (
            self._file.most_alike(column, self._model_id, embedding, count + _MORE if count else 0)
            for column, count in (("person_id", people), ("stranger_id", strangers))
        )
        if person_ids is None or stranger_ids is None:
            return None
        people_vectors, stranger_vectors = (
            VectorIndex(no_ids(), no_embeddings()) for _ in range(2)
        )
        templates = Templates({}, people_vectors, {}, stranger_vectors, {})
        for person in map(
            person_from, self._those(f"SELECT {PERSON_COLUMNS} FROM people WHERE", person_ids)
        ):
            samples, embeddings = self._samples("person_id", person.person_id, person)
            templates.put_person(person, _template(embeddings), _by_source(samples, embeddings))
        for stranger in map(stranger_from, self._those(f"{STRANGERS} AND", stranger_ids)):
            _, embeddings = self._samples("stranger_id", stranger.stranger_id, stranger)
            templates.put_stranger(stranger, _template(embeddings))
        negatives = self._negatives(f"not_person_id {self._file.among}", person_ids)
        templates.set_corrected(*negatives, no_embeddings())
        return templates

    def read_person(self, templates: Templates, person_id: int) -> None:
        """Bring what is known of one person up to date."""
        rows = self._file.rows(f"SELECT {PERSON_COLUMNS} FROM people WHERE id = ?", person_id)
        if not rows:
            templates.remove_person(person_id)
            return
        person = person_from(rows[0])
        samples, embeddings = self._samples("person_id", person_id, person)
        sources = _by_source(samples, embeddings)
        drawn = self._drawn(f"= {person_id:d}", {person_id: person})
        sources |= {source: directions(sums.sums[0]) for source, sums in drawn.items()}
        templates.put_person(person, _template(embeddings), sources)

    def read_stranger(self, templates: Templates, stranger_id: int) -> None:
        """Bring what is known of one stranger up to date."""
        rows = self._file.rows(f"{STRANGERS} AND id = ?", stranger_id)
        if not rows:
            templates.remove_stranger(stranger_id)
            return
        stranger = stranger_from(rows[0])
        _, embeddings = self._samples("stranger_id", stranger_id, stranger)
        templates.put_stranger(stranger, _template(embeddings))

    def read_corrected(self, templates: Templates) -> None:
        """Bring what corrections say up to date."""
        non_faces = self._file.rows(
            "SELECT id, embedding FROM non_faces WHERE model_id = ? ORDER BY id", self._model_id
        )
        _, non_face_embeddings = self._whole(non_faces, lambda _: "what is no face")
        templates.set_corrected(*self._negatives("TRUE"), non_face_embeddings)

    def _negatives(self, those: str, *people: list[int]) -> tuple[NDArray[np.int64], Float32Array]:
        """Faces once taken for people, and for whom, where ``those`` holds."""
        rows = self._file.rows(
            "SELECT negatives.id, not_person_id, embedding, people.name FROM negatives "
            f"JOIN people ON people.id = not_person_id WHERE {_OF_MODEL} AND {those} "
            "ORDER BY negatives.id",
            self._model_id,
            *map(self._file.listed, people),
        )
        whole, embeddings = self._whole(rows, lambda row: f"who is not {row['name']}")
        return np.array([row["not_person_id"] for row in whole], np.int64), embeddings

    def _kept(self, whose: str, sums: _Sums) -> Vectors:
        return self._place.keep(whose, self._model_id, *sums.templates())

    def _drawn(self, whose: str, people: Mapping[int, Person]) -> dict[Source, _Sums]:
        """The variants of people, added up by the template that they belong to.

        Args:
            whose: what holds for the identifier of the person.
            people: all whom that can be.
        """
        drawn = (
            "FROM variants JOIN samples ON samples.id = variants.sample_id "
            f"WHERE samples.person_id {whose} AND {_OF_MODEL}"
        )
        ids = self._file.rows(f"SELECT DISTINCT samples.person_id AS id {drawn}", self._model_id)
        sums: dict[Source, _Sums] = defaultdict(lambda: _Sums(row["id"] for row in ids))
        wrong: list[Row] = []
        for batch in self._file.batches(
            BLOCK_ROWS,
            "SELECT variants.id, samples.person_id, variants.drawing, variants.embedding "
            f"{drawn} ORDER BY variants.id",
            self._model_id,
        ):
            row_ids, person_ids, names, stored = zip(*batch, strict=True)
            embeddings, whole = unpack(stored, self._file.cipher)
            persons = np.array(person_ids, np.int64)
            of = [DRAWINGS[name].source if name in DRAWINGS else None for name in names]
            for source in {each for each in of if each is not None}:
                chosen = whole & np.array([each is source for each in of])
                if chosen.any():
                    sums[source].add(persons, embeddings, chosen)
            wrong += [
                {
                    "id": row_ids[place],
                    "person_id": person_ids[place],
                    "embedding": stored[place],
                }
                for place in np.flatnonzero(~whole).tolist()
            ]
        self._tell(wrong, lambda row: people[row["person_id"]].label)
        return sums

    def _those(self, said: str, ids: list[int]) -> Iterable[Row]:
        """Rows of these identifiers."""
        return self._file.rows(f"{said} id {self._file.among}", self._file.listed(ids))

    def _samples(
        self, column: str, visitor_id: int, visitor: Person | Stranger
    ) -> tuple[list[Row], Float32Array]:
        rows = self._file.rows(
            f"SELECT id, embedding, source_sha256 FROM samples WHERE {column} = ? "
            f"AND {_OF_MODEL} ORDER BY id",
            visitor_id,
            self._model_id,
        )
        return self._whole(rows, lambda _: visitor.label)

    def _whole(
        self, rows: Sequence[Row], whose: Callable[[Row], str]
    ) -> tuple[list[Row], Float32Array]:
        return readable(rows, self._file.cipher, lambda wrong: self._tell(wrong, whose))

    def _tell(self, wrong: Sequence[Row], whose: Callable[[Row], str]) -> None:
        """Say once whose samples are left out."""
        by_label: dict[str, list[Row]] = {}
        for row in wrong:
            by_label.setdefault(whose(row), []).append(row)
        for label, rows in by_label.items():
            message = f"{len(rows)} samples of {label} cannot be read and are left out"
            if message not in self._told:
                self._told.add(message)
                _LOG.error(
                    "%s: %s; forget %s and enroll again, or %s",
                    message,
                    fault_of(rows[0], self._file.cipher),
                    label,
                    self._file.advice_to_restore(),
                )


class _Sums:
    """The samples of visitors, added up."""

    def __init__(self, ids: Iterable[int]) -> None:
        self.ids = np.array(sorted(ids), np.int64)
        self.sums = np.zeros((len(self.ids), EMBEDDING_SIZE), np.float32)
        self.any = np.zeros(len(self.ids), np.bool_)

    def add(
        self, visitor_ids: NDArray[np.int64], embeddings: Float32Array, wanted: NDArray[np.bool_]
    ) -> None:
        """Add (n, 128) float32 of these visitors, (n,); of those that are not among them, none."""
        if not self.ids.size:
            return
        places = np.searchsorted(self.ids, visitor_ids).clip(max=len(self.ids) - 1)
        wanted = wanted & (self.ids[places] == visitor_ids)
        places = places[wanted]
        if not places.size:
            return
        starts = np.flatnonzero(np.diff(places, prepend=-1))  # samples of one mostly follow
        sums, places = np.add.reduceat(embeddings[wanted], starts, axis=0), places[starts]
        if len(np.unique(places)) == len(places):
            self.sums[places] += sums
        else:
            np.add.at(self.sums, places, sums)
        self.any[places] = True

    def plus(self, other: _Sums) -> _Sums:
        """This, with those of the same visitors added."""
        self.sums[other.any] += other.sums[other.any]
        self.any |= other.any
        return self

    def templates(self) -> tuple[NDArray[np.int64], Float32Array]:
        """The template of each who has a sample."""
        if self.any.all():
            return self.ids, directions(self.sums)
        return self.ids[self.any], directions(self.sums[self.any])


def _sources(photographs: _Sums, frames: _Sums) -> dict[int, SourceVectors]:
    """By person, the mean of each source."""
    both = photographs.any & frames.any
    sources: dict[int, SourceVectors] = {}
    for source, sums in ((Source.PHOTOGRAPH, photographs), (Source.CAMERA, frames)):
        sources |= dict.fromkeys(sums.ids[sums.any & ~both].tolist(), _ONE_SOURCE[source])
    for place in np.flatnonzero(both).tolist():
        sources[int(photographs.ids[place])] = {
            source: directions(sums.sums[place].copy())
            for source, sums in ((Source.PHOTOGRAPH, photographs), (Source.CAMERA, frames))
        }
    return sources


def _by_source(
    samples: Sequence[Row], embeddings: Float32Array
) -> dict[Source, Float32Array | None]:
    """The mean of each source of one person's samples."""
    of_source = {
        source: embeddings[[_source_of(row) is source for row in samples]] for source in Source
    }
    present = {source: each for source, each in of_source.items() if len(each)}
    if len(present) > 1:
        return {source: directions(each.sum(axis=0)) for source, each in present.items()}
    return dict.fromkeys(present)


def _source_of(row: Row) -> Source:
    digest = row["source_sha256"]
    return Source.CAMERA if digest is None or "-" in digest else Source.PHOTOGRAPH


def _template(embeddings: Float32Array) -> Float32Array | None:
    return directions(embeddings.sum(axis=0)) if len(embeddings) else None
