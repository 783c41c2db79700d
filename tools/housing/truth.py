"""What was played, compared with what ought to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from vector_index import scan

from doorbell.outputs.mqtt.messages import LATE
from housing.plan import INSTALLED, Phase, Played
from housing.records import Records, StepTaken, Told

# How much more a decision may take where the gallery is shared, and a search; and a catching-up.
MORE_MS, SEARCH_MS, CATCH_UP_SECONDS = 2.0, 20.0, 30.0
# A page that asks the server is not to be waited for.
SERVER_SEARCH_MS = 200.0
# Of a thousand probes, so many may have another top match than a full scan.
OTHERS_OF_1000 = 1
# Whom look-alikes are taken for is a matter of faces, and the same whatever gallery is asked.
LOOK_ALIKE = 0.6


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is so or is not.

    Attributes:
        what: in words.
        found: what was seen.
        is_right: whether it is as it ought to be.
    """

    what: str
    found: str
    is_right: bool


@dataclass(frozen=True, slots=True)
class Deciding:
    """What the main thread takes for a frame of which something was told, in milliseconds.

    Attributes:
        count: frames.
        p50, p95, p99: of them.
        processor_p95: of the time that it was at work, which other programs do not lengthen.
    """

    count: int
    p50: float
    p95: float
    p99: float
    processor_p95: float


def deciding(steps: Iterable[StepTaken], phase: Phase) -> Deciding | None:
    """Of the frames in a phase of which something was told; None where there is none."""
    chosen = [each for each in steps if each.events and phase.began <= each.at < phase.ended]
    if not chosen:
        return None
    taken = np.array([each.seconds for each in chosen])
    worked = np.array([each.processor_seconds for each in chosen])
    p50, p95, p99 = (1000 * float(each) for each in np.percentile(taken, (50, 95, 99)))
    return Deciding(len(chosen), p50, p95, p99, 1000 * float(np.percentile(worked, 95)))


def by_phase(played: Played) -> dict[str, dict[str, Deciding | None]]:
    """Deciding by the shared gallery and by the machine's own, in each phase."""
    return {
        phase.name: {
            "shared": deciding(_steps(played.shared), phase),
            "plain": deciding(_steps(played.plain), phase),
        }
        for phase in played.phases
    }


def judge(played: Played) -> list[Finding]:
    """Everything that is promised."""
    return [
        *_judge_deciding(played),
        *_judge_search(played),
        *_judge_events(played),
        *_judge_visits(played),
        *_judge_names(played),
        *_judge_forgetting(played),
    ]


def _judge_deciding(played: Played) -> Iterable[Finding]:
    for name, each in by_phase(played).items():
        shared, plain = each["shared"], each["plain"]
        if shared is not None and plain is not None:
            yield Finding(
                f"deciding while the server {name}: p95 beside that with a gallery of its own",
                f"{shared.p95:.2f} ms, {plain.p95:.2f} ms",
                shared.p95 <= plain.p95 + MORE_MS,
            )
    for name in ("a_kill", "a_hang", "an_hour"):
        seconds = played.figures.get(f"caught_up_after_{name}_seconds")
        if seconds is not None:
            yield Finding(
                f"caught up after {name.replace('_', ' ')}",
                f"{seconds:.1f} s",
                seconds < CATCH_UP_SECONDS,
            )


def _judge_search(played: Played) -> Iterable[Finding]:
    exact = scan(played.residents.templates, played.probes)
    allowed = OTHERS_OF_1000 * len(played.probes) / 1000
    gone = played.figures.get("forgotten_number")
    for where, searched, most_ms, without in (
        ("at a door", played.shared[-1].searched, SEARCH_MS, gone),
        ("on the server", played.searched, SERVER_SEARCH_MS, None),
    ):
        if searched is None:
            continue
        others = sum(
            found != place + 1 and place + 1 != without
            for found, place in zip(searched.people, exact.places.tolist(), strict=True)
        )
        yield Finding(
            f"probes with another top match {where} than a full scan",
            f"{others} of {len(played.probes)}",
            others <= allowed,
        )
        p95 = float(np.percentile(searched.milliseconds, 95))
        yield Finding(f"a search {where}, p95", f"{p95:.2f} ms", p95 < most_ms)


def _judge_events(played: Played) -> Iterable[Finding]:
    told: dict[str, list[str]] = {}
    for each in _told(played.shared + played.plain):
        told.setdefault(each.door_id, []).append(each.event_id)
    lost = extra = disordered = 0
    gone = _forgotten_visits(played)
    for door_id, ids in told.items():
        heard = [each["event_id"] for each in played.heard.get(door_id, ())]
        firsts = list(dict.fromkeys(heard))
        extra += len(set(firsts) - set(ids))
        lost += len(set(ids) - set(firsts) - gone)
        disordered += [each for each in ids if each in set(firsts)] != firsts
    count = sum(map(len, told.values()))
    yield Finding("events that the broker did not get", f"{lost} of {count}", not lost)
    yield Finding("events that it got and no door has told", f"{extra}", not extra)
    yield Finding(
        "doors whose events came in another order", f"{disordered} of {len(told)}", not disordered
    )


