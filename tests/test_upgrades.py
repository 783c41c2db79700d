"""What earlier versions wrote is read as they read it, and they can read it again.

``upgrades/version-0.1.0`` holds a gallery and an outbox as SQL, plain and encrypted, and
configurations, all written by that version, with what it read from them itself as JSON: the gallery
as it was, and after each of its five corrections was undone. ``upgrades/schema-1`` and ``schema-2``
are galleries from before, ``schema-6`` is one of the last doorbell that knew one door. The
embeddings are made up.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from all_samples import read_samples
from command_line import Cli

from doorbell.config import MqttSection, load_config
from doorbell.domain import Float32Array, Visit
from doorbell.errors import EncryptionError, GalleryError
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.integrity import check_gallery
from doorbell.gallery.migrations import MIGRATIONS
from doorbell.outputs.mqtt.outbox import Outbox
from doorbell.recognition.embedder import SFACE_ID
from doorbell.storage.encryption import NO_CIPHER, AesSivCipher, Cipher
from doorbell.storage.sqlite_copies import backups

UPGRADES = Path(__file__).parent / "upgrades"
EARLIER = UPGRADES / "version-0.1.0"
KEY = AesSivCipher(bytes(range(64)))
# What later versions know of a person.
SINCE = ("ignored", "earlier_subtype")
KEPT = [("", NO_CIPHER), ("-encrypted", KEY)]


def written_by(dump: Path, path: Path) -> Path:
    """A database as it was written, out of its SQL."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(dump.read_text(encoding="utf-8"))
    return path


def as_json(value: object) -> Any:
    return json.loads(json.dumps(value))


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def face(embedding: Float32Array) -> str:
    return hashlib.sha256(embedding.tobytes()).hexdigest()[:16]


def told_by(gallery: Gallery) -> Any:
    """Everything that a gallery tells, as the earlier version wrote it down."""
    templates = read_samples(gallery.file, SFACE_ID)
    people, strangers = templates.people, templates.strangers
    return as_json(
        {
            "people": [
                {
                    **{key: told for key, told in person.items() if key not in SINCE},
                    "samples": summary.samples,
                    "visits": summary.visits,
                    "last_seen_at": summary.last_seen_at,
                    "consent": summary.consent
                    and [summary.consent.words, summary.consent.noted_at],
                    "faces": [
                        [face(sample.embedding), sample.quality]
                        for sample in gallery.people.samples(summary.person.name, SFACE_ID)
                    ],
                }
                for summary in gallery.people.summaries()
                for person in [dataclasses.asdict(summary.person)]
            ],
            "strangers": [dataclasses.astuple(each)[:5] for each in gallery.strangers.all()],
            "visits": [
                [
                    *(visit.visit_id, visit.started_at, visit.last_seen_at, visit.ended_at),
                    visit.visitor and visit.visitor.label,
                    *(visit.similarity, visit.frames_used, visit.seconds_to_decision),
                    visit.corrected,
                    [
                        [face(sample.embedding), sample.model_id, sample.quality]
                        for sample in gallery.visits.samples(visit.visit_id)
                    ],
                ]
                for visit in gallery.visits.newest(100)
            ],
            "templates": {
                "people": [
                    [people[i].name, face(embedding)]
                    for i, embedding in zip(
                        templates.person_index, templates.person_embeddings, strict=True
                    )
                ],
                "strangers": [
                    [strangers[i].label, face(embedding)]
                    for i, embedding in zip(
                        templates.stranger_index, templates.stranger_embeddings, strict=True
                    )
                ],
                "not": [
                    [people[i].name, face(embedding)]
                    for i, embedding in zip(
                        templates.negative_index, templates.negative_embeddings, strict=True
                    )
                ],
                "non_faces": [face(embedding) for embedding in templates.non_face_embeddings],
            },
        }
    )


@pytest.mark.parametrize(("kind", "cipher"), KEPT)
def test_a_gallery_of_the_version_before_tells_the_same(
    tmp_path: Path, kind: str, cipher: Cipher
) -> None:
    path = written_by(EARLIER / f"gallery{kind}.sql", tmp_path / "gallery.sqlite")
    states = read_json(EARLIER / "gallery.json")
    assert len(states) == 6
    with Gallery.open(path, cipher) as gallery:
        assert told_by(gallery) == states[0]
        for before_correction in states[1:]:
            gallery.corrections.undo()
            assert told_by(gallery) == before_correction
    findings = [finding for finding in check_gallery(path, cipher, SFACE_ID) if not finding.ok]
    assert findings == []


@pytest.mark.parametrize(("kind", "cipher"), KEPT)
def test_what_waits_of_the_version_before_goes_out_in_order_with_its_pictures(
    tmp_path: Path, kind: str, cipher: Cipher
) -> None:
    path = written_by(EARLIER / f"outbox{kind}.sql", tmp_path / "outbox.sqlite")
    waiting = []
    with closing(Outbox(path, MqttSection(), cipher)) as outbox:
        while (number := outbox.next_unsent(())) is not None:
            event = outbox.read(number)
            assert event is not None
            waiting.append(
                {
                    "number": event.number,
                    "document": json.loads(event.document),
                    "picture": event.picture and event.picture.hex(),
                    "kept": dataclasses.astuple(event.kept),
                }
            )
            outbox.remove(number)
        assert outbox.events_dropped == 0
    assert as_json(waiting) == read_json(EARLIER / "outbox.json")
    assert [event["number"] for event in waiting] == [2, 3, 4, 5, 6]


