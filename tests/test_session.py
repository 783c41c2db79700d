"""Who gives way where two runs connect with one id, without a broker."""

from pathlib import Path

import pytest

from doorbell.outputs.mqtt.session import (
    TOLD_SECONDS,
    WITHIN_SECONDS,
    Mark,
    Session,
    is_taken,
    note_mark,
    noted_mark,
)
from doorbell.outputs.mqtt.topics import Topics

EARLIER, LATER = Mark(1000.0, "b"), Mark(2000.0, "a")


def meet(session: Session, other: Mark, now: float) -> bool:
    """Ours is put there, somebody else's takes its place, and we connect again."""
    assert not session.learn(session.mark.encode(), retained=False, now=now)
    return session.learn(other.encode(), retained=True, now=now)


def test_exactly_one_gives_way_the_later() -> None:
    for mark, other, gives_way in ((LATER, EARLIER, True), (EARLIER, LATER, False)):
        session = Session("doorbell-front-door", mark)
        assert session.problem(0.0) is None
        assert [meet(session, other, now) for now in (0.0, 5.0)] == [False, gives_way]
        assert "give each doorbell its own device.id" in (session.problem(6.0) or "")
        assert session.problem(6.0 + TOLD_SECONDS) is None


def test_once_or_at_long_intervals_says_nothing() -> None:
    session = Session("doorbell-front-door", LATER)
    times = (0.0, 1.0 + WITHIN_SECONDS, 2.0 + 2 * WITHIN_SECONDS)
    assert not any(meet(session, EARLIER, now) for now in times)


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b'{"session": 7}', b"[" * 100_000])
def test_what_is_no_mark_or_was_there_before_ours_says_nothing(payload: bytes) -> None:
    session = Session("doorbell-front-door", LATER)
    for now in range(9):
        # An earlier run's, as long as the broker has not had ours.
        assert not session.learn(EARLIER.encode(), retained=True, now=now)
        assert not meet(Session("doorbell-front-door", LATER), EARLIER, now)
        session.learn(payload, retained=True, now=now)
    assert session.problem(9.0) is None


def test_a_mark_is_noted_beside_the_outbox(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    assert noted_mark(path) is None
    note_mark(path, LATER)
    assert noted_mark(path) == LATER
    note_mark(tmp_path / "missing" / "outbox.sqlite", LATER)  # a disk that refuses


def test_another_is_there_while_it_is_online() -> None:
    topics = Topics("front-door")
    lies = {topics.availability: b"online", topics.session: EARLIER.encode()}
    assert is_taken(lies, topics, LATER)
    assert is_taken(lies, topics, None)
    assert not is_taken(lies, topics, EARLIER)
    assert not is_taken({**lies, topics.availability: b"offline"}, topics, LATER)
    assert not is_taken({}, topics, LATER)
