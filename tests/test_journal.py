"""What a process writes for the journal, whose end of a pipe is played here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LOGGING = """
import logging, threading
from doorbell.cli.journal import mark_tracebacks
from doorbell.cli.options import configure_logging
mark_tracebacks()
configure_logging('debug')
log = logging.getLogger('door')
log.debug('a detail')
log.info('a visitor')
log.warning('a slow camera')
log.error('no gallery')
log.critical('the end')
try: 1 / 0
except ZeroDivisionError: log.exception('a defect')
"""
IN_A_THREAD = """
thread = threading.Thread(target=lambda: [][0], name='camera')
thread.start()
thread.join()
"""


def written(program: str, *, journal: bool = True, of: int = 0) -> list[str]:
    """The lines on standard error of a program.

    Args:
        program: of Python.
        journal: whether standard error is what ``JOURNAL_STREAM`` names.
        of: the exit code that is expected.
    """
    reads, writes = os.pipe()
    state = os.fstat(writes)
    inode = state.st_ino if journal else state.st_ino + 1
    with os.fdopen(reads, encoding="utf-8") as told:
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, "JOURNAL_STREAM": f"{state.st_dev}:{inode}"},
            cwd=Path(__file__).parent.parent,
            stdout=subprocess.DEVNULL,
            stderr=writes,
        )
        os.close(writes)
        lines = told.read().splitlines()
    assert process.wait() == of
    return lines


def test_the_journal_is_told_how_severe_each_line_is() -> None:
    lines = written(LOGGING)

    assert lines[:5] == [
        "<7>DEBUG door: a detail",
        "<6>INFO door: a visitor",
        "<4>WARNING door: a slow camera",
        "<3>ERROR door: no gallery",
        "<2>CRITICAL door: the end",
    ]
    assert lines[5:7] == ["<3>ERROR door: a defect", "<3>Traceback (most recent call last):"]
    assert all(line.startswith("<3>") for line in lines[5:])


def test_what_nothing_catches_is_critical_line_by_line() -> None:
    ended = written(f"{LOGGING}{IN_A_THREAD}raise KeyError('main')", of=1)
    unmarked = [line for line in ended if line[:3] not in {f"<{n}>" for n in (2, 3, 4, 6, 7)}]
    critical = [line[3:] for line in ended if line.startswith("<2>")]

    assert unmarked == []
    assert "Exception in thread camera:" in critical
    assert "IndexError: list index out of range" in critical
    assert critical[-1] == "KeyError: 'main'"


def test_the_message_that_a_verb_ends_with_is_an_error() -> None:
    verb = "from doorbell.cli import main; main(['{}', '--set', 'camera.rotation=45'])"

    refused = written(verb.format("run"), of=2)
    assert refused[0].startswith("<3>doorbell: ")
    assert all(line.startswith("<3>") for line in refused)
    unknown = written(verb.format("rung"), of=2)
    assert all(line.startswith("<3>") for line in unknown)
    assert "rung" in unknown[-1]


def test_what_is_no_journal_gets_the_time_in_its_place() -> None:
    lines = written(LOGGING, journal=False)

    assert not [line for line in lines if line.startswith("<")]
    assert lines[2].endswith(" WARNING door: a slow camera")
    assert lines[2][:4].isdecimal()