def test_another_key_than_the_version_before_had_opens_nothing(tmp_path: Path) -> None:
    gallery = written_by(EARLIER / "gallery-encrypted.sql", tmp_path / "gallery.sqlite")
    outbox = written_by(EARLIER / "outbox-encrypted.sql", tmp_path / "outbox.sqlite")
    for cipher in (NO_CIPHER, AesSivCipher(bytes(64))):
        with pytest.raises(EncryptionError):
            Gallery.open(gallery, cipher)
        with pytest.raises(EncryptionError):
            Outbox(outbox, MqttSection(), cipher)


@pytest.mark.parametrize("name", ["doorbell", "house"])
def test_a_configuration_of_the_version_before_means_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    read = load_config(EARLIER / f"{name}.toml").model_dump(mode="json")
    meant = read_json(EARLIER / f"{name}.json")
    same = {
        section: {key: read[section].get(key, "gone") for key in keys}
        for section, keys in meant.items()
    }
    assert same == meant


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


@pytest.mark.parametrize("version", [1, 2])
def test_a_gallery_of_an_older_schema_is_migrated_and_kept_as_it_was(
    tmp_path: Path, version: int
) -> None:
    path = written_by(UPGRADES / f"schema-{version}" / "gallery.sql", tmp_path / "gallery.sqlite")
    with closing(sqlite3.connect(path)) as connection:
        before = list(connection.iterdump())
    with Gallery.open(path) as gallery:
        told = told_by(gallery)
        gallery.corrections.to_person("11111111-aaaa-4aaa-8aaa-000000000001", "Anna", learn=False)
        gallery.people.note_consent("Anna", "in writing", 2.0)
    people = [(each["name"], each["chime"], each["samples"]) for each in told["people"]]
    assert people == [("Anna", "sunrise", 2), ("李小龍", None, 1)]
    assert [each[:4] for each in told["strangers"]] == [[1, 1.79e9, 1.79e9 + 100, 2]]
    assert [(each[1], each[4]) for each in told["visits"]] == [
        (1.79e9 + 200, "Anna"),
        (1.79e9, "stranger-1"),
    ]
    assert len(told["templates"]["people"]) == 3
    assert len(told["templates"]["strangers"]) == 1
    assert version_of(path) == len(MIGRATIONS)

    (kept,) = backups(path)
    assert version_of(kept.path) == version
    with closing(sqlite3.connect(kept.path)) as connection:
        assert list(connection.iterdump()) == before


def rows_of(path: Path) -> dict[str, list[dict[str, object]]]:
    """Every row of every table."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        tables = "SELECT name FROM sqlite_schema WHERE type = 'table'"
        return {
            table: [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]  # noqa: S608 - our own words
            for (table,) in connection.execute(tables).fetchall()
        }


def test_a_gallery_of_one_door_keeps_every_row_and_is_of_several_doors(tmp_path: Path) -> None:
    path = written_by(UPGRADES / "schema-6" / "gallery.sql", tmp_path / "gallery.sqlite")
    before = rows_of(path)
    assert [table for table, rows in before.items() if not rows] == ["sealing"]  # for a key
    with Gallery.open(path) as gallery:
        earlier = gallery.visits.earlier(SFACE_ID, ("front-door", ""))
        assert gallery.visits.earlier(SFACE_ID, ("side-door",)).visits == ()
        gallery.visits.save(Visit("new", 1.79e9 + 9e4, 1.79e9 + 9e4, door_id="side-door"))
        assert gallery.visits.doors() == ["", "side-door"]
    assert [each.visit.visit_id[:4] for each in earlier.visits] == ["6666", "5555"]
    assert [len(earlier.left_open), len(earlier.stopped)] == [1, 1]
    assert set(earlier.rang_at) == {("person", 1), ("person", 2), ("person", 3)}
    after = rows_of(path)
    for table, rows in before.items():
        new = {"door_id": ""} if table == "visits" else {}
        assert after[table][: len(rows)] == [{**row, **new} for row in rows], table
    assert {table: len(rows) for table, rows in after.items()} == {
        table: len(rows) + (table == "visits") for table, rows in before.items()
    }
    findings = [finding for finding in check_gallery(path, NO_CIPHER, SFACE_ID) if not finding.ok]
    assert findings == []
    with Gallery.open(path) as gallery:  # what was said before can still be taken back
        gallery.corrections.undo()
        gallery.namings.undo()
    (kept,) = backups(path)
    assert (version_of(kept.path), version_of(path)) == (6, len(MIGRATIONS))


def test_one_command_brings_back_what_a_later_version_changed(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "gallery.sqlite").unlink()  # the command line's own
    path = written_by(EARLIER / "gallery.sql", tmp_path / "gallery.sqlite")
    with Gallery.open(path) as gallery:
        before = told_by(gallery)
    # What the versions after this one will do.
    later = len(MIGRATIONS) + 1
    (tmp_path / "backups").mkdir(exist_ok=True)
    for version in (later, later + 1):
        kept = tmp_path / "backups" / f"before-version-{version}.sqlite"
        kept.write_bytes(path.read_bytes())
        change(path, f"ALTER TABLE people ADD COLUMN for_{version} TEXT")
        change(path, f"PRAGMA user_version = {version}")
    with pytest.raises(GalleryError, match="written by a later doorbell") as refused:
        Gallery.open(path)
    advised = f"doorbell gallery restore {tmp_path / 'backups' / f'before-version-{later}.sqlite'}"
    assert advised in str(refused.value)

    command = advised.removeprefix("doorbell ").split()
    restored = cli(*command, "--yes")
    assert restored.exit_code == 0, restored.output
    with Gallery.open(path) as gallery:
        assert told_by(gallery) == before
    (replaced,) = (each.path for each in backups(path) if each.path.name.startswith("replaced-"))
    assert version_of(replaced) == later + 1
