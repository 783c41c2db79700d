"""Several doors in one main loop: commands go to their door, and what is set there stays there."""

import queue
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from house_doors import House, configured

from doorbell.daemon.door_files import take_over_files
from doorbell.daemon.loop import MainLoop
from doorbell.daemon.main_thread import Inbox
from doorbell.daemon.systemd import ServiceNotifier
from doorbell.domain import (
    Command,
    CommandResult,
    MuteCommand,
    PrivacyCommand,
    Ring,
    RingCommand,
    VolumeCommand,
)
from doorbell.gallery.gallery import Gallery
from doorbell.pipeline.perception import Perception
from doorbell.settings import Settings, SettingsFile
from doorbell.status import CameraState, Message, MuteState, SettingsState, Statistics
from doorbell.stopping import Stop
from doorbell.testbed.waiting import eventually


class Heard:
    """A sink that keeps every message."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def handle(self, message: Message) -> None:
        self.messages.append(message)

    def close(self) -> None:
        """Nothing to release."""

    def doors_of(self, kind: type[Ring] | type[MuteState] | type[CameraState]) -> list[str]:
        """Whose messages of a kind were heard."""
        return [each.door_id for each in self.messages if isinstance(each, kind)]


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        yield gallery


def run(perception: Perception, gallery: Gallery, *commands: Command) -> Heard:
    """Run the loop of two doors, let it carry out commands, and end it."""
    config = configured(Path(gallery.file.name).parent, "front", "back")
    take_over_files(config)
    heard, stop = Heard(), Stop()
    inbox: Inbox = queue.SimpleQueue()
    with House(config, perception, gallery) as house, closing(ServiceNotifier()) as notifier:
        loop = MainLoop(
            [*house.doors.values()],
            gallery=gallery,
            sinks=[heard],
            notifier=notifier,
            inbox=inbox,
            config=config,
        )

        def act() -> None:
            for command in commands:
                inbox.put(command)
            # Each door is watched before it ends, and everything is carried out.
            eventually(lambda: inbox.empty() and len(set(heard.doors_of(CameraState))) == 2)
            stop.set()

        acting = threading.Thread(target=act)
        acting.start()
        loop.run(stop)
        acting.join()
    return heard


def test_a_command_goes_to_its_door_and_one_without_to_the_first(
    perception: Perception, gallery: Gallery
) -> None:
    told: list[CommandResult] = []
    heard = run(
        perception,
        gallery,
        RingCommand(door_id="back", reply=told.append),
        RingCommand(reply=told.append),
        RingCommand(door_id="attic", reply=told.append),
        MuteCommand(True, door_id="back", reply=told.append),
    )
    assert heard.doors_of(Ring) == ["back", "front"]
    assert [each.done for each in told] == [True, True, False, True]
    assert told[2].summary == "there is no door 'attic'; there are front, back"
    assert set(heard.doors_of(CameraState)) == {"front", "back"}
    muted = [(each.door_id, each.muted) for each in heard.messages if isinstance(each, MuteState)]
    assert muted == [("front", False), ("back", False), ("back", True)]
    statistics = [each.door_id for each in heard.messages if isinstance(each, Statistics)]
    assert statistics == ["front", "back"], "the last ones: none is due before"


def test_what_is_set_at_one_door_is_kept_for_it_alone(
    perception: Perception, gallery: Gallery, tmp_path: Path
) -> None:
    run(
        perception,
        gallery,
        VolumeCommand(0.25, door_id="back"),
        PrivacyCommand(True, door_id="back"),
        MuteCommand(True, door_id="front"),
    )
    assert SettingsFile(tmp_path / "doors/back/settings.json").read() == Settings(
        volume=0.25, privacy=True
    )
    assert SettingsFile(tmp_path / "doors/front/settings.json").read() == Settings(muted=True)
    assert not (tmp_path / "settings.json").exists()
    heard = run(perception, gallery)
    states = {each.door_id: each for each in heard.messages if isinstance(each, SettingsState)}
    assert (states["back"].volume, states["back"].privacy, states["back"].muted) == (
        0.25,
        True,
        False,
    )
    assert (states["front"].privacy, states["front"].muted) == (False, True)
