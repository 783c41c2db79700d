"""Which chime a ring gets, and playing it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, time
from pathlib import Path
from time import monotonic
from time import time as wall_time
from typing import TypeAlias

from doorbell.config import ChimeSection
from doorbell.domain import Person, Ring, Stranger, Visit
from doorbell.errors import ConfigError, SoundError
from doorbell.outputs import Publish, publish_nowhere
from doorbell.outputs.sound.speaker import Speaker
from doorbell.outputs.sound.synthesis import Sound, load_chime
from doorbell.outputs.worker import Worker
from doorbell.status import Message, MuteState, SettingsState, SoundState

# Rings that may wait while one sounds: a family at the door, not a backlog.
RINGS_WAITING = 4
CLOSE_SECONDS = 1.0
# A chime this late, behind a device that hung, would only puzzle.
LATE_SECONDS = 15.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChimeChoice:
    """What is to sound.

    Attributes:
        name: a built-in chime or the path of a WAV file.
        volume: 0 to 1.
    """

    name: str
    volume: float

    @property
    def label(self) -> str:
        """What people are shown: no path."""
        return Path(self.name).stem


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing sounds, and why: words for people."""

    reason: str


Choice: TypeAlias = ChimeChoice | Silence


def choose_chime(
    event: Ring, section: ChimeSection, *, muted: bool, local_time: time
) -> ChimeChoice | Silence:
    """Choose what a ring sounds like, cool-down aside.

    Args:
        event: the ring.
        section: ``[chime]``.
        muted: whether the household has silenced the chimes.
        local_time: wall time of the ring where the doorbell hangs, for the quiet hours.
    """
    if not section.enabled:
        return Silence("chimes are off")
    if muted:
        return Silence("muted")
    quiet = is_quiet(section, local_time)
    volume = section.quiet_volume if quiet else section.volume
    if volume == 0.0:
        return Silence("quiet hours" if quiet else "volume is 0")
    visitor = event.visit.visitor if event.visit else None
    if isinstance(visitor, Stranger) or event.reason is not None:
        return ChimeChoice(section.stranger, volume)
    if visitor is not None and visitor.chime is not None:
        return ChimeChoice(visitor.chime, volume)
    return ChimeChoice(section.default, volume)


def with_settings(section: ChimeSection, settings: SettingsState) -> ChimeSection:
    """The configuration as people have changed it."""
    changes: dict[str, object] = {"volume": settings.volume}
    if settings.default_chime is not None:
        changes["default"] = settings.default_chime
    if not settings.quiet_hours or settings.quiet_from is not None:
        changes |= {"quiet_from": settings.quiet_from, "quiet_to": settings.quiet_to}
    return section.model_copy(update=changes)


def is_quiet(section: ChimeSection, local_time: time) -> bool:
    """Whether a time of day is in the quiet hours."""
    start, end = section.quiet_from, section.quiet_to
    if start is None or end is None:
        return False
    if start <= end:
        return start <= local_time < end
    return local_time >= start or local_time < end  # over midnight


def local_time_at(epoch_seconds: float) -> time:
    """Wall time of a moment in the machine's time zone."""
    return datetime.fromtimestamp(epoch_seconds).astimezone().time()


def _who(visit: Visit) -> str:
    """Name what the cool-down is counted by; a person's name may change."""
    match visit.visitor:
        case Person(person_id=person_id):
            return f"person-{person_id}"
        case Stranger(stranger_id=stranger_id):
            return f"stranger-{stranger_id}"
        case None:
            return visit.visit_id


def _load_configured(key: str, name: str) -> Sound:
    try:
        return load_chime(name)
    except SoundError as exc:
        raise ConfigError(f"chime.{key} = {name!r}: {exc}") from exc


