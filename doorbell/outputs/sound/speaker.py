"""Sounds to the sound device, through a child process that may crash or hang.

Never loads a sound library itself: that is the player's business (``outputs.sound.player``).
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from doorbell.errors import SoundError
from doorbell.outputs.sound.player import STOP_LINE
from doorbell.outputs.sound.synthesis import Sound

PLAYER_COMMAND = (sys.executable, "-m", "doorbell.outputs.sound.player")
# How long a player may take to stop; then it is killed. simpleaudio takes a quarter of a second.
STOP_SECONDS = 0.6
# Over the sound's own length: the player's start and a slow device.
ANSWER_MARGIN_SECONDS = 8.0
LONGEST_PAUSE_SECONDS = 60.0
KILL_SECONDS = 2.0


class PlayerDiedError(SoundError):
    """The player process ended in the middle of a sound; the next one may play it."""


def player_command(device: str | None) -> Sequence[str]:
    """What runs as the player for an ALSA device; None for the default one."""
    return PLAYER_COMMAND if device is None else (*PLAYER_COMMAND, "aplay", device)


class Speaker:
    """The parent's end of the player process; used by one thread, save ``kill`` and ``interrupt``.

    Args:
        command: what to run as the player.
        environment: of the player; None for our own.
        answer_margin_seconds: how long over a sound's length the player may take.
    """

    def __init__(
        self,
        command: Sequence[str] = PLAYER_COMMAND,
        *,
        environment: Mapping[str, str] | None = None,
        answer_margin_seconds: float = ANSWER_MARGIN_SECONDS,
    ) -> None:
        self._command = command
        self._environment = environment
        self._answer_margin_seconds = answer_margin_seconds
        self._crashes = 0
        self._paused_until = 0.0
        self._killed = False
        self._interruption = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        # Started ahead of the first ring, which would otherwise wait for the imports.
        self._process: subprocess.Popen[bytes] | None = None
        with contextlib.suppress(SoundError):  # said at the first ring
            self._running()

    @property
    def player_pid(self) -> int | None:
        """Process id of the player; None while there is none."""
        return None if self._process is None else self._process.pid

    def play(self, sound: Sound, *, must_sound: bool = False) -> bool:
        """Play a sound to its end.

        Args:
            sound: what.
            must_sound: whether it is tried now, however often the player has crashed.

        Returns:
            Whether to its end; False where it was interrupted.

        Raises:
            PlayerDiedError: the player crashed or was killed.
            SoundError: no device, or the player hung or is paused after crashes.
        """
        process = self._running(must_start=must_sound)
        samples = sound.samples.tobytes()
        header = f"{sound.sample_rate} {sound.samples.shape[1]} {len(samples)}\n".encode()
        answer = self._ask(process, header + samples, sound.seconds + self._answer_margin_seconds)
        if answer in ("done", "stopped"):
            self._crashes = 0
            return answer == "done"
        if answer.startswith("error "):
            # The library may hold on to its first view of the devices: a new player looks again.
            self._release(process)
            raise SoundError(answer.removeprefix("error "))
        code = self._bury(process)
        raise PlayerDiedError(f"the player process ended with code {code} in the middle of a sound")

    def interrupt(self) -> None:
        """End the sound in hand, and each that is begun before ``resume``; from any thread."""
        os.eventfd_write(self._interruption, 1)

    def resume(self) -> None:
        """Play again; nothing after ``close``."""
        if self._interruption >= 0:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._interruption)

    def kill(self) -> None:
        """End a sound that is playing, from any thread; nothing is played afterwards."""
        self._killed = True
        process = self._process
        if process is not None:
            _kill(process)

    def close(self) -> None:
        """End the player; idempotent."""
        self.kill()
        if self._process is not None:
            self._release(self._process)
        if self._interruption >= 0:
            os.close(self._interruption)
            self._interruption = -1

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # ALSA repeats there, ring after ring, what the answer says once.
                stderr=subprocess.DEVNULL,
                # Out of the terminal's reach from the first moment.
                start_new_session=True,
            )
        except OSError as exc:
            raise SoundError(
                f"cannot start the player ({exc.strerror}); is the machine out of memory?"
            ) from exc

    def _running(self, *, must_start: bool = False) -> subprocess.Popen[bytes]:
        if self._killed:
            raise SoundError("the speaker is closed")
        if self._process is not None and self._process.poll() is not None:
            self._bury(self._process)
        if self._process is None:
            remaining = self._paused_until - time.monotonic()
            if remaining > 0 and not must_start:
                raise SoundError(f"the player keeps crashing; tried again in {remaining:.0f} s")
            self._process = self._start()
        return self._process

    def _ask(self, process: subprocess.Popen[bytes], request: bytes, seconds: float) -> str:
        """Return the answer's line; empty where the player has ended instead.

        Raises:
            SoundError: no answer in time. The player is not waited for: a driver may hold it, or
                something that it started its pipes.
        """
        if process.stdin is None or process.stdout is None:
            return ""
        to_player, from_player = process.stdin.fileno(), process.stdout.fileno()
        os.set_blocking(to_player, False)
        unsent, answer = memoryview(request), b""
        deadline = time.monotonic() + seconds
        interruption = [self._interruption]
        while not answer.endswith(b"\n"):
            remaining = max(deadline - time.monotonic(), 0.0)
            readable, writable, _ = select.select(
                [from_player, *interruption], [to_player] if unsent else [], [], remaining
            )
            if not (readable or writable):
                self._release(process)
                if not interruption:
                    return "stopped"
                raise SoundError(
                    f"the sound device has not taken a sound within {seconds:.0f} s; check its "
                    "cable, or unplug it and plug it in again"
                )
            if self._interruption in readable:
                if len(unsent) == len(request):
                    return "stopped"
                interruption = []
                deadline = time.monotonic() + STOP_SECONDS
                unsent = memoryview(bytes(unsent) + STOP_LINE)
                continue
            try:
                if writable:
                    unsent = unsent[os.write(to_player, unsent) :]
            except BrokenPipeError:  # it died
                return ""
            if readable:
                answer += (received := os.read(from_player, 4096))
                if not received:
                    return ""
        return answer.decode(errors="replace").strip()

    def _bury(self, process: subprocess.Popen[bytes]) -> int:
        """Release a player that has crashed; the next starts at once, later ones after a pause."""
        pause = min(2.0 ** (self._crashes - 1), LONGEST_PAUSE_SECONDS) if self._crashes else 0.0
        self._crashes += 1
        self._paused_until = time.monotonic() + pause
        return self._release(process)

    def _release(self, process: subprocess.Popen[bytes]) -> int:
        _kill(process)
        try:
            code = process.wait(KILL_SECONDS)
        except subprocess.TimeoutExpired:  # in a driver's hands: it ends when that lets go
            code = -signal.SIGKILL
        if process.stdout is not None:
            process.stdout.close()
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # what it had not read is lost with it
                process.stdin.close()
        self._process = None
        return code


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a player, which leads a process group, with whatever it has started.

    An ``aplay`` sounds on for a while where the player itself is gone.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
