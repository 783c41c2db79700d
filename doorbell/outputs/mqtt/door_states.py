"""Who is at the door now, and when each person last was: what is retained of it, as pure data.

The document on ``at_door``, version 1:

================  ===============================================================================
version           1
at_door           names in words for people; nobody where there is nobody
visitors          a list of objects with visit_id, person, person_id, stranger (null where they do
                  not apply, all three while undecided) and arrived_at (ISO 8601, UTC)
================  ===============================================================================

The document on ``person/<id>``, version 1:

================  ===============================================================================
version           1
at_door           whether that person is at the door now
last_seen_at      ISO 8601, UTC; null where nothing is known of a visit
================  ===============================================================================

The document on ``last_ring``, version 1:

================  ===============================================================================
version           1
rang_at           ISO 8601, UTC
pressed           whether somebody pressed
================  ===============================================================================
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import replace
from functools import lru_cache

from doorbell.clock import iso_utc
from doorbell.domain import Event, Left, Person, Ring, Stranger, Visit, Visitor
from doorbell.outputs.mqtt.messages import SCHEMA_VERSION, Document, encode
from doorbell.outputs.mqtt.topics import Topics
from doorbell.status import KnownVisitors

# The longest state that Home Assistant takes.
MAX_STATE_CHARACTERS = 255


@lru_cache(maxsize=4096)  # each event asks for everybody's
def _person_state(at_door: bool, last_seen_at: float | None) -> bytes:
    return encode(
        {
            "version": SCHEMA_VERSION,
            "at_door": at_door,
            "last_seen_at": iso_utc(last_seen_at),
        }
    )


# Of so many people at most each has states and entities: every visit looks through all of them, at
# every door, and they stand in one document. Of more, events alone tell who came.
MOST_WITH_ENTITIES = 500


def with_entities(people: Sequence[Person]) -> Sequence[Person]:
    """Who has entities of their own: everybody, or nobody where there are too many."""
    return people if len(people) <= MOST_WITH_ENTITIES else ()


class DoorStates:
    """The states of who is at the door and who was.

    Args:
        topics: of this device.
        known: who is known, with their last visits and those that an earlier run left open.
    """

    def __init__(self, topics: Topics, known: KnownVisitors) -> None:
        self._topics = topics
        self._listed, self._people = known.people, _by_number(known.people)
        self._open = {visit.visit_id: visit for visit in known.open_visits}
        self._last: dict[int, Visit] = {}  # by person
        for visit in (*known.last_visits, *known.open_visits):
            self._note_last(visit)

    def all(self) -> Mapping[str, bytes]:
        """What is to be retained now, by topic."""
        states = {self._topics.at_door: encode(self._at_door())}
        visitors = [visit.visitor for visit in self._open.values()]
        at_door = {each.person_id for each in visitors if isinstance(each, Person)}
        for person in with_entities(self._listed):
            person_id = person.person_id
            last = self._last.get(person_id)
            last_seen_at = last.last_seen_at if last else None
            states[self._topics.person(person_id)] = _person_state(
                person_id in at_door, last_seen_at
            )
        return states

    def ring(self, ring: Ring) -> bytes:
        """What ``last_ring`` says of a ring."""
        return encode(
            {
                "version": SCHEMA_VERSION,
                "rang_at": iso_utc(ring.occurred_at),
                "pressed": ring.pressed,
            }
        )

    def take(self, event: Event) -> None:
        """Take in an event."""
        visit = event.visit
        if visit is None:
            return
        if isinstance(event, Left):
            self._open.pop(visit.visit_id, None)
        elif visit.ended_at is None:
            self._open[visit.visit_id] = visit
        self._note_last(visit)

    def know(self, known: KnownVisitors) -> None:
        """Take in who is known from now on: nobody else is named."""
        if known.people is not self._listed:
            self._listed, self._people = known.people, _by_number(known.people)
        self._open = {
            key: replace(visit, visitor=self._known(visit.visitor, known.stranger_ids))
            for key, visit in self._open.items()
        }
        self._last = {key: visit for key, visit in self._last.items() if key in self._people}

    def correct(self, visit: Visit) -> None:
        """Take in who a visit was of in truth."""
        if visit.visit_id in self._open:
            self._open[visit.visit_id] = visit
        self.forget([visit.visit_id], still_there=True)
        self._note_last(visit)

    def forget(self, visit_ids: Collection[str], *, still_there: bool = False) -> None:
        """Say nothing of these visits any more."""
        self._last = {
            key: visit for key, visit in self._last.items() if visit.visit_id not in visit_ids
        }
        if not still_there:
            self._open = {key: visit for key, visit in self._open.items() if key not in visit_ids}

    def _note_last(self, visit: Visit) -> None:
        if isinstance(visit.visitor, Person):
            last = self._last.get(visit.visitor.person_id)
            if last is None or last.last_seen_at <= visit.last_seen_at:
                self._last[visit.visitor.person_id] = visit

    def _known(self, visitor: Visitor | None, stranger_ids: Set[int]) -> Visitor | None:
        """A visitor by the name of now; None where they are gone."""
        match visitor:
            case Person(person_id=person_id):
                return self._people.get(person_id)
            case Stranger(stranger_id=number) if number < 0 or number in stranger_ids:
                return visitor
            case _:
                return None

    def _at_door(self) -> Document:
        visitors = [visit.visitor for visit in self._open.values()]
        words = ", ".join("somebody" if each is None else each.label for each in visitors)
        if len(words) > MAX_STATE_CHARACTERS:
            words = f"{len(visitors)} visitors"
        return {
            "version": SCHEMA_VERSION,
            "at_door": words or "nobody",
            "visitors": [
                {
                    "visit_id": visit.visit_id,
                    "person": each.name if isinstance(each, Person) else None,
                    "person_id": each.person_id if isinstance(each, Person) else None,
                    "stranger": each.label if isinstance(each, Stranger) else None,
                    "arrived_at": iso_utc(visit.started_at),
                }
                for visit, each in zip(self._open.values(), visitors, strict=True)
            ],
        }


def _by_number(people: Sequence[Person]) -> dict[int, Person]:
    return {person.person_id: person for person in people}
