"""Is everything there that the doorbell needs: one finding a part, each with how to mend it.

Opens what the daemon would open and closes it again; changes nothing but a new, empty gallery where
none was.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TypeAlias

from doorbell.camera import open_camera
from doorbell.camera.simulated.script import KNOWN_PORTRAIT
from doorbell.config import CameraSection, Config, InferenceSection, control_socket
from doorbell.control.client import is_running
from doorbell.diagnostics.broker import check_broker
from doorbell.diagnostics.camera import check_camera
from doorbell.diagnostics.notifications import check_notifications
from doorbell.diagnostics.sound import (
    check_door_speaker,
    check_microphone,
    check_sound,
    check_speech,
)
from doorbell.errors import DoorbellError, OutputError
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.link.machines import require_doors_apart, require_tidied
from doorbell.gpio.button import open_button
from doorbell.gpio.lines import KernelChips
from doorbell.inference import NetworkFiles, Runner, open_runner
from doorbell.models.store import models_directory, verify_models
from doorbell.outputs.relay import open_relay
from doorbell.pipeline.latency import Latency, Stopwatch, describe
from doorbell.pipeline.perception import Perception, open_perception, says_how_computed
from doorbell.pipeline.pipeline import Pipeline

MIN_FREE_BYTES = 200 * 1024 * 1024
# A clock before the day this was written was never set.
EARLIEST_CLOCK = 1795305600.0  # 2026-11-22
# What most webcams see from side to side.
WEBCAM_DEGREES = 78.0
# The built-in scene's first visitor comes and stands at the door within these.
SCENE_FRAMES_PER_SECOND = 10.0
SCENE_FRAMES = 60


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one part.

    Attributes:
        part: which, in one word; of several doors with the door's name: ``camera (Garden gate)``.
        ok: whether it will do.
        message: what was found; if it will not do, with how to mend it.
        advice: what would make it better, where it will do; in whole sentences.
    """

    part: str
    ok: bool
    message: str
    advice: tuple[str, ...] = ()


# What a check says; with advice where there is some.
_Found: TypeAlias = str | tuple[str, Sequence[str]]
_Checks: TypeAlias = Mapping[str, Callable[[Config], _Found]]


def check_all(
    config: Config,
    *,
    field_of_view_degrees: float = WEBCAM_DEGREES,
    open_network: Callable[[NetworkFiles, InferenceSection], Runner] = open_runner,
) -> Iterator[Finding]:
    """Check every part in turn; a part that is switched off is reported as such.

    What each door has for itself is checked at each door, by networks that are loaded once.

    Args:
        config: what is to be checked.
        field_of_view_degrees: of the camera's width, for how large faces will be.
        open_network: loads one; the configured backend unless given.
    """
    yield _find("models", _check_models, config)
    doors = config.doors
    with ExitStack() as stack:

        @cache
        def networks() -> Perception:
            opened = open_perception(config, open_network=open_network)
            return stack.enter_context(closing(opened))

        for door in doors:
            device, is_one_of_several = door.device, len(doors) > 1
            checks = _checks_of_door(
                device.id if is_one_of_several else None, field_of_view_degrees, networks
            )
            for part, check in checks.items():
                yield _find(f"{part} ({device.name})" if is_one_of_several else part, check, door)
    for part, check in _CHECKS_OF_HOUSE.items():
        yield _find(part, check, config)


def _checks_of_door(
    door_id: str | None, field_of_view_degrees: float, networks: Callable[[], Perception]
) -> _Checks:
    """By part, what checks it at one door.

    Args:
        door_id: as the running doorbell is asked for it; None for the only one.
        field_of_view_degrees: of the camera's width.
        networks: gives those of all doors, loaded when they are asked for first.
    """
    return {
        "camera": partial(
            check_camera,
            door_id=door_id,
            field_of_view_degrees=field_of_view_degrees,
            networks=networks,
        ),
        "latency": partial(_check_latency, networks=networks),
        "sound": check_sound,
        "speaker": check_door_speaker,
        "speech": check_speech,
        "microphone": partial(check_microphone, door_id=door_id),
        "button": _check_button,
        "relay": _check_relay,
        "broker": check_broker,
    }


