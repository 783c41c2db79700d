"""What a decision needs to know of everybody: who a face may be, and how alike.

Whatever can answer this can stand behind the door, be it a file or a database elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from doorbell.domain import Person, Stranger


class Source(Enum):
    """Where a person's templates come from."""

    PHOTOGRAPH = "photograph"
    CAMERA = "camera"  # frames, of the door or of a video
    HOODED = "hooded"  # the photographs with a hood and with a hat drawn over them
    GREY = "grey"  # as infrared shows them
    SUNGLASSES = "sunglasses"

    @property
    def is_drawn(self) -> bool:
        """Whether the samples are variants drawn of others."""
        return self not in (Source.PHOTOGRAPH, Source.CAMERA)


@dataclass(frozen=True, slots=True)
class PersonCandidate:
    """Somebody enrolled whom a face may be.

    Attributes:
        person: who.
        similarity: cosine with the template, the mean of all samples that are not drawn.
        similarity_by_source: cosine with the mean of the samples of each source there is.
    """

    person: Person
    similarity: float
    similarity_by_source: Mapping[Source, float]


@dataclass(frozen=True, slots=True)
class Candidates:
    """What it takes to decide whose a face is.

    Attributes:
        people: the two people most alike, the most alike first, without those of whom a correction
            says that such a face is not theirs; fewer where there are fewer.
        enrolled: how many people there were to choose from.
        stranger: the stranger most alike; None where there is none.
        stranger_similarity: cosine with the stranger's template.
        non_face_similarity: the largest cosine with what was said to be no face; -1 without any.
        nearest_similarity: the largest cosine with anybody enrolled, whatever corrections say; -1
            without anybody.
    """

    people: tuple[PersonCandidate, ...] = ()
    enrolled: int = 0
    stranger: Stranger | None = None
    stranger_similarity: float = -1.0
    non_face_similarity: float = -1.0
    nearest_similarity: float = -1.0


NOBODY = Candidates()
