"""Corrections, naming and merging, and taking each back, among everything else that happens.

Against a model of who each visit belongs to. What is taken back at once leaves the file as it was.
"""

import json
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from all_samples import read_samples
from examples import examples
from galleries import InFile, OnServer, Place, dump, on_postgres
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from doorbell.domain import FaceSample, Person, Stranger, Visit, Visitor
from doorbell.errors import UsageError
from doorbell.gallery.gallery import EnrolledSample
from doorbell.imaging.portrait import crop_portrait

MODEL = "sface-test"
NAMES = st.sampled_from(["Anna", "Berta", "Carla"])
ANY = st.integers(0, 99)  # which of those there are

Owner = tuple[str, int] | None


def sample(axis: int) -> FaceSample:
    embedding = np.zeros(128, np.float32)
    embedding[axis] = 1.0
    return FaceSample(embedding, MODEL, 0.5)


@cache
def portrait(number: int) -> bytes:
    pixels = np.full((8, 8, 3), number, np.uint8)
    pixels[:4] = 255 - number
    return crop_portrait(pixels, (2, 2, 6, 6))


def owner_of(visitor: Visitor | None) -> Owner:
    match visitor:
        case Person(person_id=number):
            return "person", number
        case Stranger(stranger_id=number):
            return "stranger", number
        case None:
            return None


def door_of(visit_id: str) -> str:
    """At which of several doors a visit was."""
    return ("front", "side", "")[int(visit_id.split("-")[2]) % 3]


@dataclass
class Said:
    """A correction: of which visit, whose it was and whether it was listed before."""

    visit_id: str
    before: Owner
    dump: list[str] | None  # the file before it; None once something else has changed it


