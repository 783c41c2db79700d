"""Visits in the gallery: what is stored of them, of whom, and which others were of their time."""

import pytest
from command_line import sample
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doorbell.domain import Visit, Visitor
from doorbell.errors import UnknownPersonError
from doorbell.gallery.deletion import visits_beside
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
        ),
        max_size=12,
    )
)
@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_visits_of_the_same_time_are_those_that_overlap(
    gallery: Gallery, came: list[tuple[float, float, bool, bool]]
) -> None:
    with gallery.file.writing():
        gallery.file.execute("DELETE FROM visits")
    anna = gallery.people.enroll("Anna", [EnrolledSample(sample(1))]).person
    spans = {}
    for number, (start, lasted, is_hers, goes_on) in enumerate(came):
        end = None if goes_on else start + lasted
        visit = Visit(f"v{number}", start, start + lasted, end, anna if is_hers else None)
        gallery.visits.save(visit)
        spans[visit.visit_id] = (start, start + lasted + 3600.0 * goes_on, is_hers)
    expected = {
        other
        for other, (start, end, is_hers) in spans.items()
        if not is_hers
        and any(
            hers and start <= until + 1.0 and since <= end + 1.0
            for since, until, hers in spans.values()
        )
    }
    assert set(visits_beside(gallery.file, "person_id = ?", anna.person_id)) == expected
