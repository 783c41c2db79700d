from __future__ import annotations

from datetime import datetime, time, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notice_journal import ANNA, BEN, STRANGER, UNDECIDED, notice

from doorbell.config.notifications import KINDS, TargetSection
from doorbell.notifier.notices import AtDoor, Notice
from doorbell.notifier.rules import Past, Refusal, announced_as, quiet_seconds, refusal

NOON = datetime(2026, 11, 29, 12, 0, tzinfo=timezone.utc)


def target(**keys: Any) -> TargetSection:
    given: dict[str, Any] = {"name": "anna", "webhook": "http://h/", "secret_file": "/s"}
    return TargetSection.model_validate(given | keys)


def why(section: TargetSection, told: Notice, past: Past | None = None) -> Refusal | None:
    return refusal(section, told, past or Past(), NOON)


@pytest.mark.parametrize("kind", KINDS)
def test_a_target_is_told_of_its_kinds_alone(kind: str) -> None:
    assert why(target(tell=[kind]), notice("a", kind)) is None
    others = [each for each in KINDS if each != kind]
    assert why(target(tell=others), notice("a", kind)) is Refusal.KIND


def test_it_is_told_of_its_people_and_in_any_spelling() -> None:
    section = target(tell=["person", "ring"], people=["  ANNA ", "Zoë Weiß"])

    assert why(section, notice("a", "person", visitor=ANNA)) is None
    zoe = AtDoor("person", "zoë", 3, "zoë weiss")
    assert why(section, notice("a", "person", visitor=zoe)) is None
    assert why(section, notice("a", "person", visitor=BEN)) is Refusal.PEOPLE
    assert why(section, notice("a", "ring", visitor=BEN)) is None


@pytest.mark.parametrize("kind", ["ring", "person"])
def test_who_wishes_not_to_hear_of_themselves_does_not(kind: str) -> None:
    section = target(tell=["ring", "person", "stranger"], not_about="Anna")

    assert why(section, notice("a", kind, visitor=ANNA, pressed=True)) is Refusal.NOT_ABOUT
    assert why(section, notice("a", kind, visitor=BEN)) is None
    # Nobody takes a stranger for her, whatever they are called.
    called_so = AtDoor("stranger", "Anna", None, "Anna")
    assert why(section, notice("a", "stranger", visitor=called_so)) is None


def test_one_announcement_is_told_once_by_whatever_kind() -> None:
    section = target(tell=["ring", "stranger", "person"])
    somebody = Past(announced=frozenset({"somebody"}))
    anna = Past(announced=frozenset({announced_as(notice("a", visit_id="v", visitor=ANNA))}))
    stranger = notice("a", "stranger", visit_id="v", visitor=STRANGER)
    at_door = notice("a", "person", visit_id="v", visitor=ANNA)

    assert why(section, stranger, somebody) is Refusal.ANNOUNCED
    assert why(section, notice("a", visit_id="v", visitor=UNDECIDED), anna) is Refusal.ANNOUNCED
    assert why(section, at_door, anna) is Refusal.ANNOUNCED
    assert why(section, at_door, somebody) is None, "who it is was not known before"
    assert why(section, notice("a", visit_id="v", visitor=ANNA, pressed=True), anna) is None


def test_what_is_of_no_visit_is_told_each_time() -> None:
    section = target(tell=["camera"])

    assert why(section, notice("a", "camera"), Past(within_hour=3)) is None


def test_at_most_so_many_are_told_in_an_hour() -> None:
    section = target(per_hour=3)

    assert why(section, notice("a"), Past(within_hour=2)) is None
    assert why(section, notice("a"), Past(within_hour=3)) is Refusal.LIMIT


def test_a_test_goes_to_its_target_whatever_the_rules_say() -> None:
    section = target(tell=["camera"], quiet_from=time(0), quiet_to=time(23), per_hour=1)
    trial = notice("a", "test", target="anna")

    assert why(section, trial, Past(within_hour=9)) is None
    assert why(target(name="ben"), trial) is Refusal.KIND


@pytest.mark.parametrize(
    ("begin", "end", "hour", "seconds"),
    [
        (time(22), time(7), 23, 8 * 3600),
        (time(22), time(7), 6, 3600),
        (time(22), time(7), 7, 0),
        (time(22), time(7), 12, 0),
        (time(12), time(14), 13, 3600),
        (time(12), time(14), 14, 0),
        (time(12), time(12), 12, 0),
    ],
)
def test_quiet_hours(begin: time, end: time, hour: int, seconds: float) -> None:
    section = target(quiet_from=begin, quiet_to=end)
    local = NOON.replace(hour=hour)

    assert quiet_seconds(section, local) == seconds
    said = refusal(section, notice("a", pressed=True), Past(), local)
    assert said is (Refusal.QUIET if seconds else None)


visitors = st.sampled_from([None, ANNA, BEN, STRANGER, UNDECIDED])
told = st.builds(
    lambda kind, visitor, pressed, visit: notice(
        "a", kind, visitor=visitor, pressed=pressed, visit_id=visit
    ),
    st.sampled_from(KINDS),
    visitors,
    st.booleans(),
    st.sampled_from([None, "v"]),
)
times = st.times().map(lambda clock: clock.replace(tzinfo=None))
sections = st.builds(
    lambda tell, people, not_about, quiet, per_hour: target(
        tell=tell,
        people=people if "person" in tell else (),
        not_about=not_about,
        quiet_from=quiet[0],
        quiet_to=quiet[1],
        per_hour=per_hour,
    ),
    st.lists(st.sampled_from(KINDS), min_size=1, max_size=5, unique=True),
    st.sampled_from([(), ("Anna",), ("Ben",), ("Anna", "Ben")]),
    st.sampled_from([None, "Anna", "Ben"]),
    st.one_of(st.just((None, None)), st.tuples(times, times)),
    st.integers(1, 5),
)
pasts = st.builds(
    Past, st.integers(0, 6), st.frozensets(st.sampled_from(["somebody", "person 1", "person 2"]))
)
moments = st.integers(0, 4_000_000_000).map(
    lambda seconds: datetime.fromtimestamp(seconds, timezone.utc)
)


@given(sections, told, pasts, moments)
def test_whatever_is_told_keeps_to_every_rule(
    section: TargetSection, told: Notice, past: Past, local: datetime
) -> None:
    if refusal(section, told, past, local) is not None:
        return
    name = None if told.visitor is None else told.visitor.name
    assert told.kind in section.tell
    assert section.not_about is None or name != section.not_about
    assert told.kind != "person" or not section.people or name in section.people
    assert past.within_hour < section.per_hour
    assert quiet_seconds(section, local) == 0.0
    assert told.pressed or announced_as(told) not in past.announced - {""}


@given(times, times, moments)
def test_quiet_hours_end_when_they_say(begin: time, end: time, local: datetime) -> None:
    section = target(quiet_from=begin, quiet_to=end)
    seconds = quiet_seconds(section, local)
    after = local + timedelta(seconds=seconds)

    assert 0.0 <= seconds <= 86400.0
    if seconds:
        ends = datetime.combine(after.date(), end, timezone.utc)
        assert abs((ends - after).total_seconds()) < 0.001
        assert quiet_seconds(section, ends) == 0.0


def test_a_name_is_the_same_however_its_accents_are_written() -> None:
    told = notice("a", "person", visitor=AtDoor("person", "Zoë", 3, "Zo\u00eb"), visit_id="v")

    assert why(target(tell=["person"], not_about="Zoe\u0308"), told) is Refusal.NOT_ABOUT
