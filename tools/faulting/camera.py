"""What happens to the camera and to the sound."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from functools import partial

from doorbell.testbed.scenes import KNOWN, STRANGER
from faulting.door import Door


def unplugged(door: Door) -> float:
    """The camera is unplugged while somebody is at the door."""
    return _fails(door, door.camera.unplug, door.camera.plug, "lost")


def blocked(door: Door) -> float:
    """The camera keeps its connection and is silent for ever."""
    stop = partial(door.camera.signal, signal.SIGSTOP)
    return _fails(door, stop, partial(door.camera.signal, signal.SIGCONT), "lost")


def black(door: Door) -> float:
    """The camera shows nothing but black."""
    return _shows(door, "dark", "dark")


def frozen(door: Door) -> float:
    """The camera sends one picture again and again, of somebody at the door."""
    return _shows(door, "frozen", "frozen")


def prepare_encoder(door: Door) -> None:
    """Let the camera send H.264, whose key frames are a second apart."""
    door.camera.key_frames_apart = 15
    # FFmpeg looks at a stream for some seconds before it opens it.
    door.settings |= {"camera.timeout_seconds": 2.0, "camera.frozen_seconds": 3.0}


def prepare_far_key_frames(door: Door) -> None:
    """Let the camera send H.264, whose key frames are far apart."""
    prepare_encoder(door)
    door.camera.key_frames_apart = 180


def far_key_frames(door: Door) -> float:
    """The camera is lost and comes back, and its next key frame is 12 s away."""
    door.visit(KNOWN)
    door.camera.unplug()
    door.await_condition("camera", "lost")
    began = time.monotonic()
    door.camera.plug()
    time.sleep(2.0)  # its first key frame is gone
    seconds = door.await_condition("camera", "live", began)
    door.visit(STRANGER)
    return seconds


def corrupt(door: Door) -> float:
    """The camera sends what is no picture."""
    return _shows(door, "garbled", "lost")


def changing_size(door: Door) -> float:
    """Each picture has another size, during a visit and a half."""
    door.comes(KNOWN)
    door.camera.set("sizes")
    door.goes()
    door.comes(STRANGER)
    began = time.monotonic()
    door.camera.set("live")
    seconds = door.await_condition("camera", "live", began)
    door.goes()
    return seconds


def missing_at_start(door: Door) -> float:
    """The daemon starts without a camera, and the bell rings; then the camera is plugged in."""
    door.terminate()
    door.camera.unplug()
    door.start(until="connected to the broker")
    door.await_condition("camera", "lost")
    door.press()
    began = time.monotonic()
    door.camera.plug()
    seconds = door.await_condition("camera", "live", began)
    door.visit(KNOWN)
    return seconds


def _shows(door: Door, fault: str, condition: str) -> float:
    show = door.camera.set
    return _fails(door, partial(show, fault), partial(show, "live"), condition)


def _fails(door: Door, fail: Callable[[], None], mend: Callable[[], None], condition: str) -> float:
    """Let the camera fail while somebody is at the door, who goes meanwhile."""
    door.comes(KNOWN)
    fail()
    door.await_condition("camera", condition)
    door.goes()
    began = time.monotonic()
    mend()
    seconds = door.await_condition("camera", "live", began)
    door.visit(STRANGER)
    return seconds


def sound_gone(door: Door) -> float:
    """The sound device is gone for a ring, and back for the next."""
    return _sound_fails(door, door.card.unplug)


def sound_blocked(door: Door) -> float:
    """The sound device takes a sound and blocks for ever."""
    return _sound_fails(door, door.card.hang)


def _sound_fails(door: Door, fail: Callable[[], None]) -> float:
    fail()
    door.visit(KNOWN)
    door.await_condition("sound", "failed")
    door.card.plug()
    door.card.recording.unlink(missing_ok=True)
    door.comes(STRANGER)
    rang = time.monotonic()
    seconds = door.await_condition("sound", "playing", rang)
    door.seconds_until(lambda: door.card.has_recorded(0.1), since=rang)
    door.goes()
    return seconds
