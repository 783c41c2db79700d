"""Everybody's templates in memory, and who of them a face may be.

A visitor's template is the mean direction of the visitor's samples. Knows no database: whoever
reads one puts in here what is there, and what has changed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from doorbell.domain import Float32Array, Person, Stranger
from doorbell.recognition.candidates import Candidates, PersonCandidate, Source
from doorbell.recognition.negatives import ruled_out
from doorbell.recognition.vectors import Vectors

EMBEDDING_SIZE = 128  # SFace's output


# The means of a person's samples by their source, unit vectors (128,) float32; where all are of one
# source, None stands for the template.
SourceVectors: TypeAlias = Mapping[Source, Float32Array | None]


def no_embeddings() -> Float32Array:
    """None at all: (0, 128) float32."""
    return np.empty((0, EMBEDDING_SIZE), np.float32)


def no_ids() -> NDArray[np.int64]:
    """Identifiers of none at all: (0,) int64."""
    return np.empty(0, np.int64)


def directions(sums: Float32Array) -> Float32Array:
    """Sums of samples, (..., 128) float32, each brought to unit length in place."""
    sums /= np.maximum(np.linalg.norm(sums, axis=-1, keepdims=True), np.float32(1e-12))
    return sums


class Templates:
    """The templates of one embedder; used by one thread.

    Args:
        people: everybody enrolled, whether or not with samples of this embedder.
        people_vectors: the templates of those with samples.
        strangers: everybody known by an identifier only, likewise.
        stranger_vectors: their templates.
        sources: of everybody with a template.

    Attributes:
        revision: changes with whatever may change an answer of this.
        gone: how many people and strangers were removed so far.
        changed_strangers: whose templates are new since somebody last took them out of this; at
            first those of all.
    """

    def __init__(
        self,
        people: Mapping[int, Person],
        people_vectors: Vectors,
        strangers: Mapping[int, Stranger],
        stranger_vectors: Vectors,
        sources: Mapping[int, SourceVectors],
    ) -> None:
        self.revision = self.gone = 0
        self._people = dict(people)
        self._people_listed: tuple[Person, ...] | None = None
        self._people_vectors = people_vectors
        self._sources = dict(sources)
        self._strangers = dict(strangers)
        self._stranger_vectors = stranger_vectors
        self.changed_strangers = set(strangers)
        self._negative_ids = no_ids()
        self._negatives = no_embeddings()
        self._non_faces = no_embeddings()

    @property
    def people(self) -> tuple[Person, ...]:
        """Everybody enrolled, in order of enrollment; the same tuple until that changes."""
        if self._people_listed is None:
            self._people_listed = tuple(self._people[each] for each in sorted(self._people))
        return self._people_listed

    @property
    def strangers(self) -> Collection[Stranger]:
        """Every stranger, in no order; a view of what is so now."""
        return self._strangers.values()

    @property
    def stranger_ids(self) -> Set[int]:
        """Of every stranger; a view of what is so now."""
        return self._strangers.keys()

    @property
    def enrolled(self) -> int:
        """How many people have a template."""
        return len(self._people_vectors)

    def put_person(
        self,
        person: Person,
        template: Float32Array | None,
        sources: SourceVectors,
    ) -> None:
        """Add a person, or replace what is known of one; without a template nobody is compared."""
        if self._people.get(person.person_id) != person:
            self._people[person.person_id] = person
            self._people_listed = None
        if template is None:
            self._people_vectors.remove(person.person_id)
            self._sources.pop(person.person_id, None)
        else:
            self._people_vectors.put(person.person_id, template)
            self._sources[person.person_id] = sources

    def remove_person(self, person_id: int) -> None:
        """Remove a person, if there is one."""
        if self._people.pop(person_id, None) is not None:
            self._people_listed = None
            self.gone += 1
        self._people_vectors.remove(person_id)
        self._sources.pop(person_id, None)

    def put_stranger(self, stranger: Stranger, template: Float32Array | None) -> None:
        """Add a stranger, or replace what is known of one."""
        self._strangers[stranger.stranger_id] = stranger
        if template is None:
            self._stranger_vectors.remove(stranger.stranger_id)
        else:
            self._stranger_vectors.put(stranger.stranger_id, template)
            self.changed_strangers.add(stranger.stranger_id)

    def remove_stranger(self, stranger_id: int) -> None:
        """Remove a stranger, if there is one."""
        if self._strangers.pop(stranger_id, None) is not None:
            self.gone += 1
        self._stranger_vectors.remove(stranger_id)
        self.changed_strangers.discard(stranger_id)

    def set_corrected(
        self, negative_ids: NDArray[np.int64], negatives: Float32Array, non_faces: Float32Array
    ) -> None:
        """Replace what corrections say.

        Args:
            negative_ids: (m,) int64, the person who each row of the next is not.
            negatives: (m, 128) float32, unit length: faces once taken for that person.
            non_faces: (k, 128) float32, unit length: what looks like a face and is none.
        """
        self._negative_ids, self._negatives, self._non_faces = negative_ids, negatives, non_faces

    def candidates(self, signature: Float32Array) -> Candidates:
        """Who a face may be.

        Args:
            signature: (128,) float32 of unit length.

        Raises:
            InferenceError: the device failed.
        """
        people, nearest = self._likeliest(signature)
        strangers, similarities = self._stranger_vectors.best(signature)
        non_faces = self._non_faces @ signature  # (k,)
        return Candidates(
            people,
            self.enrolled,
            self._strangers[int(strangers[0])] if strangers.size else None,
            float(similarities[0]) if strangers.size else -1.0,
            float(non_faces.max()) if non_faces.size else -1.0,
            nearest,
        )

    def person_template(self, person_id: int) -> Float32Array:
        """The template of a person, (128,) float32.

        Raises:
            KeyError: there is none.
        """
        return self._people_vectors.vector(person_id)

    def knows_person(self, person_id: int) -> bool:
        """Whether somebody is enrolled under this identifier."""
        return person_id in self._people

    def people_like(self, embedding: Float32Array, count: int) -> list[tuple[Person, float]]:
        """The people most alike, whatever corrections say, and the cosines with their templates."""
        ids, similarities = self._people_vectors.best(embedding, count)
        return [
            (self._people[person_id], float(similarity))
            for person_id, similarity in zip(ids.tolist(), similarities, strict=True)
        ]

    def strangers_most_like(
        self, embedding: Float32Array, count: int
    ) -> list[tuple[Stranger, float]]:
        """The strangers most alike, and the cosines with their templates."""
        ids, similarities = self._stranger_vectors.best(embedding, count)
        return [
            (self._strangers[stranger_id], float(similarity))
            for stranger_id, similarity in zip(ids.tolist(), similarities, strict=True)
        ]

    def strangers_like(self, stranger_id: int, least: float) -> list[tuple[Stranger, float]]:
        """The other strangers whose templates have at least this cosine with a stranger's."""
        if stranger_id not in self._stranger_vectors:
            return []
        vector = self._stranger_vectors.vector(stranger_id)
        ids, similarities = self._stranger_vectors.reaching(vector, least)
        return [
            (self._strangers[other], float(similarity))
            for other, similarity in zip(ids.tolist(), similarities, strict=True)
            if other != stranger_id
        ]

    def settle(self) -> None:
        """Wait until nothing is done in the background any more."""
        self._people_vectors.settle()
        self._stranger_vectors.settle()

    def _likeliest(self, signature: Float32Array) -> tuple[tuple[PersonCandidate, ...], float]:
        """The two people most alike who are not ruled out, and the largest cosine with anybody."""
        count = 2
        while True:
            ids, similarities = self._people_vectors.best(signature, count)
            out = ruled_out(signature, ids, similarities, self._negative_ids, self._negatives)
            if np.count_nonzero(~out) >= 2 or len(ids) < count:
                break
            count += 2 * int(np.count_nonzero(out))
        nearest = float(similarities[0]) if ids.size else -1.0
        ids, similarities = ids[~out][:2], similarities[~out][:2]
        people = tuple(
            PersonCandidate(
                self._people[person_id],
                similarity,
                self._by_source(person_id, signature, similarity),
            )
            for person_id, similarity in zip(ids.tolist(), similarities.tolist(), strict=True)
        )
        return people, nearest

    def _by_source(
        self, person_id: int, signature: Float32Array, similarity: float
    ) -> dict[Source, float]:
        return {
            source: similarity if vector is None else float(vector @ signature)
            for source, vector in self._sources[person_id].items()
        }