class Chime:
    """The output that sounds.

    Args:
        section: ``[chime]``.
        speaker: used and closed by the chime.
        door_id: of the door that it sounds for.
        publish: told whether sound works, on any thread.
        on_choice: called with every ring and what sounds, or why nothing does, by ``handle``.
        local_time: wall time of a moment, seconds since the epoch, where the doorbell hangs.
        now_seconds: by a clock that nobody sets; cool-downs go by it.
        late_seconds: a chime that had to wait longer is left out.

    Raises:
        ConfigError: ``chime.default`` or ``chime.stranger`` cannot be played.
    """

    def __init__(
        self,
        section: ChimeSection,
        speaker: Speaker,
        *,
        door_id: str = "",
        publish: Publish = publish_nowhere,
        on_choice: Callable[[Ring, Choice], None] | None = None,
        local_time: Callable[[float], time] = local_time_at,
        now_seconds: Callable[[], float] = monotonic,
        late_seconds: float = LATE_SECONDS,
    ) -> None:
        try:
            self.reconfigure(section)
        except ConfigError:
            speaker.close()
            raise
        self._speaker = speaker
        self._publish = publish
        self._on_choice = on_choice
        self._local_time = local_time
        self._now_seconds = now_seconds
        self._late_seconds = late_seconds
        self._muted = False
        self._sounded_at: dict[str, float] = {}
        self._unplayable: set[str] = set()
        self._sound = SoundState(door_id=door_id)
        publish(self._sound)
        self._worker = Worker("chime", self._play, capacity=RINGS_WAITING)

    def reconfigure(self, section: ChimeSection) -> None:
        """Go by another ``[chime]`` from now on.

        Raises:
            ConfigError: ``chime.default`` or ``chime.stranger`` cannot be played; nothing changes.
        """
        default_sound = _load_configured("default", section.default)
        _load_configured("stranger", section.stranger)
        # What people have set is told anew after a change of the configuration.
        self._configured = self._section = section
        self._default_sound = default_sound

    def handle(self, message: Message) -> None:
        """Sound for a ring, unless the household wants silence."""
        match message:
            case MuteState(muted=muted):
                self._muted = muted
            case SettingsState():
                self._section = with_settings(self._configured, message)
            case Ring():
                self._ring(message)
            case _:
                pass

    def play(self, name: str) -> str | None:
        """Let a chime sound as it would now, for who chooses one; why it does not, on any thread.

        Args:
            name: of a built-in one.
        """
        section = self._section
        event = Ring(event_id="", occurred_at=wall_time())
        choice = choose_chime(
            event, section, muted=self._muted, local_time=self._local_time(event.occurred_at)
        )
        if isinstance(choice, Silence):
            return choice.reason
        self._worker.submit((replace(choice, name=name), self._now_seconds()))
        return None

    def is_quiet_at(self, epoch_seconds: float) -> bool:
        """Whether a moment is in the quiet hours, on any thread."""
        return is_quiet(self._section, self._local_time(epoch_seconds))

    def close(self) -> None:
        """Let the chime in hand end, for at most a second; idempotent."""
        if not self._worker.close(CLOSE_SECONDS):
            self._speaker.kill()
            self._worker.close(CLOSE_SECONDS)
        self._speaker.close()

    def _ring(self, ring: Ring) -> None:
        choice = self._choose(ring)
        if self._on_choice is not None:
            self._on_choice(ring, choice)
        if isinstance(choice, ChimeChoice):
            self._worker.submit((choice, self._now_seconds()))

    def _choose(self, ring: Ring) -> Choice:
        choice = choose_chime(
            ring,
            self._section,
            muted=self._muted,
            local_time=self._local_time(ring.occurred_at),
        )
        if isinstance(choice, Silence) or ring.visit is None:
            return choice
        key = _who(ring.visit)
        cooldown = self._section.cooldown_seconds
        now = self._now_seconds()
        self._sounded_at = {k: at for k, at in self._sounded_at.items() if now - at < cooldown}
        if key in self._sounded_at and not ring.pressed:  # who presses is always heard
            return Silence(f"rang {now - self._sounded_at[key]:.0f} s ago")
        self._sounded_at[key] = now
        return choice

    def _play(self, asked: tuple[ChimeChoice, float]) -> None:
        choice, asked_seconds = asked
        late = self._now_seconds() - asked_seconds
        if late > self._late_seconds:
            log.info("a chime is left out: it would sound %.0f s late", late)
            return
        try:
            sound = load_chime(choice.name)
        except SoundError as exc:
            if choice.name not in self._unplayable:
                self._unplayable.add(choice.name)
                log.warning("the default chime sounds instead: %s", exc)
            sound = self._default_sound
        try:
            self._speaker.play(sound, choice.volume)
        except SoundError as exc:
            if self._sound.works is False:
                log.debug("still no sound: %s", exc)
            else:
                log.warning("no sound, and the doorbell goes on without: %s", exc)
            self._tell(replace(self._sound, works=False, reason=str(exc)))
        else:
            if self._sound.works is False:
                log.info("sound is back")
            self._tell(replace(self._sound, works=True, reason=""))

    def _tell(self, sound: SoundState) -> None:
        if sound != self._sound:
            self._sound = sound
            self._publish(sound)
