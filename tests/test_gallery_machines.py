"""Machines that share a gallery: what the account of each may do there, and who is expected."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from command_line import sample
from galleries import OnServer, on_postgres, server
from linked_machines import MODEL, NOON, Machine

from doorbell.cli import main
from doorbell.clock import SECONDS_PER_DAY
from doorbell.config import GallerySection, StorageSection
from doorbell.daemon.maintenance import Retention
from doorbell.daemon.shared_gallery import forgetting_nobodys, forgetting_own
from doorbell.domain import Visit
from doorbell.errors import GalleryError, GalleryRefusedError, UsageError
from doorbell.gallery.gallery import EnrolledSample, Gallery, open_server
from doorbell.gallery.link.machines import (
    all_machines,
    behind,
    prune,
    remove,
    require_doors_apart,
    require_tidied,
)
from doorbell.imaging.portrait import crop_portrait
from doorbell.status import VisitsForgotten

pytestmark = on_postgres

DOORS = ("front", "back")


@pytest.fixture
def place() -> OnServer:
    return OnServer()


@pytest.fixture
def household(place: OnServer) -> Iterator[Gallery]:
    """What the household works on, by an account that may do what it may."""
    section = place.account("console", "kitchen", is_household=True)
    with closing(open_server(section)) as server:
        yield Gallery(server)


@pytest.fixture
def machines(place: OnServer, tmp_path: Path) -> Iterator[list[Machine]]:
    made = [Machine(tmp_path, place.account(f"{door}_door", door), door) for door in DOORS]
    for each in made:
        each.exchange()
    yield made
    for each in made:
        each.gallery.close()


def opened(section: GallerySection) -> Gallery:
    return Gallery(open_server(section))


def age(household: Gallery, seconds: float) -> None:
    """As if no machine had been in touch for so long."""
    with household.file.writing():
        household.file.execute("UPDATE machines SET seen_at = seen_at - ?", seconds)


def test_a_door_s_account_changes_nobody_enrolled_and_sees_no_portrait(
    household: Gallery, machines: list[Machine]
) -> None:
    anna = household.people.enroll("Anna", [EnrolledSample(sample(1))]).person
    household.people.note_consent("Anna", "in writing", 1.0)
    portrait = crop_portrait(np.full((8, 8, 3), 90, np.uint8), (2, 2, 6, 6))
    household.portraits.choose(anna.person_id, portrait, 1.0)
    hidden = household.strangers.add([sample(5)], 1.0)
    household.strangers.ignore(hidden.stranger_id, ignored=True)
    with closing(opened(machines[0].section)) as door:
        assert [each.name for each in door.templates(MODEL).people] == ["Anna"]
        refused: list[Callable[[], object]] = [
            lambda: door.portraits.of(anna.person_id),
            lambda: door.people.enroll("Anna", [EnrolledSample(sample(4))]),
            lambda: door.people.rename("Anna", "Bella"),
            lambda: door.people.forget("Anna"),
            lambda: door.strangers.name(hidden.stranger_id, "Cleo"),
            lambda: door.strangers.ignore(hidden.stranger_id, ignored=False),
            lambda: door.file.rows("CREATE TABLE mine AS SELECT 1"),
            lambda: door.file.rows("INSERT INTO door_accounts VALUES ('front_door', 'back')"),
            lambda: door.file.rows("UPDATE samples SET hidden_by = NULL"),
            lambda: door.file.rows("SELECT 1 FROM moved"),
        ]
        for attempt in refused:
            with pytest.raises(GalleryRefusedError, match="refused"):
                attempt()
        with door.file.writing():
            assert door.file.execute("DELETE FROM samples WHERE person_id IS NOT NULL") == 0
            assert door.file.execute("DELETE FROM strangers WHERE ignored = 1") == 0
    assert household.portraits.of(anna.person_id) == portrait
    assert household.people.rename("Anna", "Bella").name == "Bella"
    assert household.people.forget("Bella").samples == 1


def test_a_door_s_account_reads_no_more_than_its_copy_takes(
    household: Gallery, machines: list[Machine]
) -> None:
    """What was granted by an earlier version is taken back."""
    from doorbell.gallery.postgres.roles import DOOR, roles_sql

    front, _ = machines
    server().say(f"GRANT SELECT ON doorbell.people, doorbell.namings TO {DOOR}", "contract")
    server().say(roles_sql(), "contract")
    household.people.enroll("Anna", [EnrolledSample(sample(1), None, {"glasses": sample(2)})])
    household.people.note_consent("Anna", "in writing", 1.0)
    stranger = household.strangers.add([sample(5)], 1.0).stranger_id
    household.strangers.name(stranger, "Bella")
    household.people.merge("Anna", "Bella")
    with closing(opened(front.section)) as door:
        for column, table in (
            ("consent", "people"),
            ("consent_at", "people"),
            ("before", "namings"),
            ("jpeg", "portraits"),
            ("person_id", "corrections"),
            ("person_id", "negatives"),
            ("added_by", "samples"),
            ("*", "people"),
        ):
            with pytest.raises(GalleryRefusedError, match=f"refused: permission denied.* {table}"):
                door.file.rows(f"SELECT {column} FROM {table}")  # noqa: S608 - our own words
        with pytest.raises(GalleryRefusedError, match="doorbell gallery roles"):
            door.people.summaries()
        assert [each.name for each in door.people.all()] == ["Bella"]
        went = door.file.rows("SELECT before FROM gone ORDER BY correction_id")
        assert [row["before"] for row in went] == [
            f'{{"gone": {{"table": "strangers", "id": {stranger}}}}}',
            '{"gone": {"table": "people", "id": 1}}',
        ]
        [row] = door.file.rows("SELECT DISTINCT account FROM door_accounts")
        assert row["account"] == "front_door"
    front.exchange()
    assert front.gallery.people.all() == household.people.all()
    assert front.gallery.templates(MODEL).people == household.templates(MODEL).people


def test_a_door_s_account_knows_the_visits_of_its_own_doors_alone(
    household: Gallery, machines: list[Machine]
) -> None:
    visits = [each.meet(sample(axis), NOON) for axis, each in enumerate(machines)]
    for each in machines:
        each.exchange()
    household.people.enroll("Anna", [EnrolledSample(sample(5))])
    household.corrections.to_person(visits[1].visit_id, "Anna", learn=True)
    with closing(opened(machines[0].section)) as door:
        assert [each.visit_id for each in door.visits.newest(9)] == [visits[0].visit_id]
        for table in ("visit_samples", "visit_changes", "corrections"):
            rows = door.file.rows(f"SELECT visit_id FROM {table}")  # noqa: S608 - our own words
            assert {row["visit_id"] for row in rows} <= {visits[0].visit_id}, table
        [row] = door.file.rows("SELECT name, account FROM machines")
        assert row["account"] == "front_door"
        with door.file.writing():
            for statement in (
                "UPDATE visits SET frames_used = 9 WHERE id = ?",
                "DELETE FROM visits WHERE id = ?",
                "DELETE FROM visit_samples WHERE visit_id = ?",
            ):
                assert door.file.execute(statement, visits[1].visit_id) == 0
        with pytest.raises(GalleryRefusedError, match="row-level security"):
            door.visits.save(replace(visits[0], visit_id="another", door_id="back"))
        with pytest.raises(GalleryRefusedError, match="row-level security"):
            door.visits.save(replace(visits[0], door_id="back"))
    assert len(household.visits.newest(9)) == 2


def test_a_door_forgets_a_newcomer_but_not_whom_another_door_has_met(
    household: Gallery, machines: list[Machine]
) -> None:
    front, back = machines
    first = front.gallery.strangers.add([sample(1)], NOON)
    second = front.gallery.strangers.add([sample(2)], NOON)
    for each in (front, back):
        each.exchange()
    back.gallery.strangers.note_visit(second.stranger_id, NOON + 9, [])
    back.exchange()
    for stranger in (first, second):
        front.gallery.strangers.forget(stranger.stranger_id)
    assert front.gallery.strangers.all() == []
    front.exchange()
    assert [each.stranger_id for each in household.strangers.all()] == [second.stranger_id]
    assert front.gallery.strangers.all() == household.strangers.all()


def test_the_house_is_tidied_once_an_hour_by_an_account_that_may(
    place: OnServer, machines: list[Machine]
) -> None:
    server = place.account("console", "kitchen", is_household=True)
    with (
        closing(open_server(machines[0].section)) as door,
        closing(open_server(server)) as one,
        closing(open_server(server)) as other,
    ):
        with door.tidying(3600.0) as is_ours:
            assert not is_ours
        with one.tidying(3600.0) as is_ours, other.tidying(3600.0) as is_theirs:
            assert is_ours
            assert not is_theirs
        with other.tidying(3600.0) as is_ours:
            assert not is_ours
        with place.open() as everything, everything.file.writing():
            everything.file.execute("UPDATE gallery SET tidied_at = now() - interval '1 hour'")
        with other.tidying(3600.0) as is_ours:
            assert is_ours


def test_each_machine_deletes_old_visits_at_its_own_doors_by_its_own_configuration(
    household: Gallery, machines: list[Machine]
) -> None:
    """And that of the household whatever is nobody's."""
    kept = {"front": 3, "back": 300, "gone": 30}

    def came(door: str, days: int) -> Visit:
        at = NOON - days * SECONDS_PER_DAY
        return Visit(f"{door}-{days}", at, at, at, None, 0.0, 1, 0.5, door_id=door)

    for machine in machines:
        for days in (2, 100, 400):
            machine.gallery.visits.save(came(machine.door, days))
        machine.exchange()
    for visit in (came("gone", 2), came("gone", 100), came("", 100)):
        household.visits.save(visit)
    old = household.strangers.add([sample(7)], NOON - 100 * SECONDS_PER_DAY)

    def left() -> set[str]:
        return {each.visit_id for each in household.visits.newest(99)}

    def retention(door: str) -> Retention:
        return Retention(StorageSection(visits_days=kept[door], strangers_days=60))

    told: list[VisitsForgotten] = []
    for machine in machines:
        door = machine.door
        with closing(opened(machine.section)) as gallery:
            [*forgetting_own(gallery, NOON, retention(door), (door,), told.append)]
    assert {each for gone in told for each in gone.visit_ids} == {
        *("front-100", "front-400", "back-400"),
    }
    assert left() == {"front-2", "back-2", "back-100", "gone-2", "gone-100", "-100"}
    tidy = partial(forgetting_nobodys, household, NOON, retention("gone"), told.append)
    everything = left()
    [*tidy(is_settled=False)]
    assert left() == everything
    assert old not in household.strangers.all()
    # A machine of an earlier version says nothing of its doors.
    household.file.rows("SELECT register_machine('1', 'early', '{}')")
    [*tidy(is_settled=True)]
    assert left() == everything - {"-100"}
    age(household, 3600.0)
    remove(household.file, "early")
    [*tidy(is_settled=True)]
    assert left() == {"front-2", "back-2", "back-100", "gone-2"}
    assert old not in household.strangers.all()
    for machine in machines:
        machine.exchange()
        visits = {each.visit_id for each in machine.gallery.visits.newest(9)}
        assert visits == {each for each in left() if each.startswith(machine.door)}
    age(household, 3600.0)
    remove(household.file, socket.gethostname())
    [*tidy(is_settled=True)]
    assert left() == {"front-2", "back-2", "gone-2"}


