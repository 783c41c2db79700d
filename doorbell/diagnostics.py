"""Is everything there that the doorbell needs: one finding a part, each with how to mend it.

Opens what the daemon would open and closes it again; changes nothing but a new, empty gallery where
none was.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from paho.mqtt.client import Client, ConnectFlags
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from doorbell.camera import open_camera
from doorbell.camera.exposed import can_be_exposed
from doorbell.camera.latest import LatestFrame, open_latest
from doorbell.camera.rotated import rotate
from doorbell.camera.uri import source_of
from doorbell.config import CameraSection, Config, MqttSection, RecognitionSection
from doorbell.domain import Face, Frame, UInt8Array
from doorbell.errors import (
    BrokerError,
    CameraError,
    DoorbellError,
    InferenceError,
    ModelError,
    OutputError,
)
from doorbell.gallery.gallery import Gallery
from doorbell.gpio.button import open_button
from doorbell.gpio.lines import KernelChips
from doorbell.imaging.view import (
    FaceView,
    advise_on_face,
    advise_on_noise,
    advise_on_picture,
    describe_face,
    describe_sizes,
    view_face,
    view_picture,
)
from doorbell.inference import says_how
from doorbell.models.store import models_directory, network_files, verify_models
from doorbell.outputs.mqtt.client import describe_failure, short_lived_client
from doorbell.outputs.mqtt.look import read_retained
from doorbell.outputs.mqtt.messages import ONLINE, problem_of
from doorbell.outputs.mqtt.session import describe_twin, is_taken, noted_mark
from doorbell.outputs.mqtt.topics import Topics
from doorbell.outputs.mqtt.trial import find_refusal
from doorbell.outputs.relay import open_relay
from doorbell.outputs.sound.speaker import Speaker
from doorbell.outputs.sound.synthesis import load_chime
from doorbell.pipeline.latency import Latency, Stage, Stopwatch, describe
from doorbell.pipeline.perception import open_perception
from doorbell.pipeline.pipeline import Pipeline
from doorbell.status import CameraCondition

BROKER_SECONDS = 5.0
MIN_FREE_BYTES = 200 * 1024 * 1024
# A clock before the day this was written was never set.
EARLIEST_CLOCK = 1795305600.0  # 2026-11-22
CAMERA_FRAMES = 6  # as many as tell whether it is slow
# How a camera may hang, in degrees.
TURNS = (0, 90, 180, 270)
# The built-in scene's first visitor comes and stands at the door within these.
SCENE_FRAMES_PER_SECOND = 10.0
SCENE_FRAMES = 60
STAND_THERE = "stand at the door and check again: then your face is measured"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one part.

    Attributes:
        part: which, in one word.
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


def check_all(config: Config, *, field_of_view_degrees: float) -> Iterator[Finding]:
    """Check every part in turn; a part that is switched off is reported as such.

    Args:
        config: what is to be checked.
        field_of_view_degrees: of the camera's width, for how large faces will be.
    """
    parts: dict[str, Callable[[Config], _Found]] = {
        "models": _check_models,
        "camera": partial(_check_camera, field_of_view_degrees=field_of_view_degrees),
        "latency": _check_latency,
        "sound": _check_sound,
        "button": _check_button,
        "relay": _check_relay,
        "broker": check_broker,
        "disk": _check_disk,
        "gallery": _check_gallery,
        "clock": _check_clock,
    }
    for part, check in parts.items():
        yield _find(part, check, config)


def _find(part: str, check: Callable[[Config], _Found], config: Config) -> Finding:
    try:
        found = check(config)
        message, advice = (found, ()) if isinstance(found, str) else found
        return Finding(part, True, message, tuple(advice))
    except DoorbellError as exc:
        return Finding(part, False, str(exc))


def _check_models(config: Config) -> str:
    paths = verify_models(models_directory(config.inference))
    how = says_how(network_files("sface", config.inference), config.inference)
    return f"{len(paths)} files unaltered; faces are embedded by {how}"


def _check_camera(config: Config, *, field_of_view_degrees: float) -> tuple[str, Sequence[str]]:
    """Look through the camera: how fast it is, and what it makes of faces."""
    section = config.camera
    faces = models_directory(config.inference) / "faces"
    latency = Latency()
    frames = []
    with closing(open_latest(section, faces)) as camera:
        for _ in range(CAMERA_FRAMES):
            frame = _next_frame(camera, section.timeout_seconds)
            latency.add(Stage.CAPTURE, time.time() - frame.captured_at)
            frames.append(frame.pixels)
        slow = [camera.state.reason] if camera.state.condition is CameraCondition.SLOW else []
    seen = f"{frame.width} x {frame.height} pixels from {source_of(section).shown}"
    seen += f"; {describe(latency.take())}"
    smallest = config.recognition.min_face_pixels
    picture, (face, turn) = view_picture(frames), _face_in_sight(config, frames[-1])
    if turn:
        return f"{seen}; faces are turned", [_advise_on_rotation(section, turn)]
    if face is not None:
        advice = [*slow, *advise_on_face(face, smallest), *advise_on_noise(picture)]
        if face.is_ill_exposed:
            advice.append(_advise_on_exposure(section))
        advice += _advise_on_far_faces(config.recognition)
        return f"{seen}; {describe_face(face)}", advice
    advice = [*slow, *advise_on_picture(picture, smallest, field_of_view_degrees)]
    if picture.is_ill_exposed:
        advice.append(_advise_on_exposure(section))
    advice += [*_advise_on_far_faces(config.recognition), STAND_THERE]
    return f"{seen}; no face in sight: {describe_sizes(frame.width, field_of_view_degrees)}", advice


def _next_frame(camera: LatestFrame, timeout_seconds: float) -> Frame:
    """Take a frame; one that a stream cannot be decoded before is given the time it takes."""
    while True:
        try:
            return camera.get(timeout_seconds + 1.0)
        except CameraError:  # noqa: PERF203 - seldom more than once
            if not camera.waits_for_key_frame:
                raise


def _face_in_sight(config: Config, pixels: UInt8Array) -> tuple[FaceView | None, int]:
    """Measure the nearest face of a picture, or tell how far it must be turned to show one.

    Returns:
        The face, None where there is none; degrees clockwise, 0 where it is upright.
    """
    try:
        with closing(open_perception(config)) as perception:
            seen = {turn: perception.detect_still(rotate(pixels, turn)) for turn in TURNS}
    except (ModelError, InferenceError):  # said by the other parts
        return None, 0
    # A face that is turned is found too, but less surely, and its eyes need not be above its mouth.
    scores = {turn: max(map(_upright_score, faces), default=0.0) for turn, faces in seen.items()}
    turn = max(TURNS, key=lambda turn: scores[turn])
    if turn and scores[turn]:
        return None, turn
    nearest = max(seen[0], key=lambda face: face.width_pixels, default=None)
    return (None if nearest is None else view_face(pixels, nearest)), 0


def _upright_score(face: Face) -> float:
    """How surely something is a face whose eyes are above its mouth, 0 to 1."""
    eyes, mouth = face.keypoints_xy[:2].mean(0), face.keypoints_xy[3]
    across, down = (float(part) for part in mouth - eyes)
    return face.score if down > abs(across) else 0.0


def _advise_on_rotation(section: CameraSection, turn: int) -> str:
    """Say which rotation makes faces upright."""
    return (
        f"a face is upright when the picture is turned by {turn} degrees: set camera.rotate = "
        f"{(section.rotate + turn) % 360} and check again"
    )


def _advise_on_exposure(section: CameraSection) -> str:
    """Say whether this camera can be exposed by the face."""
    if not can_be_exposed(section):
        return (
            "this camera's exposure cannot be set from here: look for exposure compensation, "
            "backlight compensation or WDR in its own settings"
        )
    if section.expose_faces:
        return "camera.expose_faces is on, and comes to work when somebody stands there"
    return "this camera can be exposed by the face: set camera.expose_faces = true"


def _advise_on_far_faces(section: RecognitionSection) -> list[str]:
    """Say whether the configuration keeps faces unnamed that could be."""
    enough = RecognitionSection().min_face_pixels
    if section.min_face_pixels <= enough:
        return []
    return [
        f"recognition.min_face_pixels = {section.min_face_pixels} leaves faces unnamed that are "
        f"narrower: {enough} pixels are enough, take it out of the configuration"
    ]


def _check_latency(config: Config) -> str:
    """Let the simulated visitor come to the door, in a gallery that is gone afterwards."""
    latency = Latency()
    scene = CameraSection(
        width=config.camera.width,
        height=config.camera.height,
        frames_per_second=SCENE_FRAMES_PER_SECOND,
        realtime=False,
    )
    with (
        closing(open_perception(config)) as perception,
        tempfile.TemporaryDirectory(prefix="doorbell-") as folder,
        Gallery.open(Path(folder) / "gallery.sqlite") as gallery,
        closing(open_camera(scene, models_directory(config.inference) / "faces")) as camera,
    ):
        perception.warm_up()
        pipeline = Pipeline(perception, gallery, config, Stopwatch(latency, time.perf_counter))
        for _ in range(SCENE_FRAMES):
            frame = camera.read()
            pipeline.step(frame)
    return f"{describe(latency.take())}; of a simulated visitor, {frame.width} x {frame.height}"


def _check_sound(config: Config) -> str:
    if not config.chime.enabled:
        return "switched off (chime.enabled)"
    sound = load_chime(config.chime.default)
    with closing(Speaker()) as speaker:
        speaker.play(sound, config.chime.volume)
    return f"played {config.chime.default}; if you heard nothing, turn up the volume (alsamixer)"


def _check_button(config: Config) -> str:
    if config.button.line is None:
        return "none is set (button.line)"
    with closing(open_button(config.button, KernelChips())) as line:
        pressed = line.is_active()
    if pressed:
        return f"{line.label} reads as pressed; if nobody presses, see button.active_low and .bias"
    return f"{line.label} answers"


def _check_relay(config: Config) -> str:
    if config.relay.line is None:
        return "none is set (relay.line)"
    with closing(open_relay(config.relay, KernelChips())) as line:
        return f"{line.label} answers; it was not switched on"


def check_broker(config: Config) -> str:
    """Connect, and find out what the broker takes; what was found.

    Args:
        config: what is to be checked.

    Raises:
        BrokerError: it does not answer, does not take us or something that we send.
        ConfigError: the password file, a TLS file or the host cannot be used.
    """
    section = config.mqtt
    if not section.enabled:
        return "switched off (mqtt.enabled)"
    where = f"{section.host}:{section.port}"
    client_id = f"doorbell-check-{os.getpid()}"
    latency = _answer(section, Topics(config.device.id).status, client_id, where)
    _check_what_broker_takes(config, client_id, where)
    return f"{where} accepted us and takes every size; {describe(latency.take())}"


def _answer(section: MqttSection, topic: str, client_id: str, where: str) -> Latency:
    """Connect, and subscribe once; how long that took.

    Raises:
        BrokerError: it does not answer, or does not take us.
    """
    latency = Latency()
    answered, acknowledged = threading.Event(), threading.Event()
    refusals: list[str] = []

    def note(
        _client: Client, _data: object, _flags: ConnectFlags, code: ReasonCode, _: Properties | None
    ) -> None:
        if code.is_failure:
            refusals.append(str(code))
        answered.set()

    with short_lived_client(section, client_id) as client:
        client.on_connect = note
        client.on_disconnect = lambda *_: answered.set()
        client.on_subscribe = lambda *_: acknowledged.set()
        try:
            client.connect(section.host, section.port, section.keepalive_seconds)
        except OSError as exc:
            raise BrokerError(f"cannot reach {where}: {describe_failure(exc)}") from exc
        client.loop_start()
        if not answered.wait(BROKER_SECONDS):
            raise BrokerError(f"{where} did not answer within {BROKER_SECONDS:.0f} s")
        if refusals:
            raise BrokerError(
                f"{where} refused: {refusals[0]}; check mqtt.username and mqtt.password_file"
            )
        # As long as an event's acknowledgement takes, and nobody hears of it.
        asked = time.perf_counter()
        client.subscribe(topic, qos=1)
        if acknowledged.wait(BROKER_SECONDS):
            latency.add(Stage.PUBLISH, time.perf_counter() - asked)
    return latency


def _check_what_broker_takes(config: Config, client_id: str, where: str) -> None:
    """Try one message of each kind and size, and look who else is connected as this doorbell."""
    section, topics = config.mqtt, Topics(config.device.id)
    try:
        refusal = find_refusal(section, client_id, config.device.id)
    except OSError as exc:
        raise BrokerError(f"cannot reach {where}: {describe_failure(exc)}") from exc
    asked = [topics.availability, topics.session, topics.status]
    lies = read_retained(section, client_id, asked) or {}
    if is_taken(lies, topics, noted_mark(config.storage.outbox_path)):
        raise BrokerError(f"{where}: {describe_twin(f'doorbell-{config.device.id}')}")
    if refusal is not None:
        raise BrokerError(f"{where} accepted us, but {refusal}")
    found = problem_of(lies.get(topics.status, b""))
    if found is not None and lies.get(topics.availability) == ONLINE:
        raise BrokerError(f"{where} accepted us, but the running doorbell says: {found}")


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
    with Gallery.of(config.storage) as gallery:
        people, strangers = len(gallery.people.all()), len(gallery.strangers.all())
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
