"""``doorbell evaluate``: how well people are recognized on pictures of one's own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from doorbell.cli.options import with_config
from doorbell.cli.printing import example, json_option, print_json, print_table

if TYPE_CHECKING:
    from doorbell.config import Config
    from doorbell.evaluation.doors import ProductDoor
    from doorbell.evaluation.report import Report
    from doorbell.models.fetch import Progress
    from doorbell.perception import Perception

KINDS = ("pairs", "household", "clips", "scenes", "jitter")


@click.command(
    epilog=example(
        "doorbell evaluate household my-pictures",
        "doorbell evaluate pairs my-pictures --json",
        "doorbell evaluate scenes street --plots plots --set detection.score_threshold=0.4",
    )
)
@click.argument("what", type=click.Choice(KINDS))
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@json_option
@with_config
def evaluate(config: Config, what: str, folder: Path, *, as_json: bool) -> None:
    r"""Measure recognition on labelled pictures and videos.

    Everything goes the way of the daemon, with the configuration that applies; the gallery is one
    of its own and is gone afterwards. WHAT, and what FOLDER holds:

    \b
    pairs      images/ and pairs.csv with the columns first, second, same (1 or 0)
    household  images/ and household.json: members, each with lists of pictures to
               enroll and to probe with; strangers, a list of pictures
    clips      videos and labels.json, each video with its main person
    scenes     pictures and boxes.json, each picture with a list of [x1, y1, x2, y2]
    jitter     videos

    JSON: the figures; rates are fractions, times are seconds of video.
    """
    from doorbell.perception import open_perception

    with closing(open_perception(config)) as perception, _progress() as progress:
        report = _measure(what, folder, config, perception, progress)
    if as_json:
        print_json(dict(report.figures))
        return
    print_table(("figure", "value"), [*_rows(report.figures)], empty="")
    for note in report.notes:
        click.echo(note)


def _measure(
    what: str, folder: Path, config: Config, perception: Perception, progress: Progress
) -> Report:
    if what == "pairs":
        from doorbell.evaluation.pairs import measure_pairs

        return measure_pairs(folder, perception, progress)
    if what == "household":
        from doorbell.evaluation.household import measure_household

        with _open_door(config, perception) as door:
            return measure_household(folder, door, progress)
    if what == "clips":
        from doorbell.evaluation.clips import measure_clips

        return measure_clips(folder, lambda: _open_door(config, perception), progress)
    if what == "scenes":
        from doorbell.evaluation.scenes import measure_scenes

        return measure_scenes(folder, perception, progress)
    from doorbell.evaluation.jitter import measure_jitter

    return measure_jitter(folder, perception, config, progress)


@contextmanager
def _open_door(config: Config, perception: Perception) -> Iterator[ProductDoor]:
    from doorbell.evaluation.doors import ProductDoor
    from doorbell.recognition.gallery import Gallery

    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="doorbell-"))
        gallery = stack.enter_context(Gallery.open(Path(directory) / "gallery.sqlite"))
        yield ProductDoor(perception, gallery, config)


@contextmanager
def _progress() -> Iterator[Progress]:
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


def _rows(figures: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in figures.items():
        if isinstance(value, Mapping):
            yield from _rows(value, f"{key} ")
        else:
            yield prefix + key, f"{value:.4f}" if isinstance(value, float) else str(value)
