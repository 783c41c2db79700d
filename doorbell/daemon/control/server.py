"""The Unix socket: who may ask, how often, and a thread for each connection."""

from __future__ import annotations

import grp
import logging
import os
import pwd
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from doorbell.config import ControlSection
from doorbell.control.address import at_address
from doorbell.control.rates import HourlyBudget, Rate, TokenBucket
from doorbell.control.requests import Events, Frames, parse_request
from doorbell.control.schema import Request
from doorbell.control.wire import (
    MAX_PHOTO_BYTES,
    MAX_REQUEST_BYTES,
    Document,
    Message,
    receive,
    send,
)
from doorbell.daemon.control.output import ControlOutput
from doorbell.errors import (
    ControlError,
    DoorbellError,
    RefusedError,
    UnknownDoorError,
    UnknownPersonError,
    UnknownStrangerError,
    UsageError,
)

log = logging.getLogger(__name__)

# Of one user, so that the command line is answered whatever the console does; and of all.
CONNECTIONS, ALL_CONNECTIONS = 32, 48
# Requests with a photo or a sound at a time: each holds it in memory.
UPLOADS = 4
# A peer that does not take an answer is not waited for any longer.
SEND_SECONDS = 10.0
ALIVE_SECONDS = 1.0
CLOSE_SECONDS = 3.0
# Linux: struct ucred of SO_PEERCRED.
_CREDENTIALS = struct.Struct("3i")
# What comes before the events or frames that were asked for.
_OPENING: Document = {"ok": True}