def test_a_door_of_two_machines_is_said(place: OnServer, machines: list[Machine]) -> None:
    front, _ = machines
    front.exchange()
    with place.open() as everything:
        require_doors_apart(everything.file)
        everything.file.rows("SELECT register_machine('1', 'attic', '{side, front}')")
        with pytest.raises(GalleryError, match=r"the door 'front' is .*\(.*attic.*device.id"):
            require_doors_apart(everything.file)
    words = ["gallery", "machines", "--set", f"gallery.url={place.section.url}"]
    assert "several machines" in CliRunner().invoke(main, words).stderr


def test_a_house_that_no_machine_may_tidy_says_so(place: OnServer, machines: list[Machine]) -> None:
    del machines

    def told() -> str:
        words = ["gallery", "machines", "--set", f"gallery.url={place.section.url}"]
        return CliRunner().invoke(main, words).stderr

    assert "has deleted old strangers ever" in told()
    with closing(open_server(place.account("console", "kitchen", is_household=True))) as household:
        with household.tidying(3600.0):
            pass
        assert told() == ""
        with place.open() as everything, everything.file.writing():
            everything.file.execute("UPDATE gallery SET tidied_at = now() - interval '50 hours'")
        with pytest.raises(GalleryError, match="for 50 hours"):
            require_tidied(household)


