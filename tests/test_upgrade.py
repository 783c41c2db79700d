"""What doorbells of earlier versions wrote, opened by this one, and a way back to them.

``upgrades/version-0.1.0`` was written by the code of that version: galleries and events that wait,
as SQL, a configuration, and in ``answers.json`` what that version itself said of them. Nobody's
face is in them: an embedding of axis 7 has 0.8 there, 0.6 in the next, and nothing else.
"""

from __future__ import annotations

import base64
import json
import logging
import sqlite3
import stat
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from doorbell.cli import main
from doorbell.config import MqttSection, load_config
from doorbell.domain import Float32Array
from doorbell.outputs.outbox import Outbox
from doorbell.recognition.embedder import SFACE_ID
from doorbell.recognition.gallery import Gallery
from doorbell.sealing import PLAIN, Seal, Sealed

EARLIER = Path(__file__).parent / "upgrades" / "version-0.1.0"
ANSWERS = json.loads((EARLIER / "answers.json").read_text(encoding="utf-8"))
KEY = bytes(range(64))  # of what is encrypted there
DOORBELL = Path(sys.executable).with_name("doorbell")


def write_database(path: Path, name: str) -> Path:
    """Bring a database back from its SQL, readable for its owner only, as every version does."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((EARLIER / name).read_text(encoding="utf-8"))
    return path


def content(path: Path) -> tuple[int, list[str]]:
    """The version of a database's tables, and all that is in them."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        return version, list(connection.iterdump())


class Household:
    """The commands on one gallery of an earlier version.

    Args:
        directory: of the storage.
        name: the SQL that the gallery is brought back from.
        key: the file with the key, where it is encrypted.
    """

    def __init__(self, directory: Path, name: str, key: Path | None = None) -> None:
        self.gallery = write_database(directory / "gallery.sqlite", name)
        self._options = ["--set", f"storage.directory={directory}"]
        if key is not None:
            self._options += ["--set", f"storage.key_file={key}"]
        self._seal = PLAIN if key is None else Sealed(KEY)

    def call(self, *words: str) -> Result:
        result = CliRunner().invoke(main, [*words, *self._options])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command as a process of its own."""
        command = [str(DOORBELL), *words, *self._options]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def says(self) -> dict[str, Any]:
        """What it says of everything, in the words of ``answers.json``."""
        said = {
            verb: json.loads(self.call(verb, "list", "--json").stdout)
            for verb in ("people", "strangers", "visits")
        }
        return {**said, "knows": self._knows()}

    def _knows(self) -> dict[str, Any]:
        """Whose each embedding is that faces are compared with."""
        with Gallery.open(self.gallery, self._seal) as gallery:
            templates = gallery.templates(SFACE_ID)
        people = [person.name for person in templates.people]
        strangers = [stranger.label for stranger in templates.strangers]
        return {
            "people": _axes(people, templates.person_index, templates.person_embeddings),
            "strangers": _axes(strangers, templates.stranger_index, templates.stranger_embeddings),
            "negatives": _axes(people, templates.negative_index, templates.negative_embeddings),
            "non_faces": sorted(axis_of(each) for each in templates.non_face_embeddings),
        }


def axis_of(embedding: Float32Array) -> int:
    axis = int(np.argmax(embedding))
    np.testing.assert_allclose(embedding[axis : axis + 2], [0.8, 0.6], atol=1e-6)
    return axis


def _axes(
    names: list[str], index: Iterable[int], embeddings: Iterable[Float32Array]
) -> dict[str, list[int]]:
    found = defaultdict(list)
    for place, embedding in zip(index, embeddings, strict=True):
        found[names[place]].append(axis_of(embedding))
    return {name: sorted(axes) for name, axes in found.items()}


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_bytes(base64.b64encode(KEY))
    return path


@pytest.fixture(autouse=True)
def as_logged_before() -> Iterator[None]:
    """A command configures what is logged; the next test is to find it as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("kept", ["plain", "encrypted"])
