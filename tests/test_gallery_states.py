"""The gallery against a model of dictionaries, over any sequence of calls."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from all_samples import read_samples
from examples import examples
from galleries import InFile, OnServer, Place, on_postgres
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
)

from doorbell.domain import FaceSample, Person, Stranger, Visit
from doorbell.errors import UnknownPersonError, UsageError
from doorbell.gallery.gallery import EnrolledSample

MODEL = "sface-test"
NAMES = st.sampled_from(["Anna", "anna", "Ann", "李小龍", "Zoë", "zoe\u0308"])
PHOTOS = st.integers(0, 5)
DOORS = ["front", "side", ""]
KEYS = {"Anna": "anna", "anna": "anna", "Ann": "ann", "李小龍": "李小龍"} | dict.fromkeys(
    ["Zoë", "zoe\u0308", "zoë"], "zoë"
)


def sample(photo: int) -> FaceSample:
    embedding = np.zeros(128, np.float32)
    embedding[photo] = 1.0
    return FaceSample(embedding, MODEL, 0.5)


@dataclass
class KnownPerson:
    """What the model keeps of one person: photos enrolled, and samples of named strangers."""

    photos: set[int] = field(default_factory=set)
    live: list[int] = field(default_factory=list)
    visits: set[str] = field(default_factory=set)


class GalleryStates(RuleBasedStateMachine):
    strangers = Bundle("strangers")

    def place_in(self, directory: Path) -> Place:
        return InFile(directory)

    @initialize()
    def start(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.place = self.place_in(Path(self.directory.name))
        self.gallery = self.place.open()
        self.people: dict[str, KnownPerson] = {}
        self.samples_of_strangers: dict[int, list[int]] = {}
        self.visits_of_strangers: dict[int, set[str]] = {}
        self.came: dict[int, int] = {}  # how often, by stranger
        self.doors: dict[str, str] = {}  # by visit

    @rule(name=NAMES, photos=st.lists(PHOTOS, min_size=1, max_size=4))
    def enroll(self, name: str, photos: list[int]) -> None:
        known = self.people.setdefault(KEYS[name], KnownPerson())
        new = set(photos) - known.photos
        outcome = self.gallery.people.enroll(
            name, [EnrolledSample(sample(photo), f"sha-{photo}") for photo in photos]
        )
        assert outcome.added == len(new)
        assert len(outcome.duplicates) == len(photos) - len(new)
        known.photos |= new

    @rule(name=NAMES, new=NAMES)
    def rename(self, name: str, new: str) -> None:
        key, new_key = KEYS[name], KEYS[new]
        if key not in self.people:
            with pytest.raises(UnknownPersonError):
                self.gallery.people.rename(name, new)
        elif new_key != key and new_key in self.people:
            with pytest.raises(UsageError, match="merge"):
                self.gallery.people.rename(name, new)
        else:
            self.gallery.people.rename(name, new)
            self.people[new_key] = self.people.pop(key)

    @rule(name=NAMES, into=NAMES)
    def merge(self, name: str, into: str) -> None:
        source, target = KEYS[name], KEYS[into]
        if source not in self.people or target not in self.people or source == target:
            with pytest.raises(UsageError):
                self.gallery.people.merge(name, into)
            return
        self.gallery.people.merge(name, into)
        gone, kept = self.people.pop(source), self.people[target]
        kept.photos |= gone.photos
        kept.live += gone.live
        kept.visits |= gone.visits

    @rule(name=NAMES)
    def forget(self, name: str) -> None:
        if KEYS[name] not in self.people:
            with pytest.raises(UnknownPersonError):
                self.gallery.people.forget(name)
            return
        gone = self.people.pop(KEYS[name])
        forgotten = self.gallery.people.forget(name)
        assert forgotten.samples == len(gone.photos) + len(gone.live)
        assert set(forgotten.visit_ids) == gone.visits

    @rule(name=NAMES)
    def visit_of_a_person(self, name: str) -> None:
        if KEYS[name] in self.people:
            self.people[KEYS[name]].visits.add(self.save_visit(self.gallery.people.get(name)))

    @rule(target=strangers, photo=PHOTOS)
    def stranger_comes(self, photo: int) -> int:
        stranger = self.gallery.strangers.add([sample(photo)], 1.0)
        self.samples_of_strangers[stranger.stranger_id] = [photo]
        self.visits_of_strangers[stranger.stranger_id] = {self.save_visit(stranger)}
        self.came[stranger.stranger_id] = 1
        return stranger.stranger_id

    @rule(stranger_id=strangers, photo=PHOTOS)
    def stranger_comes_again(self, stranger_id: int, photo: int) -> None:
        stranger = self.gallery.strangers.note_visit(stranger_id, 2.0, [sample(photo)])
        self.samples_of_strangers[stranger_id].append(photo)
        self.visits_of_strangers[stranger_id].add(self.save_visit(stranger))
        self.came[stranger_id] += 1
        assert stranger.visits == self.came[stranger_id]

    @rule(stranger_id=consumes(strangers), name=NAMES)
    def name_stranger(self, stranger_id: int, name: str) -> None:
        self.gallery.strangers.name(stranger_id, name)
        known = self.people.setdefault(KEYS[name], KnownPerson())
        known.live += self.samples_of_strangers.pop(stranger_id)
        known.visits |= self.visits_of_strangers.pop(stranger_id)

    @rule(stranger_id=consumes(strangers))
    def forget_stranger(self, stranger_id: int) -> None:
        forgotten = self.gallery.strangers.forget(stranger_id)
        assert forgotten.samples == len(self.samples_of_strangers.pop(stranger_id))
        assert set(forgotten.visit_ids) == self.visits_of_strangers.pop(stranger_id)

    @rule()
    def restart(self) -> None:
        self.gallery.close()
        self.gallery = self.place.open()

    def save_visit(self, visitor: Person | Stranger) -> str:
        visit_id = f"visit-{len(self.doors) + 1}"
        door_id = self.doors[visit_id] = DOORS[len(self.doors) % len(DOORS)]
        self.gallery.visits.save(Visit(visit_id, 1.0, 2.0, visitor=visitor, door_id=door_id))
        return visit_id

    @rule(days=st.integers(0, 1), door_id=st.sampled_from(DOORS))
    def retention_of_a_door(self, days: int, door_id: str) -> None:
        gone = set(self.gallery.visits.forget_before(1.5 + days, -1, (door_id,))[0])
        kept = [
            *(known.visits for known in self.people.values()),
            *self.visits_of_strangers.values(),
        ]
        there = {visit for visits in kept for visit in visits}
        assert gone == {each for each in there if days and self.doors[each] == door_id}
        for visits in kept:
            visits.difference_update(gone)

    @precondition(lambda self: hasattr(self, "gallery"))
    @invariant()
    def agrees(self) -> None:
        templates = read_samples(self.gallery.file, MODEL)
        stored: dict[str, list[int]] = {KEYS[person.name]: [] for person in templates.people}
        for index, embedding in zip(
            templates.person_index, templates.person_embeddings, strict=True
        ):
            stored[KEYS[templates.people[index].name]].append(int(embedding.argmax()))
        assert {key: sorted(photos) for key, photos in stored.items()} == {
            key: sorted([*known.photos, *known.live]) for key, known in self.people.items()
        }
        visits = {visit.visit_id: visit.door_id for visit in self.gallery.visits.newest(1000)}
        there = set().union(
            *(known.visits for known in self.people.values()), *self.visits_of_strangers.values()
        )
        assert visits == {visit_id: self.doors[visit_id] for visit_id in there}
        assert self.gallery.visits.doors() == sorted(set(visits.values()))
        door_id = DOORS[len(self.doors) % len(DOORS)]
        listed = [each.visit_id for each in self.gallery.visits.newest(1000, doors=(door_id,))]
        assert sorted(listed) == sorted(k for k, door in visits.items() if door == door_id)

    def teardown(self) -> None:
        self.gallery.close()
        self.directory.cleanup()


class GalleryStatesOnServer(GalleryStates):
    def place_in(self, directory: Path) -> Place:  # noqa: ARG002 - it needs no folder
        return OnServer()


TestGalleryStates = GalleryStates.TestCase
TestGalleryStates.settings = settings(max_examples=examples(60), stateful_step_count=30)

TestGalleryStatesOnServer = on_postgres(GalleryStatesOnServer.TestCase)
TestGalleryStatesOnServer.settings = settings(max_examples=examples(5), stateful_step_count=30)
