"""What is told of loudspeakers as they are opened."""

import pytest

from doorbell.config import Config, TalkSection
from doorbell.outputs.sound.loudspeakers import open_loudspeakers
from doorbell.status import DoorSpeakerState, SoundState, State


@pytest.mark.parametrize("enabled", [True, False])
def test_what_failed_in_an_earlier_run_is_forgotten(enabled: bool) -> None:
    told: list[State] = []
    config = Config(talk=TalkSection(enabled=enabled))
    [speakers] = open_loudspeakers([config], told.append).values()
    speakers.inside.close()
    assert speakers.door is speakers.inside
    assert told == [SoundState(door_id="front-door"), DoorSpeakerState(door_id="front-door")]
