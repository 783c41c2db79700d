"""What is on its way to the broker, and what the broker is found to refuse.

A broker that does not take a message, for its size or its topic, ends the connection: in MQTT 3.1.1
it has no other word for it. What was under way then is suspected. On the next connection each
message goes by itself, and the next one once the broker has it; a picture that is suspected goes
last, and in the end any state. So whatever is alone under way when connections keep ending is what
the broker refuses, and everything else has arrived. A larger message than any that was taken is
refused for its size, where it goes, and any other for its topic.

Connections also end because a network or a broker fails, or somebody else connects with our id, and
something is always under way then. So it takes several, with the same message each time.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

# A broker refuses at once. What had longer was taken, or the network is to blame.
SUSPECT_SECONDS = 10.0
# Connections that end with a message under way, at last with nothing else, before it is refused: a
# broker that is restarted meets one message once. A picture is followed by another.
ENDINGS_OF_PICTURE, ENDINGS = 2, 3
# The last of these is tried only once the connection has stood for so long: whoever connects with
# our id ends it too, many at once, most after one, two, five or ten seconds.
STANDING_SECONDS = 1.5
# A topic that was refused is tried again after so long: somebody may have allowed it.
RETRY_SECONDS = 3600.0
# No broker takes less. An event without preferences has some 800.
LEAST_LIMIT_BYTES = 1000
# A picture that the broker found too large is made so much smaller.
SMALLER = 4
HEADER_BYTES = 9  # of a publish packet at most, without its topic


class Kind(Enum):
    """What is asked of the broker."""

    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to the broker.

    Attributes:
        ticket: its number among all of this run.
        kind: what is asked.
        topic: where.
        payload, qos, retain: of what is published.
        may_wait: whether it may go behind what came later, and its loss matters little, as a
            picture's does.
    """

    ticket: int
    kind: Kind
    topic: str
    payload: bytes = field(default=b"", repr=False)
    qos: int = 1
    retain: bool = False
    may_wait: bool = False

    @property
    def channel(self) -> tuple[Kind, str]:
        """What a broker allows or not."""
        return self.kind, self.topic

    @property
    def packet_bytes(self) -> int:
        """As much as it takes, or a few less."""
        return packet_bytes(self.topic, len(self.payload))


