"""The notifier as a process: takes from the doorbell, and brings each target what is for it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from doorbell.config import Config, control_socket, known_as
from doorbell.config.console import address_of
from doorbell.config.notifications import NotificationsSection, TargetSection
from doorbell.config.paths import expand
from doorbell.daemon.signals import following_signals, stopping_on_thread_faults
from doorbell.daemon.systemd import ServiceNotifier
from doorbell.errors import ConfigError, ControlError, DoorbellError
from doorbell.notifier.control import ControlledDoorbell
from doorbell.notifier.courier import Courier, House
from doorbell.notifier.file import NotifierFileError
from doorbell.notifier.intake import Intake
from doorbell.notifier.notices import Doorbell, TargetState
from doorbell.notifier.store import NotifierStore
from doorbell.notifier.targets import open_sender
from doorbell.notifier.telegram_answers import TelegramBots
from doorbell.stopping import Stop

# How often is looked whether the doorbell is to be told how the targets are, and at least told.
LOOK_SECONDS = 0.5
REPORT_SECONDS = 30.0
TIDY_SECONDS = 600.0
# A request to the doorbell that has no end for so long has none: the watchdog is to see it.
STUCK_SECONDS = 50.0
# Of what is being sent when it is to end.
GRACE_SECONDS = 5.0

log = logging.getLogger(__name__)


def run_notifier(config: Config, load: Callable[[], Config]) -> None:
    """Tell whoever is to be told, until SIGTERM or Ctrl-C; SIGHUP reads the targets anew.

    Args:
        config: what runs.
        load: reads it anew, from where it came.

    Raises:
        NotifierFileError: its file cannot be used.
    """
    stop = Stop()
    requests: queue.SimpleQueue[None] = queue.SimpleQueue()  # a signal's handler may not lock
    with (
        stopping_on_thread_faults(stop),
        following_signals(stop, lambda: requests.put(None)),
        closing(ServiceNotifier()) as manager,
        closing(NotifierStore(state_directory(config.notifications))) as store,
        closing(Notifier(config, ControlledDoorbell(control_socket(config)), store)) as notifier,
    ):
        ready = manager.ready()
        while not stop.is_set():
            time.sleep(LOOK_SECONDS)
            ready = ready or manager.ready()
            if not requests.empty():
                requests.get()
                _reload(notifier, load)
            notifier.look_after()
            if notifier.is_alive():
                manager.feed_watchdog(time.monotonic())
        manager.stopping()


def state_directory(section: NotificationsSection) -> Path:
    """Where the notifier keeps what waits.

    Raises:
        ConfigError: none is given, and the user has no home directory.
    """
    return section.directory or expand("~/.local/share/doorbell-notifier")


def console_address(config: Config) -> str | None:
    """Where a phone finds the console; None where the configuration does not say."""
    console = config.console
    known = known_as(config).configuration_url
    if known is None and not console.is_loopback:  # its service is its switch
        known = address_of(console)
    return None if known is None else known.rstrip("/")


class Notifier:
    """Everything that runs, from a configuration.

    Args:
        config: whose targets are told.
        doorbell: from whom notices are taken.
        store: where they wait.
    """

    def __init__(self, config: Config, doorbell: Doorbell, store: NotifierStore) -> None:
        self._doorbell = doorbell
        self._store = store
        self._reported: tuple[float, Sequence[TargetState]] = (float("-inf"), ())
        self._tidied_at = time.monotonic()
        self._couriers: Mapping[str, tuple[Courier, threading.Thread]] = {}
        self._bots = TelegramBots(doorbell, store)
        self._intake = Intake(doorbell, store, self._sections, kept=self._wake)
        self.follow(config)
        self._intake_thread = threading.Thread(target=self._intake.run, name="intake", daemon=True)
        self._intake_thread.start()

    def follow(self, config: Config) -> None:
        """Tell the targets of a configuration from now on, and no others.

        Raises:
            NotifierFileError: all stays as it was.
        """
        sections = {each.name: each for each in config.notifications.targets}
        self._tidy(sections)  # where the file cannot be changed, nobody has been stopped yet
        self._bots.close()
        bots = self._bots = TelegramBots(self._doorbell, self._store)
        console = console_address(config)
        house = House(config.device.language, console or "")
        earlier = self._couriers
        for courier, _ in earlier.values():
            courier.stop()
        couriers: dict[str, tuple[Courier, threading.Thread]] = {}
        for name, section in sections.items():
            courier = Courier(
                section,
                lambda section: open_sender(section, console, bots),
                self._store,
                house=house,
            )
            before = earlier[name][1] if name in earlier else None
            thread = threading.Thread(
                target=courier.run,
                args=(self._intake.caught_up, before),
                name=f"target-{name}",
                daemon=True,
            )
            couriers[name] = courier, thread
        self._couriers = couriers
        for _, thread in couriers.values():
            thread.start()

    def look_after(self) -> None:
        """Tell the doorbell how the targets are where that is due; drop what is kept no longer."""
        now = time.monotonic()
        if now - self._tidied_at >= TIDY_SECONDS:
            self._tidied_at = now
            try:
                self._tidy(self._sections())
            except NotifierFileError as exc:
                log.error("what is kept no longer cannot be dropped yet: %s", exc)
        states = [courier.state() for courier, _ in self._couriers.values()]
        reported_at, reported = self._reported
        if states == reported and now - reported_at < REPORT_SECONDS:
            return
        try:
            self._doorbell.report(states)
            self._reported = now, states
        except ControlError as exc:
            log.debug("the doorbell is not told how the targets are: %s", exc)

    def is_alive(self) -> bool:
        """Whether the doorbell is asked, and every target has its thread."""
        threads = [self._intake_thread, *(thread for _, thread in self._couriers.values())]
        asked = time.monotonic() - self._intake.asked_at < STUCK_SECONDS
        return asked and all(thread.is_alive() for thread in threads)

    def close(self) -> None:
        """Take and bring nothing more; what is being sent is waited for some seconds."""
        self._intake.stop()
        self._bots.close()
        for courier, _ in self._couriers.values():
            courier.stop()
        end = time.monotonic() + GRACE_SECONDS
        for _, thread in self._couriers.values():
            thread.join(max(end - time.monotonic(), 0.0))

    def _sections(self) -> Mapping[str, TargetSection]:
        return {name: courier.section for name, (courier, _) in self._couriers.items()}

    def _wake(self, names: Sequence[str]) -> None:
        couriers = self._couriers
        for name in names:
            if name in couriers:
                couriers[name][0].wake()

    def _tidy(self, sections: Mapping[str, TargetSection]) -> None:
        for name, count in self._store.tidy(sections, time.time()).items():
            log.warning("%d notifications for %s are dropped: it is no target now", count, name)


def _reload(notifier: Notifier, load: Callable[[], Config]) -> None:
    try:
        notifier.follow(load())
    except DoorbellError as exc:
        log.error("the targets stay as they were: %s", exc)
        return
    log.info("read the targets of notifications anew")


def require_enabled(section: NotificationsSection) -> None:
    """Refuse to run where notifications are off.

    Raises:
        ConfigError: they are.
    """
    if not section.enabled:
        raise ConfigError(
            "notifications.enabled is false: set it to true in the configuration, or start the "
            "notifier with --set notifications.enabled=true"
        )
