"""Pauses between connections that end, without a broker."""

from doorbell.outputs.mqtt.pauses import LASTING_SECONDS, LONGEST_PAUSE_SECONDS, Pauses


def test_pauses_grow_to_a_minute_and_begin_afresh_once_the_reason_is_known() -> None:
    pauses = Pauses()
    told = [(pauses.end(afresh=False), pauses.are_strange) for _ in range(8)]
    assert [pause for pause, _ in told] == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE_SECONDS, 60]
    assert [number for number, (_, strange) in enumerate(told, 1) if strange] == [5]
    assert pauses.end(afresh=True) == 1
    assert pauses.end(afresh=False) == 2


def test_a_connection_has_lasted_after_ten_seconds() -> None:
    pauses = Pauses()
    pauses.begin(100.0)
    assert not pauses.has_lasted(99.9 + LASTING_SECONDS)
    assert pauses.has_lasted(100.0 + LASTING_SECONDS)
