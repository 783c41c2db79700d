"""Visits in the gallery: what is stored of them, of whom, and which others were of their time."""

from dataclasses import replace

import pytest
from command_line import sample
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doorbell.domain import Visit, Visitor
from doorbell.errors import UnknownPersonError
from doorbell.gallery.deletion import is_beside, visits_beside
from doorbell.gallery.gallery import EnrolledSample, Gallery


def test_visits_are_updated_listed_and_selected(gallery: Gallery) -> None:
    anna = gallery.people.enroll("Anna", [EnrolledSample(sample(1))]).person
    stranger = gallery.strangers.add([sample(2)], 20.0)
    gallery.visits.save(Visit("v1", 10.0, 10.0))
    seen = Visit("v1", 10.0, 12.0, 15.0, anna, 0.75, 6, 0.5)
    gallery.visits.save(seen)
    other = Visit("v2", 20.0, 21.0, visitor=stranger, similarity=0.25)
    gallery.visits.save(other)
    assert gallery.visits.newest(10) == [other, seen]
    assert gallery.visits.newest(1) == [other]
    assert gallery.visits.newest(10, since=20.0) == [other]
    assert gallery.visits.newest(10, name="anna") == [seen]
    with pytest.raises(UnknownPersonError):
        gallery.visits.newest(10, name="Berta")


def test_what_became_of_a_visitor_meanwhile_is_not_undone(gallery: Gallery) -> None:
    stranger = gallery.strangers.add([sample(1)], 10.0)
    gone = gallery.people.enroll("Berta", [EnrolledSample(sample(2))]).person
    open_visits = [Visit("v1", 10.0, 10.0, visitor=stranger), Visit("v2", 11.0, 11.0, visitor=gone)]
    for visit in open_visits:
        gallery.visits.save(visit)
    anna = gallery.strangers.name(stranger.stranger_id, "Anna")
    gallery.people.forget("Berta")
    for visit in open_visits:
        gallery.visits.save(visit)
    assert [visit.visitor for visit in gallery.visits.newest(10)] == [anna]
    assert gallery.visits.missing(["v1", "v2"]) == {"v2"}


def test_a_visit_first_decided_for_who_is_gone_meanwhile_is_of_whom_that_became(
    gallery: Gallery,
) -> None:
    stranger = gallery.strangers.add([sample(1)], 10.0)
    berta = gallery.people.enroll("Berta", [EnrolledSample(sample(2))]).person
    clara = gallery.people.enroll("Clara", [EnrolledSample(sample(3))]).person
    gallery.people.enroll("Dora", [EnrolledSample(sample(4))])
    for number in range(4):
        gallery.visits.save(Visit(f"v{number}", 10.0 + number, 10.0 + number))
    dora = gallery.strangers.name(stranger.stranger_id, "Dora")
    gallery.people.merge("Berta", "Dora")
    gallery.people.forget("Clara")
    gone: list[Visitor] = [stranger, berta, clara]
    for number, visitor in enumerate(gone):
        gallery.visits.save(Visit(f"v{number}", 10.0 + number, 20.0, visitor=visitor), [sample(1)])
    gallery.visits.save(Visit("new", 19.0, 20.0, visitor=clara), [sample(1)])
    found = {visit.visit_id: visit.visitor for visit in gallery.visits.newest(10)}
    assert found == {"v0": dora, "v1": dora, "v3": None}
    assert gallery.visits.samples("new") == []
    gallery.people.forget("Dora")
    gallery.visits.save(Visit("v3", 13.0, 20.0, visitor=stranger))
    assert gallery.visits.newest(10) == []


def test_a_note_of_a_naming_that_is_damaged_keeps_no_visit_from_being_stored(
    gallery: Gallery,
) -> None:
    strangers = [gallery.strangers.add([sample(number)], 10.0) for number in (1, 2)]
    anna = gallery.strangers.name(strangers[0].stranger_id, "Anna")
    gallery.file.execute("UPDATE namings SET before = '{'")
    ben = gallery.strangers.name(strangers[1].stranger_id, "Ben")
    seen: list[Visitor] = [*strangers, anna]
    for number, visitor in enumerate(seen):
        gallery.visits.save(Visit(f"v{number}", 10.0 + number, 20.0, visitor=visitor))
    assert [visit.visitor for visit in gallery.visits.newest(10)] == [anna, ben]


def test_a_visitor_once_taken_for_a_stranger_is_corrected(gallery: Gallery) -> None:
    anna = gallery.people.enroll("Anna", [EnrolledSample(sample(1))]).person
    stranger = gallery.strangers.add([sample(2)], 10.0)
    gallery.visits.save(Visit("v1", 10.0, 10.0, visitor=stranger))
    gallery.visits.save(Visit("v1", 10.0, 11.0, visitor=anna))
    gallery.strangers.forget(stranger.stranger_id)
    assert [visit.visitor for visit in gallery.visits.newest(10)] == [anna]


def test_visits_left_open_end_when_they_were_last_seen(gallery: Gallery) -> None:
    gallery.visits.save(Visit("v1", 10.0, 12.0))
    gallery.visits.save(Visit("v2", 20.0, 21.0, 25.0))
    assert gallery.visits.close_open() == 1
    assert [visit.ended_at for visit in gallery.visits.newest(10)] == [25.0, 12.0]
    assert gallery.visits.close_open() == 0