def test_a_gallery_is_as_it_was_and_every_correction_can_be_undone(
    tmp_path: Path, key: Path, kept: str
) -> None:
    household = Household(
        tmp_path / "state", f"gallery-{kept}.sql", key if kept == "encrypted" else None
    )
    assert household.says() == ANSWERS["after_each_undo"][0]
    assert household.call("gallery", "check").exit_code == 0

    for answer in ANSWERS["after_each_undo"][1:]:
        assert household.call("visits", "undo").exit_code == 0
        assert household.says() == answer
    assert household.call("visits", "undo").exit_code == 2  # there were no more


def test_a_gallery_still_takes_whoever_comes(tmp_path: Path) -> None:
    household = Household(tmp_path / "state", "gallery-plain.sql")
    newest = household.says()["visits"][0]
    assert household.call("visits", "correct", newest["visit_id"], "李小龍").exit_code == 0
    assert household.call("people", "rename", "李小龍", "Bruce").exit_code == 0
    assert household.call("people", "forget", "Anna", "--yes").exit_code == 0

    after = household.says()
    assert [person["name"] for person in after["people"]] == ["Benjamin Ångström", "Bruce"]
    assert after["visits"][0]["person"] == "Bruce"
    assert household.call("gallery", "check").exit_code == 0


@pytest.mark.parametrize(
    ("kept", "seal"), [("plain", PLAIN), ("plain", Sealed(KEY)), ("encrypted", Sealed(KEY))]
)
def test_events_that_wait_are_sent_in_their_order_with_their_pictures(
    tmp_path: Path, kept: str, seal: Seal
) -> None:
    path = write_database(tmp_path / "outbox.sqlite", f"outbox-{kept}.sql")
    found: list[dict[str, Any]] = []
    with closing(Outbox(path, MqttSection(), seal)) as outbox:
        while (number := outbox.next_but([each["number"] for each in found])) is not None:
            event = outbox.read(number)
            assert event is not None
            moment = event.kept
            found.append(
                {
                    "number": number,
                    "document": event.document.decode(),
                    "picture": event.picture and base64.b64encode(event.picture).decode(),
                    "kept": [moment.wall_seconds, moment.boot_seconds, moment.boot_id],
                }
            )
    assert found == ANSWERS["waiting"]
    assert not path.with_name(path.name + ".damaged").exists()


def test_every_key_of_a_configuration_means_what_it_meant() -> None:
    config = load_config(EARLIER / "doorbell.toml", []).model_dump(mode="json")

    for section, keys in ANSWERS["configuration"].items():
        assert {key: config[section][key] for key in keys} == keys


@pytest.mark.parametrize("version", [1, 2])
def test_a_gallery_of_earlier_tables_is_brought_here_and_one_command_brings_it_back(
    tmp_path: Path, version: int
) -> None:
    household = Household(tmp_path / "state", f"gallery-of-schema-{version}.sql")
    before = content(household.gallery)
    assert before[0] == version

    assert household.run("people", "list").returncode == 0
    assert household.says() == ANSWERS[f"schema_{version}"]
    now, _ = content(household.gallery)
    assert now > version
    [copy] = (household.gallery.parent / "backups").iterdir()
    assert copy.name == f"before-version-{now}.sqlite"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600

    restored = household.run("gallery", "restore", str(copy), "--yes")
    assert restored.returncode == 0, restored.stderr
    assert content(household.gallery) == content(copy) == before


def test_after_going_back_one_command_opens_the_gallery_that_a_later_version_changed(
    tmp_path: Path,
) -> None:
    """This version is the earlier one here: its copy, and tables of a later one in their place."""
    household = Household(tmp_path / "state", "gallery-plain.sql")
    copy = household.gallery.parent / "backups" / "before-version-99.sqlite"
    write_database(copy, "gallery-plain.sql")
    with closing(sqlite3.connect(household.gallery)) as later:
        later.execute("ALTER TABLE people RENAME TO persons")
        later.execute("PRAGMA user_version = 99")
    changed = content(household.gallery)
    refused = household.run("people", "list")
    assert refused.returncode == 3
    assert "written by a later doorbell" in refused.stderr

    restored = household.run("gallery", "restore", str(copy), "--yes")

    assert restored.returncode == 0, restored.stderr
    assert household.says() == ANSWERS["after_each_undo"][0]
    [replaced] = household.gallery.parent.glob("backups/replaced-*.sqlite")
    assert content(replaced) == changed
