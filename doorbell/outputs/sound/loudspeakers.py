"""Which loudspeakers there are: inside, and at the door; where both are one, they share it."""

from __future__ import annotations

from dataclasses import dataclass

from doorbell.config import Config
from doorbell.outputs import Publish
from doorbell.outputs.sound.channel import Channel
from doorbell.status import DoorSpeakerState, SoundState


@dataclass(frozen=True, slots=True)
class Loudspeakers:
    """Where is sounded.

    Attributes:
        inside: for chimes and announcements.
        door: for what is said at the door; the same where that has no device of its own.
    """

    inside: Channel
    door: Channel


def has_own_door_speaker(config: Config) -> bool:
    """Whether what is said at the door has a device of its own."""
    talk = config.talk
    return talk.enabled and talk.device not in (None, config.chime.device)


def open_loudspeakers(config: Config, publish: Publish) -> Loudspeakers:
    """Open them, with a player process each.

    Args:
        config: for the devices.
        publish: told whether sound works, inside and at the door; on any thread.
    """
    door_id = config.device.id
    publish(SoundState(door_id=door_id))
    # Also where nothing is said there any more: a broker keeps what failed in an earlier run.
    publish(DoorSpeakerState(door_id=door_id))

    def told_inside(problem: str) -> None:
        publish(SoundState(works=not problem, reason=problem, door_id=door_id))

    def told_at_door(problem: str) -> None:
        publish(DoorSpeakerState(works=not problem, reason=problem, door_id=door_id))

    def told_both(problem: str) -> None:
        told_inside(problem)
        if config.talk.enabled:
            told_at_door(problem)

    device = config.chime.device
    if not has_own_door_speaker(config):
        shared = Channel(device, name="the loudspeaker", told=told_both)
        return Loudspeakers(shared, shared)
    return Loudspeakers(
        Channel(device, name="the loudspeaker inside", told=told_inside),
        Channel(config.talk.device, name="the loudspeaker at the door", told=told_at_door),
    )