@given(
    st.lists(
        st.tuples(
            st.floats(0, 50_000),
            st.sampled_from([0.0, 3.0, 20.0, 4000.0, 90_000.0]),
            st.booleans(),
            st.booleans(),
            st.sampled_from(["front", "side", ""]),
        ),
        max_size=12,
    )
)
@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_visits_of_the_same_time_and_door_are_those_that_overlap(
    gallery: Gallery, came: list[tuple[float, float, bool, bool, str]]
) -> None:
    with gallery.file.writing():
        gallery.file.execute("DELETE FROM visits")
    anna = gallery.people.enroll("Anna", [EnrolledSample(sample(1))]).person
    spans, visits = {}, {}
    for number, (start, lasted, is_hers, goes_on, door) in enumerate(came):
        end = None if goes_on else start + lasted
        visitor = anna if is_hers else None
        visit = Visit(f"v{number}", start, start + lasted, end, visitor, door_id=door)
        gallery.visits.save(visit)
        visits[visit.visit_id] = visit
        spans[visit.visit_id] = (start, start + lasted + 3600.0 * goes_on, is_hers, door)
    expected = {
        other
        for other, (start, end, is_hers, door) in spans.items()
        if not is_hers
        and any(
            hers
            and start <= until + 1.0
            and since <= end + 1.0
            and (door == at or "" in (door, at))
            for since, until, hers, at in spans.values()
        )
    }
    anyone_else = {each for each, visit in visits.items() if visit.visitor is None}
    assert expected == {
        other
        for other in anyone_else
        if any(is_beside(visits[other], visits[hers]) for hers in visits.keys() - anyone_else)
    }
    assert set(visits_beside(gallery.file, "person_id = ?", anna.person_id)) == expected


def at(door_id: str, visit_id: str, seconds: float, ended: bool = True) -> Visit:
    """A visit at a door."""
    end = seconds + 1.0 if ended else None
    return Visit(visit_id, seconds, seconds + 1.0, end, door_id=door_id)


def test_visits_are_listed_by_door_page_by_page_and_keep_theirs(gallery: Gallery) -> None:
    visits = [
        at(door_id, f"{door_id or 'earlier'}-{number}", 10.0 * (number // 2))
        for number in range(6)
        for door_id in ("front", "side", "")
    ]
    for visit in visits:
        gallery.visits.save(visit)
        gallery.visits.save(replace(visit, door_id=""))  # as of an earlier doorbell
    assert gallery.visits.doors() == ["", "front", "side"]
    newest_first = visits[::-1]
    assert gallery.visits.newest(99) == newest_first
    for doors in (("side",), ("front", ""), ("front", "side", ""), ("nowhere",), ()):
        expected = [visit for visit in newest_first if visit.door_id in doors]
        assert gallery.visits.newest(99, doors=doors) == expected
        paged: list[Visit] = []
        while page := gallery.visits.newest(
            2, doors=doors, before=paged[-1].visit_id if paged else None
        ):
            paged += page
        assert paged == expected
    assert gallery.visits.newest(99, doors=("side",), since=20.0) == [visits[16], visits[13]]
    assert gallery.visits.get("side-0").door_id == "side"


def test_each_door_takes_over_its_own_visits_and_knows_every_ring(gallery: Gallery) -> None:
    anna = gallery.people.enroll("Anna", [EnrolledSample(sample(1))]).person
    for number, door_id in enumerate(("front", "side", "")):
        going_on = at(door_id, f"open-{number}", 10.0 + number, ended=False)
        gallery.visits.save(replace(going_on, visitor=anna), rang_at=100.0 + number)
        gallery.visits.save(at(door_id, f"stopped-{number}", 20.0 + number), stopped_at=30.0)
    first, side = ("front", ""), ("side",)
    found = {doors: gallery.visits.earlier("any", doors) for doors in (first, side)}
    assert {each.visit.visit_id for each in found[first].visits} == {
        *("open-0", "open-2", "stopped-0", "stopped-2")
    }
    assert {each.visit.visit_id for each in found[side].visits} == {"open-1", "stopped-1"}
    assert all(each.rang_at == {("person", anna.person_id): 102.0} for each in found.values())
    assert [visit.visit_id for visit in gallery.visits.open_visits(side)] == ["open-1"]
    assert len(gallery.visits.open_visits()) == 3
    assert gallery.visits.close_open(["open-1"], side) == 0
    assert gallery.visits.close_open((), side) == 1
    assert {visit.visit_id for visit in gallery.visits.open_visits()} == {"open-0", "open-2"}
    assert gallery.visits.close_open(("open-2",), first) == 1
    assert gallery.visits.close_open() == 1


def test_what_is_old_is_deleted_at_one_door(gallery: Gallery) -> None:
    for number in range(4):
        for door_id in ("front", "side"):
            gallery.visits.save(at(door_id, f"{door_id}-{number}", 10.0 * number))
    assert gallery.visits.forget_before(25.0, 2, ("side",))[0] == ("side-0", "side-1")
    assert gallery.visits.forget_before(25.0, 2, ("side",))[0] == ("side-2",)
    assert gallery.visits.forget_before(25.0, 2, ("side",)) == ((), ())
    assert len(gallery.visits.newest(9, doors=("front",))) == 4
    assert gallery.visits.forget_before(99.0, -1, ("front",))[0][0] == "front-0"
    assert gallery.visits.doors() == ["side"]
