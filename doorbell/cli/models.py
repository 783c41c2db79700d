"""``doorbell models``: fetching, converting and checking the networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbell.cli.options import with_config
from doorbell.cli.printing import example, plural, progress_bars, say

if TYPE_CHECKING:
    from doorbell.config import Config


@click.group(epilog=example("doorbell models build"))
def models() -> None:
    """The networks that find and compare faces."""


@models.command(epilog=example("doorbell models build"))
@click.option(
    "--portraits/--no-portraits",
    default=True,
    help="Fetch the simulated camera's sample portraits, too.  [default: portraits]",
)
@click.option(
    "--engine",
    is_flag=True,
    help="Build TensorRT's engines for the GPU of this machine, too: minutes, once.",
)
@click.option(
    "--detector",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="WEIGHTS",
    help="Find near faces by these weights of `doorbell train` from now on.",
)
@click.option(
    "--released-detector", is_flag=True, help="Find near faces by the released weights again."
)
@with_config
def build(
    config: Config,
    *,
    portraits: bool,
    engine: bool,
    detector: Path | None,
    released_detector: bool,
) -> None:
    """Fetch the published weights with pip, check and convert them; what is there stays."""
    from doorbell.errors import UsageError
    from doorbell.inference import tensorrt_precision
    from doorbell.models.build import build_models, choose_detector, fetch_faces
    from doorbell.models.store import built_networks, models_directory

    if engine:
        from doorbell.inference.tensorrt import ENGINES, build_engines, require_gpu

        # Before anything is fetched: without a GPU nothing else matters.
        gpu, precision = require_gpu(), tensorrt_precision(config.inference)
    if detector is not None and released_detector:
        raise UsageError("--detector and --released-detector exclude each other: give one of them")
    directory = models_directory(config.inference)
    if detector is not None or released_detector:
        choose_detector(directory, detector)
    with progress_bars() as show:
        build_models(directory, progress=show)
        if portraits:
            fetch_faces(directory, progress=show)
        if engine:
            build_engines(
                built_networks(config.inference),
                cache_directory=config.inference.cache_directory,
                precision=precision,
                progress=lambda name, share: show(f"engine {name}", round(1000 * share), 1000),
            )
    say(f"the models are in {directory}")
    if engine:
        engines = config.inference.cache_directory or directory / ENGINES
        say(f"the engines for {gpu} are in {engines}")


@models.command(epilog=example("doorbell models verify"))
@with_config
def verify(config: Config) -> None:
    """Check that the built models are what they were when they were built."""
    from doorbell.models.store import models_directory, verify_models

    directory = models_directory(config.inference)
    checked = verify_models(directory)
    say(f"{plural(len(checked), 'file')} in {directory} are as they were built")
