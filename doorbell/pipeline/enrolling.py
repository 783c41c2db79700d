"""Enrolling whoever is in sight, by what was seen of the visit so far."""

from __future__ import annotations

from collections.abc import Sequence

from doorbell.domain import Person
from doorbell.errors import EnrollmentError
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.names import name_key
from doorbell.gallery.records import EnrolledSample, EnrollmentOutcome
from doorbell.visits.observation import Observation


def enroll_visible(
    gallery: Gallery, name: str, seen: Sequence[Observation], min_live: float
) -> EnrollmentOutcome:
    """Enroll the one visitor in sight.

    Args:
        gallery: where.
        name: as whom.
        seen: every face that can be compared.
        min_live: ``recognition.min_live``, for the message.

    Raises:
        EnrollmentError: nobody is in sight, several are, no frame was good enough, or it is
            somebody enrolled under another name.
        InvalidNameError: the name cannot be stored.
    """
    if len(seen) != 1:
        raise EnrollmentError(
            f"cannot enroll {name!r}: {len(seen)} usable faces are in sight, and it takes "
            "exactly one; stand alone before the camera, a step nearer"
        )
    if seen[0].is_print:
        raise EnrollmentError(
            f"cannot enroll {name!r}: what is in sight looks like a picture held up (live "
            f"{seen[0].live:.2f}, recognition.min_live = {min_live:.2f}); step before the camera "
            "yourself"
        )
    known = seen[0].match.visitor
    if isinstance(known, Person) and name_key(known.name) != name_key(name):
        raise EnrollmentError(
            f"cannot enroll {name!r}: the visitor in sight is {known.name}; to change a name: "
            f"doorbell people rename {known.name!r} {name!r}"
        )
    samples = [EnrolledSample(sample) for sample in seen[0].samples]
    return gallery.people.enroll(name, samples)
