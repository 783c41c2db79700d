"""One loudspeaker: one sound at a time, and what is more urgent cuts what is less."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import IntEnum
from time import monotonic
from typing import TypeAlias

from doorbell.errors import DoorbellError, SoundError
from doorbell.outputs.sound.speaker import PlayerDiedError, Speaker, player_command
from doorbell.outputs.sound.synthesis import LONGEST_SECONDS, Sound, joined

# Sounds that may wait while one sounds: a family at the door, not a backlog.
SOUNDS_WAITING = 6
CLOSE_SECONDS = 1.0
# How often a ring is begun whose players are killed; any other sound is begun twice.
RING_TRIES = 3
# A sound this late, behind a device that hung, would only puzzle. What waits behind the longest
# sound, and the notes before it, is not late.
LATE_SECONDS = LONGEST_SECONDS + 5.0

Parts: TypeAlias = Sequence[tuple[Sound, float]]
Load: TypeAlias = Callable[[], Parts]
"""Gives what is to sound and at which volume, 0 to 1, part by part; nothing where it is not wanted
any more. May raise one of our errors."""

log = logging.getLogger(__name__)


class Urgency(IntEnum):
    """How urgent a sound is."""

    TRIAL = 0
    ANNOUNCEMENT = 1
    REPLY = 2
    TALK = 3
    RING = 4


@dataclass(frozen=True, slots=True)
class _Item:
    urgency: Urgency
    load: Load
    label: str
    asked_seconds: float


class Channel:
    """One loudspeaker, with a thread and a player process of its own.

    What is more urgent goes before what waits, and ends what sounds; of equal urgency, what was
    asked first sounds first and to its end. What a player was playing that died sounds once more,
    from its beginning; a ring twice more, and however often players have died. A device that fails
    is said once, and when it is back.

    Args:
        device: an ALSA device; None for the default one.
        name: of the loudspeaker, for the log: what it is there for.
        told: called after each sound that was to be played, on the channel's thread, when that has
            changed: empty where the device took it, else why not, in words for people.
        late_seconds: a sound that had to wait longer is left out.
        now_seconds: by a clock that nobody sets.
        speaker: used and closed by the channel; None for one on ``device``.
    """

    def __init__(
        self,
        device: str | None,
        *,
        name: str,
        told: Callable[[str], None] = lambda _: None,
        late_seconds: float = LATE_SECONDS,
        now_seconds: Callable[[], float] = monotonic,
        speaker: Speaker | None = None,
    ) -> None:
        self._name = name
        self._told = told
        self._late_seconds = late_seconds
        self._now_seconds = now_seconds
        self._speaker = speaker or Speaker(player_command(device))
        self._problem: str | None = None
        self._changed = threading.Condition()
        self._waiting: list[_Item] = []
        self._current: _Item | None = None
        self._is_cut = False  # what is current is to end
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_sounding(self) -> bool:
        """Whether something sounds or is about to; from any thread."""
        with self._changed:
            return self._current is not None or bool(self._waiting)

    @property
    def player_pid(self) -> int | None:
        """Process id of the player; None while there is none."""
        return self._speaker.player_pid

    def submit(self, urgency: Urgency, load: Load, *, label: str) -> None:
        """Let something sound, soon; never waits. After ``close`` it is ignored.

        Args:
            urgency: what is less urgent and sounds is ended.
            load: called on a thread of the channel when its turn comes, which does not keep what is
                more urgent waiting; its parts follow each other without a gap.
            label: what it is, for the log: no name of a person.
        """
        with self._changed:
            if self._closing:
                return
            self._waiting.append(_Item(urgency, load, label, self._now_seconds()))
            self._bound()
            if self._current is not None and self._current.urgency < urgency:
                self._is_cut = True
                self._speaker.interrupt()
            self._changed.notify()

    def close(self) -> None:
        """Let what sounds and waits end, for at most a second; idempotent."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(CLOSE_SECONDS)
        with self._changed:
            self._waiting.clear()
            self._is_cut = True
            self._changed.notify()
        if self._thread.is_alive():
            self._speaker.kill()
            self._thread.join(CLOSE_SECONDS)
        self._speaker.close()

    def _bound(self) -> None:
        if len(self._waiting) > SOUNDS_WAITING:
            dropped = min(self._waiting, key=lambda item: item.urgency)  # of those the oldest
            self._waiting.remove(dropped)
            log.warning("too much is to sound on %s: %s is left out", self._name, dropped.label)

    def _run(self) -> None:
        while (item := self._next()) is not None:
            try:
                self._sound(item)
            except Exception:
                # The next sound may be a ring: no fault of one may cost another.
                log.exception("%s is left out", item.label)
            with self._changed:
                self._current = None
                self._is_cut = False
                self._speaker.resume()  # nobody interrupts where nothing sounds

    def _next(self) -> _Item | None:
        with self._changed:
            while not self._waiting:
                if self._closing:
                    return None
                self._changed.wait()
            item = max(self._waiting, key=lambda item: item.urgency)  # of those the first
            self._waiting.remove(item)
            self._current = item
            return item

    def _sound(self, item: _Item) -> None:
        late = self._now_seconds() - item.asked_seconds
        if late > self._late_seconds:
            log.info("%s is left out: it would sound %.0f s late", item.label, late)
            return
        try:
            parts = self._loaded(item)
        except DoorbellError as exc:
            log.warning("%s is left out: %s", item.label, exc)
            return
        if not parts:
            return
        try:
            sound = joined([part.at_volume(volume) for part, volume in parts])
            ended = self._play(sound, is_ring=item.urgency is Urgency.RING)
        except SoundError as exc:
            if not self._closing:  # else it was we who ended the player
                self._tell(str(exc))
        else:
            self._tell("")
            if not ended:
                log.debug("%s was cut by what is more urgent", item.label)

    def _loaded(self, item: _Item) -> Parts:
        """What is to sound; nothing where it is cut before it is there."""
        if item.urgency is Urgency.RING:
            return item.load()  # nothing cuts it
        loading: Future[Parts] = Future()

        def load() -> None:
            try:
                loading.set_result(item.load())
            except Exception as exc:  # noqa: BLE001 - raised by ``result``
                loading.set_exception(exc)
            with self._changed:
                self._changed.notify()

        threading.Thread(target=load, name=f"{self._name}: {item.label}", daemon=True).start()
        with self._changed:
            self._changed.wait_for(lambda: self._is_cut or loading.done())
        return loading.result() if loading.done() else ()

    def _play(self, sound: Sound, *, is_ring: bool) -> bool:
        for _ in range(RING_TRIES - 1 if is_ring else 1):
            try:
                return self._speaker.play(sound, must_sound=is_ring)
            except PlayerDiedError as exc:  # noqa: PERF203 - of one try alone
                if self._closing:
                    raise
                log.info("once more on %s: %s", self._name, exc)
        return self._speaker.play(sound, must_sound=is_ring)

    def _tell(self, problem: str) -> None:
        if problem and self._problem:
            log.debug("still no sound on %s: %s", self._name, problem)
        elif problem:
            log.warning("no sound on %s, and the doorbell goes on without: %s", self._name, problem)
        elif self._problem:
            log.info("sound is back on %s", self._name)
        if problem != self._problem:
            self._problem = problem
            self._told(problem)
