"""The loop of the main thread: frames and commands in, events and states to every sink."""

from __future__ import annotations

import logging
import math
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from typing_extensions import assert_never

from doorbell.clock import is_synchronized, read_clocks
from doorbell.config import Config
from doorbell.daemon.door import Door
from doorbell.daemon.forgotten_visits import ForgottenVisits
from doorbell.daemon.gallery_changes import Done, GalleryChanges
from doorbell.daemon.main_thread import Call, Inbox
from doorbell.daemon.maintenance import Maintenance, Retention
from doorbell.daemon.periodic import PeriodicTask
from doorbell.daemon.settings import SettingsInForce, longest
from doorbell.daemon.shared_gallery import SharedGallery
from doorbell.daemon.systemd import ServiceNotifier
from doorbell.daemon.watch import Watch
from doorbell.domain import (
    AnnouncementsCommand,
    ChimeCommand,
    Command,
    CorrectCommand,
    EnrollCommand,
    Event,
    ForgetCommand,
    IgnoreCommand,
    MuteCommand,
    NameCommand,
    NoFaceCommand,
    PrivacyCommand,
    QuietHoursCommand,
    RingCommand,
    SettingsCommand,
    UndoCommand,
    VolumeCommand,
)
from doorbell.errors import (
    DoorbellError,
    UnknownDoorError,
)
from doorbell.gallery.gallery import Gallery
from doorbell.outputs import FrameSink, Sink
from doorbell.status import (
    ClockStep,
    KnownVisitors,
    Message,
    StorageState,
)
from doorbell.stopping import Stop

log = logging.getLogger(__name__)

STATISTICS_SECONDS = 60.0
KNOWN_SECONDS = 2.0
MAINTENANCE_SECONDS = 5.0
# Between two steps of what tidies the gallery, where each waits for the disk.
TIDYING_SECONDS = 0.5
TIDYING_SECONDS_BESIDE_VISITOR = 5.0