def test_visits_of_another_door_are_nothing_to_follow(
    household: Gallery, machines: list[Machine]
) -> None:
    front, back = machines
    visit = back.meet(sample(1))
    for each in (back, front, back):
        each.exchange()
    assert household.visits.forget_before(visit.last_seen_at + 1) == ((visit.visit_id,), ())
    assert len(behind(household.file)) == 2
    for each in machines:
        each.exchange()
    assert behind(household.file) == []


def test_a_machine_that_is_gone_is_expected_no_more(
    household: Gallery, machines: list[Machine]
) -> None:
    front, back = machines
    name = socket.gethostname()
    with pytest.raises(UsageError, match="is in touch"):
        remove(household.file, name)
    age(household, 3600.0)
    front.exchange()
    household.people.enroll("Anna", [EnrolledSample(sample(1))])
    front.exchange()
    [away] = behind(household.file)
    assert (away.account, away.behind) == ("back_door", 1)
    assert remove(household.file, name) == 1
    assert [each.account for each in all_machines(household.file)] == ["front_door"]
    with pytest.raises(UsageError, match="no machine 'nobody'; there are"):
        remove(household.file, "nobody")
    # It comes back all the same, in the middle of something.
    with back.linked() as exchange:
        age(household, 3600.0)
        remove(household.file, name)
        visit = back.meet(sample(7))
        with pytest.raises(Exception, match="was removed"):
            exchange.send()
    back.exchange()
    assert [each.visit_id for each in household.visits.newest(9)] == [visit.visit_id]
    assert [each.visits for each in household.strangers.all()] == [1]
    assert behind(household.file) == []


