import logging

import pytest

from doorbell.domain import Arrived, Person, Ring, Visit
from doorbell.outputs.event_log import EventLog


def test_each_event_is_a_line_that_says_who_and_how_alike(caplog: pytest.LogCaptureFixture) -> None:
    anna = Visit("v1", 1.0, 2.0, visitor=Person(1, "Anna"), similarity=0.712)
    with caplog.at_level(logging.INFO):
        EventLog(names_door=True).handle(Ring("e0", 1.0, door_id="garden"))
        for event in (
            Arrived("e1", 1.0, Visit("v1", 1.0, 1.0)),
            Ring("e2", 2.0, anna, b"JPEG"),
            Ring("e3", 3.0),
        ):
            EventLog().handle(event)
    assert caplog.messages == [
        "ring door=garden visit=none visitor=undecided",
        "arrived visit=v1 visitor=undecided",
        "ring visit=v1 visitor=Anna similarity=0.71",
        "ring visit=none visitor=undecided",
    ]