class MainLoop:
    """The loop of the main thread.

    Args:
        doors: what is watched, by cameras that share a condition, and pipelines that share a
            recorder; at least one.
        gallery: who is known.
        sinks: what hears of every event and state, in this order.
        notifier: the service manager.
        inbox: commands, states that outputs report, and calls; from any thread.
        config: of the house.
        shared: where the gallery is a copy of one on a server, what is done there; else None.
    """

    def __init__(
        self,
        doors: Sequence[Door],
        *,
        gallery: Gallery,
        sinks: Sequence[Sink],
        notifier: ServiceNotifier,
        inbox: Inbox,
        config: Config,
        shared: SharedGallery | None = None,
    ) -> None:
        self._doors: Mapping[str, Door] = {door.door_id: door for door in doors}
        self._recorder = doors[0].pipeline.recorder
        self._gallery = gallery
        self._sinks = sinks
        self._notifier = notifier
        self._inbox = inbox
        self._config = config
        self._shared = shared
        self._changes = GalleryChanges(gallery, shared, self._publish, inbox, self._say_done)
        self._forgotten_visits = ForgottenVisits(gallery)
        self._settings = {
            each.device.id: SettingsInForce(each, self._publish) for each in config.doors
        }
        wall_time, time_seconds = read_clocks()
        self._maintenance = Maintenance(
            [door.pipeline for door in doors],
            gallery,
            self._retention,
            config.recognition,
            self._publish,
            wall_time=wall_time,
            time_seconds=time_seconds,
            tidies=shared is None,
        )
        self._reconfigure_retention()
        self._started = time.monotonic()
        self._storage: StorageState | None = None
        self._known_revision: int | None = None
        self._tidied_seconds = -math.inf
        self._watch = Watch(
            doors,
            notifier,
            [sink for sink in sinks if isinstance(sink, FrameSink)],
            tell=self._tell,
        )

    def run(self, stop: Stop) -> None:
        """Process frames until ``stop`` is set or every camera's recording has ended.

        Raises:
            CameraSetupError: no camera can be used as it is configured.
        """
        tasks = [
            PeriodicTask(STATISTICS_SECONDS, self._report, self._started + STATISTICS_SECONDS),
            PeriodicTask(KNOWN_SECONDS, self._publish_known, self._started),
            PeriodicTask(MAINTENANCE_SECONDS, self._maintain, self._started),
        ]
        for door_id, settings in self._settings.items():
            settings.tell(time.time())
            self._doors[door_id].pipeline.set_privacy(settings.privacy)
        try:
            while self._watch.goes_on and not stop.is_set():
                self._maintenance.follow_clock(*read_clocks())
                for settings in self._settings.values():
                    settings.look(time.time())
                self._watch.step()
                self._publish_changes()
                self._read_inbox()
                for task in tasks:
                    task.run_if_due(time.monotonic())
                self._tidy(time.monotonic())
        finally:
            self._notifier.stopping()
            for door in self._doors.values():
                self._tell(door.pipeline.finish(time.time(), stopping=True))
            self._publish_known()  # who was forgotten meanwhile is in nothing that is still written
            self._report()
            self._refuse_the_rest()

    @property
    def _retention(self) -> Retention:
        """For how long things are kept: strangers as long as any door asks for."""
        sections = {door_id: each.storage for door_id, each in self._settings.items()}
        first = next(iter(sections.values()))
        if len(sections) == 1:
            return Retention(first)
        # What an earlier doorbell has stored without a door was at the first.
        days = {door_id: each.visits_days for door_id, each in sections.items()}
        return Retention(longest(list(sections.values())), {**days, "": first.visits_days})

    def _tidy(self, now: float) -> None:
        """Let the gallery be tidied by a step between two frames, and seldom beside a visitor."""
        pause = TIDYING_SECONDS_BESIDE_VISITOR if self._watch.is_anybody_there else TIDYING_SECONDS
        if now - self._tidied_seconds >= pause and self._maintenance.step():
            self._tidied_seconds = time.monotonic()

    def reconfigure(self, config: Config) -> None:
        """Go by another configuration from now on, as far as that can be changed under way."""
        self._config = config
        for each in config.doors:
            self._settings[each.device.id].reconfigure(each)
            self._doors[each.device.id].reconfigure(each)
        self._reconfigure_retention()

    def _reconfigure_retention(self) -> None:
        self._maintenance.reconfigure(self._retention)
        if self._shared is not None:
            self._shared.kept.retention = self._retention

    def _publish_changes(self) -> None:
        """Tell how the cameras and the gallery are where that has changed."""
        for door in self._doors.values():
            camera = door.changed_state()
            if camera is not None:
                if self._watch.is_ready and camera.reason:
                    self._notifier.status(
                        f"{self._prefix(door)}camera {camera.condition.value}: {camera.reason}"
                    )
                self._publish(replace(camera, door_id=door.door_id))
        problem = self._recorder.problem
        if problem is None and self._shared is not None:
            problem = self._shared.problem
        storage = StorageState("gallery", problem)
        if storage != self._storage:
            self._storage = storage
            self._publish(storage)

    def _prefix(self, door: Door) -> str:
        """Which door is spoken of, where there are several."""
        return "" if len(self._doors) == 1 else f"{door.name}: "

    def _tell(self, events: Sequence[Event]) -> None:
        """Publish what happened, after whatever was told before of a visit that was forgotten."""
        gone = [each for door in self._doors.values() for each in door.pipeline.take_forgotten()]
        forgotten = self._forgotten_visits.take(gone)
        if forgotten is not None:
            self._publish(forgotten)
        self._publish(*events)

    def _publish(self, *messages: Message) -> None:
        for message in messages:
            if isinstance(message, ClockStep):
                for settings in self._settings.values():
                    settings.follow_clock(message)
            self._forgotten_visits.note(message)
            for sink in self._sinks:
                sink.handle(message)

    def _read_inbox(self) -> None:
        """Carry out commands, and publish the states that outputs report."""
        while True:
            try:
                item = self._inbox.get_nowait()
            except queue.Empty:
                return
            match item:
                case Call():
                    item.work()
                case _ if isinstance(item, Command):
                    self._answer(item)
                case _:
                    self._publish(item)

    def _answer(self, command: Command) -> None:
        """Carry a command out, or let it be, and say what has become of it in the end."""
        self._say_done(command, partial(self._carry_out, command))

    def _say_done(self, command: Command, carry_out: Callable[[], Done | None]) -> None:
        """Say what has become of a command; whatever it is, the loop goes on."""
        try:
            done = carry_out()
        except DoorbellError as exc:
            log.warning("%s", exc)
            command.answer(str(exc), done=False)
        except Exception:
            log.exception("a defect in the command %s", command.verb)
            command.answer("something is wrong in the doorbell; its log says more", done=False)
        else:
            if done is not None:
                summary, undo = done
                log.info("%s", summary)
                command.answer(summary, done=True, undo=undo)

    def _carry_out(self, command: Command) -> Done | None:
        """Do what a command asks for; None where that is said later.

        Returns:
            What was done, and the number to take it back by.

        Raises:
            DoorbellError: it is refused.
        """
        door = self._door_of(command)
        match command:
            case RingCommand():
                self._tell(door.pipeline.press(door.stream_seconds, time.time()))
                self._watch.note_elsewhere(door)
                return "the bell rings", None
            case (
                MuteCommand()
                | VolumeCommand()
                | ChimeCommand()
                | QuietHoursCommand()
                | PrivacyCommand()
                | AnnouncementsCommand()
                | SettingsCommand()
            ):
                settings = self._settings[door.door_id]
                done = settings.change(command, time.time())
                door.pipeline.set_privacy(settings.privacy)
                if isinstance(command, SettingsCommand):
                    self._reconfigure_retention()
                return done, None
            case (
                EnrollCommand()
                | ForgetCommand()
                | NameCommand()
                | CorrectCommand()
                | IgnoreCommand()
                | NoFaceCommand()
                | UndoCommand()
            ):
                changed = self._changes.carry_out(command, door, self._config)
                self._publish_known()
                return changed
            case _:
                assert_never(command)

    def _door_of(self, command: Command) -> Door:
        """The door that a command is for; the first where it is for the house.

        Raises:
            UnknownDoorError: there is none of that id.
        """
        if not command.door_id:
            return next(iter(self._doors.values()))
        if command.door_id not in self._doors:
            raise UnknownDoorError(command.door_id, self._doors)
        return self._doors[command.door_id]

    def _refuse_the_rest(self) -> None:
        """Leave nobody waiting for an answer: no command is carried out any more."""
        self._changes.leave()
        while True:
            try:
                item = self._inbox.get_nowait()
            except queue.Empty:
                return
            if isinstance(item, Command):
                item.answer("the doorbell stops; ask again when it is back", done=False)

    def _publish_known(self) -> None:
        """Tell who is known where that has changed, also from the command line."""
        known = self._recorder.templates()
        if known.revision != self._known_revision:
            self._known_revision = known.revision
            self._drop_forgotten(known.gone)
            self._publish(KnownVisitors(known.people, known.stranger_ids, known.gone))

    def _drop_forgotten(self, gone: int) -> None:
        """Tell which visits another process has deleted, unless some are not stored yet."""
        if self._recorder.problem is None:
            forgotten = self._forgotten_visits.find(gone)
            if forgotten is not None:
                self._publish(forgotten)

    def _maintain(self) -> None:
        for door in self._doors.values():
            door.pipeline.note_presence()
        self._maintenance.run(*read_clocks(), synchronized=is_synchronized())

    def _report(self) -> None:
        known = self._recorder.templates()
        summaries = []
        for door in self._doors.values():
            statistics, summary = door.report(len(known.people), len(known.strangers))
            summaries.append(self._prefix(door) + summary)
            log.info("%s", summaries[-1])
            self._publish(statistics)
        self._notifier.status(" | ".join(each.partition(";")[0] for each in summaries))
