"""What happens to what sounds and tells: players, the loudspeaker at the door, the notifier."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from doorbell.control.client import Client
from doorbell.errors import ControlError
from doorbell.testbed.console_process import ConsoleProcess
from doorbell.testbed.daemon_process import DOORBELL, DaemonProcess
from doorbell.testbed.scenes import KNOWN, STRANGER
from doorbell.testbed.sound_card import SoundCard, environment_of
from faulting.door import Door, NotRecoveredError

KILLS = 6
VISITS = 4
PAUSE_SECONDS = (0.2, 3.0)
CHIME_SECONDS = 0.1
REPLY = "coming"
PLAYER = b"doorbell.outputs.sound.player"


class Phone:
    """A web address that is told.

    Attributes:
        told: of which visits it was told that it rang, each time that it was.
    """

    def __init__(self) -> None:
        self.told: list[str] = []
        phone = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if body["kind"] == "ring":
                    phone.told.append(body["visit_id"])
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it is told."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/door"

    def close(self) -> None:
        """Be told nothing any more."""
        self._server.shutdown()
        self._server.server_close()


class Notifier:
    """The notifier of a door, which tells a phone of every ring."""

    def __init__(self, door: Door, phone: Phone) -> None:
        self.phone = phone
        self._door = door
        secret = door.folder / "secret"
        secret.write_text("a secret of this trial\n")
        secret.chmod(0o600)
        targets = door.folder / "doorbell.toml"
        targets.write_text(
            f'[[notifications.targets]]\nname = "phone"\nwebhook = "{phone.url}"\n'
            f'secret_file = "{secret}"\nper_hour = 1000\n'
        )
        door.config = targets
        door.settings["notifications.enabled"] = "true"
        door.settings["notifications.directory"] = door.folder / "notifier"
        self._process: DaemonProcess | None = None

    @property
    def was_started(self) -> bool:
        """Whether it was ever started."""
        return self._process is not None

    def start(self) -> None:
        """Start it, whatever became of the one before."""
        given = (
            "notifications.enabled=true",
            f"notifications.directory={self._door.folder / 'notifier'}",
            f"control.socket={self._door.storage / 'doorbell.sock'}",
        )
        sets = [word for each in given for word in ("--set", each)]
        command = [*DOORBELL, "notifier", "--config", str(self._door.config), *sets]
        self._process = DaemonProcess(command, self._door.folder / "notifier.log")

    def kill(self) -> None:
        """End it as the kernel does; idempotent."""
        if self._process is not None:
            self._process.kill()


def prepare(door: Door) -> None:
    """Give the door a loudspeaker of its own, announcements, and a phone that is told."""
    door.speaker = SoundCard(door.folder, device="door")
    door.environment |= environment_of(door.card, door.speaker)
    door.settings |= {"talk.device": "door", "announcements.enabled": "true"}
    phone = Phone()
    door.stack.callback(phone.close)
    notifier = Notifier(door, phone)
    door.stack.callback(notifier.kill)
    door.notifier = notifier


def player_killed(door: Door) -> float:
    """Players are killed at any moment while visitors come: each ring is heard all the same."""
    return _beside(door, lambda ended: _kill_now_and_again(ended, lambda: _kill_players(door)))


def notifier_killed(door: Door) -> float:
    """The notifier is killed at any moment: the phone is told of every ring once."""
    _notifier(door).start()
    return _beside(door, lambda ended: _kill_now_and_again(ended, lambda: _restart_notifier(door)))


def everything_killed(door: Door) -> float:
    """Players, console and notifier are killed at any moment, with somebody who watches."""
    _notifier(door).start()
    with ConsoleProcess(door.folder, door.storage / "doorbell.sock") as console:

        def kill(ended: threading.Event) -> None:
            while not ended.is_set():
                with ExitStack() as watching:
                    with suppress(Exception):  # it may be killed before anybody sees a picture
                        watching.enter_context(console.watched())
                    _pause(ended)
                    console.kill()
                _kill_players(door)
                _restart_notifier(door)
                console.start()

        return _beside(door, kill)


def speaker_hangs(door: Door) -> float:
    """The loudspeaker at the door hangs with a reply in it: rings are heard inside, and told.

    How long it takes, once it is back, until a reply is heard there.
    """
    speaker = _speaker(door)
    speaker.hang()
    _say_reply(door)
    _visits(door)
    speaker.plug()
    began = time.monotonic()

    def is_heard() -> bool:
        if not speaker.has_recorded(CHIME_SECONDS):
            with suppress(ControlError):  # it is asked too often
                _say_reply(door)
        return speaker.has_recorded(CHIME_SECONDS)

    seconds = door.seconds_until(is_heard, since=began)
    door.visit(STRANGER)
    return seconds


def _beside(door: Door, work: Callable[[threading.Event], None]) -> float:
    """Let visitors come while something else happens; the longest time until a chime was heard."""
    ended = threading.Event()
    problems: list[str] = []

    def run() -> None:
        try:
            work(ended)
        except Exception as exc:  # noqa: BLE001 - said where the door is judged
            problems.append(repr(exc))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        seconds = _visits(door)
    finally:
        ended.set()
        thread.join()
    if problems:
        raise NotRecoveredError("; ".join(problems))
    _await_phone(door)
    return seconds


def _visits(door: Door) -> float:
    """The longest time from a ring to its chime, over some visits."""
    longest = 0.0
    for visit in range(VISITS):
        door.card.recording.unlink(missing_ok=True)
        door.comes((KNOWN, STRANGER)[visit % 2])
        rang = time.monotonic()
        heard = door.seconds_until(lambda: door.card.has_recorded(CHIME_SECONDS), since=rang)
        longest = max(longest, heard)
        door.goes()
    return longest


def _await_phone(door: Door) -> None:
    """Wait until the phone was told of each ring so far, and require that of none twice."""
    notifier = _notifier(door)
    if not notifier.was_started:
        return
    phone = notifier.phone
    heard = door.subscriber.documents("event")
    rings = {each["visit_id"] for each in heard if each["event_type"] == "ring"}
    began = time.monotonic()
    door.seconds_until(lambda: rings <= set(phone.told), since=began)
    doubled = len(phone.told) - len(set(phone.told))
    if doubled:
        raise NotRecoveredError(f"the phone was told {doubled} times more than it rang")


def _kill_now_and_again(ended: threading.Event, kill: Callable[[], None]) -> None:
    while not ended.is_set():
        _pause(ended)
        kill()


_moments = np.random.default_rng(1)


def _pause(ended: threading.Event) -> None:
    ended.wait(_moments.uniform(*PAUSE_SECONDS))


def _kill_players(door: Door) -> None:
    for pid in _players(door.daemon.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _players(daemon: int) -> Sequence[int]:
    """The players that a daemon has started."""
    found: list[int] = []
    for task in Path(f"/proc/{daemon}/task").iterdir():
        with suppress(OSError):  # a thread that has ended meanwhile
            found += map(int, (task / "children").read_text().split())
    return [pid for pid in found if _is_player(pid)]


def _is_player(pid: int) -> bool:
    try:
        return PLAYER in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _restart_notifier(door: Door) -> None:
    notifier = _notifier(door)
    notifier.kill()
    notifier.start()


def _say_reply(door: Door) -> None:
    with Client.connect(door.storage / "doorbell.sock", 5.0) as client:
        client.ask("replies.play", reply_id=REPLY)


def _notifier(door: Door) -> Notifier:
    if not isinstance(door.notifier, Notifier):
        raise TypeError("prepare the door first")
    return door.notifier


def _speaker(door: Door) -> SoundCard:
    if door.speaker is None:
        raise RuntimeError("prepare the door first")
    return door.speaker
