"""The gallery's schema on a PostgreSQL server: made, checked, migrated, and spoken to.

Writers take one lock, so that at a hundred doors, as in one file, one goes after the other and each
sees what the one before has written. A connection that is lost is made anew by the next call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row, tuple_row

from doorbell.config.gallery import GallerySection
from doorbell.errors import GalleryError, GalleryLostError
from doorbell.gallery.codec import StoredEmbedding
from doorbell.gallery.postgres.address import ANSWER_SECONDS, BUSY_SECONDS, address_of
from doorbell.gallery.postgres.connection import NoAnswerError, PatientConnection
from doorbell.gallery.postgres.errors import translated
from doorbell.gallery.postgres.likeness import INDEXED, MOST_ALIKE, SEARCHED
from doorbell.gallery.postgres.locks import CHANNEL, TIDYING_LOCK
from doorbell.gallery.postgres.migrations import MIGRATIONS
from doorbell.gallery.postgres.schema import LOCK, migrated, require_vectors
from doorbell.gallery.postgres.values import adapt
from doorbell.storage.encryption import NO_CIPHER, Cipher

# A query that takes longer gets no answer: a server that has stopped, or a network that is cut.
_LONGEST_SECONDS = 60.0

# So much longer than another's lock may a query keep whoever can wait for that long only.
_LONGER_SECONDS = 1.5

_WRITE = f"BEGIN; {LOCK}"
_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

# What numbers the rows of a table, if not ``id``.
_NUMBERS = {"visits": "rowid", "namings": "correction_id"}

# Whose numbers are those of another table.
_UNNUMBERED = ("namings",)

# What the account of a door may not.
_IS_HOUSEHOLD = "has_column_privilege('gallery', 'tidied_at', 'UPDATE')"

_RESTORE = "put a copy of the database in its place with: pg_restore"

Answer = TypeVar("Answer")


class PostgresDatabase:
    """The open schema: a ``GalleryDatabase``."""

    among = "= ANY(?)"
    gone = "gone"
    has_copies = True

    def __init__(self, section: GallerySection, *, moving: bool = False) -> None:
        """Connect, creating or migrating the schema as needed.

        Args:
            section: where it is.
            moving: whether this is for a move, which may take its time, and may go on with one that
                was interrupted; nobody else uses what is not whole.

        Raises:
            ConfigError: the address is none, or would be spoken to in the clear over a network.
            GalleryError: it is out of reach, not a gallery, or of a later version.
        """
        self.cipher: Cipher = NO_CIPHER  # the server compares vectors
        self._address = address_of(section)
        self._thread = threading.get_ident()
        self._closed = False
        self._moving = moving
        self._busy_seconds, self._longest_seconds = BUSY_SECONDS, _LONGEST_SECONDS
        self._identity: object = None
        self._revision = 0
        self._listening: object = None  # the connection that is told of changes
        with translated(self.name):
            self._connection = self._connected()

    @property
    def name(self) -> str:
        """Server and database."""
        return self._address.name

    def close(self) -> None:
        """Release the connection; idempotent."""
        self._closed = True
        self._connection.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction that writes, after those of others: all of it or nothing."""
        with self._transaction(_WRITE):
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Several reads of one state, whatever others write."""
        with self._transaction(_READ):
            yield

    def rows(self, sql: str, *parameters: object) -> list[dict[str, Any]]:
        """Every row of a query, by column."""

        def ask(connection: PatientConnection) -> list[dict[str, Any]]:
            return connection.execute(_translate(sql), parameters, binary=True).fetchall()

        with translated(self.name):
            return self._answered(ask)

    def batches(self, size: int, sql: str, *parameters: object) -> Iterator[list[tuple[Any, ...]]]:
        """Every row of a query as a tuple, so many at a time; within ``reading``."""
        with (
            translated(self.name),
            self._connection.cursor("batches", binary=True, row_factory=tuple_row) as cursor,
        ):
            cursor.execute(_translate(sql), parameters)
            while batch := cursor.fetchmany(size):
                yield batch

    def execute(self, sql: str, *parameters: object) -> int:
        """Change rows, within ``writing``; how many."""
        return self._connection.execute(_translate(sql), parameters).rowcount

    def insert(self, table: str, **columns: object) -> int:
        """Add a row, within ``writing``; its number."""
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        number = _NUMBERS.get(table, "id")
        row = self._connection.execute(
            _translate(f"INSERT INTO {table} ({names}) VALUES ({marks}) RETURNING {number}"),  # noqa: S608 - our own words
            tuple(columns.values()),
        ).fetchone()
        return int(row[number]) if row else 0

    def last_given(self, table: str) -> int:
        """As its sequence has it."""
        if table in _UNNUMBERED:
            return 0
        [row] = self.rows(f"SELECT last_value, is_called FROM {_sequence(table)}")  # noqa: S608 - our own words
        return int(row["last_value"]) if row["is_called"] else 0

    def give_after(self, table: str, number: int) -> None:
        """Number the rows to come after this."""
        if number and table not in _UNNUMBERED:
            self.rows("SELECT setval(?, ?)", _sequence(table), number)

    def note_move(self, *, going_on: bool) -> bool:
        """Note, within ``writing``, that the gallery is being filled, or is whole; what it was."""
        [row] = self.rows("SELECT is_moving FROM gallery")
        self.execute("UPDATE gallery SET is_moving = CAST(? AS INTEGER) = 1", going_on)
        return bool(row["is_moving"])

    def listed(self, values: Collection[int] | Collection[str]) -> list[int] | list[str]:
        """Values as an array."""
        return list(values)  # type: ignore[return-value]  # of one or the other

    def require_seal(self) -> None:
        """Nothing is encrypted but by the server itself."""

    def keep_change_log(self) -> None:
        """It does from the first version on."""

    def foreign_version(self) -> int:
        """The number of the last change of what faces are compared with, whoever made it.

        Raises:
            GalleryLostError: the database is of an earlier time than it was.
        """
        [row] = self.rows(
            "SELECT greatest(pruned_revision, (SELECT max(revision) FROM template_changes)) "
            "AS latest FROM gallery"
        )
        revision = int(row["latest"])
        if revision < self._revision:
            raise GalleryLostError(
                f"the gallery {self.name} was put back to an earlier state while it was in use; "
                "start the doorbell again"
            )
        self._revision = revision
        return revision

    def last_deleted_change(self) -> int:
        """As the machine noted that has deleted them."""
        [row] = self.rows("SELECT pruned_revision FROM gallery")
        return int(row["pruned_revision"])

    @property
    def identity(self) -> str:
        """Which gallery it is, whatever server it is on."""
        return str(self._identity)

    def hears_change(self, seconds: float) -> bool:
        """Wait, at most so long, for a change of templates or of whose a visit is.

        True at once with the first call, and where the connection was lost since the last.
        """
        if self._listening is not self._connection:
            with translated(self.name):
                self._answered(lambda connection: connection.execute(f"LISTEN {CHANNEL}"))
            self._listening = self._connection
            return True
        with translated(self.name):
            return any([*self._connection.notifies(timeout=seconds, stop_after=1)])

    @contextmanager
    def tidying(self, every_seconds: float) -> Iterator[bool]:
        """Be the one machine that tidies; whether it is.

        It is not where another one does so, or has so recently, or its account may not: that of a
        door sees no visit of another.

        Args:
            every_seconds: how long the house stays as it is once it was tidied.
        """
        [row] = self.rows(
            f"SELECT pg_try_advisory_lock({TIDYING_LOCK}) AS is_locked, "
            f"{_IS_HOUSEHOLD} AS is_allowed"
        )
        try:
            yield (
                row["is_locked"]
                and row["is_allowed"]
                and bool(
                    self.rows(
                        "UPDATE gallery SET tidied_at = now() WHERE coalesce(NOT tidied_at "
                        "BETWEEN now() - make_interval(secs => ?) AND now(), TRUE) RETURNING 1",
                        every_seconds,
                    )
                )
            )
        finally:
            if row["is_locked"]:
                self.rows(f"SELECT pg_advisory_unlock({TIDYING_LOCK})")

    def take_numbers(self, table: str, count: int) -> tuple[int, int]:
        """Give away numbers of rows to come, within ``writing``: the first and the last of them."""
        rows = self.rows(
            "SELECT nextval(?::regclass) AS number FROM generate_series(1, ?)",
            _sequence(table),
            count,
        )
        numbers = [int(row["number"]) for row in rows]
        # Only writers take numbers, one after the other: these follow each other.
        return numbers[0], numbers[-1]

    def sees_every_visit(self) -> bool:
        """The account of a door sees those at its own doors: see ``roles``."""
        [row] = self.rows(f"SELECT {_IS_HOUSEHOLD} AS is_allowed")
        return bool(row["is_allowed"])

    def most_alike(
        self, column: str, model_id: str, embedding: StoredEmbedding, count: int
    ) -> list[int]:
        """By the server's own index; visits without one."""
        found = MOST_ALIKE[column]
        self.execute(f"SET LOCAL hnsw.ef_search = {max(SEARCHED, count)}")
        rows = self.rows(found, model_id, embedding, count)
        # There are no more, or most that it came by are another embedder's.
        if len(rows) < count and column in INDEXED:
            self.execute("SET LOCAL enable_indexscan = off")
            rows = self.rows(found, model_id, embedding, count)
            self.execute("SET LOCAL enable_indexscan = on")
        return [row["number"] for row in rows]

    def wait_at_most(self, seconds: float) -> None:
        """Give up on a lock that another session keeps for longer than this, and on the server."""
        self._busy_seconds, self._longest_seconds = seconds, seconds + _LONGER_SECONDS
        with translated(self.name):
            self._answered(self._set_waiting)

    def _set_waiting(self, connection: PatientConnection) -> None:
        connection.longest_seconds = self._longest_seconds
        connection.execute(f"SET lock_timeout = {round(self._busy_seconds * 1000)}")

    def overwrite_deleted(self) -> None:
        """The server decides when it writes over what was deleted: see docs/postgresql.md."""

    def advice_to_restore(self) -> str:
        """What the server's own programs do."""
        return _RESTORE

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        self._require_own()
        with translated(self.name):
            if self._connection.info.transaction_status not in (
                TransactionStatus.IDLE,
                TransactionStatus.UNKNOWN,  # the connection is lost
            ):
                raise GalleryError(f"the gallery {self.name} is within a transaction already")
            try:
                self._answered(lambda connection: connection.execute(begin, prepare=False))
                yield
                ended = self._connection.execute("COMMIT").statusmessage
            except BaseException:
                with suppress(psycopg.Error):
                    self._connection.execute("ROLLBACK")
                raise
            if ended != "COMMIT":
                raise GalleryError(f"the gallery {self.name} has written nothing; try again")

    def _answered(self, ask: Callable[[PatientConnection], Answer]) -> Answer:
        """What the server answers; on a new connection where the old one is lost.

        Outside of a transaction nothing is lost by asking once more.
        """
        self._require_own()
        was_idle = self._connection.info.transaction_status is TransactionStatus.IDLE
        if not self._connection.closed:
            try:
                return ask(self._connection)
            except NoAnswerError:
                raise
            except psycopg.OperationalError:
                if not (self._connection.closed and was_idle):
                    raise
        self._connection = self._connected()
        return ask(self._connection)

    def _require_own(self) -> None:
        if self._thread != threading.get_ident():
            raise GalleryError(f"the gallery {self.name} was opened by another thread")
        if self._closed:
            raise GalleryError(f"the gallery {self.name} is closed")

    def _connected(self) -> PatientConnection:
        connection = PatientConnection.connect(
            self._address.conninfo,
            autocommit=True,
            row_factory=dict_row,
            connect_timeout=round(min(ANSWER_SECONDS, max(2, self._longest_seconds))),
        )
        try:
            self._set_waiting(connection)
            require_vectors(connection)
            adapt(connection)
            version, identity, is_moving = migrated(connection)
            self._require_same(identity)
            self._require_usable(version, is_moving=is_moving)
            if self._moving:
                connection.execute("SET idle_in_transaction_session_timeout = 0")
                connection.longest_seconds = None
        except BaseException:
            connection.close()
            raise
        return connection

    def _require_same(self, identity: object) -> None:
        if self._identity not in (None, identity):
            raise GalleryLostError(
                f"the gallery {self.name} is another than before; start the doorbell again to use "
                f"it, or {_RESTORE}"
            )
        self._identity = identity

    def _require_usable(self, version: int, *, is_moving: bool) -> None:
        if version > len(MIGRATIONS):
            raise GalleryError(
                f"the gallery {self.name} is of version {version}, written by a later doorbell; "
                f"this one knows versions up to {len(MIGRATIONS)}: update it"
            )
        if is_moving and not self._moving:
            raise GalleryError(
                f"a move to the gallery {self.name} has not come to its end; go on with it: "
                "doorbell gallery move"
            )


def _sequence(table: str) -> str:
    return f"{table}_{_NUMBERS.get(table, 'id')}_seq"


@lru_cache(maxsize=1024)
def _translate(sql: str) -> str:
    """A statement of the stores as psycopg takes it."""
    return sql.replace("%", "%%").replace("?", "%s")
