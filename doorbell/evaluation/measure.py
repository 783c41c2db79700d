"""Which measurement of what, by whose method: builds the parts, measures, and takes them down.

Enters: the configuration, a folder and two words. Leaves: a ``Report``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from typing_extensions import assert_never

from doorbell.config import Config, InferenceSection
from doorbell.evaluation.clips import measure_clips
from doorbell.evaluation.doors import Door, ProductDoor
from doorbell.evaluation.household import measure_household
from doorbell.evaluation.jitter import Looker, ProductLooker, measure_jitter
from doorbell.evaluation.pairs import measure_pairs
from doorbell.evaluation.report import Report
from doorbell.evaluation.scenes import measure_scenes
from doorbell.evaluation.stills import ProductRecognizer, Recognizer
from doorbell.models.fetch import Progress
from doorbell.models.store import models_directory, network_files
from doorbell.perception import Perception, open_perception
from doorbell.recognition.gallery import Gallery

Measurement: TypeAlias = Literal["pairs", "household", "clips", "scenes", "jitter"]
Baseline: TypeAlias = Literal["opencv"]


@dataclass(frozen=True, slots=True)
class _Method:
    """Whose faces, names and boxes are measured."""

    recognizer: Recognizer
    open_door: Callable[[], AbstractContextManager[Door]]
    looker: Looker


def measure(
    what: Measurement, folder: Path, config: Config, baseline: Baseline | None, progress: Progress
) -> Report:
    """Measure one thing on a folder of labelled pictures or videos.

    Args:
        what: decides what the folder holds; see ``labels``.
        folder: is only read.
        config: of the product, with its defaults or not.
        baseline: measure this method instead of the product's.
        progress: told about each step.

    Raises:
        UsageError: the folder is not as it should be.
        PictureError: a picture cannot be read.
        CameraError: a video cannot be read.
        ModelError: a model is missing or cannot be fetched.
    """
    with _open_method(config, baseline, progress) as method:
        match what:
            case "pairs":
                return measure_pairs(folder, method.recognizer, progress)
            case "household":
                with method.open_door() as door:
                    return measure_household(folder, door, progress)
            case "clips":
                return measure_clips(folder, method.open_door, progress)
            case "scenes":
                return measure_scenes(folder, method.recognizer, progress)
            case "jitter":
                return measure_jitter(folder, method.looker, config.tracking, progress)
            case _:
                assert_never(what)


@contextmanager
def _open_method(
    config: Config, baseline: Baseline | None, progress: Progress
) -> Iterator[_Method]:
    if baseline == "opencv":
        yield _opencv(config.inference, progress)
        return
    with closing(open_perception(config)) as perception:
        yield _Method(
            ProductRecognizer(perception),
            lambda: _product_door(perception, config),
            ProductLooker(perception, config.detection),
        )


@contextmanager
def _product_door(perception: Perception, config: Config) -> Iterator[ProductDoor]:
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="doorbell-"))
        gallery = stack.enter_context(Gallery.open(Path(directory) / "gallery.sqlite"))
        yield ProductDoor(perception, gallery, config)


def _opencv(section: InferenceSection, progress: Progress) -> _Method:
    # Converting and fetching are loaded by nothing else that measures.
    from doorbell.evaluation.opencv import OpenCvDoor, OpenCvLooker, OpenCvRecognizer
    from doorbell.models.build import fetch_baseline

    yunet = fetch_baseline("yunet", models_directory(section), progress=progress)
    recognizer = OpenCvRecognizer(yunet, network_files("sface", section).float32)
    return _Method(
        recognizer, lambda: nullcontext(OpenCvDoor(recognizer)), OpenCvLooker(recognizer)
    )
