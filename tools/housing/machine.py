"""A machine of the building, as a process: ``python -m housing.machine SPEC``.

What decides is the product's: the copy of the gallery and its link (or a gallery in a file, to
compare with), ``VisitRecorder``, a ``Pipeline`` for each door with tracking, continuity, liveness,
decision, visits and bell, the main loop with its maintenance and settings, and an MQTT output with
an outbox for each door. Networks and cameras are scripted (``housing.door``); there are no
loudspeakers, pictures, notices, relays, and no control socket.
"""

from __future__ import annotations

import json
import logging
import queue
import sys
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import IO

import cv2
import numpy as np

from doorbell.camera import Camera
from doorbell.camera.latest import LatestFrame
from doorbell.config import Config, load_config
from doorbell.daemon.door import Door
from doorbell.daemon.door_files import take_over_files
from doorbell.daemon.loop import MainLoop
from doorbell.daemon.main_thread import Inbox
from doorbell.daemon.run import GALLERY_BUSY_SECONDS, open_gallery
from doorbell.daemon.run_outputs import open_home_automation
from doorbell.daemon.shared_gallery import SharedGallery, open_shared
from doorbell.daemon.signals import following_signals
from doorbell.daemon.systemd import ServiceNotifier
from doorbell.domain import Event, Frame, Person
from doorbell.gallery.gallery import Gallery
from doorbell.household.doors import stored_doors
from doorbell.measure.speed.memory import resident_megabytes
from doorbell.outputs import Sink
from doorbell.outputs.mqtt.messages import event_type
from doorbell.outputs.of_door import OfDoor
from doorbell.pipeline.latency import Latency
from doorbell.pipeline.pipeline import Pipeline
from doorbell.pipeline.visit_recorder import VisitRecorder
from doorbell.status import KnownVisitors, Message
from doorbell.stopping import Stop
from housing.door import Coming, ScriptClock, ScriptedCamera, ScriptedPerception, face_in
from housing.records import Searched, StepTaken, Told

STATUS_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Spec:
    """What a machine is to do.

    Attributes:
        folder: of its files.
        doors: that it watches.
        settings: of its configuration, as ``--set`` takes them.
        faces, probes: files of (n, 128) float32: everybody's, and those to look for in the end.
        script: who comes.
        seed: of chance.
    """

    folder: str
    doors: list[str]
    settings: list[str]
    faces: str
    probes: str
    script: list[Coming]
    seed: int

    def write(self) -> Path:
        """Write it beside its files, for the process."""
        path = Path(self.folder) / "spec.json"
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path

    @staticmethod
    def read(path: Path) -> Spec:
        """Read what ``write`` has written."""
        content = json.loads(path.read_text(encoding="utf-8"))
        content["script"] = [Coming(**each) for each in content["script"]]
        return Spec(**content)


class TimedPipeline(Pipeline):
    """A pipeline whose steps before a face are timed.

    Attributes:
        taken: of all doors.
        faces: who stood there when a visit was told first, by visit, of all doors.
    """

    taken: list[StepTaken]
    faces: dict[str, int]

    def step(self, frame: Frame) -> list[Event]:
        """As the pipeline's."""
        at, began, worked = time.time(), time.perf_counter(), time.thread_time()
        events = super().step(frame)
        face = face_in(frame.pixels)
        for visit in (each.visit for each in events):
            if visit is not None and face is not None:
                self.faces.setdefault(visit.visit_id, face)
        if events or face is not None:
            seconds, worked = time.perf_counter() - began, time.thread_time() - worked
            self.taken.append(StepTaken(at, seconds, worked, len(events)))
        return events


class Notebook:
    """A sink that notes what the doors have decided, and how many people are known.

    Attributes:
        told: of events, in order.
        people: who were known when that was told last.
    """

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.people = 0

    def handle(self, message: Message) -> None:
        """Note an event."""
        if isinstance(message, KnownVisitors):
            self.people = len(message.people)
        elif isinstance(message, Event):
            visit = message.visit
            visitor = visit.visitor if visit else None
            self.told.append(
                Told(
                    time.time(),
                    message.event_id,
                    event_type(message),
                    message.door_id,
                    visit.visit_id if visit else None,
                    visitor.label if visitor else None,
                    visitor.person_id if isinstance(visitor, Person) else None,
                )
            )

    def close(self) -> None:
        """Nothing to release."""


def configured(spec: Spec) -> Config:
    """The configuration of the machine."""
    file = Path(spec.folder) / "doorbell.toml"
    tables = [f'[[door]]\nid = "{each}"\nname = "The door {each}"\n' for each in spec.doors]
    file.write_text("".join(tables), encoding="utf-8")
    return load_config(file, [f"storage.directory={spec.folder}/state", *spec.settings])


