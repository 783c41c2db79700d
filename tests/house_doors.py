"""A house with several doors: real pipelines, and cameras before which somebody is put."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from typing_extensions import Self

from doorbell.camera import Camera
from doorbell.camera.latest import LatestFrame
from doorbell.camera.patience import Patience
from doorbell.config import Config, load_config
from doorbell.daemon.door import Door
from doorbell.daemon.systemd import ServiceNotifier
from doorbell.daemon.watch import Watch
from doorbell.domain import Event, Frame, Track, UInt8Array, Visit
from doorbell.errors import CameraError, EndOfStreamError
from doorbell.gallery.gallery import Gallery
from doorbell.pipeline.latency import Latency
from doorbell.pipeline.perception import Perception
from doorbell.pipeline.pipeline import Pipeline
from doorbell.pipeline.visit_recorder import VisitRecorder
from doorbell.status import Message

PERIOD = 0.1


class Stage:
    """A camera of ten frames a second, as fast as they are taken, before which somebody is put.

    Attributes:
        visitor: who stands there; None for nobody.
        over: whether it gives no more frames.
        answers: cleared where the driver hangs.
    """

    def __init__(self) -> None:
        self.visitor: UInt8Array | None = None
        self.over = False
        self.answers = threading.Event()
        self.answers.set()
        self._index = 0

    def read(self) -> Frame:
        if not self.answers.is_set():
            self.answers.wait(30)
            raise CameraError("the driver gave up")
        if self.over:
            raise EndOfStreamError("the recording is over")
        self._index += 1
        pixels = np.full((360, 640, 3), 120, np.uint8)
        if self.visitor is not None:
            height, width = self.visitor.shape[:2]
            pixels[-height:, 20 : 20 + width] = self.visitor
        lit = cv2.convertScaleAbs(pixels, alpha=1.0, beta=6 * np.sin(self._index))
        return Frame(np.asarray(lit, np.uint8), self._index * PERIOD, time.time(), self._index)

    def close(self) -> None:
        """Nothing to release."""


class Shown:
    """A sink that notes whose frames it was shown."""

    def __init__(self) -> None:
        self.door_ids: list[str] = []

    def handle(self, message: Message) -> None:
        """Messages are none of its business."""

    def show(
        self,
        frame: Frame,
        in_sight: Callable[[], Sequence[tuple[Track, Visit | None]]],
        door_id: str,
    ) -> None:
        del frame, in_sight
        self.door_ids.append(door_id)

    def close(self) -> None:
        """Nothing to release."""


def configured(folder: Path, *door_ids: str, more: Iterable[str] = ()) -> Config:
    """A house with these doors, and with portraits before them, which are not alive."""
    file = folder / "doorbell.toml"
    tables = [f'[[door]]\nid = "{each}"\nname = "The {each} door"\n' for each in door_ids]
    file.write_text("".join(tables))
    return load_config(file, [f"storage.directory={folder}", "recognition.min_live=0", *more])


class House:
    """Doors that are watched by steps, with all that is told of them.

    Args:
        config: of the house.
        perception: of the first door; the others look by the same networks.
        gallery: who is known.
        openers: of the cameras that are no stage, by door.
        patience: with the cameras.
        restart_seconds: as ``Watch`` takes it; None for its own.

    Attributes:
        stages, doors: by the door's id.
        watch: of them.
        told: what happened.
        shown: whose frames were taken.
    """

    def __init__(
        self,
        config: Config,
        perception: Perception,
        gallery: Gallery,
        *,
        openers: Mapping[str, Callable[[], Camera]] | None = None,
        patience: Patience = Patience(),  # noqa: B008 - frozen
        restart_seconds: float | None = None,
    ) -> None:
        self.stages = {each.device.id: Stage() for each in config.doors}
        self.told: list[Event] = []
        self.shown = Shown()
        self._changed = threading.Condition()
        self._stack = ExitStack()
        recorder = VisitRecorder(gallery, perception.model_id)
        open_stages = {door_id: partial(_itself, each) for door_id, each in self.stages.items()}
        self.doors: dict[str, Door] = {}
        for number, each in enumerate(config.doors):
            door_id = each.device.id
            camera = LatestFrame(
                (openers or {}).get(door_id, open_stages[door_id]),
                reopen_max_seconds=0.02,
                lossless=True,
                patience=patience,
                may_be_missing=True,
                changed=self._changed,
            )
            self._stack.enter_context(closing(camera))
            seeing = perception if number == 0 else perception.another()
            pipeline = Pipeline(seeing, gallery, each, recorder=recorder)
            self.doors[door_id] = Door(each, camera=camera, pipeline=pipeline, latency=Latency())
        self.watch = Watch(
            list(self.doors.values()),
            self._stack.enter_context(closing(ServiceNotifier())),
            [self.shown],
            tell=self.told.extend,
            **({} if restart_seconds is None else {"restart_seconds": restart_seconds}),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stage in self.stages.values():
            stage.answers.set()
        self._stack.close()

    def step(self, times: int = 1) -> None:
        """Let so many frames be taken, each once every camera that gives frames has one."""
        for _ in range(times):
            with self._changed:
                self._changed.wait_for(self._all_have_news, 5.0)
            self.watch.step()

    def see(self, door_id: str, visitor: UInt8Array | None, frames: int = 15) -> list[Event]:
        """Somebody stands at a door and nobody at the others; what is told meanwhile."""
        before = len(self.told)
        for each, stage in self.stages.items():
            stage.visitor = visitor if each == door_id else None
        last = self.shown.door_ids.count(door_id) + frames + 1  # one was drawn before they came
        while self.shown.door_ids.count(door_id) < last:
            self.step()
        return self.told[before:]

    def _all_have_news(self) -> bool:
        return all(
            door.camera.has_news or not self.stages[door_id].answers.is_set()
            for door_id, door in self.doors.items()
            if not door.has_ended
        )


def _itself(stage: Stage) -> Camera:
    return stage
