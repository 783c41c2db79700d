"""Which chime a ring gets, and playing it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import time
from pathlib import Path
from time import monotonic
from time import time as wall_time
from typing import TypeAlias

from doorbell.config import ChimeSection
from doorbell.domain import Person, Ring, Stranger, Visit
from doorbell.errors import ConfigError, SoundError
from doorbell.outputs.sound.channel import Channel, Urgency
from doorbell.outputs.sound.quiet import QuietTimes, is_quiet, local_time_at
from doorbell.outputs.sound.synthesis import Sound, load_chime
from doorbell.status import Message

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


def choose_chime(event: Ring, section: ChimeSection, *, muted: bool, local_time: time) -> Choice:
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
        channel: the loudspeaker inside; used and closed by the chime.
        on_choice: called with every ring and what sounds, or why nothing does, by ``handle``; after
            the chime is on its way.
        local_time: wall time of a moment, seconds since the epoch, where the doorbell hangs.
        now_seconds: by a clock that nobody sets; cool-downs go by it.

    Raises:
        ConfigError: ``chime.default`` or ``chime.stranger`` cannot be played.
    """

    def __init__(
        self,
        section: ChimeSection,
        channel: Channel,
        *,
        on_choice: Callable[[Ring, Choice], None] | None = None,
        local_time: Callable[[float], time] = local_time_at,
        now_seconds: Callable[[], float] = monotonic,
    ) -> None:
        self._quiet = QuietTimes(section, local_time=local_time)
        try:
            self.reconfigure(section)
        except ConfigError:
            channel.close()
            raise
        self._channel = channel
        self._on_choice = on_choice
        self._now_seconds = now_seconds
        self._sounded_at: dict[str, float] = {}
        self._unplayable: set[str] = set()

    def reconfigure(self, section: ChimeSection) -> None:
        """Go by another ``[chime]`` from now on.

        Raises:
            ConfigError: ``chime.default`` or ``chime.stranger`` cannot be played; nothing changes.
        """
        default_sound = _load_configured("default", section.default)
        _load_configured("stranger", section.stranger)
        self._quiet.reconfigure(section)
        self._default_sound = default_sound

    def handle(self, message: Message) -> None:
        """Sound for a ring, unless the household wants silence."""
        self._quiet.handle(message)
        if isinstance(message, Ring):
            self._ring(message)

    def play(self, name: str) -> str | None:
        """Let a chime sound as it would now, for who chooses one; why it does not, on any thread.

        Args:
            name: of a built-in one.
        """
        choice = self._wanted(Ring(event_id="", occurred_at=wall_time()))
        if isinstance(choice, Silence):
            return choice.reason
        self._submit(Urgency.TRIAL, replace(choice, name=name))
        return None

    def is_quiet_at(self, epoch_seconds: float) -> bool:
        """Whether a moment is in the quiet hours, on any thread."""
        return self._quiet.is_quiet_at(epoch_seconds)

    def close(self) -> None:
        """Let the chime in hand end, for at most a second; idempotent."""
        self._channel.close()

    def _ring(self, ring: Ring) -> None:
        choice = self._choose(ring)
        if isinstance(choice, ChimeChoice):
            self._submit(Urgency.RING, choice)
        if self._on_choice is not None:
            self._on_choice(ring, choice)

    def _submit(self, urgency: Urgency, choice: ChimeChoice) -> None:
        self._channel.submit(
            urgency, lambda: [(self._load(choice.name), choice.volume)], label="a chime"
        )

    def _wanted(self, ring: Ring) -> Choice:
        return choose_chime(
            ring,
            self._quiet.section,
            muted=self._quiet.muted,
            local_time=self._quiet.local_time(ring.occurred_at),
        )

    def _choose(self, ring: Ring) -> Choice:
        choice = self._wanted(ring)
        if isinstance(choice, Silence) or ring.visit is None:
            return choice
        key = _who(ring.visit)
        cooldown = self._quiet.section.cooldown_seconds
        now = self._now_seconds()
        self._sounded_at = {k: at for k, at in self._sounded_at.items() if now - at < cooldown}
        if key in self._sounded_at and not ring.pressed:  # who presses is always heard
            return Silence(f"rang {now - self._sounded_at[key]:.0f} s ago")
        self._sounded_at[key] = now
        return choice

    def _load(self, name: str) -> Sound:
        try:
            return load_chime(name)
        except SoundError as exc:
            if name not in self._unplayable:
                self._unplayable.add(name)
                log.warning("the default chime sounds instead: %s", exc)
            return self._default_sound
