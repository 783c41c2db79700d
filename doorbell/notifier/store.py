"""The notifier's own file: what waits for each target, what each was told, and the last answers.

What the doorbell has handed over is on the disk before the doorbell forgets it, so that no kill and
no power cut loses it. One SQLite file for its owner alone; a damaged one is set aside.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from doorbell.clock import BootTime
from doorbell.notifier.file import NotifierFile
from doorbell.notifier.notices import Notice
from doorbell.notifier.rules import Past, announced_as
from doorbell.storage.sqlite import empty_log

HOUR_SECONDS = 3600.0
# How long it is known what a target was told: longer than anything waits.
TOLD_SECONDS = 2 * 86400.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notification that a target has not got yet.

    Attributes:
        notice: of what.
        picture: JPEG, if there is one.
        kept: since when it waits.
    """

    notice: Notice
    picture: bytes | None = field(repr=False)
    kept: BootTime


class NotifierStore:
    """What is in the file; for any thread.

    Args:
        directory: where it is; made if missing.

    Raises:
        NotifierFileError: it is out of reach, or another program's. So may every method.
    """

    def __init__(self, directory: Path) -> None:
        self._file = NotifierFile(directory)

    def close(self) -> None:
        """Release the file; idempotent."""
        self._file.close()

    def progress(self) -> tuple[str | None, int]:
        """The doorbell's journal, and up to which number of it all is kept here."""
        with self._file.reading() as connection:
            row = connection.execute("SELECT journal, number FROM progress").fetchone()
        return (None, 0) if row is None else (str(row[0]), int(row[1]))

    def advance(self, journal: str, number: int) -> None:
        """Note up to which number of a journal everything was looked at."""
        with self._file.changing() as connection:
            _advance(connection, journal, number)

    def keep(
        self,
        notice: Notice,
        picture: bytes | None,
        targets: Collection[str],
        *,
        journal: str,
        now: BootTime,
    ) -> None:
        """Keep a notice for some targets; whoever was told of it is not told again.

        Args:
            notice: which.
            picture: JPEG.
            targets: their names.
            journal: of the doorbell, whose numbers the notice has.
            now: the present.
        """
        with self._file.changing() as connection:
            _advance(connection, journal, notice.number)
            connection.execute(
                "INSERT OR IGNORE INTO notices VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    *(notice.notice_id, notice.visit_id, notice.to_json(), picture),
                    *(now.wall_seconds, now.boot_seconds, now.boot_id),
                ),
            )
            for target in targets:
                told = connection.execute(
                    "INSERT OR IGNORE INTO told VALUES (?, ?, ?, ?, ?)",
                    (
                        *(target, notice.notice_id, notice.visit_id),
                        *(announced_as(notice), notice.occurred_at),
                    ),
                )
                if told.rowcount:
                    connection.execute(
                        "INSERT INTO waiting (target, notice_id) VALUES (?, ?)",
                        (target, notice.notice_id),
                    )
            _drop_unwanted(connection)

    def past(self, target: str, notice: Notice) -> Past:
        """What a target was told before a notice.

        The hour is that before it happened: what comes late takes nothing from what happens now.
        """
        now = notice.occurred_at
        with self._file.reading() as connection:
            (count,) = connection.execute(
                # What is to come was told before the clock was set back.
                "SELECT count(*) FROM told"
                " WHERE target = ? AND at > ? AND at <= ? AND notice_id <> ?",
                (target, now - HOUR_SECONDS, now, notice.notice_id),
            ).fetchone()
            rows = connection.execute(
                "SELECT DISTINCT announced FROM told"
                " WHERE target = ? AND visit_id = ? AND announced <> '' AND notice_id <> ?",
                (target, notice.visit_id, notice.notice_id),
            ).fetchall()
        return Past(int(count), frozenset(str(announced) for (announced,) in rows))

    def waiting_ids(self, target: str) -> Sequence[str]:
        """The notices that wait for a target, in order."""
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT notice_id FROM waiting WHERE target = ? ORDER BY position", (target,)
            ).fetchall()
        return [str(notice_id) for (notice_id,) in rows]

    def read(self, notice_id: str) -> Waiting | None:
        """A notice that waits; None where it was dropped meanwhile, or is now as it was altered."""
        with self._file.reading() as connection:
            row = connection.execute(
                "SELECT document, picture, wall_seconds, boot_seconds, boot_id FROM notices"
                " WHERE notice_id = ?",
                (notice_id,),
            ).fetchone()
        if row is None:
            return None
        document, picture, *kept = row
        try:
            return Waiting(Notice.from_json(document), picture, BootTime(*kept))
        except ValueError:  # without the cause, which has what it says
            log.error("a notification is dropped: it was altered on the disk")
        with self._file.changing() as connection:
            connection.execute("DELETE FROM notices WHERE notice_id = ?", (notice_id,))
        return None

    def done(self, target: str, notice_id: str, *, last_at: float | None = None) -> None:
        """A target has got a notice, or is not to get it any more.

        Args:
            target: its name.
            notice_id: which.
            last_at: when it got it; None where it did not.
        """
        with self._file.changing() as connection:
            connection.execute(
                "DELETE FROM waiting WHERE target = ? AND notice_id = ?", (target, notice_id)
            )
            _drop_unwanted(connection)
            if last_at is not None:
                _note(connection, target, "last_at", last_at)
                _note(connection, target, "problem", None)

    def note_problem(self, target: str, problem: str | None) -> None:
        """Keep why a target does not get anything; without a secret in it."""
        with self._file.changing() as connection:
            _note(connection, target, "problem", problem)

    def last_answer(self, target: str) -> tuple[float | None, str | None]:
        """When a target got the last notification, and why it gets none."""
        with self._file.reading() as connection:
            row = connection.execute(
                "SELECT last_at, problem FROM targets WHERE target = ?", (target,)
            ).fetchone()
        return (None, None) if row is None else (row[0], row[1])

    def forget(self, notice: Notice, *, journal: str) -> None:
        """Drop all that is of the visits that a notice names, and leave no bytes of it."""
        with self._file.changing() as connection:
            for visit_id in notice.beside:
                connection.execute(
                    "UPDATE notices SET picture = NULL WHERE visit_id = ?", (visit_id,)
                )
            # What was told without a visit may have a picture of anybody.
            connection.execute("UPDATE notices SET picture = NULL WHERE visit_id IS NULL")
            for visit_id in notice.visits:
                connection.execute("DELETE FROM notices WHERE visit_id = ?", (visit_id,))
                connection.execute(
                    "UPDATE told SET visit_id = NULL, announced = '' WHERE visit_id = ?",
                    (visit_id,),
                )
            _advance(connection, journal, notice.number)
        with self._file.reading() as connection:
            empty_log(connection)

    def tidy(self, targets: Collection[str], now: float) -> Mapping[str, int]:
        """Drop what is kept no longer, and what waits for targets that there are no more.

        Returns:
            How many waited for each of those.
        """
        with self._file.changing() as connection:
            counted = connection.execute(
                "SELECT target, count(*) FROM waiting GROUP BY target"
            ).fetchall()
            gone = {str(target): int(count) for target, count in counted if target not in targets}
            for table in ("waiting", "targets"):
                known = connection.execute(f"SELECT DISTINCT target FROM {table}").fetchall()  # noqa: S608 - our own words
                for (target,) in known:
                    if target not in targets:
                        connection.execute(f"DELETE FROM {table} WHERE target = ?", (target,))  # noqa: S608 - as above
            connection.execute("DELETE FROM told WHERE at < ?", (now - TOLD_SECONDS,))
            _drop_unwanted(connection)
        return gone

    def bot(self, bot: str) -> tuple[int, float]:
        """The number of a bot's next update, and until when its buttons can be pressed."""
        with self._file.reading() as connection:
            row = connection.execute(
                "SELECT next_update, open_until FROM bots WHERE bot = ?", (bot,)
            ).fetchone()
        return (0, 0.0) if row is None else (int(row[0]), float(row[1]))

    def note_update(self, bot: str, next_update: int) -> None:
        """Keep which of a bot's updates comes next."""
        with self._file.changing() as connection:
            connection.execute(
                "INSERT INTO bots VALUES (?, ?, 0)"
                " ON CONFLICT (bot) DO UPDATE SET next_update = excluded.next_update",
                (bot, next_update),
            )

    def open_buttons(self, bot: str, until: float) -> None:
        """Keep until when a bot's buttons can be pressed."""
        with self._file.changing() as connection:
            connection.execute(
                "INSERT INTO bots VALUES (?, 0, ?) ON CONFLICT (bot)"
                " DO UPDATE SET open_until = max(open_until, excluded.open_until)",
                (bot, until),
            )


def _advance(connection: sqlite3.Connection, journal: str, number: int) -> None:
    connection.execute("DELETE FROM progress")
    connection.execute("INSERT INTO progress VALUES (?, ?)", (journal, number))


def _drop_unwanted(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM notices WHERE notice_id NOT IN (SELECT notice_id FROM waiting)")


def _note(
    connection: sqlite3.Connection, target: str, column: str, value: float | str | None
) -> None:
    connection.execute(
        f"INSERT INTO targets (target, {column}) VALUES (?, ?)"  # noqa: S608 - our own words
        f" ON CONFLICT (target) DO UPDATE SET {column} = excluded.{column}",
        (target, value),
    )