def run(spec: Spec) -> None:
    """Watch the doors until told to stop; leave what was noted in ``records.json``."""
    config = configured(spec)
    folder, faces = Path(spec.folder), np.load(spec.faces)
    faces_of_visits: dict[str, int] = {}
    clock, stop, notebook, taken = ScriptClock(), Stop(), Notebook(), list[StepTaken]()
    inbox: Inbox = queue.SimpleQueue()
    with ExitStack() as stack:
        stack.enter_context(following_signals(stop, lambda: None))
        take_over_files(config)
        gallery = stack.enter_context(open_gallery(config.storage, config.gallery))
        gallery.wait_at_most(GALLERY_BUSY_SECONDS)
        shared: SharedGallery | None = None
        if config.gallery.url is not None:
            shared = stack.enter_context(open_shared(config, inbox.put))
            shared.catch_up(stop)
        perception = ScriptedPerception(faces, spec.seed)
        recorder = VisitRecorder(gallery, perception.model_id)
        changed = threading.Condition()
        doors: list[Door] = []
        sinks: list[Sink] = [notebook]
        for section in config.doors:
            door_id, stored_as = section.device.id, stored_doors(config, section.device.id)
            pipeline = TimedPipeline(
                perception, gallery, section, recorder=recorder, earlier_of=stored_as
            )
            pipeline.taken, pipeline.faces = taken, faces_of_visits
            script = [each for each in spec.script if each.door_id == door_id]
            camera = LatestFrame(
                partial(_camera, script, clock),
                reopen_max_seconds=1.0,
                lossless=True,
                may_be_missing=True,
                changed=changed,
            )
            stack.enter_context(closing(camera))
            doors.append(Door(section, camera=camera, pipeline=pipeline, latency=Latency()))
            output = open_home_automation(
                section, gallery, stored_as, on_command=lambda _: None, on_published=lambda _: None
            )
            if output is not None:
                sinks.append(stack.enter_context(closing(OfDoor(door_id, output))))
        loop = MainLoop(
            doors,
            gallery=gallery,
            sinks=sinks,
            notifier=stack.enter_context(closing(ServiceNotifier())),
            inbox=inbox,
            config=config,
            shared=shared,
        )
        threading.Thread(target=_listen, args=(sys.stdin, clock), daemon=True).start()
        telling = (folder, notebook, gallery, shared)
        threading.Thread(target=_tell_status, args=telling, daemon=True).start()
        loop.run(stop)
        searched = search(recorder, np.load(spec.probes))
    document = {
        "steps": [asdict(each) for each in taken],
        "told": [asdict(each) for each in notebook.told],
        "searched": asdict(searched),
        "faces": faces_of_visits,
    }
    (folder / "records.json").write_text(json.dumps(document), encoding="utf-8")


def search(recorder: VisitRecorder, probes: np.ndarray) -> Searched:
    """Ask whom faces are most like, as the decision does."""
    templates = recorder.templates()
    people, milliseconds = [], []
    for probe in probes:
        began = time.perf_counter()
        found = templates.candidates(probe).people
        milliseconds.append(1000 * (time.perf_counter() - began))
        people.append(found[0].person.person_id if found else 0)
    return Searched(people, milliseconds)


def _camera(script: list[Coming], clock: ScriptClock) -> Camera:
    return ScriptedCamera(script, clock)


def _listen(lines: IO[str], clock: ScriptClock) -> None:
    """Begin parts of the script when told, and at which wall time."""
    for line in lines:
        part, at = line.split()
        clock.begin(int(part), float(at))


def _tell_status(
    folder: Path, notebook: Notebook, gallery: Gallery, shared: SharedGallery | None
) -> None:
    """Leave, twice a second, how the machine is."""
    path, scratch = folder / "status.json", folder / "status.new"
    while True:
        state = None if shared is None else shared.link.state()
        document = {
            "at": time.time(),
            "people": notebook.people,
            "events": len(notebook.told),
            "waiting": state.waiting if state else 0,
            "away": bool(state and state.away_since is not None),
            "resident_megabytes": resident_megabytes(),
            "gallery_bytes": Path(gallery.file.name).stat().st_size,
        }
        scratch.write_text(json.dumps(document), encoding="utf-8")
        scratch.replace(path)
        time.sleep(STATUS_SECONDS)


if __name__ == "__main__":
    cv2.setNumThreads(1)  # as the doorbell does
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    run(Spec.read(Path(sys.argv[1])))
