"""SQLite files of a made-up kind: opened, verified, migrated and changed."""

import dataclasses
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from doorbell.storage.sqlite import (
    LaterVersionError,
    NotOursError,
    Schema,
    advice_for,
    connect,
    empty_log,
    is_damage,
    is_empty,
    key_proof,
    migrate,
    note_key_proof,
    number,
    reading,
    rewrite,
    transaction,
    verify,
)

SCHEMA = Schema(
    7,
    (
        (
            "PRAGMA application_id = 7",
            "CREATE TABLE notes (id INTEGER PRIMARY KEY, text BLOB)",
            "CREATE TABLE keys (proof BLOB NOT NULL)",
        ),
        ("ALTER TABLE notes ADD COLUMN done INTEGER",),
    ),
    settings=("journal_mode = WAL", "foreign_keys = ON"),
    busy_seconds=0.05,
)
FIRST = dataclasses.replace(SCHEMA, migrations=SCHEMA.migrations[:1])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "notes.sqlite"
    path.touch()
    return path


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(path, SCHEMA)) as connection:
        migrate(connection, SCHEMA)
        yield connection


def notes(connection: sqlite3.Connection) -> list[bytes]:
    return [text for (text,) in connection.execute("SELECT text FROM notes ORDER BY id")]


def test_a_file_is_closed_to_others_and_has_its_settings(path: Path) -> None:
    path.chmod(0o644)
    with closing(connect(path, SCHEMA)) as connection:
        assert is_empty(connection)
        migrate(connection, SCHEMA)
        assert not is_empty(connection)
        assert number(connection, "foreign_keys") == 1
        assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}
    with reading(path, 0.05) as connection:
        assert verify(connection, SCHEMA) == 2
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM notes")


def test_an_earlier_version_is_brought_to_the_present_one(path: Path) -> None:
    with closing(connect(path, FIRST)) as connection:
        migrate(connection, FIRST)
        connection.execute("INSERT INTO notes VALUES (1, 'milk')")
        assert verify(connection, SCHEMA) == 1
        migrate(connection, SCHEMA)
        assert verify(connection, SCHEMA) == 2
        assert connection.execute("SELECT * FROM notes").fetchall() == [(1, "milk", None)]
        with pytest.raises(LaterVersionError) as refused:
            verify(connection, FIRST)
        assert refused.value.version == 2


def test_a_migration_that_fails_leaves_the_version_before(path: Path) -> None:
    broken = dataclasses.replace(
        SCHEMA,
        migrations=(*FIRST.migrations, ("CREATE TABLE more (id)", "CREATE TABLE notes (id)")),
    )
    with closing(connect(path, FIRST)) as connection:
        migrate(connection, FIRST)
        with pytest.raises(sqlite3.OperationalError, match="notes already exists"):
            migrate(connection, broken)
        assert number(connection, "user_version") == 1
        tables = connection.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
        assert tables == [("keys",), ("notes",)]


def test_what_is_not_ours_and_what_is_damaged_are_told_apart_from_what_is_locked(
    path: Path, connection: sqlite3.Connection
) -> None:
    with pytest.raises(NotOursError) as not_ours:
        verify(connection, dataclasses.replace(SCHEMA, application_id=8))
    assert is_damage(not_ours.value)
    with (
        closing(connect(path, SCHEMA)) as other,
        transaction(other),
        pytest.raises(sqlite3.OperationalError, match="locked") as locked,
    ):
        connection.execute("INSERT INTO notes VALUES (1, 'milk', 0)")
    assert not is_damage(locked.value)
    connection.close()
    path.write_bytes(b"name,embedding\n" * 1000)
    with reading(path, 0.05) as spoilt, pytest.raises(sqlite3.DatabaseError) as damaged:
        verify(spoilt, SCHEMA)
    assert is_damage(damaged.value)


def test_a_transaction_is_all_or_nothing(connection: sqlite3.Connection) -> None:
    def fail() -> None:
        with transaction(connection):
            connection.execute("INSERT INTO notes VALUES (1, 'milk', 0)")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert not connection.in_transaction
    assert notes(connection) == []


def test_every_row_is_rewritten_or_none(connection: sqlite3.Connection) -> None:
    rows = [(1, b"milk"), (5, b"bread"), (9, b"salt")]
    connection.executemany("INSERT INTO notes (id, text) VALUES (?, ?)", rows)
    with transaction(connection):
        rewrite(connection, "notes", "text", bytes.upper)
    assert notes(connection) == [b"MILK", b"BREAD", b"SALT"]

    def refuse(text: bytes) -> bytes:
        if text == b"SALT":
            raise ValueError
        return b""

    def fail() -> None:
        with transaction(connection):
            rewrite(connection, "notes", "text", refuse)

    with pytest.raises(ValueError):  # noqa: PT011 - it says nothing
        fail()
    assert notes(connection) == [b"MILK", b"BREAD", b"SALT"]


def test_a_key_is_known_by_its_latest_proof(connection: sqlite3.Connection) -> None:
    assert key_proof(connection, "keys") is None
    for proof in (b"one", b"other", None):
        with transaction(connection):
            note_key_proof(connection, "keys", proof)
        assert key_proof(connection, "keys") == proof


def test_a_log_is_emptied_unless_somebody_still_reads(
    path: Path, connection: sqlite3.Connection
) -> None:
    log = path.with_name(path.name + "-wal")
    with reading(path, 0.05) as other:
        other.execute("BEGIN")
        assert notes(other) == []
        connection.execute("INSERT INTO notes VALUES (1, 'secret', 0)")
        assert not empty_log(connection)
        assert b"secret" in log.read_bytes()
    assert empty_log(connection)
    assert log.read_bytes() == b""


def test_a_full_disk_is_what_advice_is_about(tmp_path: Path, small_disk: Path) -> None:
    assert advice_for(tmp_path, "ask") == "ask"
    assert advice_for(tmp_path / "nowhere", "ask") == "ask"
    (small_disk / "file").write_bytes(bytes(900_000))
    assert "delete something on that disk" in advice_for(small_disk, "ask")