def _find(part: str, check: Callable[[Config], _Found], config: Config) -> Finding:
    try:
        found = check(config)
        message, advice = (found, ()) if isinstance(found, str) else found
        return Finding(part, True, message, tuple(advice))
    except DoorbellError as exc:
        return Finding(part, False, str(exc))


def _check_models(config: Config) -> str:
    paths = verify_models(models_directory(config.inference))
    return f"{len(paths)} files unaltered; {says_how_computed(config.inference)}"


def _check_latency(config: Config, *, networks: Callable[[], Perception]) -> str:
    """Let the simulated visitor come to the door, in a gallery that is gone afterwards."""
    faces = models_directory(config.inference) / "faces"
    if not (faces / KNOWN_PORTRAIT).exists():  # as the Jetson's installer leaves it
        return (
            "not measured: the simulated visitor needs the sample portraits; fetch them with "
            "`doorbell models build` if you want to know"
        )
    latency = Latency()
    scene = CameraSection(
        width=config.camera.width,
        height=config.camera.height,
        frames_per_second=SCENE_FRAMES_PER_SECOND,
        realtime=False,
    )
    perception = networks().another()
    perception.warm_up()
    with (
        tempfile.TemporaryDirectory(prefix="doorbell-") as folder,
        Gallery.open(Path(folder) / "gallery.sqlite") as gallery,
        closing(open_camera(scene, faces)) as camera,
    ):
        pipeline = Pipeline(perception, gallery, config, Stopwatch(latency, time.perf_counter))
        for _ in range(SCENE_FRAMES):
            frame = camera.read()
            pipeline.step(frame)
    return f"{describe(latency.take())}; of a simulated visitor, {frame.width} x {frame.height}"


def _check_button(config: Config) -> str:
    if config.button.line is None:
        return "none is set (button.line)"
    if is_running(control_socket(config)):
        return f"{config.button.line} is held by the running doorbell"
    with closing(open_button(config.button, KernelChips())) as line:
        pressed = line.is_active()
    if pressed:
        return f"{line.label} reads as pressed; if nobody presses, see button.active_low and .bias"
    return f"{line.label} answers"


def _check_relay(config: Config) -> str:
    if config.relay.line is None:
        return "none is set (relay.line)"
    if is_running(control_socket(config)):
        return f"{config.relay.line} is held by the running doorbell"
    with closing(open_relay(config.relay, KernelChips())) as line:
        return f"{line.label} answers; it was not switched on"


def _check_disk(config: Config) -> str:
    directory = config.storage.directory
    existing = directory
    while not existing.exists():
        existing = existing.parent
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(
            f"{existing} cannot be written; give it to the user who runs the doorbell, or set "
            "storage.directory"
        )
    free = shutil.disk_usage(existing).free
    if free < MIN_FREE_BYTES:
        raise OutputError(
            f"only {free // 2**20} MB are free at {existing}; make room, or lower "
            "storage.pictures_days"
        )
    return f"{free / 2**30:.1f} GB free at {directory}"


def _check_gallery(config: Config) -> str:
    with Gallery.of(config.storage, config.gallery) as gallery:
        people, strangers = len(gallery.people.all()), len(gallery.strangers.all())
        require_tidied(gallery.file)
        require_doors_apart(gallery.file)
    advice = "" if people else "; enroll somebody with: doorbell enroll NAME PHOTO"
    return f"{people} people, {strangers} strangers{advice}"


def _check_clock(_config: Config) -> str:
    now = time.time()
    shown = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(now))
    if now < EARLIEST_CLOCK:
        raise OutputError(f"the clock says {shown}; set it, or switch on: timedatectl set-ntp true")
    if Path("/run/systemd/system").is_dir() and shutil.which("timedatectl"):
        answer = subprocess.run(
            ["timedatectl", "show", "--property=NTPSynchronized", "--value"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
        if answer.stdout.strip() == "no":
            return f"{shown}, not synchronized; switch on: timedatectl set-ntp true"
    return shown


_CHECKS_OF_HOUSE: _Checks = {
    "notifications": check_notifications,
    "disk": _check_disk,
    "gallery": _check_gallery,
    "clock": _check_clock,
}
