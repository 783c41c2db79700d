"""The console's own file: who has access, open invitations, and who did what.

One SQLite file for its owner alone, shared by the console and the command line. It holds no face,
no picture, no name of a person, and no token or code that could be used: only their hashes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from doorbell.errors import DoorbellError
from doorbell.storage.files import give_to_owner_of, make_private_directory
from doorbell.storage.sqlite import (
    NotOursError,
    Schema,
    advice_for,
    is_damage,
)
from doorbell.storage.sqlite_schema import open_own

# "DoCo" in ASCII; SQLite keeps it in the file's header.
APPLICATION_ID = 0x446F436F
FILE_NAME = "access.sqlite"

_TABLES = (
    """CREATE TABLE devices (
        device_id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL,
        role INTEGER NOT NULL,
        token_sha256 BLOB NOT NULL,
        created_at REAL NOT NULL,
        seen_at REAL NOT NULL,
        revoked_at REAL
    ) STRICT""",
    """CREATE TABLE invitations (
        invitation_id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL,
        role INTEGER NOT NULL,
        salt BLOB NOT NULL,
        code_hash BLOB NOT NULL,
        made_at REAL NOT NULL,
        wrong_tries INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    """CREATE TABLE audit (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        device_id INTEGER,
        action TEXT NOT NULL,
        subject TEXT NOT NULL
    ) STRICT""",
    """CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
       BEGIN SELECT RAISE(ABORT, 'what was done is not rewritten'); END""",
    """CREATE TRIGGER audit_is_kept_a_year BEFORE DELETE ON audit
       WHEN OLD.at > (SELECT max(at) FROM audit) - 31536000
       BEGIN SELECT RAISE(ABORT, 'what was done is kept for a year'); END""",
    f"PRAGMA application_id = {APPLICATION_ID}",
)

SCHEMA = Schema(
    APPLICATION_ID,
    (_TABLES,),
    settings=("journal_mode = WAL", "synchronous = NORMAL", "secure_delete = ON"),
    busy_seconds=2.0,
)


class AccessFileError(DoorbellError):
    """The file of who has access cannot be opened, read or written."""

    exit_code = 3


def open_access_file(directory: Path) -> sqlite3.Connection:
    """Open it, and make it where it is missing; threads may take turns with the connection.

    Raises:
        AccessFileError: it is out of reach, damaged, or another program's.
    """
    path = directory / FILE_NAME
    with _translated(path):
        make_private_directory(directory)
        connection = open_own(path, SCHEMA)
        try:
            for each in (path, *directory.glob(f"{FILE_NAME}-*")):
                give_to_owner_of(directory, each)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except NotOursError as exc:
        raise AccessFileError(f"{path} cannot be used: {exc}; move it away") from exc
    except sqlite3.DatabaseError as exc:
        advice = "move it away, and pair the devices anew" if is_damage(exc) else "try again"
        advice = advice_for(path.parent, advice)
        raise AccessFileError(f"{path} cannot be used: {exc}; {advice}") from exc
    except OSError as exc:
        raise AccessFileError(
            f"{path} cannot be used: {exc.strerror}; set console.directory to a directory of the "
            "console's own user, and run this as that user"
        ) from exc
