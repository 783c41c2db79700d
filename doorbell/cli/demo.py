"""``doorbell demo``: the whole doorbell without a camera or a broker of one's own."""

from __future__ import annotations

from pathlib import Path

import click

from doorbell.cli.options import Given, configure_logging, set_option, verbose_option
from doorbell.cli.printing import example


@click.command(
    epilog=example(
        "doorbell demo", "doorbell demo --doors 2", "doorbell demo --loop --set chime.volume=0.3"
    )
)
@click.option("--loop", is_flag=True, help="Go on with another round until stopped.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-output"),
    show_default=True,
    help="Where the pictures of the visits go.",
)
@click.option(
    "--doors",
    type=click.IntRange(1, 2),
    default=1,
    show_default=True,
    help="Of the house: with two, somebody known comes to both.",
)
@set_option
@verbose_option
@click.pass_context
def demo(
    context: click.Context,
    output: Path,
    overrides: tuple[str, ...],
    *,
    doors: int,
    loop: bool,
    verbose: bool,
) -> None:
    """Show the doorbell at work, without a camera.

    Somebody enrolled comes to a simulated door, then a stranger, then both. The daemon, the models
    and the sound are the real ones; the gallery is a fresh one that is deleted at the end. No
    configuration file is read.
    """
    from doorbell.demo import run_demo

    given = context.ensure_object(Given)
    verbose = verbose or given.verbose
    configure_logging("debug" if verbose else "warning", words_only=not verbose)
    run_demo(output, doors=doors, loop=loop, overrides=(*given.overrides, *overrides))
