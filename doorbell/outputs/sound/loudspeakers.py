"""Which loudspeakers there are: inside, and at the door; where both are one, they share it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

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


def open_loudspeakers(doors: Sequence[Config], publish: Publish) -> dict[str, Loudspeakers]:
    """Open those of every door, with a player process for each device.

    Args:
        doors: of each, for the devices.
        publish: told whether sound works, inside and at the door; on any thread.

    Returns:
        By the id of the door. Doors that sound on one device share it.
    """
    told: dict[str | None, list[Callable[[str], None]]] = {}
    names: dict[str | None, str] = {}
    for config in doors:
        inside, door, door_id = config.chime.device, config.talk.device, config.device.id
        publish(SoundState(door_id=door_id))
        # Also where nothing is said there any more: a broker keeps what failed in an earlier run.
        publish(DoorSpeakerState(door_id=door_id))
        told.setdefault(inside, []).append(partial(_tell, publish, SoundState, door_id))
        at_door = partial(_tell, publish, DoorSpeakerState, door_id)
        if has_own_door_speaker(config):
            names[inside] = "the loudspeaker inside"
            where = "the door" if len(doors) == 1 else config.device.name
            names.setdefault(door, f"the loudspeaker at {where}")
            told.setdefault(door, []).append(at_door)
        elif config.talk.enabled:
            told[inside].append(at_door)
    channels = {
        device: Channel(
            device, name=names.get(device, "the loudspeaker"), told=partial(_tell_each, of_device)
        )
        for device, of_device in told.items()
    }
    return {
        config.device.id: Loudspeakers(
            channels[config.chime.device],
            channels[config.talk.device if has_own_door_speaker(config) else config.chime.device],
        )
        for config in doors
    }


def _tell(
    publish: Publish, state: type[SoundState | DoorSpeakerState], door_id: str, problem: str
) -> None:
    publish(state(works=not problem, reason=problem, door_id=door_id))


def _tell_each(told: Sequence[Callable[[str], None]], problem: str) -> None:
    for tell in told:
        tell(problem)
