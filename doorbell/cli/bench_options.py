"""Options that several verbs of ``doorbell bench`` have."""

from __future__ import annotations

from pathlib import Path

import click

PEERS = ("mediapipe", "opencv", "naive")


def _peers(_context: click.Context, _option: click.Parameter, value: str) -> tuple[str, ...]:
    """Names with commas between."""
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise click.BadParameter(
            f"there is no peer {unknown[0]!r}; choose from {','.join(PEERS)}, with commas between"
        )
    return names


against_option = click.option(
    "--against",
    callback=_peers,
    default="",
    metavar="PEER,...",
    help="Compare with: mediapipe (fetched the first time, about 1 GB), opencv, naive.",
)
plots_option = click.option(
    "--plots",
    type=click.Path(file_okay=False, path_type=Path),
    help="Draw how the cost grows with the work into this folder (takes matplotlib).",
)
video_option = click.option(
    "--video",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Look at the frames of this video instead of the simulated camera's.",
)
visits_option = click.option(
    "--visits",
    "visit_count",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="How many visitors come to the daemon.",
)
starts_option = click.option(
    "--starts",
    type=click.IntRange(1, 100),
    default=5,
    show_default=True,
    help="How often the daemon is started.",
)
seconds_option = click.option(
    "--seconds",
    type=click.FloatRange(0, 600),
    default=5.0,
    show_default=True,
    help="How long to measure each thing.",
)