def packet_bytes(topic: str, payload_bytes: int) -> int:
    """The size of a publish packet, or a few bytes more."""
    return payload_bytes + len(topic.encode()) + HEADER_BYTES


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the broker does not take.

    Attributes:
        kind, topic: what and where.
        payload_bytes: of the message that was refused.
        for_size: whether a smaller one may be taken.
    """

    kind: Kind
    topic: str
    payload_bytes: int
    for_size: bool


@dataclass(frozen=True, slots=True)
class _UnderWay:
    outgoing: Outgoing
    handed_over: float
    is_acknowledged: bool  # by the broker, once it has it


class Delivery:
    """Messages of one connection after the other; on any thread, takes no lock but its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[Outgoing] = []
        # By paho's number, in order.
        self._under_way: dict[int, _UnderWay] = {}
        self._early: dict[int, float] = {}  # taken before it was noted here
        self._going: Outgoing | None = None  # being handed over this moment
        self._cut_off = False  # by the end of the connection
        self._began = 0.0
        self._suspects: set[tuple[Kind, str]] = set()
        self._endings: Counter[tuple[Kind, str, int]] = Counter()
        self._largest_taken = 0
        self._least_refused: dict[str, int] = {}  # for its size, by topic
        self._most_packet_bytes: int | None = None  # by the broker's own word
        self._refused: dict[tuple[Kind, str], float] = {}  # when

    def limit(self, most_packet_bytes: int) -> None:
        """Take the broker's word for the largest packet that it takes."""
        self._most_packet_bytes = most_packet_bytes

    def fitting_bytes(self, topic: str) -> int | None:
        """How large a payload should be there; None where nothing was too large yet.

        Far below what was found to be too much: each guess that fails costs a connection.
        """
        fitting = []
        if topic in self._least_refused:
            fitting.append(self._least_refused[topic] // SMALLER)
        if self._most_packet_bytes is not None:
            fitting.append(max(0, self._most_packet_bytes - packet_bytes(topic, 0)))
        return min(fitting, default=None)

    def allows(self, kind: Kind, topic: str, now: float) -> bool:
        """Whether the broker takes anything there, for all we know."""
        with self._lock:
            refused = self._refused.get((kind, topic))
            return refused is None or now - refused > RETRY_SECONDS

    def takes(self, topic: str, payload_bytes: int, now: float) -> bool:
        """Whether the broker takes such a message, for all we know."""
        least, most = self._least_refused.get(topic), self._most_packet_bytes
        packet = packet_bytes(topic, payload_bytes)
        fits = (least is None or packet < least) and (most is None or packet <= most)
        return fits and self.allows(Kind.PUBLISH, topic, now)

    def begin(self, now: float) -> None:
        """There is a new connection."""
        with self._lock:
            self._drop()
            self._began = now

    def add(self, outgoing: Outgoing) -> None:
        """Take a message; a newer state replaces one that has not gone yet."""
        with self._lock:
            for place, other in enumerate(self._pending):
                if outgoing.retain and other.channel == outgoing.channel:
                    self._pending[place] = outgoing
                    return
            self._pending.append(outgoing)

    def next(self, now: float) -> Outgoing | None:
        """What is to be handed over now; None where it has to wait, or there is none.

        Where something is suspected it is to be acknowledged, whatever its quality of service.
        """
        with self._lock:
            if not self._pending or (self._suspects and self._under_way):
                return None
            if not self._suspects:
                return self._pending.pop(0)
            unsuspected = (
                place
                for place, each in enumerate(self._pending)
                if each.channel not in self._suspects
                or not (each.may_wait or (each.retain and self._is_decisive(each)))
            )
            place = next(unsuspected, 0)
            if self._is_decisive(self._pending[place]) and now - self._began < STANDING_SECONDS:
                return None
            return self._pending.pop(place)

    @property
    def is_careful(self) -> bool:
        """Whether one message goes at a time."""
        return bool(self._suspects)

    def go(self, outgoing: Outgoing) -> None:
        """Note that a message is about to be handed over: the broker may be faster than we are."""
        with self._lock:
            self._going, self._cut_off = outgoing, False

    def hand_over(
        self, number: int, outgoing: Outgoing, handed_over: float, *, acknowledged: bool = True
    ) -> float | None:
        """Note that a message is under way.

        Args:
            number: paho's.
            outgoing: the message.
            handed_over: monotonic seconds.
            acknowledged: whether the broker says that it has it; else that it was written is told.

        Returns:
            How many seconds it took, where that is over.
        """
        with self._lock:
            self._going = None
            if self._cut_off:
                self._cut_off = False
                return None  # the connection ended meanwhile, and it was suspected
            self._under_way[number] = _UnderWay(outgoing, handed_over, acknowledged)
            taken = self._early.pop(number, None)
            if taken is None:
                return None
            self._confirm(number)
            return taken - handed_over

    def take(self, number: int, now: float) -> tuple[Outgoing, float] | None:
        """Note that the broker has a message, or that one without acknowledgement was written.

        Returns:
            The message, and how many seconds it took; None where ``hand_over`` is still to come.
        """
        with self._lock:
            known = self._under_way.get(number)
            if known is None:
                self._early[number] = now
                return None
            self._confirm(number)
            return known.outgoing, now - known.handed_over

    def end(self, now: float, *, by_broker: bool) -> Refusal | None:
        """The connection has ended.

        Args:
            now: monotonic seconds.
            by_broker: whether it may have been ended for a message.

        Returns:
            What the broker is found to refuse, if anything.
        """
        with self._lock:
            recent = [
                each.outgoing
                for each in self._under_way.values()
                if by_broker and now - each.handed_over <= SUSPECT_SECONDS
            ]
            if by_broker and self._going is not None:
                recent.append(self._going)
            self._drop()
            for each in recent:
                self._endings[self._key(each)] += 1
                self._suspects.add(each.channel)
            if len(recent) != 1:
                return None
            [alone] = recent
            if self._endings[self._key(alone)] < self._endings_needed(alone):
                return None
            return self._refuse(alone, now)

    def broker_was_away(self) -> None:
        """What was under way is not to blame, and who may write where may be another."""
        with self._lock:
            self._endings.clear()
            self._refused.clear()

    def _drop(self) -> None:
        self._pending.clear()
        self._under_way.clear()
        self._early.clear()
        self._cut_off = self._going is not None
        self._going = None

    def _confirm(self, number: int) -> None:
        if not self._under_way[number].is_acknowledged:
            return  # it was written, and that is all
        # A broker takes messages in order: what went before without acknowledgement is there too.
        for other, under_way in list(self._under_way.items()):
            before = under_way.outgoing
            if other == number or not under_way.is_acknowledged:
                del self._under_way[other]
                self._largest_taken = max(self._largest_taken, before.packet_bytes)
                self._suspects.discard(before.channel)
                self._endings.pop(self._key(before), None)
            if other == number:
                return

    def _endings_needed(self, outgoing: Outgoing) -> int:
        if not outgoing.may_wait:
            return ENDINGS
        is_known = outgoing.topic in self._least_refused and self._may_be_too_large(outgoing)
        return 1 if is_known else ENDINGS_OF_PICTURE

    def _is_decisive(self, outgoing: Outgoing) -> bool:
        """Whether it is refused if the connection ends once more."""
        return self._endings[self._key(outgoing)] + 1 >= self._endings_needed(outgoing)

    def _may_be_too_large(self, outgoing: Outgoing) -> bool:
        least = max(self._largest_taken, LEAST_LIMIT_BYTES)
        return outgoing.kind is Kind.PUBLISH and outgoing.packet_bytes > least

    def _refuse(self, outgoing: Outgoing, now: float) -> Refusal:
        for_size = self._may_be_too_large(outgoing)
        if for_size:
            self._least_refused[outgoing.topic] = outgoing.packet_bytes
        else:
            self._refused[outgoing.channel] = now
            self._suspects.discard(outgoing.channel)
        del self._endings[self._key(outgoing)]
        return Refusal(outgoing.kind, outgoing.topic, len(outgoing.payload), for_size)

    @staticmethod
    def _key(outgoing: Outgoing) -> tuple[Kind, str, int]:
        """One event or picture; of a state whatever it tells."""
        told = outgoing.retain and not outgoing.may_wait
        return *outgoing.channel, 0 if told else hash(outgoing.payload)
