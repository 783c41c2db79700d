"""Whether somebody looks like whom the household says they are, as enrolling asks.

A name is the household's to give, but a wrong number or a wrong line is soon typed, and from then
on two people have each other's names.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import numpy as np

from doorbell.domain import FaceSample, Float32Array, Person
from doorbell.errors import UnknownPersonError, UsageError
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.names import name_key
from doorbell.household.enrollment_checks import (
    ANOTHER_PERSON_SIMILARITY,
    SAME_PERSON_SIMILARITY,
    check_same_person,
)
from doorbell.recognition.templates import directions


def require_likeness(
    gallery: Gallery,
    who: str,
    samples: Sequence[FaceSample],
    name: str,
    *,
    but: Person | None = None,
) -> None:
    """Refuse faces that are not like a person's, or like somebody else's.

    Without samples of one embedder on both sides nothing can be said, and nothing is refused.

    Args:
        gallery: where the people are.
        who: the faces in words, for messages.
        samples: the faces, by one embedder.
        name: whose they are said to be: somebody enrolled, or a new name.
        but: somebody enrolled who has these faces, and does not count.

    Raises:
        UsageError: they are not; whom they look like instead, and how much.
    """
    if not samples:
        return
    mean, model_id = _mean(samples), samples[0].model_id
    own = _samples_of(gallery, name, model_id)
    others = [
        (person, similarity)
        for person, similarity in gallery.templates_like(model_id, mean, people=3).people_like(
            mean, 3
        )
        if name_key(person.name) != name_key(name) and person != but
    ]
    other, similarity = others[0] if others else (None, 0.0)
    really = f"nothing was changed: use --force if they really are {name}'s"
    if own:
        quality = median(sample.quality for sample in samples)
        check = check_same_person(float(_mean(own) @ mean), quality, name)
        if not check.passed:
            nearest = "like nobody who is enrolled"
            if other is not None and similarity >= SAME_PERSON_SIMILARITY:
                nearest = f"most like {other.name} (similarity {similarity:.2f})"
            raise UsageError(
                f"the faces of {who} are {_unlike(check.problem)}, and {nearest}; {really}"
            )
    if other is not None and similarity >= ANOTHER_PERSON_SIMILARITY:
        raise UsageError(
            f"the faces of {who} look like {other.name} (similarity {similarity:.2f}) and would be "
            f"{name}'s; {really}"
        )


def require_same_stranger(gallery: Gallery, one: int, other: int, model_id: str) -> None:
    """Refuse to make one of two strangers who are not alike; see ``require_likeness``.

    Raises:
        UsageError: they are not.
        UnknownStrangerError: there is none of one of the identifiers.
    """
    sides = [gallery.strangers.samples(each, model_id) for each in (one, other)]
    if not all(sides):
        return
    labels = [gallery.strangers.get(each).label for each in (one, other)]
    quality = min(median(sample.quality for sample in samples) for samples in sides)
    check = check_same_person(float(_mean(sides[0]) @ _mean(sides[1])), quality, labels[1])
    if not check.passed:
        raise UsageError(
            f"the faces of {labels[0]} are {_unlike(check.problem)}; nothing was changed: use "
            "--force if they really are one"
        )


def _unlike(problem: str) -> str:
    """What enrolling says of one face, of several."""
    return problem.removeprefix("this face is ")


def _samples_of(gallery: Gallery, name: str, model_id: str) -> list[FaceSample]:
    try:
        return gallery.people.samples(name, model_id)
    except UnknownPersonError:
        return []


def _mean(samples: Sequence[FaceSample]) -> Float32Array:
    """The direction of faces, weighted by their quality, (128,)."""
    weights = [max(sample.quality, 0.01) for sample in samples]
    total = np.average([sample.embedding for sample in samples], axis=0, weights=weights)
    return directions(np.asarray(total, np.float32))