def test_changes_that_all_have_followed_go_and_who_missed_them_compares_everything(
    household: Gallery, machines: list[Machine]
) -> None:
    front, back = machines
    visits = [front.meet(sample(axis), NOON + 60 * axis) for axis in range(4)]
    for each in (front, back, front):
        each.exchange()
    age(household, 3600.0)
    back.exchange()
    remove(household.file, socket.gethostname())
    household.people.enroll("Anna", [EnrolledSample(sample(5))])
    household.corrections.to_person(visits[0].visit_id, "Anna", learn=True)
    household.corrections.to_no_face(visits[1].visit_id)
    household.strangers.forget(visits[2].visitor.stranger_id)  # type: ignore[union-attr]
    back.exchange()
    prune(household.file)
    assert household.file.rows("SELECT 1 FROM visit_changes") == []
    assert behind(household.file) == []
    late = front.meet(sample(9), NOON + 600)
    with front.linked():
        assert front.gallery.file.progress().has_missed
    front.exchange()
    assert front.gallery.visits.newest(9) == household.visits.newest(9)
    assert late in front.gallery.visits.newest(1)
    assert front.forgotten == [visits[2].visit_id]
    assert not front.gallery.file.progress().has_missed
    back.exchange()
    assert behind(household.file) == []


def test_of_who_is_gone_nothing_stays_once_all_have_followed(
    household: Gallery, machines: list[Machine], place: OnServer, tmp_path: Path
) -> None:
    """And whoever was away, or is new, knows those who are there, and nobody else."""
    front, back = machines
    for axis, name in enumerate(("Anna", "Bella")):
        household.people.enroll(name, [EnrolledSample(sample(axis))])
    gone, stays = (household.strangers.add([sample(axis)], NOON) for axis in (5, 6))
    known = household.templates(MODEL)
    for each in machines:
        each.exchange()
    age(household, 3600.0)
    back.exchange()
    remove(household.file, socket.gethostname())
    with place.open() as other:
        other.people.forget("Anna")
        other.strangers.forget(gone.stranger_id)
    back.exchange()
    prune(household.file)
    changes = household.file.rows("SELECT kind, visitor_id FROM template_changes ORDER BY kind")
    assert [tuple(row.values()) for row in changes] == [
        ("person", 2),
        ("stranger", stays.stranger_id),
    ]
    assert household.templates(MODEL) is known
    assert [each.name for each in known.people] == ["Bella"]
    assert known.stranger_ids == {stays.stranger_id}
    new = Machine(tmp_path, place.account("side_door", "side"), "side")
    for machine in (front, back, new):
        machine.exchange()
        assert machine.gallery.people.all() == household.people.all()
        assert machine.gallery.strangers.all() == household.strangers.all()
        assert len(machine.gallery.people.samples("Bella", MODEL)) == 1
    new.gallery.close()
    assert behind(household.file) == []
    prune(household.file)
    assert household.people.enroll("Cleo", [EnrolledSample(sample(9))]).added == 1
    assert len(behind(household.file)) == 3


def test_the_command_lists_machines_and_takes_out_what_is_gone(
    place: OnServer, household: Gallery, machines: list[Machine]
) -> None:
    del machines
    words = ("gallery", "machines", "--set", f"gallery.url={place.section.url}")
    listed = json.loads(CliRunner().invoke(main, [*words, "--json"]).stdout)
    assert [(each["account"], each["behind"]) for each in listed] == [
        ("back_door", 0),
        ("front_door", 0),
    ]
    age(household, 3600.0)
    done = CliRunner().invoke(main, [*words, "--remove", socket.gethostname()])
    assert "no machine has been in touch" in done.stdout
    assert "a file of this machine" in CliRunner().invoke(main, words[:2]).stderr


def test_the_command_prints_what_makes_the_account_of_this_machine() -> None:
    words = ["gallery", "roles", "front_door", "--set", "device.id=front"]
    printed = CliRunner().invoke(main, words)
    assert printed.exit_code == 0
    wrong = CliRunner().invoke(main, ["gallery", "roles", "x; DROP TABLE people"])
    assert "no account is called" in wrong.stderr
