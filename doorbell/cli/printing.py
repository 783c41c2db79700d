"""What verbs print: tables for people, JSON for programs, examples at the end of help."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from doorbell.domain import Visitor
    from doorbell.household.forgetting import ForgettingOutcome

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
undo_option = click.option("--undo", is_flag=True, help="Take it back.")


def example(*lines: str) -> str:
    """The end of a verb's help; the control character makes click keep the lines."""
    return "\n".join(["\b", "Example:", *(f"  {line}" for line in lines)])


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Print rows, or one line saying that there are none."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        click.echo(empty)
        return
    table = Table(*columns, box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    Console(file=sys.stdout).print(table)


def print_json(document: object) -> None:
    """Print a document, readable."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


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
    click.echo(f"{visitor.label} {'never rings' if visitor.ignored else 'rings again'}")


def print_forgotten(outcome: ForgettingOutcome) -> None:
    """Say who is gone with what, and where something of them may be left."""
    label = ", ".join(visitor.label for visitor in outcome.visitors)
    click.echo(
        f"forgot {label}: {plural(outcome.samples, 'sample')} and "
        f"{plural(len(outcome.visit_ids), 'visit')} with their pictures are deleted"
    )
    if outcome.backups:
        click.echo(
            f"{plural(len(outcome.backups), 'backup')} may still hold {label}; "
            "delete them, and those that you have put elsewhere:"
        )
        for backup in outcome.backups:
            click.echo(f"  {backup.path}")
