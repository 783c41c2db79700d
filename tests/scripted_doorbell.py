"""A doorbell that answers the control socket as a test has written it down."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from typing_extensions import Self

from doorbell.control.wire import receive, send, send_now
from doorbell.domain import UInt8Array
from doorbell.imaging.frame_ring import RingShape, RingWriter

Answer = Callable[[dict[str, Any]], dict[str, Any] | tuple[dict[str, Any], bytes]]


class ScriptedDoorbell:
    """Listens at a path, answers verbs, tells events and shows frames.

    Args:
        path: of the socket.
        answers: what each verb answers; an ``{"ok": False, ...}`` refuses.
        alive_seconds: between signs of life.
    """

    def __init__(
        self, path: Path, answers: Mapping[str, Answer] | None = None, alive_seconds: float = 0.2
    ) -> None:
        self.path = path
        self.answers = dict(answers or {})
        self.asked: list[dict[str, Any]] = []
        self.blobs: list[bytes] = []
        self.listening = 0
        self.watchers = 0
        self.watched_times = 0
        self._alive_seconds = alive_seconds
        self._frame: tuple[int, float, UInt8Array, list[dict[str, Any]]] | None = None
        self._changed = threading.Condition()
        self._listeners: list[socket.socket] = []
        self._peers: list[socket.socket] = []
        self._sequence = 0
        self._stopped = threading.Event()
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to listen."""
        self._stopped = threading.Event()
        self.path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(self.path))
        self._socket.listen()
        threading.Thread(target=self._accept, args=(self._socket,), daemon=True).start()
        threading.Thread(target=self._live, args=(self._stopped,), daemon=True).start()

    def stop(self) -> None:
        """End as a killed process does: every connection breaks."""
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()
        assert self._socket is not None
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.path.unlink(missing_ok=True)
        for peer in self._peers:
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        self._peers.clear()
        self._listeners.clear()

    def tell(self, document: dict[str, Any]) -> None:
        """Tell an event to whoever listens."""
        for peer in list(self._listeners):
            with suppress(OSError):
                send(peer, document)

    def show(
        self,
        pixels: UInt8Array,
        faces: list[dict[str, Any]] | None = None,
        captured_at: float | None = None,
    ) -> int:
        """Show a frame to whoever watches; its number."""
        with self._changed:
            self._sequence += 1
            taken = time.time() if captured_at is None else captured_at
            self._frame = (self._sequence, taken, pixels, faces or [])
            self._changed.notify_all()
            return self._sequence

    def _live(self, stopped: threading.Event) -> None:
        while not stopped.wait(self._alive_seconds):
            self.tell({"event": "alive"})

    def _accept(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                peer, _ = listening.accept()
                self._peers.append(peer)
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with suppress(OSError), peer:
            while (message := receive(peer)) is not None:
                request = message.document
                self.asked.append(request)
                self.blobs.append(message.blob)
                if request["do"] == "events":
                    send(peer, {"ok": True})
                    self._listeners.append(peer)
                    send(peer, {"event": "alive"})
                elif request["do"] == "frames":
                    send(peer, {"ok": True})
                    self._show_frames(peer)
                    return
                elif request["do"] == "talk.listen" and "talk.listen" not in self.answers:
                    send(peer, {"ok": True})
                    self._let_listen(peer)
                    return
                else:
                    self._answer(peer, request)

    def _let_listen(self, peer: socket.socket) -> None:
        """Tell what a microphone hears, and in turn that it is withheld."""
        self.listening += 1
        try:
            while not self._stopped.wait(0.05):
                send(peer, {"event": "sound"}, b"\1\2" * 1600)
                send(peer, {"event": "silent"})
        finally:
            self.listening -= 1

    def _answer(self, peer: socket.socket, request: dict[str, Any]) -> None:
        answer = self.answers.get(request["do"])
        if answer is None:
            send(peer, {"ok": False, "kind": "refused", "error": "no such request"})
            return
        found = answer(request)
        document, blob = found if isinstance(found, tuple) else (found, b"")
        send(peer, {"ok": True, **document}, blob)

    def _show_frames(self, peer: socket.socket) -> None:
        ring: RingWriter | None = None
        shown = self._sequence
        self.watchers += 1
        self.watched_times += 1
        try:
            while not self._stopped.is_set():
                with self._changed:
                    self._changed.wait(0.05)
                    frame = self._frame
                if frame is None or frame[0] == shown:
                    # Nobody sends anything here: what can be read is the end.
                    peer.setblocking(False)
                    with suppress(BlockingIOError):
                        if not peer.recv(1):
                            return
                    peer.setblocking(True)
                    continue
                shown, captured_at, pixels, faces = frame
                shape = RingShape(pixels.shape[1], pixels.shape[0])
                if ring is None or ring.shape != shape:
                    ring = RingWriter(shape)
                    told = {"event": "ring_of_frames", "width": shape.width, "height": shape.height}
                    send_now(peer, told, [ring.descriptor])
                slot, into = ring.begin()
                into[...] = pixels
                ring.end(slot, shown)
                send_now(
                    peer,
                    {
                        "event": "frame",
                        "seq": shown,
                        "slot": slot,
                        "captured_at": captured_at,
                        "time_seconds": 0.0,
                        "faces": faces,
                    },
                )
        finally:
            self.watchers -= 1
