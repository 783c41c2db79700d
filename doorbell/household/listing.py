"""What is shown of people and strangers in addition to their row in the gallery."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from doorbell.gallery.gallery import Gallery, PersonSummary
from doorbell.household.enrollment_strength import Strength, strength
from doorbell.recognition.embedder import SFACE_ID


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """Somebody enrolled, and how well they are known."""

    summary: PersonSummary
    strength: Strength

    @property
    def enroll_again(self) -> str | None:
        """The command after which they are also known in a hood, in sunglasses and by infrared.

        It takes photographs, the same or others; None where they are.
        """
        if self.summary.has_variants:
            return None
        return f"doorbell enroll {shlex.quote(self.summary.person.name)} PHOTO..."


def known_people(gallery: Gallery) -> list[KnownPerson]:
    """Everybody enrolled, in order of enrollment."""
    return [_known(gallery, summary) for summary in gallery.people.summaries()]


def known_person(gallery: Gallery, name: str) -> KnownPerson:
    """One person.

    Raises:
        UnknownPersonError: nobody has that name; the nearest names are offered.
    """
    person = gallery.people.get(name)
    (summary,) = (each for each in gallery.people.summaries() if each.person == person)
    return _known(gallery, summary)


def newest_pictures(gallery: Gallery, pictures_directory: Path) -> dict[int, Path]:
    """By stranger_id, the picture of the newest visit that has one; without those who have none."""
    kept = {path.stem: path for path in pictures_directory.glob("*.jpg")}
    newest = gallery.visits.newest_by_stranger(kept)
    return {stranger_id: kept[visit_id] for stranger_id, visit_id in newest.items()}


def _known(gallery: Gallery, summary: PersonSummary) -> KnownPerson:
    return KnownPerson(summary, strength(gallery.people.samples(summary.person.name, SFACE_ID)))
