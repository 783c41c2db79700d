"""What comes from outside reaches a terminal as signs to read, and nothing that it obeys."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Cli
from rich.console import Console

from doorbell.domain import Left, Person, Visit
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.names import name_key
from doorbell.outputs.terminal import Timeline

EVIL = "Eve\x1b[2J\x9b31m\nok file\u202e\u2028\u200bx\r\x07"


@pytest.fixture
def hostile(storage: Path) -> Path:
    """A gallery that was restored from somewhere: hardly a text in it is one."""
    with Gallery.open(storage / "gallery.sqlite") as gallery, gallery.file.writing():
        gallery.file.execute(
            "UPDATE people SET name = ?, name_key = ? WHERE name = 'Anna'", EVIL, name_key(EVIL)
        )
        gallery.file.execute("UPDATE people SET chime = ?1, consent = ?1, consent_at = 1.0", EVIL)
        gallery.file.execute("UPDATE samples SET source_sha256 = ?1 WHERE id = 1", EVIL)
        gallery.file.execute("UPDATE visits SET id = ?1 WHERE id = 'v1'", EVIL)
        gallery.file.execute("UPDATE samples SET model_id = ?1 WHERE id = 2", EVIL)
    return storage


COMMANDS = (
    ("people", "list"),
    ("people", "list", "--json"),
    ("people", "show", EVIL),
    ("people", "samples", EVIL),
    ("people", "samples", EVIL, "--json"),
    ("people", "samples", EVIL, "--remove", "99", "-y"),
    ("people", "chime", EVIL, "gong"),
    ("people", "chime", "李小龍", f"{EVIL}.wav"),
    ("people", "preferences", EVIL, "{}"),
    ("people", "consent", EVIL, "yes"),
    ("people", "show", f"{EVIL}y"),
    ("people", "forget", EVIL),
    ("people", "export", EVIL, "--output", f"/nowhere/{EVIL}"),
    ("strangers", "name", "1", EVIL),
    ("strangers", "show", EVIL),
    ("visits",),
    ("visits", "--json"),
    ("visits", "correct", "last", EVIL),
    ("visits", "correct", EVIL, "--stranger"),
    ("visits", "list", "--since", EVIL),
    ("gallery", "check"),
    ("gallery", "check", "--json"),
    ("gallery", "backup", f"/nowhere/{EVIL}"),
    ("gallery", "restore", EVIL, "-y"),
    ("gallery", "import", EVIL),
    ("gallery", "export", f"/nowhere/{EVIL}"),
    ("enroll", "Ben", "--video", EVIL),
    ("visits", "search", EVIL),
    ("visits", "search", "--visit", EVIL),
    (EVIL,),
    ("people", "rename", EVIL, "Ben"),
    ("people", "merge", "Ben", "李小龍", "--force"),
)


def obeyed(text: str) -> list[str]:
    """What a terminal would not just show."""
    return [each for each in text if not each.isprintable() and each != "\n"] + (
        ["a line of its own"] if "\nok file" in text else []
    )


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2])[:20])
def test_no_command_prints_what_a_terminal_obeys(
    hostile: Path, cli: Cli, words: tuple[str, ...]
) -> None:
    del hostile
    result = cli(*words, typed="n\n")
    assert result.exit_code in (0, 1, 2, 3)
    assert result.stdout + result.stderr
    assert obeyed(result.stdout) == []
    assert obeyed(result.stderr) == []


def test_whom_a_picture_shows_is_told_and_not_obeyed(hostile: Path, cli: Cli) -> None:
    output = hostile / f"{EVIL}.jpg"
    told = cli("visits", "picture", "v2", "--output", str(output))
    assert output.is_file(), told.stderr
    assert obeyed(told.stdout) == []
    assert r"Eve\x1b[2J" in told.stdout.split("shows visit v2: ")[1]


def test_json_keeps_the_name(hostile: Path, cli: Cli) -> None:
    del hostile
    assert json.loads(cli("people", "list", "--json").stdout)[0]["name"] == EVIL


def test_the_name_of_a_photo_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    # By the real program: a file's name may hold bytes that are no text.
    names = (b"a\x1b]0;owned\x07\nok.jpg", b"b\xff\x9b2J.jpg")
    paths = [tmp_path / os.fsdecode(name) for name in names]
    for path in paths:
        path.write_bytes(b"no picture")
    program = [sys.executable, "-c", "from doorbell.cli import main; main()", "enroll", "Ben"]
    program += ["--set", f"storage.directory={tmp_path / 'storage'}"]
    done = subprocess.run(
        [*program, *paths],
        env={**os.environ, "DOORBELL_CONFIG": "", "PYTHONUTF8": "1"},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        check=False,
    )
    told = done.stdout.decode() + done.stderr.decode()
    assert r"a\x1b]0;owned\x07\x0aok.jpg" in told
    assert obeyed(told) == []


def test_a_line_of_the_log_is_one_line() -> None:
    program = (
        "import logging; from doorbell.cli.options import configure_logging\n"
        "configure_logging('info')\n"
        f"logging.info('ignored %s', {EVIL!r})\n"
        f"try: raise ValueError({EVIL!r})\n"
        "except ValueError: logging.exception('a defect')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert done.stderr.splitlines()[0].endswith(r"x\x0d\x07")
    assert [each for each in done.stderr if not each.isprintable() and each != "\n"] == []
    assert "Traceback" in done.stderr.splitlines()[2]


def test_the_timeline_shows_a_name_on_its_line() -> None:
    stream = io.StringIO()
    timeline = Timeline(Console(file=stream, width=200), 0.0)
    visit = Visit("v1", 0.0, 1.0, 2.0, Person(1, EVIL))
    timeline.handle(Left("e1", 2.0, visit))
    assert stream.getvalue().count("\n") == 1
    assert obeyed(stream.getvalue()) == []
