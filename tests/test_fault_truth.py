"""The judge of tools/faults.py: it must see what it is there to see."""

from dataclasses import asdict
from typing import Any

import pytest
from faulting.truth import KNOWN_KINDS, PRESS_KINDS, STRANGER_KINDS, Scripted, judge

SCRIPT = [
    Scripted("Anna", KNOWN_KINDS),
    Scripted(None, PRESS_KINDS),
    Scripted(None, STRANGER_KINDS),
]


def heard() -> list[dict[str, Any]]:
    documents: list[tuple[str | None, str, str | None]] = [
        ("v1", kind, "Anna" if kind != "arrived" else None) for kind in KNOWN_KINDS
    ]
    documents += [(None, "late_ring", None), *(("v2", kind, None) for kind in STRANGER_KINDS)]
    return [
        {"event_id": f"e{n}", "visit_id": visit_id, "event_type": kind, "person": person}
        for n, (visit_id, kind, person) in enumerate(documents)
    ]


def differences(documents: list[dict[str, Any]]) -> dict[str, int]:
    counts = asdict(judge(SCRIPT, documents))
    assert counts.pop("events") == 9
    return {what: count for what, count in counts.items() if count}


def test_what_is_as_in_the_script_has_no_fault() -> None:
    assert differences(heard()) == {}
    assert judge(SCRIPT, heard()).faultless


@pytest.mark.parametrize("index", range(9))
def test_an_event_that_is_missing_is_lost(index: int) -> None:
    documents = heard()
    del documents[index]
    if index == 4:  # without the press the stranger stands in its place
        assert differences(documents)["lost"] >= 1
    else:
        assert differences(documents) == {"lost": 1}
    assert not judge(SCRIPT, documents).faultless


def test_an_id_that_comes_again_is_repeated_and_another_is_doubled() -> None:
    again = heard()[2]
    assert differences([*heard(), again]) == {"repeated": 1}
    assert judge(SCRIPT, [*heard(), again]).faultless
    assert differences([*heard(), {**again, "event_id": "new"}]) == {"doubled": 1}
    assert differences([*heard(), {**again, "event_id": "new", "visit_id": "v9"}]) == {
        "doubled": 1,
        "wrong": 1,
    }


@pytest.mark.parametrize("index", [1, 4, 6])
def test_the_name_of_somebody_else_is_wrong(index: int) -> None:
    documents = heard()
    documents[index]["person"] = "Emmanuel"
    assert differences(documents) == {"wrong": 1}
    assert not judge(SCRIPT, documents).faultless


def test_a_ring_before_who_it_is_for_is_out_of_order() -> None:
    documents = heard()
    documents[1], documents[2] = documents[2], documents[1]
    assert differences(documents) == {"disordered": 1}
    assert not judge(SCRIPT, documents).faultless


def test_two_doors_are_judged_together() -> None:
    lost = judge(SCRIPT, heard()[1:])
    both = judge(SCRIPT, heard()) + lost
    assert (both.events, both.lost) == (18, 1)
    assert not both.faultless
