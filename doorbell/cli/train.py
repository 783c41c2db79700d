"""``doorbell train``: a detector fitted to pictures of one's own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbell.cli.options import with_config
from doorbell.cli.printing import (
    example,
    json_option,
    print_json,
    print_table,
    progress_bars,
    say,
)

if TYPE_CHECKING:
    from doorbell.config import Config
    from doorbell.training.detector import Recipe
    from doorbell.training.loop import Progress

NETWORKS = ("table1", "mobilenet-ssd")

run_option = click.option(
    "--run",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that keeps labels, checkpoints and weights; the same command goes on from there.",
)
folder_argument = click.argument(
    "folder", type=click.Path(exists=True, file_okay=False, path_type=Path)
)


def with_recipe(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the options on how a detector is trained, and hand it ``recipe``."""

    @click.option(
        "--network",
        type=click.Choice(NETWORKS),
        default="table1",
        show_default=True,
        help="BlazeFace of the paper's Table 1, or what the paper compares it with.",
    )
    @click.option(
        "--steps", type=click.IntRange(min=1), default=4000, show_default=True, help="How many."
    )
    @click.option(
        "--batch",
        type=click.IntRange(min=2),
        default=32,
        show_default=True,
        help="Pictures in each step.",
    )
    @click.option(
        "--rate",
        type=click.FloatRange(min=0, min_open=True),
        default=3e-3,
        show_default=True,
        help="The highest learning rate; a tenth of it with --from.",
    )
    @click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=1,
        show_default=True,
        help="Of weights, order and augmentation.",
    )
    @functools.wraps(verb)
    def wrapper(
        network: str, steps: int, batch: int, rate: float, seed: int, **arguments: object
    ) -> None:
        from doorbell.training.detector import Recipe

        verb(recipe=Recipe(network, steps, batch, rate, seed), **arguments)

    return wrapper


@click.group(
    epilog=example(
        "doorbell train detector my-pictures --run my-run",
        "doorbell train compare my-pictures my-run/table1.npz --run my-run",
    )
)
def train() -> None:
    """Train the network that finds faces on pictures of your own (takes PyTorch)."""


@train.command(epilog=example("doorbell train detector my-pictures --run my-run --steps 2000"))
@folder_argument
@run_option
@with_recipe
@click.option(
    "--from",
    "begin_with",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="WEIGHTS",
    help="Go on from these weights instead of random ones, where there are few pictures.",
)
@click.option(
    "--threads", type=click.IntRange(min=1), help="Of the processor.  [default: as it has cores]"
)
@with_config
def detector(
    config: Config,
    folder: Path,
    run: Path,
    *,
    recipe: Recipe,
    begin_with: Path | None,
    threads: int | None,
) -> None:
    """Train a detector on the pictures of FOLDER, but for one in ten, which is held out.

    What the released networks agree on is learned, and what faces.csv marks by hand, if it is
    there.
    A run that was cut off goes on where it was when the same command is given again.
    """
    from doorbell.training import require_pytorch

    require_pytorch()
    from doorbell.training.detector import train_detector
    from doorbell.training.pictures import read_pictures

    pictures = read_pictures(folder)
    with progress_bars() as show:

        def report(done: Progress) -> None:
            show("train", done.step, done.steps)
            say(
                f"step {done.step} of {done.steps}: scores {done.score_loss:.4f}, places "
                f"{done.place_loss:.4f}, {done.pictures_per_second:.0f} pictures a second",
                err=True,
            )

        path = train_detector(
            pictures,
            recipe,
            config.inference,
            run,
            begin_with=begin_with,
            threads=threads,
            say=show,
            report=report,
        )
    say(
        f"wrote {path}: trained on {len(pictures.trained)} pictures, "
        f"{len(pictures.held_out)} are held out"
    )
    say(f"see what it is worth: doorbell train compare {folder} {path} --run {run}")


@train.command(epilog=example("doorbell train compare my-pictures my-run/table1.npz --run my-run"))
@folder_argument
@click.argument(
    "weights", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@run_option
@click.option(
    "--clips",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Measure on the videos of this folder, too, how much boxes tremble.",
)
@json_option
@with_config
def compare(
    config: Config,
    folder: Path,
    weights: tuple[Path, ...],
    run: Path,
    clips: Path | None,
    *,
    as_json: bool,
) -> None:
    """Compare WEIGHTS with the released detector on the pictures of FOLDER that are held out.

    JSON: the figures; rates are fractions, keypoint errors are in distances of the eyes, jitter is
    in widths of the face.
    """
    from doorbell.training.comparison import compare as measure
    from doorbell.training.comparison import open_contenders
    from doorbell.training.labels import labels_of
    from doorbell.training.pictures import read_pictures

    pictures = read_pictures(folder)
    with progress_bars() as show, open_contenders(config, weights) as contenders:
        _, labels = labels_of(pictures, config.inference, run, show)
        report = measure(pictures.held_out, labels, contenders, config, clips=clips, progress=show)
    if as_json:
        print_json(dict(report.figures))
        return
    for table in report.tables:
        print_table(table.columns, table.rows, empty="")
    for note in report.notes:
        say(note)
