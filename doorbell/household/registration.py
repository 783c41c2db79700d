"""Examined faces compared with the gallery, and stored in it.

What would teach the gallery something wrong is refused, with the reason and a hint. Where the
pictures come from, and what looked at them, is the caller's business.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median

import numpy as np

from doorbell.domain import FaceSample, Float32Array, Person
from doorbell.errors import EnrollmentError, UnknownPersonError
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.names import name_key
from doorbell.gallery.records import EnrolledSample
from doorbell.household.enrollment_checks import (
    Check,
    check_others,
    check_quality,
    check_same_person,
    likeness_to_own,
)
from doorbell.household.enrollment_strength import Strength, strength
from doorbell.household.enrollment_watch import WatchedFace
from doorbell.household.examination import ExaminedFace
from doorbell.recognition.quality import Quality
from doorbell.recognition.templates import no_embeddings

# What is said of photos that were enrolled before.
KEPT_ONCE = "this photo was enrolled before and is not stored twice"
COMPLETED = "enrolled before; now also known by it in a hood, in sunglasses and by infrared"


@dataclass(frozen=True, slots=True)
class PictureResult:
    """What became of one picture.

    Attributes:
        source: file name as the user gave it.
        accepted: whether its face is in the gallery now.
        message: what the user is told.
        hint: what to do about it; empty where nothing is to be done.
        checks: what was looked at; none where there is not exactly one face.
    """

    source: str
    accepted: bool
    message: str
    hint: str = ""
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class EnrollmentReport:
    """The result of one enrollment.

    Attributes:
        person: who; None if every picture was refused.
        added: samples stored.
        results: one per picture, in order.
        strength: how well the person is known now; None if every picture was refused.
    """

    person: Person | None
    added: int
    results: tuple[PictureResult, ...]
    strength: Strength | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Candidate:
    """A face of a photo that somebody is to be enrolled by.

    Attributes:
        source: what the photo is called.
        digest: of its file, in hexadecimal, by which it is known when it comes twice.
        face: the one of it that is meant.
        where: that face in words, for messages.
        turned_degrees: clockwise, by which the photo had to be turned.
        checks: what was looked at so far.
    """

    source: str
    digest: str
    face: ExaminedFace
    where: str
    turned_degrees: int = 0
    checks: list[Check] = field(default_factory=list)

    @property
    def problem(self) -> Check | None:
        """The first check that failed."""
        return next((check for check in self.checks if not check.passed), None)


class Registrar:
    """Compares faces with those of the gallery, and stores them.

    Args:
        gallery: that is asked and written.
        model_id: the embedder that the faces are of.
    """

    def __init__(self, gallery: Gallery, model_id: str) -> None:
        self._gallery = gallery
        self._model_id = model_id

    def check(self, name: str, candidate: Candidate) -> None:
        """Fill in the checks of a face by itself, and with everybody else's."""
        candidate.checks[:] = check_quality(candidate.face.quality, candidate.where)
        others = self._check_others(name, candidate.face.sample)
        candidate.checks.extend([] if others is None else [others])

    def compare_with_own(self, name: str, candidates: Sequence[Candidate]) -> None:
        """Add to the checks whether they show one person, the one enrolled if any is."""
        vectors = [each.face.sample.embedding for each in candidates]
        likeness = likeness_to_own(vectors, self._stored(name))
        for candidate, similarity in zip(candidates, likeness, strict=True):
            if similarity is not None:
                quality = candidate.face.sample.quality
                candidate.checks.append(check_same_person(similarity, quality, name))

    def enroll(
        self, name: str, candidates: Sequence[Candidate], *, force: bool = False
    ) -> EnrollmentReport:
        """Enroll a person by faces of photos; the good ones are stored together.

        Args:
            name: of the person, new or known.
            candidates: each of another photo, with their checks empty.
            force: take small, blurred, turned or dark faces too, and those that look like another
                person.

        Returns:
            With one result for each, in order.

        Raises:
            InvalidNameError: the name cannot be stored.
            GalleryError: the gallery cannot be written.
        """
        for candidate in candidates:
            self.check(name, candidate)
        self.compare_with_own(name, [each for each in candidates if force or each.problem is None])
        results = [_result(each, force=force) for each in candidates]
        chosen = [each for each, result in zip(candidates, results, strict=True) if result.accepted]
        if not chosen:
            return EnrollmentReport(None, 0, tuple(results))
        outcome = self._gallery.people.enroll(
            name,
            [EnrolledSample(each.face.sample, each.digest, each.face.variants) for each in chosen],
            added_at=time.time(),
        )
        for place, candidate in enumerate(candidates):
            if results[place].accepted and candidate.digest in outcome.duplicates:
                is_completed = candidate.digest in outcome.completed
                message = COMPLETED if is_completed else KEPT_ONCE
                results[place] = replace(
                    results[place], accepted=is_completed, message=message, hint=""
                )
        return EnrollmentReport(
            outcome.person,
            outcome.added,
            tuple(results),
            self._strength(outcome.person, [each.face.quality for each in chosen]),
        )

    def enroll_watched(
        self, name: str, watched: WatchedFace, *, source: str, force: bool = False
    ) -> EnrollmentReport:
        """Enroll the main person of some frames.

        Args:
            name: of the person, new or known.
            watched: what was seen of them.
            source: what the frames came from, for messages.
            force: enroll somebody who looks like another person, or unlike the person's own
                pictures, too.

        Raises:
            EnrollmentError: the face looks like another person's.
            InvalidNameError: the name cannot be stored.
        """
        if not force:
            self._refuse_mistaken(name, watched.samples)
        outcome = self._gallery.people.enroll(
            name,
            [
                EnrolledSample(sample, f"{watched.digest}-{i}")
                for i, sample in enumerate(watched.samples)
            ],
            added_at=time.time(),
        )
        message = f"{outcome.added} of {watched.usable} usable frames kept"
        if outcome.duplicates:
            message = f"{len(outcome.duplicates)} frames were enrolled before; {message}"
        return EnrollmentReport(
            outcome.person,
            outcome.added,
            (PictureResult(source, outcome.added > 0, message),),
            self._strength(outcome.person, watched.qualities),
        )

    def _check_others(self, name: str, sample: FaceSample) -> Check | None:
        templates = self._gallery.templates_like(self._model_id, sample.embedding, people=2)
        for person, similarity in templates.people_like(sample.embedding, 2):
            if name_key(person.name) != name_key(name):
                return check_others(similarity, person.name)
        return None

    def _refuse_mistaken(self, name: str, samples: Sequence[FaceSample]) -> None:
        """Refuse frames of somebody else."""
        checks = [self._check_others(name, sample) for sample in samples]
        stored = self._stored(name)
        if len(stored):
            mean = np.mean([sample.embedding for sample in samples], axis=0)
            [similarity] = likeness_to_own([mean / np.linalg.norm(mean)], stored)
            if similarity is not None:
                quality = median(sample.quality for sample in samples)
                checks.append(check_same_person(similarity, quality, name))
        for check in checks:
            if check is not None and not check.passed:
                raise EnrollmentError(f"{check.problem}; {check.hint}{check.otherwise}")

    def _stored(self, name: str) -> Float32Array:
        """(n, 128) float32: what the gallery has of the person, if anything."""
        try:
            samples = self._gallery.people.samples(name, self._model_id)
        except UnknownPersonError:
            return no_embeddings()
        return np.array([sample.embedding for sample in samples], np.float32).reshape(-1, 128)

    def _strength(self, person: Person, qualities: Sequence[Quality]) -> Strength:
        return strength(self._gallery.people.samples(person.name, self._model_id), qualities)


def praise(photo: Candidate) -> str:
    """What is said of a face that nothing is wrong with."""
    size, quality = photo.face.quality.size_pixels, photo.face.sample.quality
    return f"good: {size:.0f} pixels, quality {quality:.2f}"


def _result(photo: Candidate, *, force: bool) -> PictureResult:
    checks, problem, turned = tuple(photo.checks), photo.problem, photo.turned_degrees
    how = f"; turned by {turned} degrees to be upright" if turned else ""
    if problem is None:
        return PictureResult(photo.source, True, praise(photo) + how, checks=checks)
    if force:
        return PictureResult(photo.source, True, f"forced: {problem.problem}{how}", checks=checks)
    hint = problem.hint + problem.otherwise
    return PictureResult(photo.source, False, problem.problem + how, hint, checks)
