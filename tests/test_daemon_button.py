"""The whole daemon in this process, with GPIO chips without hardware: a press is never lost."""

import logging
import os
import queue
import signal
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from gpio_chips import FakeChips, orin
from gpiod.line import Value

from doorbell.camera.latest import LatestFrame
from doorbell.config import Config, load_config
from doorbell.daemon.door import Door
from doorbell.daemon.loop import MainLoop
from doorbell.daemon.main_thread import Inbox
from doorbell.daemon.run import run_daemon
from doorbell.daemon.systemd import ServiceNotifier
from doorbell.domain import Frame, Ring, RingCommand
from doorbell.errors import CameraError, GpioError
from doorbell.gallery.gallery import Gallery
from doorbell.pipeline.latency import Latency
from doorbell.pipeline.perception import Perception
from doorbell.pipeline.pipeline import Pipeline
from doorbell.status import CameraCondition, Message
from doorbell.stopping import Stop
from doorbell.testbed.scenes import Visitor, simulated

NOBODY_SOON = Visitor(enters=290.0, approach=1.0, stays=1.0)


class Heard:
    """An output that keeps rings."""

    def __init__(self) -> None:
        self.rings: list[tuple[float, Ring]] = []
        self._changed = threading.Condition()

    def handle(self, message: Message) -> None:
        if isinstance(message, Ring):
            with self._changed:
                self.rings.append((time.monotonic(), message))
                self._changed.notify_all()

    def close(self) -> None:
        """Nothing to release."""

    def wait_for(self, count: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self.rings) >= count, 20.0)


class LostCamera:
    """Gives one frame; then it is gone for good."""

    def __init__(self) -> None:
        self._left = 1

    def read(self) -> Frame:
        if not self._left:
            raise CameraError("the cable is cut")
        self._left -= 1
        pixels = np.full((360, 640, 3), 90, np.uint8)
        return Frame(pixels, time.monotonic(), time.time() - 60, 0)

    def close(self) -> None:
        """Nothing to release."""


class Cameras:
    """The first can be opened; no other."""

    def __init__(self) -> None:
        self._opened = False

    def __call__(self) -> LostCamera:
        if self._opened:
            raise CameraError("no camera")
        self._opened = True
        return LostCamera()


@pytest.fixture
def config(tmp_path: Path, models_directory: Path, faces: Path) -> Config:
    return load_config(
        None,
        [
            f"camera.uri={simulated(tmp_path, faces, NOBODY_SOON)}",
            f"storage.directory={tmp_path}",
            f"inference.models_directory={models_directory}",
            "chime.enabled=false",
            "button.line=PQ.05",
            "relay.line=PQ.06",
            "relay.pulse_seconds=0.1",
        ],
    )


def test_a_press_rings_at_once_with_a_picture_and_switches_the_relay(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    chip, heard = orin(), Heard()
    took: list[float] = []

    def press() -> None:
        while len(chip.requests) < 2:  # the relay's line, and the button's
            time.sleep(0.01)
        button = next(r for r in chip.requests if r.settings.active_low)
        while "watching the door" not in caplog.text:
            time.sleep(0.01)
        pressed = time.monotonic()
        for high in (False, True, False, True):  # twice within the cooldown
            button.drive(high=high)
        if heard.wait_for(1):
            took.append(heard.rings[0][0] - pressed)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    visitor = threading.Thread(target=press)
    visitor.start()
    run_daemon(config, sinks=[heard], chips=FakeChips(chip))
    visitor.join()

    [(_, ring)] = heard.rings
    assert ring.pressed
    assert ring.visit is None
    assert ring.picture_jpeg is not None
    shown = cv2.imdecode(np.frombuffer(ring.picture_jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape[2] == 3
    assert took[0] < 2.0
    relay = next(r for r in chip.requests if not r.settings.active_low)
    assert [value for _, value in relay.switched] == [Value.ACTIVE, Value.INACTIVE]
    assert all(request.released for request in chip.requests)


def test_a_press_rings_while_the_camera_is_lost(
    config: Config, perception: Perception, tmp_path: Path
) -> None:
    heard, stop = Heard(), Stop()
    inbox: Inbox = queue.SimpleQueue()
    with ExitStack() as stack:
        gallery = stack.enter_context(Gallery.open(tmp_path / "lost.sqlite"))
        camera = stack.enter_context(
            closing(LatestFrame(Cameras(), reopen_max_seconds=1.0, lossless=False))
        )

        def press() -> None:
            while camera.state.condition is not CameraCondition.LOST:
                time.sleep(0.01)
            time.sleep(0.3)
            inbox.put(RingCommand())
            heard.wait_for(1)
            stop.set()

        visitor = threading.Thread(target=press)
        visitor.start()
        door = Door(
            config,
            camera=camera,
            pipeline=Pipeline(perception, gallery, config),
            latency=Latency(),
        )
        MainLoop(
            [door],
            gallery=gallery,
            sinks=[heard],
            notifier=stack.enter_context(closing(ServiceNotifier())),
            inbox=inbox,
            config=config,
        ).run(stop)
        visitor.join()

    [(_, ring)] = heard.rings
    assert ring.pressed
    assert (ring.visit, ring.picture_jpeg) == (None, None)


def test_a_button_that_is_not_there_stops_the_start(config: Config) -> None:
    with pytest.raises(GpioError) as caught:
        run_daemon(config, chips=FakeChips())
    assert caught.value.exit_code == 3
