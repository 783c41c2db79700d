"""The process that starts a process for each camera, by ``fork``.

It is forked off the daemon as that begins, before there is any thread, so that it and those it
forks share with the daemon all memory that none of them changes: a camera's process takes some
20 MB less than one that begins by itself. Where it was killed, another one is started, which shares
nothing.

A camera's process ends with this one, and this one with the daemon.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from doorbell.camera.process.messages import pair, receive, send, send_now
from doorbell.camera.process.reader import read_camera

log = logging.getLogger(__name__)

# Of <linux/prctl.h>.
_SET_PARENT_DEATH_SIGNAL, _SET_NAME = 1, 15
_NAME_BYTES = 15


@dataclass(frozen=True, slots=True)
class Starter:
    """Our end of it.

    Attributes:
        pid: of the process, which is ours.
        control: where it is asked.
    """

    pid: int
    control: socket.socket

    def end(self) -> None:
        """End it, and the cameras' processes with it; idempotent."""
        if self.control.fileno() < 0:
            return
        self.control.close()
        os.kill(self.pid, signal.SIGKILL)  # it is there, or waits to be buried
        os.waitpid(self.pid, 0)


def fork_starter() -> Starter:
    """Fork one off this process, which has no threads yet."""
    ours, theirs = pair()
    gc.collect()
    gc.freeze()  # the collector writes to what it looks at, which then is no longer shared
    pid = os.fork()
    if not pid:
        _run_and_exit(theirs)
    theirs.close()
    return Starter(pid, ours)


def spawn_starter() -> Starter:
    """Start one that shares nothing with this process."""
    ours, theirs = pair()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", __name__],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), 0)],
    )
    theirs.close()
    return Starter(pid, ours)


def _run_and_exit(control: socket.socket) -> NoReturn:
    """Serve and end, whatever this process was forked off."""
    try:
        _close_others(control.fileno())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        serve(control)
    except BaseException:
        log.exception("the process that starts the cameras' processes failed")
    finally:
        os._exit(0)


def serve(control: socket.socket) -> None:
    """Start what is asked for until nobody can ask any more."""
    os.setsid()  # out of the terminal's reach
    _prctl(_SET_NAME, b"cameras")
    _Processes(control).run()


class _Processes:
    """The cameras' processes.

    Args:
        control: where they are asked for, each with the socket that it is to speak on.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._links: dict[int, socket.socket] = {}  # by the process
        self._ended, ended = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(ended)
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._poll.register(self._ended, select.POLLIN)

    def run(self) -> None:
        """Start and bury them until nobody can ask any more."""
        while True:
            ready = {descriptor for descriptor, _ in self._poll.poll()}
            # Those that are given up first: what is started takes descriptors that others leave.
            for descriptor in ready - {self._control.fileno(), self._ended}:
                self._kill(descriptor)
            if self._ended in ready:
                with suppress(BlockingIOError):
                    os.read(self._ended, 4096)
                self._bury()
            if self._control.fileno() in ready:
                asked = receive(self._control)
                if asked is None:
                    return
                document, link = asked
                if link is not None:
                    self._start(document, socket.socket(fileno=link))

    def _start(self, document: dict[str, Any], link: socket.socket) -> None:
        starter = os.getpid()
        try:
            pid = os.fork()
        except OSError as exc:
            message = f"cannot start the camera's process ({exc.strerror}); is memory short?"
            with suppress(OSError):
                send_now(link, {"error": "CameraError", "message": message})
            link.close()
            return
        if not pid:
            self._read_and_exit(document, link, starter)
        self._links[pid] = link
        self._poll.register(link, 0)  # only that the daemon has closed its end

    @staticmethod
    def _read_and_exit(document: dict[str, Any], link: socket.socket, starter: int) -> NoReturn:
        """In the process of a camera: read it and end."""
        code = 0
        try:
            _prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _close_others(link.fileno())
            _prctl(_SET_NAME, f"camera {document['name']}".encode()[:_NAME_BYTES])
            with suppress(OSError):  # where memory ends, sooner than the daemon
                Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
            if os.getppid() == starter:
                send(link, {"started": os.getpid()})
                read_camera(link, document)
        except (BrokenPipeError, ConnectionResetError):
            pass  # nobody listens any more
        except BaseException:
            log.exception("the camera's process failed")
            code = 1
        finally:
            os._exit(code)

    def _kill(self, descriptor: int) -> None:
        """End a process in which the daemon has no interest any more."""
        self._poll.unregister(descriptor)
        for pid, link in self._links.items():
            if link.fileno() == descriptor:
                os.kill(pid, signal.SIGKILL)

    def _bury(self) -> None:
        """Say how those that have ended did."""
        while self._links:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            link = self._links.pop(pid)
            with suppress(KeyError):
                self._poll.unregister(link)
            with suppress(OSError):
                send_now(link, {"ended": os.waitstatus_to_exitcode(status)})
            link.close()


def _close_others(kept: int) -> None:
    """Close what belongs to the process that this one was forked off."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers, no paths
        if int(name) > 2 and int(name) != kept:
            with suppress(OSError):  # the one that lists them
                os.close(int(name))


def _prctl(option: int, value: int | bytes) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    gc.freeze()
    serve(socket.socket(fileno=0))