# How often is answered what only reads, over all connections: pages do, with a picture each.
READS_AT_ONCE, READS_PER_SECOND = 300, 100
# And each of the others, which is what hands do.
CHANGES = Rate(10, 0.5, 600)
RATES: Mapping[str, Rate] = {
    "ring": Rate(5, 2.0, 60),
    "chime.play": Rate(5, 2.0, 300),
    "check": Rate(2, 10.0, 60),
    "people.export": Rate(3, 10.0, 60),
    "people.forget": Rate(3, 10.0, 60),
    "reload": Rate(3, 5.0, 60),
    "photo.examine": Rate(20, 1.0, 600),
    "photo.search": Rate(20, 1.0, 600),
    "visits.search": Rate(20, 1.0, 600),
    # Whoever takes notices waits for the next one; after an outage fifty come at a time.
    "notices.take": Rate(50, 0.1, 36000),
    "notices.report": Rate(50, 1.0, 3600),
    "notices.act": Rate(10, 1.0, 600),
    "notices.test": Rate(5, 5.0, 60),
    "replies.play": Rate(5, 2.0, 300),
    "replies.add": Rate(5, 5.0, 100),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with.

    Attributes:
        document: the answer.
        blob: bytes that belong to it.
        more: what follows over time, until it has ended; for requests that go on.
        is_sent: whether it was sent already, lest something else come before it.
    """

    document: Document = field(default_factory=dict)
    blob: bytes = field(default=b"", repr=False)
    more: Callable[[socket.socket], None] | None = None
    is_sent: bool = False


Handler: TypeAlias = Callable[[Request, bytes], Answer]


class ControlServer:
    """Listens for whoever may ask.

    Args:
        section: ``[control]``.
        path: where the socket is; its folder is there.
        handlers: by verb, what answers; on the connection's thread.
        output: hands out events and frames.

    Raises:
        ControlError: nobody can be listened for there.
    """

    def __init__(
        self,
        section: ControlSection,
        path: Path,
        handlers: Mapping[str, Handler],
        output: ControlOutput,
    ) -> None:
        self._path = path
        self._handlers = handlers
        self._output = output
        self._users = _uids(section.users)
        self._rate_limiter = _RateLimiter()
        self._lock = threading.Lock()
        self._peers: dict[socket.socket, threading.Thread] = {}
        self._users_present: Counter[int] = Counter()
        self._uploads = threading.BoundedSemaphore(UPLOADS)
        self._closed = threading.Event()
        self._listening = _listen(path, section.group)
        self._thread = threading.Thread(target=self._accept, name="control", daemon=True)
        self._thread.start()
        self._heartbeat = threading.Thread(
            target=self._send_heartbeats, name="control-heartbeat", daemon=True
        )
        self._heartbeat.start()

    def close(self) -> None:
        """Let everybody go; idempotent."""
        if self._closed.is_set():
            return
        self._closed.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with suppress(OSError):
            self._path.unlink()
        self._output.close()
        with self._lock:
            peers = dict(self._peers)
        for peer in peers:
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        end = time.monotonic() + CLOSE_SECONDS
        for thread in (self._thread, self._heartbeat, *peers.values()):
            thread.join(max(end - time.monotonic(), 0.0))

    def _send_heartbeats(self) -> None:
        while not self._closed.wait(ALIVE_SECONDS):
            self._output.say_alive()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                peer, _ = self._listening.accept()
            except OSError as exc:
                if not self._closed.is_set():
                    log.warning("nobody can ask the doorbell for a moment: %s", exc.strerror)
                    self._closed.wait(1.0)
                continue
            peer.settimeout(SEND_SECONDS)
            packed = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            _, uid, _ = _CREDENTIALS.unpack(packed)
            if (refused := self._refusal(uid)) is not None:
                with suppress(OSError), peer:
                    send(peer, _error_document(refused))
                continue
            self._start_serving(peer, uid)

    def _start_serving(self, peer: socket.socket, uid: int) -> None:
        thread = threading.Thread(
            target=self._serve, args=(peer, uid), name="control-peer", daemon=True
        )
        with self._lock:
            self._peers[peer] = thread
            self._users_present[uid] += 1
        try:
            thread.start()
        except RuntimeError as exc:  # the system allows no more threads; whoever comes next may ask
            log.warning("somebody could not be answered: %s", exc)
            self._forget(peer, uid)
            peer.close()

    def _forget(self, peer: socket.socket, uid: int) -> None:
        with self._lock:
            self._peers.pop(peer, None)
            self._users_present[uid] -= 1

    def _refusal(self, uid: int) -> RefusedError | None:
        """Why a user may not ask; None where they may."""
        if uid not in self._users:
            log.warning("refused the user with the number %d on the control socket", uid)
            return RefusedError("this user may not ask; name it in control.users")
        if self._users_present[uid] >= CONNECTIONS or len(self._peers) >= ALL_CONNECTIONS:
            return RefusedError("too many ask at once", "too_fast")
        return None

    def _serve(self, peer: socket.socket, uid: int) -> None:
        try:
            with peer:
                while not self._closed.is_set() and self._serve_one(peer):
                    pass
        except (OSError, ControlError) as exc:
            log.debug("a connection to the control socket has ended: %s", exc)
        except Exception:
            log.exception("a defect in what answers on the control socket")
        finally:
            self._forget(peer, uid)

    def _serve_one(self, peer: socket.socket) -> bool:
        """Answer one request; whether another may follow."""
        peer.settimeout(None)  # who has connected may ask when they like
        with ExitStack() as taken:
            try:
                message = receive(
                    peer,
                    max_json=MAX_REQUEST_BYTES,
                    max_blob=MAX_PHOTO_BYTES,
                    admit=lambda: self._take_upload(taken),
                )
            except RefusedError as exc:  # what is left of the message ends the connection
                peer.settimeout(SEND_SECONDS)
                send(peer, _error_document(exc))
                return False
            if message is None:
                return False
            peer.settimeout(SEND_SECONDS)
            try:
                answer = self._answer(peer, message)
            except DoorbellError as exc:
                answer = Answer(_error_document(exc))
            del message
        if not answer.is_sent:
            send(peer, {"ok": True, **answer.document}, answer.blob)
        if answer.more is not None:
            answer.more(peer)
        return answer.more is None

    def _take_upload(self, taken: ExitStack) -> None:
        """Take the place of a photo or a sound, for as long as the context lasts.

        Raises:
            RefusedError: all are taken.
        """
        if not self._uploads.acquire(blocking=False):
            raise RefusedError("too many photos or sounds at once; wait a moment", "too_fast")
        taken.callback(self._uploads.release)

    def _answer(self, peer: socket.socket, message: Message) -> Answer:
        request, blob = parse_request(message.document), message.blob
        if blob and not request.takes_blob:
            raise UsageError(f"the request {request.verb} has no bytes of its own")
        self._rate_limiter.take(request)
        match request:
            case Events():
                gone = self._output.listen(peer, _OPENING)
            case Frames():
                gone = self._output.watch(
                    peer,
                    _OPENING,
                    door_id=request.door_id,
                    max_width=request.max_width,
                    per_second=request.per_second,
                )
            case _:
                return self._handled(request, blob)
        return Answer(is_sent=True, more=lambda peer: self._follow(peer, gone))

    def _handled(self, request: Request, blob: bytes) -> Answer:
        try:
            return self._handlers[request.verb](request, blob)
        except DoorbellError:
            raise
        except Exception as exc:
            log.exception("a defect in the request %s", request.verb)
            raise RefusedError(
                "something is wrong in the doorbell; its log says more", "failed"
            ) from exc

    def _follow(self, peer: socket.socket, gone: threading.Event) -> None:
        """Wait until who listens or watches has ended the connection, or was let go."""
        watch = threading.Thread(
            target=_wait_for_end, args=(peer, gone), name="control-watch", daemon=True
        )
        watch.start()
        gone.wait()
        self._output.leave(gone)
        with suppress(OSError):
            peer.shutdown(socket.SHUT_RDWR)
        watch.join(CLOSE_SECONDS)


class _RateLimiter:
    """Lets each verb through as often as its rate allows."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reading = TokenBucket(READS_AT_ONCE, 1.0 / READS_PER_SECOND, time.monotonic())
        self._buckets: dict[str, TokenBucket] = {}
        self._budgets: dict[str, HourlyBudget] = {}

    def take(self, request: Request) -> None:
        """Take a request in.

        Raises:
            RefusedError: it is one too many.
        """
        now, verb = time.monotonic(), request.verb
        with self._lock:
            if request.only_reads:
                taken = self._reading.take(now)
            else:
                if verb not in self._buckets:
                    rate = RATES.get(verb, CHANGES)
                    self._buckets[verb] = TokenBucket(rate.burst, rate.seconds, now)
                    self._budgets[verb] = HourlyBudget(rate.hourly)
                taken = self._buckets[verb].take(now) and self._budgets[verb].take(now)
        if not taken:
            raise RefusedError("that was asked too often; wait a moment", "too_fast")


def _listen(path: Path, group: str | None) -> socket.socket:
    """Bind the socket, for its owner and a group alone."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)  # of a run that was killed: whoever holds the gallery is alone
        earlier = os.umask(0o177)
        try:
            with at_address(path) as address:
                listening.bind(address)
        finally:
            os.umask(earlier)
        if group is not None:
            os.chown(path, -1, grp.getgrnam(group).gr_gid)
            path.chmod(0o660)
        listening.listen(CONNECTIONS)
    except KeyError as exc:
        listening.close()
        raise ControlError(f"control.group = {group!r}: there is no such group") from exc
    except OSError as exc:
        listening.close()
        raise ControlError(f"cannot listen at {path}: {exc.strerror}") from exc
    return listening


def _uids(users: Sequence[str]) -> frozenset[int]:
    """Who may ask: root, whoever runs the daemon, and the users that are named, if they exist."""
    found = {0, os.geteuid()}
    known = {each.pw_name: each.pw_uid for each in pwd.getpwall()}
    for name in users:
        if name in known:
            found.add(known[name])
        else:
            log.warning("control.users: there is no user %r here", name)
    return frozenset(found)


def _wait_for_end(peer: socket.socket, gone: threading.Event) -> None:
    """Notice that the other end has closed; what it says meanwhile ends it too."""
    with suppress(OSError):
        peer.recv(1)
    gone.set()


def _error_document(error: DoorbellError) -> Document:
    match error:
        case RefusedError(kind=kind):
            pass
        case UnknownPersonError() | UnknownStrangerError() | UnknownDoorError():
            kind = "not_found"
        case UsageError():
            kind = "refused"
        case _:
            kind = "failed"
    return {"ok": False, "kind": kind, "error": str(error)}
