"""Our end of a process that looks at what anybody may have sent: see ``confinement``.

It is started when there is something to look at, stays for a minute, and is ended where it takes
too long: whoever asked is told so, and the next request gets a new one.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import doorbell
from doorbell.control.wire import Document
from doorbell.errors import DoorbellError
from doorbell.household.pipe_messages import Message, read_message, write_message

# A slow board compiles the networks the first time.
START_SECONDS = 120.0
# What it may know of the environment: where programs and libraries are. No secret is among these.
ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LANG", "TZ")


@dataclass(frozen=True, slots=True)
class Words:
    """What whoever asked is told: it took too long, it is gone, could not be started, is closed."""

    too_long: str
    gone: str
    not_started: str
    closed: str


class ConfinedProcess:
    """One such process, or none while there is nothing to do; threads take turns with it.

    Args:
        command: that starts it.
        settings: what it is told first.
        error: raised of all that goes wrong.
        words: for people.
        max_reply: how many bytes may belong to an answer.
    """

    def __init__(
        self,
        command: Sequence[str],
        settings: Document,
        *,
        error: type[DoorbellError],
        words: Words,
        max_reply: int,
    ) -> None:
        self._command = tuple(command)
        self._settings = settings
        self._error = error
        self._words = words
        self._max_reply = max_reply
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Of the process; None while there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def close(self) -> None:
        """End the process; idempotent."""
        self._closed = True
        process = self._process
        if process is not None:
            process.kill()
        with self._lock:
            self._end()

    def prepare(self) -> None:
        """Start the process for what will come soon, and wait for nothing."""
        if self.pid is None and not self._lock.locked():
            threading.Thread(target=self._start, name="confined-start", daemon=True).start()

    def ask(self, request: Document, blob: bytes, reply_seconds: float) -> Message:
        """Ask for something, and wait for the answer so long.

        Raises:
            DoorbellError: of the kind that was given: it was refused, or the process is gone.
        """
        with self._lock:
            process = self._started()
            try:
                reply = self._exchange(process, request, blob, reply_seconds)
            except self._error:
                ended_itself = process.poll() == 0  # for nobody had asked for a minute
                self._end()
                if not ended_itself:
                    raise
                reply = self._exchange(self._started(), request, blob, reply_seconds)
        if isinstance(error := reply[0].get("error"), str):
            raise self._error(error[:1000])
        return reply

    def _start(self) -> None:
        with self._lock, suppress(self._error):
            self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._closed:
            raise self._error(self._words.closed)
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        self._process = process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what it says may be of what was sent
            env={
                **{name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
                "MALLOC_ARENA_MAX": "1",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            cwd=Path(doorbell.__file__).parent.parent,
            start_new_session=True,
        )
        # What ends by itself is not left as a zombie until something else is sent.
        threading.Thread(target=process.wait, name="confined-wait", daemon=True).start()
        try:
            ready, _ = self._exchange(process, self._settings, b"", START_SECONDS)
        except self._error as exc:
            self._end()
            raise self._error(self._words.not_started) from exc
        if ready.get("ready") is not True:
            self._end()
            raise self._error(str(ready.get("error", ""))[:1000] or self._words.gone)
        return process

    def _exchange(
        self, process: subprocess.Popen[bytes], request: Document, blob: bytes, seconds: float
    ) -> Message:
        """One request and its answer; whoever takes too long is ended."""
        if process.stdin is None or process.stdout is None:
            raise self._error(self._words.gone)
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(seconds, give_up)
        timer.start()
        try:
            write_message(process.stdin, request, blob)
            reply = read_message(process.stdout, self._max_reply)
        except (OSError, ValueError) as exc:
            raise self._error(self._words.too_long if late.is_set() else self._words.gone) from exc
        finally:
            timer.cancel()
        if reply is None:
            raise self._error(self._words.too_long if late.is_set() else self._words.gone)
        return reply

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
