"""What a terminal lacks: letters, room, a home directory. The command runs as a process."""

import json
import os
import subprocess
import tempfile
from codecs import BOM_UTF8
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from doorbell.config import load_config
from doorbell.config.secrets import read_secret
from doorbell.domain import FaceSample
from doorbell.gallery.backup import back_up
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.gallery.lock import only_daemon
from doorbell.recognition.embedder import SFACE_ID
from doorbell.storage.encryption import open_cipher, write_new_key
from doorbell.testbed.daemon_process import DOORBELL

FACE = FaceSample(np.full(128, 1 / np.sqrt(128), np.float32), SFACE_ID, 0.5)
LONG = "Maximiliane Friederike von und zu Überlingen-Ångström, Пётр"

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A command on a gallery with one person, in an environment of its own."""
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        gallery.people.enroll(LONG, [EnrolledSample(FACE)])

    def call(
        *words: str, to: str | None = None, **environment: str
    ) -> "subprocess.CompletedProcess[bytes]":
        command = [*DOORBELL, "--config", os.devnull, "--set", f"storage.directory={tmp_path}"]
        with open(to or os.devnull, "wb", buffering=0) as file:  # noqa: PTH123 - not a path
            return subprocess.run(
                [*command, *words],
                stdout=file if to else subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **environment},
                check=False,
            )

    return call


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "utf-8"])
def test_every_terminal_is_told_what_it_can_show(run: Run, encoding: str) -> None:
    listed = run("people", "list", PYTHONIOENCODING=encoding)
    assert listed.returncode == 0, listed.stderr
    shown = listed.stdout.decode(encoding)
    expected = {
        "ascii": "Uberlingen-Angstrom, ????",
        "latin-1": "Überlingen-Ångström, ????",
        "cp437": "Überlingen-Ångström, ????",
        "utf-8": "Überlingen-Ångström, Пётр",
    }
    assert expected[encoding] in shown
    documents = run("people", "list", "--json", PYTHONIOENCODING=encoding)
    assert json.loads(documents.stdout.decode(encoding))[0]["name"] == LONG


def test_no_name_is_cut(run: Run) -> None:
    for columns in ("20", "80"):
        [line] = [
            line
            for line in run("people", "list", COLUMNS=columns).stdout.decode().splitlines()
            if "Maximiliane" in line
        ]
        assert LONG in line


@pytest.mark.parametrize("words", [("people", "list"), ("people", "list", "--json"), ("--help",)])
def test_a_full_disk_under_the_output_is_said_in_one_line(run: Run, words: tuple[str, ...]) -> None:
    done = run(*words, to="/dev/full")
    assert done.returncode == 1
    assert done.stderr.decode() == ("doorbell: cannot write the output: No space left on device\n")


def test_a_user_without_a_home_directory_is_told_what_to_set() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become a user without an entry in passwd")
    environment = {key: value for key, value in os.environ.items() if key != "HOME"}

    def call(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["setpriv", "--reuid", "54321", "--clear-groups", *DOORBELL, *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    refused = call("people", "list")
    assert refused.returncode == 2
    assert "storage.directory" in refused.stderr
    assert "there is no such home directory; write it in full" in refused.stderr
    assert "Traceback" not in refused.stderr
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o777)
        answered = call("--set", f"storage.directory={place}/mine", "people", "list")
    assert answered.returncode == 0, answered.stderr


def test_a_mark_before_a_file_is_passed_over(tmp_path: Path) -> None:
    """Notepad and PowerShell write one before UTF-8."""
    config = tmp_path / "doorbell.toml"
    config.write_bytes(BOM_UTF8 + b'[device]\r\nname = "Porch"\r\n')
    assert load_config(config).device.name == "Porch"
    password = tmp_path / "password"
    password.write_bytes(BOM_UTF8 + b"secret\r\n")
    password.chmod(0o600)
    assert read_secret("mqtt.password_file", password) == "secret"
    key, marked = tmp_path / "key", tmp_path / "marked"
    write_new_key(key)
    marked.write_bytes(BOM_UTF8 + key.read_bytes())
    marked.chmod(0o600)
    assert open_cipher(marked).proof == open_cipher(key).proof


def test_an_exported_household_with_a_mark_before_it_is_imported(run: Run, tmp_path: Path) -> None:
    exported, marked = tmp_path / "household", tmp_path / "marked"
    assert run("gallery", "export", str(exported)).returncode == 0
    marked.write_bytes(BOM_UTF8 + exported.read_bytes())
    imported = run("gallery", "import", str(marked))
    assert imported.returncode == 0, imported.stderr


def test_restoring_looks_for_the_daemon_and_at_the_backup_before_it_asks(
    run: Run, tmp_path: Path
) -> None:
    backup = back_up(tmp_path / "gallery.sqlite", tmp_path / "backup", 0.0)
    with only_daemon(tmp_path):
        refused = run("gallery", "restore", str(backup))
    assert refused.returncode == 3
    assert b"is running" in refused.stderr
    assert b"Replace" not in refused.stdout + refused.stderr
    (tmp_path / "no-backup").write_text("milk, bread")
    refused = run("gallery", "restore", str(tmp_path / "no-backup"))
    assert refused.returncode == 3
    assert b"Replace" not in refused.stdout + refused.stderr
    asked = run("gallery", "restore", str(backup))
    assert b"Replace" in asked.stdout + asked.stderr
