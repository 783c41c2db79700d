"""Searching for a face: who is alike, whether the same, and their visits at every door."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from galleries import InFile, OnServer, Place, dump, on_postgres

from doorbell.config import RecognitionSection, StorageSection
from doorbell.domain import Face, FaceSample, Pose, Visit, Visitor
from doorbell.errors import UsageError
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.gallery.link.copy import GalleryCopy
from doorbell.household.examination import ExaminedFace, ExaminedPhoto
from doorbell.household.face_search import (
    LAST_VISITS,
    Alike,
    faces_in,
    judge_searched,
    search_face,
    search_visit,
)
from doorbell.recognition.quality import Quality
from doorbell.storage.encryption import AesSivCipher

MODEL = "sface-test"
SECTION = RecognitionSection()
REST = 127  # an axis that is nobody's


def face(parts: Mapping[int, float], model_id: str = MODEL) -> FaceSample:
    """A face that has these cosines with those of the axes."""
    embedding = np.zeros(128, np.float32)
    for axis, cosine in parts.items():
        embedding[axis] = cosine
    embedding[REST] = math.sqrt(max(0.0, 1.0 - sum(each**2 for each in parts.values())))
    return FaceSample(embedding, model_id, 0.5)


def came(
    gallery: Gallery,
    visit_id: str,
    at: float,
    visitor: Visitor | None = None,
    *faces: FaceSample,
    door: str = "front",
) -> Visit:
    visit = Visit(visit_id, at, at + 1.0, at + 2.0, visitor, door_id=door)
    gallery.visits.save(visit, faces)
    return visit


def shown(found: tuple[Alike, ...]) -> list[tuple[str, float, bool, list[str]]]:
    return [
        (
            each.visitor.label if each.visitor else "nobody",
            round(each.similarity, 2),
            each.is_same,
            [f"{visit.visit_id} {visit.door_id}" for visit in each.visits],
        )
        for each in found
    ]


def test_whoever_is_alike_is_found_with_their_last_visits_at_every_door(gallery: Gallery) -> None:
    anna = gallery.people.enroll("Anna", [EnrolledSample(face({1: 1.0}))]).person
    berta = gallery.people.enroll("Berta", [EnrolledSample(face({2: 1.0}))]).person
    gallery.people.enroll("Clara", [EnrolledSample(face({3: 1.0}))])
    met = [gallery.strangers.add([face({axis: 1.0})], 1.0) for axis in (4, 5)]
    for number in range(LAST_VISITS + 2):
        door = ("front", "garden")[number % 2]
        came(gallery, f"anna-{number}", 10.0 * number, anna, door=door)
    came(gallery, "berta", 11.0, berta)
    came(gallery, "stranger", 12.0, met[0], door="garden")
    came(gallery, "another", 13.0, met[1])
    came(gallery, "unknown", 14.0, None, face({6: 1.0}), door="garden")
    came(gallery, "other", 15.0, None, face({7: 1.0}))
    before = dump(gallery)

    found = search_face(gallery, [face({1: 0.75, 3: 0.3, 4: 0.4, 6: 0.35})], SECTION)

    last = [f"anna-{number} {('front', 'garden')[number % 2]}" for number in (6, 5, 4, 3, 2)]
    assert shown(found) == [
        ("Anna", 0.75, True, last),
        ("stranger-1", 0.4, False, ["stranger garden"]),
        ("nobody", 0.35, False, ["unknown garden"]),
        ("Clara", 0.3, False, []),
    ]
    assert dump(gallery) == before  # nothing of what was searched by
    assert shown(search_face(gallery, [face({20: 1.0})], SECTION)) == []


def test_who_is_as_like_another_is_perhaps_the_same_and_a_stranger_is_by_the_threshold(
    gallery: Gallery,
) -> None:
    for number, name in enumerate(("Anna", "Berta")):
        gallery.people.enroll(name, [EnrolledSample(face({number: 1.0}))])
    gallery.strangers.add([face({5: 1.0})], 1.0)
    came(gallery, "unknown", 2.0, None, face({6: 1.0}))
    twins = search_face(gallery, [face({0: 0.7, 1: 0.69})], SECTION)
    assert shown(twins) == [("Anna", 0.7, False, []), ("Berta", 0.69, False, [])]
    for cosine, is_same in ((0.51, True), (0.49, False)):
        found = search_face(gallery, [face({5: cosine, 6: cosine})], SECTION)
        assert sorted((each.visitor is None, each.is_same) for each in found) == [
            (False, is_same),
            (True, is_same),
        ]


def test_a_face_that_was_said_to_be_somebody_else_s_is_not_the_same(gallery: Gallery) -> None:
    anna = gallery.people.enroll("Anna", [EnrolledSample(face({1: 1.0}))]).person
    gallery.people.enroll("Berta", [EnrolledSample(face({2: 1.0}))])
    came(gallery, "hers", 1.0, anna, face({1: 0.8, 3: 0.5}))
    [alike] = search_visit(gallery, "hers", SECTION)
    assert (alike.visitor, alike.is_same) == (anna, True)
    gallery.corrections.to_person("hers", "Berta", learn=False)
    [alike] = search_visit(gallery, "hers", SECTION)
    assert (alike.visitor, alike.is_same) == (anna, False)


def test_a_visit_of_nobody_is_compared_by_the_mean_of_its_faces(gallery: Gallery) -> None:
    anna = gallery.people.enroll("Anna", [EnrolledSample(face({9: 1.0}))]).person
    came(gallery, "two", 1.0, None, face({1: 1.0}), face({2: 1.0}))
    came(gallery, "one", 2.0, None, face({1: 0.6, 3: 0.8}))
    came(gallery, "unlike", 3.0, None, face({4: 1.0}))
    came(gallery, "named", 4.0, anna, face({1: 1.0}))
    came(gallery, "faceless", 5.0)
    came(gallery, "another", 6.0, None, face({1: 1.0}, "other-embedder"))
    came(gallery, "poster", 7.0, None, face({1: 1.0}))
    gallery.corrections.to_no_face("poster")
    signature = face({1: 1.0}).embedding

    found = gallery.undecided_like(MODEL, signature, 9)

    assert [(visit.visit_id, round(cosine, 4)) for visit, cosine in found] == [
        ("two", 0.7071),
        ("one", 0.6),
        ("unlike", 0.0),
    ]
    assert gallery.undecided_like(MODEL, signature, 1) == found[:1]
    assert gallery.undecided_like("yet-another", signature, 9) == []
    gallery.corrections.to_person("two", "Anna", learn=False)
    assert [visit.visit_id for visit, _ in gallery.undecided_like(MODEL, signature, 1)] == ["one"]


def test_a_visit_is_searched_by_its_faces_and_not_found_itself(gallery: Gallery) -> None:
    anna = gallery.people.enroll("Anna", [EnrolledSample(face({1: 1.0}))]).person
    came(gallery, "earlier", 1.0, anna, door="garden")
    came(gallery, "this", 2.0, None, face({1: 0.8, 2: 0.6}), face({1: 0.75, 2: 0.66}))
    came(gallery, "alike", 3.0, None, face({2: 1.0}))
    came(gallery, "hers", 4.0, anna, face({1: 1.0}))
    came(gallery, "faceless", 5.0)
    assert shown(search_visit(gallery, "this", SECTION)) == [
        ("Anna", 0.78, True, ["hers front", "earlier garden"]),
        ("nobody", 0.63, True, ["alike front"]),
    ]
    assert [row[0] for row in shown(search_visit(gallery, "hers", SECTION))] == ["Anna", "nobody"]
    [hers, _] = search_visit(gallery, "hers", SECTION)
    assert [visit.visit_id for visit in hers.visits] == ["earlier"]
    with pytest.raises(UsageError, match="no face is kept with visit faceless"):
        search_visit(gallery, "faceless", SECTION)


def test_in_a_gallery_that_is_encrypted_too(tmp_path: Path) -> None:
    cipher = AesSivCipher(bytes(range(64)))
    with Gallery.open(tmp_path / "gallery.sqlite", cipher) as gallery:
        gallery.people.enroll("Anna", [EnrolledSample(face({1: 1.0}))])
        came(gallery, "unknown", 1.0, None, face({2: 1.0}))
        came(gallery, "damaged", 2.0, None, face({2: 1.0}))
        with gallery.file.writing():
            gallery.file.execute(
                "UPDATE visit_samples SET embedding = x'00' WHERE visit_id = 'damaged'"
            )
        found = search_face(gallery, [face({1: 0.7, 2: 0.6})], SECTION)
        assert shown(found) == [
            ("Anna", 0.7, True, []),
            ("nobody", 0.6, True, ["unknown front"]),
        ]


@contextmanager
def of_door(place: Place, door: str) -> Iterator[Gallery]:
    """The gallery on the server as the account of a door sees it."""
    assert isinstance(place, OnServer)
    with Gallery.of(StorageSection(), place.account(f"{door}_door", door)) as opened:
        yield opened


@on_postgres
def test_the_account_of_a_door_knows_everybody_and_finds_visits_at_its_own_doors() -> None:
    place = OnServer()
    with place.open() as household:
        anna = household.people.enroll("Anna", [EnrolledSample(face({1: 1.0}))]).person
        for door in ("front", "garden"):
            came(household, f"anna-{door}", 1.0, anna, door=door)
            came(household, f"unknown-{door}", 2.0, None, face({2: 1.0}), door=door)
        assert household.sees_every_visit()
        everywhere = search_face(household, [face({1: 0.7, 2: 0.6})], SECTION)
    with of_door(place, "garden") as gallery:
        assert not gallery.sees_every_visit()
        own = search_face(gallery, [face({1: 0.7, 2: 0.6})], SECTION)
    assert shown(own) == [
        ("Anna", 0.7, True, ["anna-garden garden"]),
        ("nobody", 0.6, True, ["unknown-garden garden"]),
    ]
    assert len(everywhere) == 3
    assert {visit.door_id for visit in everywhere[0].visits} == {"front", "garden"}


def test_a_file_has_every_visit_and_the_copy_of_a_machine_those_at_its_doors(
    tmp_path: Path,
) -> None:
    with InFile(tmp_path).open() as gallery:
        assert gallery.sees_every_visit()
    with GalleryCopy.open(tmp_path / "copy.sqlite") as copy:
        assert not copy.sees_every_visit()


def examined(*lefts: float, found: int | None = None) -> ExaminedPhoto:
    """A photo with faces that begin so far from its left edge."""
    quality = Quality(80.0, 0.3, Pose(0.0, 0.0, 0.0), 120.0, 1.0, 20.0, 0.0)
    faces = tuple(
        ExaminedFace(
            Face(np.array([left, 0, left + 80, 80], np.float32), np.zeros((6, 2), np.float32), 0.9),
            quality,
            face({1: 1.0}),
            {},
        )
        for left in lefts
    )
    return ExaminedPhoto(0, len(faces) if found is None else found, faces)


def test_faces_of_a_photo_are_searched_for_from_left_to_right() -> None:
    photo = examined(300.0, 10.0, 150.0)
    assert judge_searched(photo).accepted
    assert [float(each.face.box_xyxy[0]) for each in faces_in(photo)] == [10.0, 150.0, 300.0]
    assert judge_searched(examined()).reason == "no_face"
    assert judge_searched(examined(found=17)).reason == "crowd"
