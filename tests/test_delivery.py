"""What is under way to a broker, and what it is found to refuse, without one."""

from collections.abc import Callable, Sequence
from itertools import count

from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from doorbell.outputs.mqtt.delivery import (
    RETRY_SECONDS,
    STANDING_SECONDS,
    SUSPECT_SECONDS,
    Delivery,
    Kind,
    Outgoing,
    Refusal,
)

Refuses = Callable[[Outgoing], bool]


def event(number: int, size: int = 5) -> Outgoing:
    return Outgoing(number, Kind.PUBLISH, "event", b"%d" % number + bytes(size))


def state(topic: str, size: int = 5, qos: int = 1) -> Outgoing:
    return Outgoing(0, Kind.PUBLISH, topic, bytes(size), qos, retain=True, may_wait=not qos)


def hand_over_all(delivery: Delivery, now: float = 0.0) -> list[Outgoing]:
    gone: list[Outgoing] = []
    while (outgoing := delivery.next(STANDING_SECONDS)) is not None:
        delivery.hand_over(len(gone), outgoing, now)
        gone.append(outgoing)
    return gone


def test_nothing_waits_before_something_was_refused() -> None:
    delivery = Delivery()
    delivery.begin(0.0)
    for number in range(3):
        delivery.add(event(number))
    assert [each.ticket for each in hand_over_all(delivery)] == [0, 1, 2]
    assert not delivery.is_careful


def test_an_acknowledgement_that_comes_before_it_is_noted_counts() -> None:
    delivery = Delivery()
    assert delivery.take(1, 2.5) is None
    assert delivery.hand_over(1, event(1), 2.0) == 0.5
    delivery.end(3.0, by_broker=True)
    assert not delivery.is_careful


def test_what_was_only_written_is_there_once_something_later_is_acknowledged() -> None:
    for acknowledged in (False, True):
        delivery = Delivery()
        delivery.hand_over(1, state("image", qos=0), 0.0, acknowledged=False)
        delivery.hand_over(2, event(1), 0.0)
        assert delivery.take(1, 0.1) is not None
        if acknowledged:
            delivery.take(2, 0.2)
        delivery.end(1.0, by_broker=True)
        assert delivery.is_careful is not acknowledged


def test_a_network_that_is_silent_for_long_puts_nothing_under_suspicion() -> None:
    for seconds, by_broker in ((SUSPECT_SECONDS + 1, True), (1.0, False)):
        delivery = Delivery()
        delivery.hand_over(1, event(1), 0.0)
        assert delivery.end(seconds, by_broker=by_broker) is None
        assert not delivery.is_careful


def test_of_a_state_that_waits_only_the_newest_goes() -> None:
    delivery = Delivery()
    delivery.add(state("presence", 1))
    delivery.add(event(1))
    delivery.add(event(2))
    delivery.add(state("presence", 2))
    assert [len(each.payload) for each in hand_over_all(delivery)] == [2, 6, 6]


def test_what_may_be_refused_waits_until_the_connection_has_stood() -> None:
    """Somebody with our id, who connects whenever we do, ends every connection at one place."""
    delivery = Delivery()
    refusals = []
    for number in range(9):
        delivery.begin(0.0)
        delivery.add(state("presence"))
        outgoing = delivery.next(0.01)
        if outgoing is not None:
            delivery.hand_over(number, outgoing, 0.01)
        refusals.append(delivery.end(0.02, by_broker=True))
    assert set(refusals) == {None}
    delivery.add(state("presence"))
    assert delivery.next(STANDING_SECONDS) is not None


def test_a_topic_that_was_refused_is_tried_again_later() -> None:
    delivery = Delivery()
    delivery.hand_over(0, event(0, 100), 0.0)
    delivery.take(0, 0.0)
    refusal = None
    for number in range(1, 4):
        assert refusal is None
        delivery.hand_over(number, event(7), 0.0)
        refusal = delivery.end(1.0, by_broker=True)
    assert refusal == Refusal(Kind.PUBLISH, "event", 6, for_size=False)
    assert not delivery.allows(Kind.PUBLISH, "event", 2.0)
    assert delivery.allows(Kind.SUBSCRIBE, "event", 2.0)
    assert delivery.allows(Kind.PUBLISH, "event", 2.0 + RETRY_SECONDS)
    delivery.broker_was_away()
    assert delivery.allows(Kind.PUBLISH, "event", 2.0)


def play(refuses: Refuses, events: Sequence[Outgoing], states: Sequence[Outgoing]) -> list[int]:
    """Which events a broker gets that ends the connection at what it refuses."""
    delivery, numbers, waiting = Delivery(), count(), list(events)
    got: list[int] = []
    for _ in range(4 * len(states) + 4 * len(events) + 4):
        delivery.begin(0.0)
        for each in (*states, *waiting):
            if delivery.takes(each.topic, len(each.payload), 0.0):
                delivery.add(each)
        while (outgoing := delivery.next(STANDING_SECONDS)) is not None:
            number = next(numbers)
            acknowledged = delivery.is_careful or outgoing.qos > 0
            delivery.hand_over(number, outgoing, 0.0, acknowledged=acknowledged)
            if refuses(outgoing):
                break
            if acknowledged:
                delivery.take(number, 0.0)
            if not outgoing.retain:
                got.append(outgoing.ticket)
                waiting.remove(outgoing)
        else:
            return got
        delivery.end(1.0, by_broker=True)
    raise AssertionError("connections end for ever")


@settings(max_examples=examples(200))
@given(
    sizes=st.lists(st.integers(1, 40), max_size=8),
    pictures=st.lists(st.integers(1, 40), max_size=3),
    most=st.integers(11, 45),
    refused=st.sets(st.sampled_from(["s0", "s1", "s2"])),
)
def test_everything_that_is_not_refused_arrives_once_in_order(
    sizes: list[int], pictures: list[int], most: int, refused: set[str]
) -> None:
    events = [event(number, 100 * size) for number, size in enumerate(sizes)]
    states = [state(f"s{number}", 100 * size, qos=0) for number, size in enumerate(pictures)]
    most *= 100
    got = play(
        lambda outgoing: len(outgoing.payload) > most or outgoing.topic in refused, events, states
    )
    assert got == [each.ticket for each in events if len(each.payload) <= most]


def test_a_connection_that_ends_while_a_message_is_handed_over_is_ended_by_it() -> None:
    delivery = Delivery()
    for ending in range(3):
        delivery.begin(10.0 * ending)
        delivery.go(event(7))
        refusal = delivery.end(10.0 * ending + 2.0, by_broker=True)
        assert delivery.hand_over(ending, event(7), 10.0 * ending) is None
        delivery.add(event(8))
        assert delivery.next(10.0 * ending + 9.0) == event(8)  # nothing is left under way
        assert (refusal is None) == (ending < 2)
