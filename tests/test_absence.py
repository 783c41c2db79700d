"""What is said of a broker that is away."""

import logging

import pytest

from doorbell.outputs.absence import PAUSE_SECONDS, ConnectionLog


def test_another_reason_is_said_too_but_not_at_once(caplog: pytest.LogCaptureFixture) -> None:
    absence = ConnectionLog("broker.lan:1883")
    told = (
        ("nobody listens", 0.0),
        ("nobody listens", 2 * PAUSE_SECONDS),
        ("it refused us", 2 * PAUSE_SECONDS + 1),
        ("no route", 2 * PAUSE_SECONDS + 2),
        ("no route", 3 * PAUSE_SECONDS + 1),
    )
    with caplog.at_level(logging.WARNING):
        for reason, now in told:
            absence.tell(reason, now)
        absence.end()
        absence.tell("no route", 3 * PAUSE_SECONDS + 2)
    assert [record.message.rpartition(": ")[2] for record in caplog.records] == [
        "nobody listens",
        "it refused us",
        "no route",
        "no route",
    ]
    assert caplog.records[0].message == (
        "no broker at broker.lan:1883, and the doorbell goes on without: nobody listens"
    )


def test_a_refusal_ends_the_connection_and_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    absence = ConnectionLog("broker.lan:1883")
    for attempt in range(4):
        absence.refuse("it refused us", attempt * 2 * PAUSE_SECONDS)
        absence.lose("the connection ended", attempt * 2 * PAUSE_SECONDS + 1)
    assert len(caplog.records) == 1
    absence.end()
    absence.lose("the connection ended", 0.0)
    assert "the connection ended" in caplog.records[1].message
