"""The output that hands out events and frames to whoever has asked for them, and knows the latest.

Called by the main thread, which it never keeps waiting: a message is handed to the kernel if that
takes it at once, and whoever reads too slowly for that is let go, to ask again. Without anybody who
watches a frame costs a look at an empty tuple.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2

from doorbell.clock import iso_utc
from doorbell.control.wire import Document, send_now
from doorbell.daemon.control.documents import visit_document, visitor_document
from doorbell.daemon.control.latest import Latest
from doorbell.domain import Event, Frame, Ring, Track, Visit
from doorbell.errors import RefusedError, UnknownDoorError
from doorbell.imaging.frame_ring import RingShape, RingWriter
from doorbell.status import Message

# The main thread copies each frame for each size, and tells each watcher of it: 6 ms for four sizes
# of 1920 by 1080, measured 2026-11-28.
WATCHERS, SIZES = 8, 3
# A track that was found in fewer frames may be no face.
SHOWN_HITS = 3


@dataclass(eq=False, slots=True)
class _Watcher:
    """Somebody who watches frames."""

    peer: socket.socket
    door_id: str
    max_width: int | None
    pause_seconds: float
    ratio: int = 0
    ring: RingWriter | None = None
    source: tuple[int, int] = (0, 0)  # width and height of the frames that the ring is for
    due_seconds: float = 0.0
    gone: threading.Event = field(default_factory=threading.Event)


@dataclass(eq=False, slots=True)
class _Listener:
    """Somebody who hears events."""

    peer: socket.socket
    gone: threading.Event = field(default_factory=threading.Event)


class ControlOutput:
    """The output of the control socket.

    Args:
        min_face_pixels: from which size a face is compared.
        door_ids: of the doors that there are; the first is shown where none is named.
    """

    def __init__(self, min_face_pixels: int, door_ids: Sequence[str] = ("",)) -> None:
        self._latest = {door_id: Latest() for door_id in door_ids}
        self._min_face_pixels = min_face_pixels
        self._lock = threading.Lock()  # of who listens and watches, held for no call that waits
        self._listeners: tuple[_Listener, ...] = ()
        self._watchers: tuple[_Watcher, ...] = ()
        self._sequence = 0
        # Of each door, for frames of one size. They stay when the last one has gone, who may have
        # kept theirs: to give every next one memory of their own would have no end.
        self._sources: dict[str, tuple[int, int]] = {}
        self._rings: dict[str, dict[int, RingWriter]] = {}

    @property
    def is_watched(self) -> bool:
        """Whether anybody is handed frames."""
        return bool(self._watchers)

    def latest(self, door_id: str | None = None) -> Latest:
        """What was told last of a door; of the first where none is named.

        Raises:
            UnknownDoorError: there is none of that id.
        """
        return self._latest[self._door(door_id)]

    def handle(self, message: Message) -> None:
        """Hand an event or a change to whoever listens."""
        of_door, changed = getattr(message, "door_id", ""), None
        for door_id, latest in self._latest.items():
            if of_door in ("", door_id) or len(self._latest) == 1:
                changed = latest.note(message)
        with self._lock:  # whoever was answered before this hears it
            listeners = self._listeners
        if not listeners:
            return
        if isinstance(message, Event):
            self._tell(listeners, _event_document(message))
        elif changed is not None:
            self._tell(listeners, {"event": "changed", "what": changed})

    def say_alive(self) -> None:
        """Let listeners know that there is nothing new; once a second."""
        self._tell(self._listeners, {"event": "alive"})

    def show(
        self,
        frame: Frame,
        in_sight: Callable[[], Sequence[tuple[Track, Visit | None]]],
        door_id: str,
    ) -> None:
        """Hand a frame to whoever watches and is due for one.

        Args:
            frame: of the camera.
            in_sight: tells whose faces are in it.
            door_id: of the door that it shows.
        """
        watchers = [each for each in self._watchers if each.door_id == door_id]
        if not watchers:
            return
        now = time.monotonic()
        due = [each for each in watchers if now >= each.due_seconds]
        if not due:
            return
        self._sequence += 1
        faces = self._faces(frame, in_sight())
        written: dict[RingWriter, int] = {}
        for watcher in due:
            # On average so often, also where the camera's own pace is no multiple of it.
            watcher.due_seconds = max(watcher.due_seconds + watcher.pause_seconds, now)
            try:
                self._show(watcher, frame, faces, written)
            except OSError:
                self._let_go(watcher)

    def listen(self, peer: socket.socket, opening: Document) -> threading.Event:
        """Hand events to a connection, after this message; set once it is let go.

        Raises:
            OSError: it does not take it.
        """
        peer.settimeout(None)
        listener = _Listener(peer)
        with self._lock:
            _open(peer, opening)
            self._listeners = (*self._listeners, listener)
        return listener.gone

    def watch(
        self,
        peer: socket.socket,
        opening: Document | None,
        *,
        door_id: str | None = None,
        max_width: int | None,
        per_second: float,
    ) -> threading.Event:
        """Hand frames to a connection, after this message; set once it is let go.

        Args:
            peer: the connection.
            opening: what it is told before; None for nothing.
            door_id: of the door; None for the first.
            max_width: pixels; wider frames come at an integer part of their size.
            per_second: at most so many.

        Raises:
            RefusedError: as many watch as may.
            UnknownDoorError: there is no such door.
            OSError: it does not take the message.
        """
        watcher = _Watcher(peer, self._door(door_id), max_width, 1.0 / per_second)
        with self._lock:
            if len(self._watchers) >= WATCHERS:
                raise RefusedError("too many watch at once; wait a moment", "too_fast")
            peer.settimeout(None)
            if opening is not None:
                _open(peer, opening)
            self._watchers = (*self._watchers, watcher)
        return watcher.gone

    def leave(self, gone: threading.Event) -> None:
        """Let a connection go that has ended; idempotent."""
        for each in self._everybody:
            if each.gone is gone:
                self._let_go(each)

    def close(self) -> None:
        """Let everybody go; idempotent."""
        for each in self._everybody:
            self._let_go(each)

    def _door(self, door_id: str | None) -> str:
        """The id of a door; of the first where none is named.

        Raises:
            UnknownDoorError: there is none of that id.
        """
        if door_id is None:
            return next(iter(self._latest))
        if door_id not in self._latest:
            raise UnknownDoorError(door_id, self._latest)
        return door_id

    @property
    def _everybody(self) -> tuple[_Listener | _Watcher, ...]:
        return (*self._listeners, *self._watchers)

    def _tell(self, listeners: Sequence[_Listener], document: Document) -> None:
        for listener in listeners:
            try:
                taken = send_now(listener.peer, document)
            except OSError:
                taken = False
            if not taken:
                self._let_go(listener)

    def _let_go(self, gone: _Listener | _Watcher) -> None:
        with self._lock:
            self._listeners = tuple(each for each in self._listeners if each is not gone)
            self._watchers = tuple(each for each in self._watchers if each is not gone)
        gone.gone.set()

    def _show(
        self,
        watcher: _Watcher,
        frame: Frame,
        faces: list[Document],
        written: dict[RingWriter, int],
    ) -> None:
        ring = self._ring_for(watcher, frame)
        if ring is None:
            return
        if ring not in written:
            slot, pixels = ring.begin()
            _copy(frame, watcher.ratio, pixels)
            ring.end(slot, self._sequence)
            written[ring] = slot
        send_now(
            watcher.peer,
            {
                "event": "frame",
                "seq": self._sequence,
                "slot": written[ring],
                "captured_at": frame.captured_at,
                "time_seconds": frame.time_seconds,
                "faces": faces,
            },
        )  # a frame that is not taken is followed by another

    def _ring_for(self, watcher: _Watcher, frame: Frame) -> RingWriter | None:
        """The memory that a watcher sees frames of this size in; None where it cannot take it.

        Raises:
            OSError: there is none, or there are as many sizes as may be and all are wider.
        """
        source = (frame.width, frame.height)
        if watcher.source == source:
            return watcher.ring
        ratio = min(-(-frame.width // (watcher.max_width or frame.width)), frame.height)
        door_id = watcher.door_id
        if self._sources.get(door_id) != source:
            self._sources[door_id], self._rings[door_id] = source, {}
        rings = self._rings[door_id]
        made = {
            each.ratio
            for each in self._watchers
            if each.door_id == door_id and each.source == source
        }
        if ratio not in made and len(made) >= SIZES:
            ratio = min((each for each in made if each > ratio), default=0)
            if ratio == 0:
                raise OSError(errno.EMFILE, "all the sizes that frames are made in are wider")
        shape = RingShape(frame.width // ratio, frame.height // ratio)
        ring = rings.get(ratio) or RingWriter(shape)
        rings[ratio] = ring
        told = {"event": "ring_of_frames", "width": shape.width, "height": shape.height}
        if not send_now(watcher.peer, told, [ring.descriptor]):
            return None
        watcher.ring, watcher.ratio, watcher.source = ring, ratio, source
        return ring

    def _faces(
        self, frame: Frame, in_sight: Sequence[tuple[Track, Visit | None]]
    ) -> list[Document]:
        return [
            self._face(frame, track, visit)
            for track, visit in in_sight
            if track.last_seen_seconds == frame.time_seconds
            and (visit is not None or track.hits >= SHOWN_HITS)
        ]

    def _face(self, frame: Frame, track: Track, visit: Visit | None) -> Document:
        left, top, right, bottom = (float(edge) for edge in track.face.box_xyxy)
        told = visitor_document(None if visit is None else visit.visitor)
        size = track.face.width_pixels
        return {
            "box": [
                round(left / frame.width, 4),
                round(top / frame.height, 4),
                round(right / frame.width, 4),
                round(bottom / frame.height, 4),
            ],
            "visit_id": visit and visit.visit_id,
            "label": told["label"],
            "kind": told["kind"],
            "pixels": round(size),
            "recognizable": size >= self._min_face_pixels,
        }


def _open(peer: socket.socket, opening: Document) -> None:
    """Send what comes before everything else.

    Raises:
        OSError: it is not taken.
    """
    if not send_now(peer, opening):
        raise BrokenPipeError("the other end has left what it was told before")


def _copy(frame: Frame, ratio: int, into: cv2.typing.MatLike) -> None:
    """Copy a frame at an integer part of its size; whatever is left over at its edges is not."""
    if ratio == 1:
        into[...] = frame.pixels
        return
    height, width = into.shape[0] * ratio, into.shape[1] * ratio
    cv2.resize(
        frame.pixels[:height, :width],
        (into.shape[1], into.shape[0]),
        dst=into,
        interpolation=cv2.INTER_AREA,
    )


def _event_document(event: Event) -> Document:
    visit = event.visit
    return {
        "event": type(event).__name__.lower(),
        "event_id": event.event_id,
        "occurred_at": iso_utc(event.occurred_at),
        "door_id": event.door_id,
        "pressed": isinstance(event, Ring) and event.pressed,
        "visit": None
        if visit is None
        else visit_document(visit, lambda _: event.picture_jpeg is not None),
    }
