"""What goes between a machine's copy of the gallery and the server, over one connection.

What waits is done on the server, some writes in one transaction with the number of the last:
exactly once, whoever is killed when.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from doorbell.errors import GalleryRefusedError
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.link.copy_file import CopyFile, Waiting
from doorbell.gallery.link.following import State, delete_gone, read_state, read_visits, write_state
from doorbell.gallery.link.machines import last_applied, latest_change
from doorbell.gallery.link.writes import Write, do, joined, made_by, parted, subjects
from doorbell.status import VisitsForgotten

if TYPE_CHECKING:  # which needs psycopg
    from doorbell.gallery.postgres.database import PostgresDatabase

log = logging.getLogger(__name__)

# Strangers whom a machine can give a number while the server is away.
NUMBERS_AHEAD = 200

# Taken over in one transaction of the copy, which keeps a write of the main thread waiting.
CHANGES_AT_ONCE = 16

# Done in one transaction of the server, which keeps other writers waiting.
WRITES_AT_ONCE = 100


def keep_nothing_else(gone: VisitsForgotten) -> None:
    """Nothing else is held of visits that are gone."""
    del gone


class Exchange:
    """What goes over one connection to the server; used by one thread.

    Args:
        copy: of this machine.
        server: the gallery.
        doors: whose visits are this machine's.
        forgotten: told of visits that are gone, so that what else is held of them goes, too.
        answered: called whenever the server has answered, while there is more to ask for.
    """

    def __init__(
        self,
        copy: CopyFile,
        server: PostgresDatabase,
        doors: Collection[str],
        forgotten: Callable[[VisitsForgotten], None] = keep_nothing_else,
        *,
        answered: Callable[[], None] = lambda: None,
    ) -> None:
        self._copy = copy
        self._server = server
        self._doors = doors
        self._forgotten = forgotten
        self._answered = answered
        self._gallery = Gallery(_Within(server))
        self._not_there = {made for each in copy.aside() for made in made_by(each.write)}

    def begin(self) -> None:
        """Be known to the server, and delete whoever was forgotten there meanwhile."""
        applied = self._register()
        self._copy.drop(applied)
        if applied > self._copy.last_sequence():  # the copy was put back to an earlier state
            self._copy.become_another()
            self._register()
        delete_gone(self._copy, self._server)
        progress = self._copy.progress()
        is_other = progress.gallery != self._server.identity
        if is_other or progress.revision > latest_change(self._server):  # or put back
            with self._copy.writing():
                self._copy.note_progress(self._server.identity, 0)
                self._copy.note_missed(missed=True)
                self._copy.drop_numbers()  # another machine may have been given them since
        elif progress.revision < self._server.last_deleted_change():
            with self._copy.writing():  # it was removed from the machines
                self._copy.note_missed(missed=True)
        self.keep_numbers()

    def send(self) -> None:
        """Do on the server what waits, in order.

        What it refuses for good is put aside, with what later ones say of a visit or stranger that
        is not there for that.
        """
        identity = self._copy.progress().identity
        is_more = True
        while is_more and (waiting := self._copy.waiting(WRITES_AT_ONCE)):
            if not self._not_there and self._send_together(identity, waiting):
                self._copy.drop(waiting[-1].sequence)
            else:
                self._send_apart(identity, waiting)
            # What has come meanwhile waits for the next time: others are to be followed, too.
            is_more = len(waiting) == WRITES_AT_ONCE

    def follow(self) -> None:
        """Bring the copy up to date, and say so to the server."""
        while True:
            self.send()
            progress = self._copy.progress()
            state = read_state(
                self._server, progress.identity, progress.revision, self._doors, CHANGES_AT_ONCE
            )
            self._answered()
            if self._write(state) and state.is_all:
                break
        if progress.has_missed:
            self._compare_visits()
        if not self._server.rows(
            "UPDATE machines SET followed_revision = ?, "
            "seen_at = extract(epoch FROM clock_timestamp()) WHERE id = ? RETURNING 1",
            state.revision,
            progress.identity,
        ):
            last_applied(self._server, progress.identity)

    def _write(self, state: State) -> bool:
        """Bring the copy to a state; whether that is not older than the copy."""
        gone = write_state(self._copy, self._server.identity, state)
        if gone is not None and gone.visit_ids:
            self._forgotten(gone)
        return gone is not None

    def _compare_visits(self) -> None:
        """Bring all visits up to date: not every change of them is noted any more."""
        ids = [row["id"] for row in self._copy.rows("SELECT id FROM visits ORDER BY rowid")]
        ids = [each for each in ids if ("visit", each) not in self._not_there]
        for first in range(0, len(ids), CHANGES_AT_ONCE):
            is_done = False
            while not is_done:
                self.send()
                now, some = self._copy.progress(), ids[first : first + CHANGES_AT_ONCE]
                is_done = self._write(read_visits(self._server, now.identity, now.revision, some))
        with self._copy.writing():
            self._copy.note_missed(missed=False)

    def keep_numbers(self) -> None:
        """Have enough numbers for strangers to come."""
        if self._copy.numbers_left() <= NUMBERS_AHEAD // 2:
            with self._server.writing():
                numbers = self._server.take_numbers("strangers", NUMBERS_AHEAD)
            self._copy.add_numbers(*numbers)

    def _register(self) -> int:
        """The number of the last write that the server has of this copy."""
        with self._server.writing():
            [row] = self._server.rows(
                "SELECT register_machine(?, ?, ?) AS applied_sequence",
                self._copy.progress().identity,
                socket.gethostname(),
                self._server.listed(list(self._doors)),
            )
        return int(row["applied_sequence"])

    def _send_together(self, identity: str, waiting: Sequence[Waiting]) -> bool:
        """Do writes in one transaction; whether the server refuses none."""
        try:
            with self._server.writing():
                # Whoever was killed between this and the deletion from the copy did some already.
                applied = last_applied(self._server, identity)
                for write in joined([each.write for each in waiting if each.sequence > applied]):
                    do(write, self._gallery)
                self._server.execute(
                    "UPDATE machines SET applied_sequence = greatest(applied_sequence, ?) "
                    "WHERE id = ?",
                    waiting[-1].sequence,
                    identity,
                )
        except GalleryRefusedError:  # which one is found by sending each alone
            return False
        return True

    def _send_apart(self, identity: str, waiting: Sequence[Waiting]) -> None:
        done = 0
        try:
            for each in waiting:
                self._send(identity, each)
                done = each.sequence
        finally:
            self._copy.drop(done)

    def _send(self, identity: str, waiting: Waiting) -> None:
        rest, aside = parted(waiting.write, self._not_there)
        if aside is not None:
            self._copy.put_aside(waiting, aside, rest)
            self._not_there |= made_by(aside)
        if rest is None:
            return
        try:
            self._do(identity, waiting.sequence, rest)
        except GalleryRefusedError as exc:
            self._put_aside(waiting, exc)

    def _put_aside(self, waiting: Waiting, refusal: GalleryRefusedError) -> None:
        self._copy.put_aside(waiting)
        self._not_there |= made_by(waiting.write)
        log.error(
            "what is new of %s is not on the server, but kept here, and tried again by the next "
            "start: %s",
            ", ".join(f"{kind} {number}" for kind, number in sorted(subjects(waiting.write))),
            refusal,
        )

    def _do(self, identity: str, sequence: int, write: Write) -> None:
        with self._server.writing():
            # Whoever was killed between this and the deletion from the copy did it already.
            if self._server.execute(
                "UPDATE machines SET applied_sequence = ? WHERE id = ? AND applied_sequence < ?",
                sequence,
                identity,
                sequence,
            ):
                do(write, self._gallery)
            else:
                last_applied(self._server, identity)


class _Within:
    """A database within whose transaction the stores work; theirs are parts of it."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @contextmanager
    def writing(self) -> Iterator[None]:
        yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        yield
