"""What the gallery takes and gives, apart from people, strangers and visits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from doorbell.domain import FaceSample, Person, Visit, Visitor


@dataclass(frozen=True, eq=False, slots=True)
class EnrolledSample:
    """A sample and the picture it came from.

    Attributes:
        sample: the face.
        source_sha256: hash of the picture, in hexadecimal, by which the same photo is known when
            it comes twice; None for a live frame.
        variants: the same face with something drawn over it, by the name of the drawing.
    """

    sample: FaceSample
    source_sha256: str | None = None
    variants: Mapping[str, FaceSample] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, slots=True)
class StoredSample:
    """One of a person's samples as the gallery keeps it.

    Attributes:
        sample_id: its number.
        sample: the face; None where its row is damaged.
        added_at: wall time; None where that was not noted, as by an earlier version.
        source_sha256: as of ``EnrolledSample``.
        visit_id: of the visit it was learned from; None for another source.
    """

    sample_id: int
    sample: FaceSample | None
    added_at: float | None
    source_sha256: str | None
    visit_id: str | None


@dataclass(frozen=True, slots=True)
class EnrollmentOutcome:
    """What an enrollment did.

    Attributes:
        person: who, as stored.
        added: number of samples stored.
        duplicates: ``source_sha256`` of each sample left out because its picture was there before.
        completed: of those, the ones that have variants now which they had not.
    """

    person: Person
    added: int
    duplicates: tuple[str, ...]
    completed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person agreed to, in the words of whoever noted it, and the wall time of noting."""

    words: str
    noted_at: float


@dataclass(frozen=True, slots=True)
class PersonSummary:
    """A person with what the gallery holds of them.

    ``last_seen_at`` is None before any visit, ``consent`` where none was noted; ``has_variants``
    says whether any sample has variants.
    """

    person: Person
    samples: int
    visits: int
    last_seen_at: float | None
    consent: Consent | None = None
    has_variants: bool = False


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was deleted.

    Attributes:
        visitor: who.
        samples: how many.
        visit_ids: of the visits; their pictures are the caller's to delete.
        beside: other visits of their time and door, whose pictures may show the visitor.
    """

    visitor: Visitor
    samples: int
    visit_ids: tuple[str, ...]
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NonFace:
    """Something that the household said is no face.

    Attributes:
        number: of the correction that said so.
        visit_id: of the visit; None where that is no longer kept.
        started_at: when that began, seconds since the epoch; None likewise.
        faces: how many of its embeddings are kept to know it by.
    """

    number: int
    visit_id: str | None
    started_at: float | None
    faces: int


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


@dataclass(frozen=True, slots=True)
class Undone:
    """A naming or merge that was taken back: who is somebody of their own again, and who they were.

    Attributes:
        now: as they stand now.
        before: whom they were taken for until now.
    """

    now: Visitor
    before: Visitor
