"""The judge and the script of ``tools/building.py``, and the building itself, small."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from galleries import on_postgres
from housing.door import Coming
from housing.plan import ANSWERS, AWAY, HOURS, PARTS, Phase, Plan, Played, write_script
from housing.records import Records, Searched, StepTaken, Told
from housing.residents import invite
from housing.truth import judge

TOOL = Path(__file__).parents[1] / "tools" / "building.py"
PLAN = Plan(doors=20, residents=8, samples=40, visits=50, speed=600.0, probes=4)
NOON = 1.8e9


def as_promised() -> Played:
    """One resident at a shared door, one at the other; a stranger at two doors; all went well."""
    residents = invite(8, 1, 5, 1)
    pair = 8
    script = [
        Coming(0, 1.0, "d000", 0),
        Coming(0, 2.0, "plain00", 1),
        Coming(0, 3.0, "d001", pair),
        Coming(0, 4.0, "d002", pair),
    ]
    told: dict[str, list[Told]] = {"shared": [], "plain": []}
    heard: dict[str, list[dict[str, object]]] = {}
    stored: list[dict[str, object]] = []
    for number, coming in enumerate(script):
        person_id = coming.face + 1 if coming.face != pair else None
        label = f"resident {person_id}" if person_id else "stranger-1"
        for kind in ("arrived", "left"):
            event_id = f"{number}-{kind}"
            told["plain" if coming.door_id == "plain00" else "shared"].append(
                Told(NOON, event_id, kind, coming.door_id, f"v{number}", label, person_id)
            )
            heard.setdefault(coming.door_id, []).append({"event_id": event_id, "event_type": kind})
        if coming.door_id != "plain00":
            stored.append(
                {
                    "id": f"v{number}",
                    "door_id": coming.door_id,
                    "person_id": person_id,
                    "stranger_id": None if person_id else 1,
                    "ended_at": NOON,
                }
            )
    steps = [StepTaken(NOON + 1, 0.002, 0.001, 1)]
    searched = Searched([1, 2, 3, 4], [0.1] * 4)
    return Played(
        PLAN,
        residents,
        residents.faces[:4],
        script,
        [pair],
        [Phase(ANSWERS, NOON, NOON + 9)],
        {"caught_up_after_an_hour_seconds": 5.0},
        [Records(steps, told["shared"], searched, {"v0": 0, "v2": pair, "v3": pair})],
        [Records(steps, told["plain"], searched, {"v1": 1})],
        heard,
        stored,
        searched,
    )


def wrong(played: Played) -> list[str]:
    return [each.what for each in judge(played) if not each.is_right]


def test_what_is_as_promised_is_right() -> None:
    assert wrong(as_promised()) == []


def test_whatever_is_late_lost_or_another_s_is_found() -> None:
    played = as_promised()
    slow = replace(played.shared[0], steps=[StepTaken(NOON + 1, 0.005, 0.001, 1)])
    assert "deciding while the server answers" in wrong(replace(played, shared=[slow]))[0]
    late = replace(played, figures={"caught_up_after_an_hour_seconds": 31.0})
    assert wrong(late) == ["caught up after an hour"]
    other = replace(played.shared[0], searched=Searched([2, 2, 3, 4], [0.1] * 4))
    assert wrong(replace(played, shared=[other])) == [
        "probes with another top match at a door than a full scan"
    ]
    asked = Searched([1, 2, 3, 3], [201.0] * 4)
    assert wrong(replace(played, searched=asked)) == [
        "probes with another top match on the server than a full scan",
        "a search on the server, p95",
    ]
    lost = {**played.heard, "d000": played.heard["d000"][:1]}
    assert wrong(replace(played, heard=lost)) == ["events that the broker did not get"]
    turned = {**played.heard, "d000": played.heard["d000"][::-1]}
    assert wrong(replace(played, heard=turned)) == ["doors whose events came in another order"]
    assert wrong(replace(played, stored=played.stored[1:])) == [
        "visits that the doors had and the server has not"
    ]
    first, *rest = played.stored
    assert wrong(replace(played, stored=[{**first, "person_id": 2}, *rest])) == [
        "visits that are another person's there"
    ]
    assert wrong(replace(played, stored=[first, rest[0], {**rest[1], "stranger_id": 2}])) == [
        "strangers whom two doors met in the outage and who are two"
    ]
    forgotten = {
        "forgotten_number": 1,
        "named_as_missing": [],
        "copies_that_know_the_forgotten": 1,
        "forgotten_everywhere_at": NOON - 1,
    }
    assert wrong(replace(played, figures=forgotten)) == [
        "machines named as not having forgotten",
        "copies that know somebody who was forgotten",
        "events that name the forgotten after all confirmed",
    ]


def test_the_script_has_a_rush_in_each_part_and_strangers_at_two_machines() -> None:
    script, pairs = write_script(PLAN)
    first, second = PLAN.doors_of
    assert len(first) == len(second) == len(PLAN.plain_doors) == 10
    for part, name in enumerate(PARTS):
        visits = [each for each in script if each.part == part and each.face not in pairs]
        assert len(visits) == round(PLAN.visits * HOURS[name] * 30 / 20)
        assert all(0 <= each.at <= HOURS[name] * PLAN.hour for each in visits)
    for face in pairs:
        one, other = (each for each in script if each.face == face)
        assert one.part == other.part == PARTS.index(AWAY)
        assert (one.door_id in first) != (other.door_id in first)
    assert np.all(np.diff([each.part for each in script]) >= 0)


@pytest.mark.long
@pytest.mark.system
@on_postgres
def test_a_small_building_loses_and_doubles_nothing(tmp_path: Path) -> None:
    size = ["--doors=20", "--residents=100", "--samples=1000", "--visits=60", "--speed=600"]
    found = tmp_path / "found.json"
    command = [sys.executable, str(TOOL), *size, "--probes=100", f"--json={found}"]
    subprocess.run(command, check=False, timeout=300, stdout=subprocess.DEVNULL)
    findings = json.loads(found.read_text(encoding="utf-8"))["findings"]
    # How long it takes is not for a machine that does other things beside.
    timed = ("deciding while", "caught up after", "a search")
    wrong = [each["what"] for each in findings if not each["is_right"]]
    assert [each for each in wrong if not each.startswith(timed)] == []
