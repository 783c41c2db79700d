"""The judge, the clocks and the script of ``tools/soak.py``."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest
from soaking.play import Played
from soaking.truth import Documents, Expected, Kept, KeptVisit, judge
from soaking.week import (
    BARACK,
    NEIGHBOUR,
    ZONE,
    Broker,
    Check,
    Happening,
    SetClock,
    Start,
    Visit,
    is_quiet,
)

from doorbell.outputs.sound.synthesis import synthesize

# Before the hour that comes twice, and after it.
EVENING = datetime(2026, 10, 24, 21, 30, tzinfo=ZONE).timestamp()
HOUR = 3600.0


@pytest.fixture
def script() -> list[Happening]:
    return [
        Start(EVENING),
        Visit(EVENING + 60, (NEIGHBOUR,)),
        Broker(EVENING + 120, "kill"),
        Visit(EVENING + HOUR, (BARACK,), stays_seconds=20.0, ending="kill"),
        Start(EVENING + HOUR + 60, clock_error=-7200.0),
        Visit(EVENING + 8 * HOUR, (NEIGHBOUR,)),
        SetClock(EVENING + 9 * HOUR, 0.0),
        Broker(EVENING + 9 * HOUR + 60, "start"),
        Visit(EVENING + 12 * HOUR, (BARACK, NEIGHBOUR), stays_seconds=3.0),
        Check(EVENING + 14 * HOUR),
    ]


def as_scripted(script: Sequence[Happening]) -> tuple[Played, Documents, list[bytes]]:
    """What a doorbell leaves that does all of it right."""
    played, documents, sounds = Played(), [], []
    kept = {}
    for visit in (each for each in script if isinstance(each, Visit)):
        for who in visit.who:
            key, label = f"visit-{len(played.expected)}", who.name or "stranger-1"
            away = bool(visit.ending)
            played.expected.append(Expected(visit, who, [key], label, on_time=not away, late=away))
            types = ["arrived", "recognized" if who.name else "unknown", "ring", "left"]
            documents += [
                {
                    "event_id": f"{key}-{name}",
                    "event_type": f"late_{name}" if away else name,
                    "late": away,
                    "visit_id": key,
                    "person": label if who.name and name != "arrived" else None,
                    "stranger": label if not who.name and name != "arrived" else None,
                }
                for name in types
            ]
            if not is_quiet(visit.at):
                sounds.append(bytes(2 * len(synthesize(who.chime or "alert").samples)))
            kept[key] = KeptVisit(label, visit.at, visit.at + 5.0)
    played.kept.append((script[-1].at, Kept("ok", kept, frozenset(kept))))
    return played, documents, sounds


def wrong(
    script: Sequence[Happening], played: Played, documents: Documents, sounds: Sequence[bytes]
) -> list[str]:
    findings = judge(script, played.expected, played.kept, documents, sounds)
    return [each.what for each in findings if not each.is_right]


def test_what_is_as_scripted_is_right(script: list[Happening]) -> None:
    played, documents, sounds = as_scripted(script)
    assert wrong(script, played, documents, sounds) == []
    assert len(sounds) == 3  # two of the five are in the quiet hours


def test_whatever_is_missing_too_much_or_wrong_is_found(script: list[Happening]) -> None:
    played, documents, sounds = as_scripted(script)
    first = played.expected[0]
    [(at, kept)] = played.kept
    events, at_the_gallery = "events at the subscriber, once an id", "visits kept, over all checks"

    assert wrong(script, played, [*documents, *documents], sounds) == []  # ids tell repeated ones
    assert wrong(script, played, documents[:-1], sounds) == [events]
    again = {**documents[0], "event_id": "another"}
    assert events in wrong(script, played, [*documents, again], sounds)
    late = [{**documents[0], "late": True}, *documents[1:]]
    assert wrong(script, played, late, sounds) == ["marked late if and only if late"]
    assert wrong(script, played, documents, sounds[:-1]) == ["chimes, and none in quiet hours"]

    def expecting(**changes: object) -> Played:
        changed = replace(first, **changes)  # type: ignore[arg-type]  # by its own fields' names
        return replace(played, expected=[changed, *played.expected[1:]])

    twice = expecting(ids=[*first.ids, "more"])
    assert wrong(script, twice, documents, sounds)[0] == "visits, each begun once"
    unknown = "right name, or a stranger's identifier"
    assert unknown in wrong(script, expecting(label="Barack"), documents, sounds)
    second = "strangers, each with one identifier"
    assert second in wrong(script, expecting(label="stranger-2"), documents, sounds)

    without = {key: visit for key, visit in kept.visits.items() if key not in first.ids}
    lost = replace(played, kept=[(at, replace(kept, visits=without))])
    assert at_the_gallery in wrong(script, lost, documents, sounds)
    moved = {key: replace(each, started_at=0.0) for key, each in kept.visits.items()}
    wrongly_dated = replace(played, kept=[(at, replace(kept, visits=moved))])
    assert wrong(script, wrongly_dated, documents, sounds) == ["of those rightly dated"]
    bare = replace(played, kept=[(at, replace(kept, pictures=frozenset()))])
    assert wrong(script, bare, documents, sounds) == ["pictures kept"]
    long_after = replace(played, kept=[(at + 30 * 24 * HOUR, kept)])
    assert "visits removed for their age" in wrong(script, long_after, documents, sounds)