class CorrectionStates(RuleBasedStateMachine):
    def place_in(self, directory: Path) -> Place:
        return InFile(directory)

    @initialize()
    def start(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.gallery = self.place_in(Path(self.directory.name)).open()
        self.owners: dict[str, Owner] = {}
        self.hidden: set[str] = set()
        self.said: list[Said] = []
        self.named: dict[int, list[str] | None] = {}  # the file before each naming, as in Said
        self.enrolled: dict[int, int] = {}  # axis of each person's photo
        self.allowed: set[tuple[int, int]] = set()  # samples that somebody was told to have
        for axis, name in enumerate(["Anna", "Berta", "Carla"]):
            self.enroll(name, axis)
        self.axes = iter(range(10, 128))
        self.now = 0.0
        self.chosen = 0

    def enroll(self, name: str, axis: int) -> None:
        person = self.gallery.people.enroll(name, [EnrolledSample(sample(axis))]).person
        self.allowed.add((person.person_id, axis))

    def something_else(self) -> None:
        for said in self.said:
            said.dump = None
        self.named = dict.fromkeys(self.named)

    def note_naming(self, dump: list[str]) -> None:
        [row] = self.gallery.file.rows("SELECT max(correction_id) AS latest FROM namings")
        self.named[row["latest"]] = dump

    def save(self, visitor: Visitor | None, axis: int) -> None:
        visit_id = f"visit-{len(self.owners) + len(self.hidden)}-{axis}"
        self.gallery.visits.save(
            Visit(
                visit_id,
                self.now,
                self.now + 5,
                visitor=visitor,
                door_id=door_of(visit_id),
            ),
            [sample(axis)],
        )
        self.owners[visit_id] = owner_of(visitor)
        self.something_else()

    def strangers(self) -> list[int]:
        return [stranger.stranger_id for stranger in self.gallery.strangers.all()]

    @rule(name=NAMES)
    def a_person_comes(self, name: str) -> None:
        self.now += 10
        if name in [person.name for person in self.gallery.people.all()]:
            self.save(self.gallery.people.get(name), next(self.axes))

    @rule(which=ANY, new=st.booleans())
    def a_stranger_comes(self, which: int, new: bool) -> None:
        self.now += 10
        axis, strangers = next(self.axes), self.strangers()
        if new or not strangers:
            stranger = self.gallery.strangers.add([sample(axis)], self.now)
        else:
            number = strangers[which % len(strangers)]
            stranger = self.gallery.strangers.note_visit(number, self.now, [sample(axis)])
        self.save(stranger, axis)

    @rule(
        which=ANY,
        truth=st.one_of(NAMES, st.sampled_from(["new", "old", "no face"])),
        learn=st.booleans(),
    )
    def correct(self, which: int, truth: str, learn: bool) -> None:
        listed = [visit for visit in self.owners if visit not in self.hidden]
        if not listed:
            return
        visit = listed[which % len(listed)]
        strangers, before, dump = self.strangers(), self.owners[visit], self.dump()
        try:
            match truth:
                case "new":
                    done = self.gallery.corrections.to_stranger(visit, None)
                case "old":
                    number = strangers[which % len(strangers)] if strangers else 999
                    done = self.gallery.corrections.to_stranger(visit, number)
                case "no face":
                    done = self.gallery.corrections.to_no_face(visit)
                    self.hidden.add(visit)
                case _:
                    done = self.gallery.corrections.to_person(visit, truth, learn=learn)
        except UsageError:
            assert self.dump() == dump
            return
        assert done.visit
        self.said.append(Said(visit, before, dump))
        self.named = dict.fromkeys(self.named)
        self.owners[visit] = owner_of(done.visit.visitor)
        if isinstance(done.visit.visitor, Person) and learn:
            self.allowed.add((done.visit.visitor.person_id, int(visit.split("-")[2])))

    @rule()
    def undo(self) -> None:
        if not self.said:
            with pytest.raises(UsageError, match="no correction"):
                self.gallery.corrections.undo()
            return
        said = self.said.pop()
        self.gallery.corrections.undo()
        self.named = dict.fromkeys(self.named)
        if said.visit_id in self.owners:
            self.owners[said.visit_id] = said.before
            self.hidden.discard(said.visit_id)
        if said.dump is not None:
            assert self.dump() == said.dump

    @rule(which=ANY, name=NAMES)
    def name_a_stranger(self, which: int, name: str) -> None:
        strangers = self.strangers()
        if strangers:
            number = strangers[which % len(strangers)]
            owned, dump = self.visits_of(("stranger", number)), self.dump()
            person = self.gallery.strangers.name(number, name)
            self.allowed |= {(person.person_id, int(visit.split("-")[2])) for visit in self.owners}
            self.move(("stranger", number), ("person", person.person_id))
            assert owned <= self.visits_of(("person", person.person_id))
            self.note_naming(dump)

    @rule(which=ANY, other=ANY, by_hand=st.booleans())
    def merge_strangers(self, which: int, other: int, by_hand: bool) -> None:
        strangers = self.strangers()
        if len(strangers) > 1:
            one = strangers.pop(which % len(strangers))
            two = strangers[other % len(strangers)]
            dump = self.dump()
            kept = self.gallery.strangers.merge(one, two, undoable=by_hand).stranger_id
            self.move(("stranger", max(one, two)), ("stranger", kept))
            if by_hand:
                self.note_naming(dump)

    @rule(name=NAMES, into=NAMES)
    def merge_people(self, name: str, into: str) -> None:
        people = {person.name: person.person_id for person in self.gallery.people.all()}
        if name in people and into in people and name != into:
            dump = self.dump()
            self.gallery.people.merge(name, into)
            gone, kept = people[name], people[into]
            self.allowed |= {(kept, axis) for person, axis in self.allowed if person == gone}
            self.move(("person", gone), ("person", kept))
            self.note_naming(dump)

    @rule(name=NAMES)
    def enroll_again(self, name: str) -> None:
        self.enroll(name, next(self.axes))
        self.something_else()

    @rule(name=NAMES)
    def choose_a_portrait(self, name: str) -> None:
        people = {person.name: person.person_id for person in self.gallery.people.all()}
        if name in people:
            self.gallery.people.note_consent(name, "yes", self.now)
            self.chosen += 1
            self.gallery.portraits.choose(people[name], portrait(self.chosen), self.now)
            assert self.gallery.portraits.of(people[name]) == portrait(self.chosen)
            self.something_else()

    def shown_portraits(self) -> set[bytes]:
        shown = map(self.gallery.portraits.of, self.gallery.portraits.owners())
        return {jpeg for jpeg in shown if jpeg is not None}

    @rule()
    def undo_naming(self) -> None:
        portraits = self.shown_portraits()
        rows = self.gallery.file.rows("SELECT * FROM namings ORDER BY correction_id DESC")
        dump = self.dump()
        if not rows:
            with pytest.raises(UsageError, match="no naming or merging to undo"):
                self.gallery.namings.undo()
            return
        kept = (
            ("person", rows[0]["person_id"])
            if rows[0]["person_id"]
            else ("stranger", rows[0]["stranger_id"])
        )
        before = self.visits_of(kept)
        gone_name = json.loads(rows[0]["before"])["gone"].get("name")
        if gone_name in [person.name for person in self.gallery.people.all()]:
            with pytest.raises(UsageError, match="somebody else is called"):
                self.gallery.namings.undo()
            assert self.dump() == dump
            return
        undone = self.gallery.namings.undo()
        assert self.shown_portraits() >= portraits
        as_it_was = self.named.pop(rows[0]["correction_id"])
        if as_it_was is not None:
            assert self.dump() == as_it_was
        gone = owner_of(undone.now)
        for visit_id in before:
            self.owners[visit_id] = owner_of(self.gallery.visits.get(visit_id).visitor)
            if visit_id not in self.hidden:
                assert self.owners[visit_id] in (gone, kept)
        whose = self.gallery.file.rows(
            "SELECT * FROM corrections WHERE id NOT IN (SELECT correction_id FROM namings) "
            "ORDER BY id"
        )
        for said, row in zip(self.said, whose, strict=True):
            person, stranger = row["person_id"], row["stranger_id"]
            said.before = (
                ("person", person) if person else ("stranger", stranger) if stranger else None
            )
        assert gone
        if gone[0] == "person":  # some of what the other had is theirs again
            self.allowed |= {(gone[1], axis) for person, axis in self.allowed if person == kept[1]}
        self.something_else()

    @rule(name=NAMES)
    def forget_a_person(self, name: str) -> None:
        if name in [person.name for person in self.gallery.people.all()]:
            forgotten = self.gallery.people.forget(name)
            gone = owner_of(forgotten.visitor)
            assert set(forgotten.visit_ids) == self.visits_of(gone)
            self.drop(gone)

    @rule(which=ANY)
    def forget_a_stranger(self, which: int) -> None:
        strangers = self.strangers()
        if strangers:
            gone = "stranger", strangers[which % len(strangers)]
            assert set(self.gallery.strangers.forget(gone[1]).visit_ids) == self.visits_of(gone)
            self.drop(gone)

    @rule()
    def the_daemon_saves_its_own_view(self) -> None:
        for said in self.said:
            if said.visit_id in self.owners:
                stored = self.gallery.visits.get(said.visit_id)
                mistaken = next(iter(self.gallery.people.all()), None)
                seen = Visit(said.visit_id, stored.started_at, stored.last_seen_at, None, mistaken)
                self.gallery.visits.save(seen)

    def visits_of(self, owner: Owner) -> set[str]:
        return {visit for visit, of in self.owners.items() if of == owner}

    def move(self, gone: Owner, kept: Owner) -> None:
        self.owners = {k: kept if v == gone else v for k, v in self.owners.items()}
        for said in self.said:
            said.before = kept if said.before == gone else said.before
        self.something_else()

    def drop(self, gone: Owner) -> None:
        self.owners = {k: v for k, v in self.owners.items() if v != gone}
        for said in self.said:
            said.before = None if said.before == gone else said.before
        self.something_else()

    def dump(self) -> list[str]:
        return dump(self.gallery)

    @precondition(lambda self: hasattr(self, "now"))
    @invariant()
    def agrees(self) -> None:
        listed = {
            visit.visit_id: owner_of(visit.visitor) for visit in self.gallery.visits.newest(1000)
        }
        assert listed == {k: v for k, v in self.owners.items() if k not in self.hidden}
        assert all(self.gallery.visits.get(each).door_id == door_of(each) for each in self.owners)
        for stranger in self.gallery.strangers.all():
            owned = self.visits_of(("stranger", stranger.stranger_id))
            assert stranger.visits == len(owned) > 0
        templates = read_samples(self.gallery.file, MODEL)
        people = [templates.people[index].person_id for index in templates.person_index]
        axes = [int(axis) for axis in templates.person_embeddings.argmax(axis=1)]
        assert set(zip(people, axes, strict=True)) <= self.allowed
        twice = self.gallery.file.rows(
            "SELECT person_id FROM portraits WHERE hidden_by IS NULL "
            "GROUP BY person_id HAVING count(*) > 1"
        )
        assert twice == []
        self.all_belong_to_something()

    def all_belong_to_something(self) -> None:
        assert self.gallery.file.rows("PRAGMA foreign_key_check") == []

    def teardown(self) -> None:
        self.gallery.close()
        self.directory.cleanup()


class CorrectionStatesOnServer(CorrectionStates):
    def place_in(self, directory: Path) -> Place:  # noqa: ARG002 - it needs no folder
        return OnServer()

    def all_belong_to_something(self) -> None:
        """The server sees to it."""


TestCorrectionStates = CorrectionStates.TestCase
TestCorrectionStates.settings = settings(max_examples=examples(50), stateful_step_count=30)

TestCorrectionStatesOnServer = on_postgres(CorrectionStatesOnServer.TestCase)
TestCorrectionStatesOnServer.settings = settings(max_examples=examples(12), stateful_step_count=30)
