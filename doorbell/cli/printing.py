"""What verbs print: tables for people, JSON for programs, examples at the end of help."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import click

from doorbell.cli.streams import takes
from doorbell.text import json_shown, shown

if TYPE_CHECKING:
    from doorbell.domain import Visitor
    from doorbell.gallery.link.machines import Machine
    from doorbell.household.forgetting import ForgettingOutcome
    from doorbell.models.fetch import Progress

# As much of a visit's identifier as a table shows: unique enough to type.
SHOWN_CHARACTERS = 8

# Of a table that no person reads: wide enough for any.
MAX_WIDTH = 10_000

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
undo_option = click.option("--undo", is_flag=True, help="Take it back.")


def example(*lines: str) -> str:
    """The end of a verb's help; the control character makes click keep the lines."""
    return "\n".join(["\b", "Example:", *(f"  {line}" for line in lines)])


def say(text: str = "", *, mark: str = "", err: bool = False) -> None:
    """Print one line: the one place by which words reach a terminal.

    Names, paths and messages come from outside. What a terminal would obey, or not show, is written
    out, and so is an end of line in the middle: no name can pretend to be a line of ours.

    Args:
        text: the line.
        mark: before it, in colour if wanted; our own words.
        err: on standard error.
    """
    click.echo(mark + shown(text), err=err)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Print rows, or one line saying that there are none.

    No cell is cut: a terminal that is too narrow gets it on several lines, and a file or another
    program each row on one.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        say(empty)
        return
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for heading in columns:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else shown(str(cell))) for cell in row))
    console = Console(file=sys.stdout)
    if not console.is_terminal:
        console.width = MAX_WIDTH
    console.print(table)


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Show on standard error how far each work is that is told of; yields what to tell."""
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    with Bars(console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def show(work: str, done: int, total: int) -> None:
            if work not in tasks:
                tasks[work] = bars.add_task(work)
            bars.update(tasks[work], completed=done, total=total)

        yield show


def print_json(document: object) -> None:
    """Print a document, readable."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    text = json_shown(text)
    if sys.stdout is not None and not takes(sys.stdout, text):
        text = json.dumps(document, indent=2)
    click.echo(text)


def local_time(epoch_seconds: float | None) -> str:
    """When, by the clock on the wall."""
    if epoch_seconds is None:
        return ""
    return datetime.fromtimestamp(epoch_seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def plural(count: int, word: str) -> str:
    """A number with its noun."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def print_ignored(visitor: Visitor) -> None:
    """Say whether somebody's coming rings."""
    say(f"{visitor.label} {'never rings' if visitor.ignored else 'rings again'}")


def print_forgotten(
    outcome: ForgettingOutcome,
    machines: Sequence[Machine] = (),
    *,
    waits_for_daemon: bool = False,
) -> None:
    """Say who is gone with what, and where something of them may be left.

    Args:
        outcome: of the forgetting.
        machines: that have not forgotten them yet.
        waits_for_daemon: whether the broker may show them until the doorbell runs.
    """
    label = ", ".join(visitor.label for visitor in outcome.visitors)
    say(
        f"forgot {label}: {plural(outcome.samples, 'sample')} and "
        f"{plural(len(outcome.visit_ids), 'visit')} with their pictures are deleted"
    )
    if outcome.backups:
        say(
            f"{plural(len(outcome.backups), 'backup')} may still hold {label}; "
            "delete them, and those that you have put elsewhere:"
        )
        for backup in outcome.backups:
            say(f"  {backup.path}")
    for machine in machines:
        say(
            f"the machine {machine.name}, last in touch {local_time(machine.seen_at)}, has "
            f"not forgotten {label} yet; it does when it is in touch again, before it decides; if "
            f"it is gone for good: doorbell gallery machines --remove {machine.name}"
        )
    if waits_for_daemon:
        say(
            f"the doorbell does not run: until its next start the broker may still show {label}, "
            "and Home Assistant may have the name in its triggers; start it once to take that back"
        )
