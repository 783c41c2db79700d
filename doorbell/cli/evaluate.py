"""``doorbell evaluate``: how well people are recognized on pictures of one's own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from doorbell.cli.options import door_of, door_option, named_door, with_config
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
    from doorbell.measure.accuracy.conditions import Trials
    from doorbell.measure.accuracy.methods import Baseline, Measurement

# The control character makes click keep the lines.
FOLDERS = """\b
What FOLDER holds:
  pairs      images/ and pairs.csv: first, second, same (1 or 0)
  household  images/ and household.json: members, each with lists of
             pictures to enroll and to probe with; strangers, a list
  conditions  what household holds; its pictures are made as a door
             camera would see them: far away, dark, masked, ...
  clips      videos and labels.json: each video's main person
  scenes     pictures and boxes.json: each picture's [x1, y1, x2, y2]
  jitter     videos
  precision  what pairs or scenes holds; float16, as a GPU rounds, and
             bfloat16, and SFace in 8 bits are compared with float32

"""


def with_trials(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the options on how much is tried of conditions, and hand it ``trials``."""

    @click.option(
        "--household",
        type=click.IntRange(min=1),
        default=5,
        show_default=True,
        metavar="N",
        help="Conditions: people behind one door.",
    )
    @click.option(
        "--probes",
        type=click.IntRange(min=1),
        metavar="N",
        help="Conditions: at most so many pictures of each member.",
    )
    @click.option(
        "--strangers",
        type=click.IntRange(min=0),
        metavar="N",
        help="Conditions: at most so many pictures of strangers.",
    )
    @click.option(
        "--conditions",
        metavar="A,B",
        default="",
        help="Conditions: these only, as daylight,dark,mask.",
    )
    @click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        metavar="N",
        help="Conditions: of noise, movement and what is worn.",
    )
    @functools.wraps(verb)
    def wrapper(
        household: int,
        probes: int | None,
        strangers: int | None,
        conditions: str,
        seed: int,
        **arguments: object,
    ) -> None:
        from doorbell.measure.accuracy.conditions import Trials

        keys = tuple(key.strip() for key in conditions.split(",") if key.strip())
        trials = Trials(household, probes, strangers, keys, seed)
        verb(trials=trials, **arguments)

    return wrapper


@click.command(
    epilog=FOLDERS
    + example(
        "doorbell evaluate household my-pictures",
        "doorbell evaluate conditions my-pictures --probes 2 --strangers 40",
        "doorbell evaluate pairs my-pictures --json",
        "doorbell evaluate scenes street --plots plots --set detection.score_threshold=0.4",
    )
)
@click.argument(
    "what",
    type=click.Choice(
        ["pairs", "household", "conditions", "clips", "scenes", "jitter", "precision"]
    ),
)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--baseline",
    type=click.Choice(["opencv"]),
    help="Measure OpenCV's own YuNet and SFace instead; YuNet is fetched the first time.",
)
@click.option(
    "--plots",
    type=click.Path(file_okay=False, path_type=Path),
    help="Draw curves, scores and the worst mistakes into this folder (takes matplotlib).",
)
@with_trials
@door_option
@json_option
@with_config
def evaluate(
    config: Config,
    what: Measurement,
    folder: Path,
    *,
    trials: Trials,
    baseline: Baseline | None,
    plots: Path | None,
    as_json: bool,
) -> None:
    """Measure recognition on labelled pictures and videos.

    Everything goes the way of the daemon, with the configuration that applies, or that of one of
    several doors; the gallery is one of its own and is gone afterwards.

    JSON: the figures; rates are fractions, times are seconds of video. With --door also door, its
    id.
    """
    from doorbell.errors import UsageError
    from doorbell.measure.accuracy.conditions import Trials as Chosen
    from doorbell.measure.accuracy.methods import measure, open_method

    if what != "conditions" and trials != Chosen():
        raise UsageError(
            f"--household, --probes, --strangers, --conditions and --seed are for conditions, "
            f"not for {what}"
        )
    door_id = named_door()
    if door_id is not None:
        config = door_of(config, door_id)
    if baseline is not None:  # OpenCV's own networks take as many threads as it gives them
        import cv2

        cv2.setNumThreads(cv2.getNumberOfCPUs())
    with progress_bars() as progress, open_method(config, baseline, progress) as method:
        report = measure(what, folder, method, progress, trials)
    if as_json:
        print_json(dict(report.figures) | ({} if door_id is None else {"door": door_id}))
    else:
        for table in report.tables:
            print_table(table.columns, table.rows, empty="")
            click.echo()
        if not report.tables:
            print_table(("figure", "value"), [*_rows(report.figures)], empty="")
        for note in report.notes:
            say(note)
        if door_id is not None:
            say(f"as configured for {config.device.name}")
    if plots is not None:
        from doorbell.measure.accuracy.plots import draw_report

        for path in draw_report(report, plots, what if baseline is None else f"{what}-{baseline}"):
            say(f"wrote {path}", err=True)


def _rows(figures: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in figures.items():
        if isinstance(value, Mapping):
            yield from _rows(value, f"{key} ")
        else:
            yield prefix + key, f"{value:.4f}" if isinstance(value, float) else str(value)
