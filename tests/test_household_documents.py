"""The JSON documents of a visit, a person, a stranger and an enrollment."""

import json
from dataclasses import replace
from pathlib import Path

from doorbell.domain import Person, Stranger, Visit
from doorbell.gallery.gallery import PersonSummary
from doorbell.gallery.records import Consent
from doorbell.household.documents import (
    enrollment_document,
    person_document,
    stranger_document,
    visit_document,
)
from doorbell.household.enrollment_checks import Check
from doorbell.household.enrollment_strength import Level, Strength
from doorbell.household.listing import KnownPerson
from doorbell.household.registration import EnrollmentReport, PictureResult

ANNA = Person(3, "Anna 🌻", "gong", {"tv": "news"})
STRANGER = Stranger(7, 1000.0, 2000.0, 5, 2)
VISIT = Visit("v1", 1000.0, 1010.0, 1015.5, ANNA, 0.81256, 4, 0.5, door_id="side-door")


def test_a_visit_tells_whose_it_was_and_shows_the_picture_that_is_there(tmp_path: Path) -> None:
    document = visit_document(VISIT, tmp_path)
    assert document == {
        "visit_id": "v1",
        "door_id": "side-door",
        "started_at": "1970-01-01T00:16:40.000+00:00",
        "last_seen_at": "1970-01-01T00:16:50.000+00:00",
        "ended_at": "1970-01-01T00:16:55.500+00:00",
        "person": "Anna 🌻",
        "person_id": 3,
        "stranger": None,
        "similarity": 0.8126,
        "corrected": False,
        "picture": None,
    }
    (tmp_path / "v1.jpg").touch()
    assert visit_document(VISIT, tmp_path)["picture"] == str(tmp_path / "v1.jpg")


def test_a_similarity_is_told_only_where_it_decided(tmp_path: Path) -> None:
    stranger = visit_document(replace(VISIT, visitor=STRANGER), tmp_path)
    assert (stranger["person"], stranger["stranger"]) == (None, "stranger-7")
    assert stranger["similarity"] == 0.8126
    for visit in (replace(VISIT, corrected=True), replace(VISIT, visitor=None)):
        assert visit_document(visit, tmp_path)["similarity"] is None


def test_a_person_has_what_is_held_and_nothing_of_a_face() -> None:
    summary = PersonSummary(ANNA, 2, 1, 1000.0, Consent("in writing", 2000.0))
    document = person_document(KnownPerson(summary, Strength(Level.FAIR, ("come nearer",))))
    assert document == {
        "person_id": 3,
        "name": "Anna 🌻",
        "samples": 2,
        "strength": "fair",
        "visits": 1,
        "last_seen_at": "1970-01-01T00:16:40.000+00:00",
        "chime": "gong",
        "preferences": {"tv": "news"},
        "consent": {"words": "in writing", "noted_at": "1970-01-01T00:33:20.000+00:00"},
        "enroll_again": "doorbell enroll 'Anna 🌻' PHOTO...",
        "ignored": False,
    }
    new = person_document(KnownPerson(PersonSummary(ANNA, 0, 0, None), Strength(Level.WEAK, ())))
    assert (new["last_seen_at"], new["consent"]) == (None, None)


def test_a_stranger_is_shown_by_a_picture_if_one_is_kept() -> None:
    document = stranger_document(STRANGER, Path("/state/pictures/v1.jpg"))
    assert document == {
        "stranger_id": 7,
        "label": "stranger-7",
        "first_seen_at": "1970-01-01T00:16:40.000+00:00",
        "last_seen_at": "1970-01-01T00:33:20.000+00:00",
        "visits": 5,
        "visits_week": 2,
        "picture": "/state/pictures/v1.jpg",
        "ignored": False,
    }
    assert stranger_document(STRANGER, None)["picture"] is None


def test_an_enrollment_tells_of_every_picture_and_of_whoever_is_enrolled() -> None:
    good = PictureResult("a.jpg", True, "good", checks=(Check("size", 120.12345),))
    poor = PictureResult("b.jpg", False, "too small", "go nearer", (Check("size", 9.0, "small"),))
    document = enrollment_document(
        EnrollmentReport(ANNA, 1, (good, poor), Strength(Level.WEAK, ("come nearer",)))
    )
    assert json.loads(json.dumps(document)) == {
        "person": "Anna 🌻",
        "person_id": 3,
        "added": 1,
        "strength": {"level": "weak", "missing": ["come nearer"]},
        "pictures": [
            {
                "source": "a.jpg",
                "accepted": True,
                "message": "good",
                "hint": "",
                "checks": {"size": {"passed": True, "value": 120.123}},
            },
            {
                "source": "b.jpg",
                "accepted": False,
                "message": "too small",
                "hint": "go nearer",
                "checks": {"size": {"passed": False, "value": 9.0}},
            },
        ],
    }
    nobody = enrollment_document(EnrollmentReport(None, 0, (poor,)))
    assert [nobody[key] for key in ("person", "person_id", "added", "strength")] == [
        None,
        None,
        0,
        None,
    ]
