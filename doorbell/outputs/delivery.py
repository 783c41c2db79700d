"""Events from the outbox to the broker: strictly in order, until each is acknowledged.

Enters: events as they happen, connections, acknowledgements. Leaves: calls that publish, a few
events ahead of their acknowledgements. An event that goes out late is marked. Knows no topic and
no client. One thread of its own removes what is acknowledged and sends what waits; an event with
nothing before it goes at once, on the thread that brings it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from queue import Empty, SimpleQueue

from doorbell.outputs.messages import Named, late_event
from doorbell.outputs.outbox import Outbox
from doorbell.outputs.outbox_file import Moment, Waiting

# Below paho's own 20 messages in flight: none of these ever waits in the client.
EVENTS_UNDER_WAY = 16
# How long what was refused by the disk, or is not yet safe from a power cut, may stay so.
TICK_SECONDS = 1.0
STOP_SECONDS = 0.3

log = logging.getLogger(__name__)


class Delivery:
    """What brings events to the broker.

    All but ``acknowledge`` and ``close`` are called under the lock, which its own thread takes.
    Whatever becomes of the outbox reaches none of their callers, and does not end that thread.

    Args:
        outbox: where events wait; closed with this.
        late_seconds: an event that goes out later than that after it came is late.
        lock: held by whoever publishes.
        connected: whether there is a broker; asked on any thread.
        publish: takes an event's document; the message's id, None where it cannot go now.
        publish_rest: takes an event that has just gone, and what its automation waits for.
    """

    def __init__(
        self,
        outbox: Outbox,
        late_seconds: float,
        lock: threading.Lock,
        *,
        connected: Callable[[], bool],
        publish: Callable[[bytes], int | None],
        publish_rest: Callable[[Waiting, bytes | None], None],
    ) -> None:
        self._outbox = outbox
        self._late_seconds = late_seconds
        self._lock = lock
        self._connected = connected
        self._publish = publish
        self._publish_rest = publish_rest
        self._under_way: dict[int, int] = {}  # by the message's id, the event's number
        self._triggers: dict[int, bytes] = {}
        self._unkept_pictures: dict[int, bytes] = {}  # by number
        self._acknowledged: SimpleQueue[int | None] = SimpleQueue()  # None only wakes
        self._closing = self._fault_said = False
        self._thread = threading.Thread(target=self._run, name="mqtt-outbox", daemon=True)
        self._thread.start()

    def add(self, document: bytes, picture: bytes | None, trigger: bytes | None) -> Waiting | None:
        """Keep an event, and send it where nothing waits before it.

        Args:
            document: of an event on time.
            picture: JPEG.
            trigger: what starts an automation; lost with the connection.

        Returns:
            The event if it has gone: ``follow`` it. If not, it goes by itself.
        """
        with self._going_on():
            return self._add(document, picture, trigger)
        return None

    def follow(self, event: Waiting) -> None:
        """Publish what comes with an event that has gone."""
        self._publish_rest(event, self._triggers.pop(event.number, None))

    def begin(self) -> None:
        """Send what waits, from the first: there is a new connection."""
        with self._going_on():
            self._settle()
            self._keep_pictures()
        self._under_way.clear()
        self._triggers.clear()
        self._acknowledged.put(None)

    def drop_forgotten(self, is_forgotten: Callable[[Named], bool]) -> None:
        """Drop what waits about anybody who was forgotten; see ``Outbox.drop_forgotten``."""
        with self._going_on():
            self._outbox.drop_forgotten(is_forgotten)

    def forget_visits(self, visit_ids: Collection[str]) -> None:
        """Drop what waits about visits that were forgotten."""
        with self._going_on():
            self._outbox.forget_visits(visit_ids)

    def drop_pictures(self) -> None:
        """Keep events without their pictures, which are wanted no longer."""
        with self._going_on():
            self._outbox.drop_pictures()

    def acknowledge(self, message_id: int) -> None:
        """Take the broker's word for a message; on any thread, without lock, never waits."""
        self._acknowledged.put(message_id)

    def close(self) -> None:
        """Send no more, and leave what waits on the disk; idempotent, not under the lock."""
        self._closing = True
        self._acknowledged.put(None)
        self._thread.join(STOP_SECONDS)
        with self._going_on(), self._lock:
            self._settle()
            self._keep_pictures()
            self._outbox.close()

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """Say a defect once: the door is watched, and rings, also without what waits."""
        try:
            yield
        except Exception:
            level = logging.DEBUG if self._fault_said else logging.ERROR
            self._fault_said = True
            log.log(level, "a defect in the outbox; events may be lost", exc_info=True)

    def _add(self, document: bytes, picture: bytes | None, trigger: bytes | None) -> Waiting | None:
        nothing_before = self._may_send() and self._next() is None
        # The picture of an event that goes at once is written only if the event is not acknowledged
        # soon: it would delay the event, and wear the disk out for nothing.
        event = self._outbox.append(document, None if nothing_before else picture, Moment.now())
        if trigger is not None:
            self._triggers[event.number] = trigger
        sent = nothing_before and self._send(event)
        if nothing_before and picture is not None:
            self._unkept_pictures[event.number] = picture
        if sent:
            return replace(event, picture=picture)
        self._keep_pictures()
        self._acknowledged.put(None)
        return None

    def _run(self) -> None:
        while not self._closing:
            try:
                message_id, idle = self._acknowledged.get(timeout=TICK_SECONDS), False
            except Empty:
                message_id, idle = None, True
            with self._going_on(), self._lock:
                self._settle(message_id)
                if self._closing:
                    return
                self._send_waiting()
                if idle:
                    self._keep_pictures()
                self._outbox.retry(Moment.now())
            with self._going_on():
                if self._acknowledged.empty():
                    self._outbox.sync()

    def _settle(self, message_id: int | None = None) -> None:
        """Remove what is acknowledged."""
        numbers = []
        with suppress(Empty):
            while True:
                if message_id is not None and message_id in self._under_way:
                    numbers.append(self._under_way.pop(message_id))
                message_id = self._acknowledged.get_nowait()
        for number in numbers:
            self._unkept_pictures.pop(number, None)
        if numbers:
            self._outbox.remove(*numbers)

    def _keep_pictures(self) -> None:
        self._outbox.attach(self._unkept_pictures)
        self._unkept_pictures.clear()

    def _may_send(self) -> bool:
        return self._connected() and len(self._under_way) < EVENTS_UNDER_WAY

    def _next(self) -> int | None:
        """Number of the event whose turn it is; None if all are under way."""
        return self._outbox.next_but(self._under_way.values())

    def _send_waiting(self) -> None:
        while self._may_send() and (number := self._next()) is not None:
            event = self._outbox.read(number)
            if event is None or not self._send(event):
                return
            self.follow(event)

    def _send(self, event: Waiting) -> bool:
        late = not 0 <= Moment.now().seconds_since(event.kept) <= self._late_seconds
        try:
            document = late_event(event.document) if late else event.document
        except ValueError as exc:
            log.error("a waiting event is no JSON any more and is dropped: %s", exc)
            self._outbox.remove(event.number)
            return False
        message_id = self._publish(document)
        if message_id is None:
            return False
        if late:
            self._triggers.pop(event.number, None)
        self._under_way[message_id] = event.number
        return True
