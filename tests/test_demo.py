"""The demonstration, as fast as frames can be drawn."""

import re
import subprocess
from pathlib import Path

import pytest

from doorbell.demo import KNOWN_NAME, TWO_DOORS, run_demo
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.testbed.daemon_process import DOORBELL
from doorbell.testbed.sound_card import SoundCard

FAST = (
    *("camera.realtime=false", "camera.width=640", "camera.height=360"),
    *("camera.frames_per_second=8", "detection.regions_per_frame=4"),
)


def test_one_round_names_the_known_visitor_alone_and_shows_each_visit(
    models_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "visit-9-of-yesterday.jpg").write_bytes(b"old")
    (folder / "holiday.jpg").write_bytes(b"not ours")
    overrides = [
        *FAST,
        "chime.enabled=false",
        f"inference.models_directory={models_directory}",
    ]
    written = run_demo(folder, overrides=overrides)
    slug = KNOWN_NAME.lower().replace(" ", "-")
    names = [path.name for path in written]
    assert names[:2] == [f"visit-1-{slug}.jpg", "visit-2-stranger-1.jpg"]
    # Both leave in the same frame or nearly so.
    assert sorted(name[8:] for name in names[2:]) == [f"{slug}.jpg", "stranger-1.jpg"]
    assert {path.name for path in folder.iterdir()} == {*names, "holiday.jpg"}
    for path in written:
        assert decode_photo(read_photo(path), path.name).shape == (360, 640, 3)
    told = capsys.readouterr().out
    assert told.count(f"{KNOWN_NAME}  (similarity 0.") == 2
    assert told.count("unknown: stranger-1, never seen before") == 1
    assert told.count("unknown: stranger-1, here for the 2nd time") == 1
    assert told.count("no chime: chimes are off") >= 2
    counted = int(told.partition(" MQTT messages")[0].split()[-1])
    # Discovery, availability, presence and mute; then 4 visits of at least 3 events each.
    assert counted >= 16
    assert str(folder) in told
    assert re.search(r"^  http://localhost:\d+/pair#[0-9A-Z]{8}$", told, re.MULTILINE)


def test_of_two_doors_one_timeline_names_the_door_and_the_visitor_is_known_at_both(
    models_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = [
        *FAST,
        "chime.enabled=false",
        f"inference.models_directory={models_directory}",
    ]
    written = run_demo(tmp_path, doors=2, overrides=overrides)
    told = capsys.readouterr().out
    lines = [line for line in told.splitlines() if re.match(r"\d\d:", line)]

    def of(door: str, words: str) -> int:
        return sum(door in line and words in line for line in lines)

    assert [of(door, f"✔  {KNOWN_NAME}") for door in TWO_DOORS.values()] == [1, 1]
    assert of("Garden gate", "unknown: stranger-1, never seen before") == 1
    assert of("", "unknown:") == 1
    slug = KNOWN_NAME.lower().replace(" ", "-")
    assert sorted(path.name[8:] for path in written) == [
        f"{slug}-front-door.jpg",
        f"{slug}-garden-gate.jpg",
        "stranger-1-garden-gate.jpg",
    ]


@pytest.mark.long
@pytest.mark.system
def test_that_there_is_no_sound_is_said_in_plain_words(
    models_directory: Path, tmp_path: Path
) -> None:
    sound = SoundCard(tmp_path)
    sound.unplug()
    settings = [*FAST, f"inference.models_directory={models_directory}"]
    ended = subprocess.run(
        [*DOORBELL, "demo", "--output", str(tmp_path / "pictures")]
        + [word for setting in settings for word in ("--set", setting)],
        env=sound.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    [told] = [line for line in ended.stderr.splitlines() if "no sound" in line]
    assert told.startswith("no sound on the loudspeaker, and the doorbell goes on without: ")
