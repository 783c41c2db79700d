"""The schema of a gallery on a server: made where there is none, and brought to this version."""

from __future__ import annotations

from contextlib import suppress

import psycopg

from doorbell.gallery.postgres.address import SCHEMA
from doorbell.gallery.postgres.connection import PatientConnection
from doorbell.gallery.postgres.locks import WRITERS_LOCK
from doorbell.gallery.postgres.migrations import MIGRATIONS

# Taken by whoever writes, within a transaction.
LOCK = f"SELECT pg_advisory_xact_lock({WRITERS_LOCK})"


def require_vectors(connection: PatientConnection) -> None:
    """Let pgvector into a database that has none yet, if we may; ``adapt`` says what else to do."""
    if connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'").fetchone():
        return
    with (
        suppress(psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported),
        connection.transaction(),
    ):
        connection.execute(LOCK)
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")


def migrated(connection: PatientConnection) -> tuple[int, object, bool]:
    """Bring the schema, also where there is none, to the present version; see ``_state``."""
    version, *_ = _state(connection)
    if version < len(MIGRATIONS):
        patience, connection.longest_seconds = connection.longest_seconds, None
        with connection.transaction():  # in which a large gallery takes its time
            connection.execute(LOCK)
            version, *_ = _state(connection)  # somebody else may have been quicker
            for reached, statements in enumerate(MIGRATIONS[version:], start=version + 1):
                for statement in statements:
                    connection.execute(statement)
                connection.execute("UPDATE gallery SET version = %s", (reached,))
        connection.longest_seconds = patience
    return _state(connection)


def _state(connection: PatientConnection) -> tuple[int, object, bool]:
    """The version of the schema, which gallery it is, and whether it is being moved there."""
    found = connection.execute("SELECT to_regclass(%s) AS here", (f"{SCHEMA}.gallery",)).fetchone()
    if found is None or found["here"] is None:
        return 0, None, False
    row = connection.execute(f"SELECT * FROM {SCHEMA}.gallery").fetchone()  # noqa: S608 - our own words
    if row is None:
        return 0, None, False
    return int(row["version"]), row["identity"], bool(row["is_moving"])