def _judge_visits(played: Played) -> Iterable[Finding]:
    doors = {each.door_id for each in _told(played.plain)}
    last: dict[str, Told] = {}
    for each in _told(played.shared):
        if each.visit_id is not None:
            last[each.visit_id] = each
    gone = played.figures.get("forgotten_number")
    decided = {key: each for key, each in last.items() if gone is None or each.person_id != gone}
    stored = {row["id"]: row for row in played.stored if row["door_id"] not in doors}
    missing, extra = decided.keys() - stored.keys(), stored.keys() - last.keys()
    yield Finding(
        "visits that the doors had and the server has not",
        f"{len(missing)} of {len(decided)}",
        not missing,
    )
    yield Finding("visits that only the server has", f"{len(extra)}", not extra)
    other = [
        key
        for key, each in decided.items()
        if key in stored and each.person_id != stored[key]["person_id"]
    ]
    yield Finding("visits that are another person's there", f"{len(other)}", not other)
    open_still = sum(row["ended_at"] is None for row in stored.values())
    yield Finding("visits that never ended there", f"{open_still}", not open_still)
    yield from _judge_pairs(played, stored)


def _judge_pairs(played: Played, stored: Mapping[str, Mapping[str, Any]]) -> Iterable[Finding]:
    """Whether whoever came to two doors while the server was away is one stranger by now."""
    strangers: dict[int, set[object]] = {}
    faces, count = played.residents.faces, played.residents.count
    alone = [face for face in played.pairs if (faces[:count] @ faces[face]).max() <= LOOK_ALIKE]
    for visit_id, face in _came(played).items():
        if face in alone:
            row = stored.get(visit_id)
            strangers.setdefault(face, set()).add(row and row["stranger_id"])
    two = [face for face, each in strangers.items() if len(each) > 1 or None in each]
    yield Finding(
        "strangers whom two doors met in the outage and who are two",
        f"{len(two)} of {len(strangers)}",
        not two and len(strangers) == len(alone),
    )


def _came(played: Played) -> dict[str, int]:
    """Whose each visit was in truth, as a place among all faces."""
    return {
        visit_id: face
        for records in played.shared + played.plain
        for visit_id, face in records.faces.items()
    }


def _judge_names(played: Played) -> Iterable[Finding]:
    came, faces, count = _came(played), played.residents.faces, played.residents.count
    yield Finding(
        "visits of those who came",
        f"{len(came)} of {len(played.script)}",
        len(came) >= len(played.script),
    )
    last = {each.visit_id: each for each in _told(played.shared + played.plain) if each.visit_id}
    wrong = named = 0
    for visit_id, face in came.items():
        person_id = last[visit_id].person_id
        if person_id is not None:
            named += 1
            alike = float(faces[face] @ faces[person_id - 1]) > LOOK_ALIKE
            wrong += person_id - 1 != face and not alike
    residents = sum(face < count for face in came.values())
    yield Finding("residents who were named", f"{named} of {residents}", True)
    allowed = 0.001 * len(came)
    yield Finding(
        "visitors who were named another, who is no look-alike",
        f"{wrong} of {len(came)}",
        wrong <= allowed,
    )


def _judge_forgetting(played: Played) -> Iterable[Finding]:
    figures = played.figures
    number = figures.get("forgotten_number")
    if number is None:
        return
    missing = figures["named_as_missing"]
    yield Finding("machines named as not having forgotten", ", ".join(missing), len(missing) == 1)
    knows = figures["copies_that_know_the_forgotten"]
    yield Finding("copies that know somebody who was forgotten", f"{knows}", not knows)
    late = [
        each
        for each in _told(played.shared)
        if each.person_id == number and each.at > figures["forgotten_everywhere_at"]
    ]
    yield Finding("events that name the forgotten after all confirmed", f"{len(late)}", not late)


def unknown_residents(played: Played) -> int:
    """How many visitors of the machine that was installed anew were unknown until it knew all."""
    phase = next((each for each in played.phases if each.name == INSTALLED), None)
    until = played.figures.get("installed_anew_knows_all_at")
    if phase is None or until is None:
        return 0
    told = played.shared[-1].told
    return sum(each.kind == "unknown" and phase.began <= each.at < float(until) for each in told)


def repeated(played: Played) -> int:
    """How many events the broker got once more, with the same identifier."""
    return sum(
        len(each) - len({event["event_id"] for event in each}) for each in played.heard.values()
    )


def kinds(played: Played) -> Counter[str]:
    """How many events of each kind the broker got; late ones apart."""
    return Counter(
        "late" if each["event_type"].startswith(LATE) else each["event_type"]
        for each in chain.from_iterable(played.heard.values())
    )


def _forgotten_visits(played: Played) -> set[str]:
    """Events of somebody who was forgotten may be dropped while they wait."""
    number = played.figures.get("forgotten_number")
    visits = {each.visit_id for each in _told(played.shared) if each.person_id == number}
    return {each.event_id for each in _told(played.shared) if each.visit_id in visits and number}


def _told(records: Sequence[Records]) -> list[Told]:
    return [each for some in records for each in some.told]


def _steps(records: Sequence[Records]) -> list[StepTaken]:
    return [each for some in records for each in some.steps]
