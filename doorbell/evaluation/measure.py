"""Which measurement of what, by whose method: builds the parts, measures, and takes them down.

Enters: the configuration, a folder and two words. Leaves: a ``Report``. Counts nothing itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from typing_extensions import assert_never

from doorbell.config import Config, TrackingSection
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
class Method:
    """Whose faces, names and boxes are measured.

    Attributes:
        recognizer: of single pictures.
        open_door: gives a door with an empty gallery.
        looker: of videos.
        tracking: by what boxes are followed.
    """

    recognizer: Recognizer
    open_door: Callable[[], AbstractContextManager[Door]]
    looker: Looker
    tracking: TrackingSection


def measure(what: Measurement, folder: Path, method: Method, progress: Progress) -> Report:
    """Measure one thing on a folder of labelled pictures or videos.

    Args:
        what: decides what the folder holds; see ``labels``.
        folder: is only read.
        method: whose.
        progress: told about each step.

    Raises:
        UsageError: the folder is not as it should be.
        PictureError: a picture cannot be read.
        CameraError: a video cannot be read.
    """
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
            return measure_jitter(folder, method.looker, method.tracking, progress)
        case _:
            assert_never(what)


@contextmanager
def open_method(config: Config, baseline: Baseline | None, progress: Progress) -> Iterator[Method]:
    """Load the networks of the product, or of what it is compared with.

    Raises:
        ModelError: a model is missing or cannot be fetched.
        InferenceError: a network cannot be loaded.
    """
    match baseline:
        case None:
            with closing(open_perception(config)) as perception:
                yield product_method(perception, config)
        case "opencv":
            yield _opencv_method(config, progress)
        case _:
            assert_never(baseline)


def product_method(perception: Perception, config: Config) -> Method:
    """The product's own path, with the configuration that applies."""
    return Method(
        ProductRecognizer(perception),
        lambda: _product_door(perception, config),
        ProductLooker(perception, config.detection),
        config.tracking,
    )


@contextmanager
def _product_door(perception: Perception, config: Config) -> Iterator[ProductDoor]:
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="doorbell-"))
        gallery = stack.enter_context(Gallery.open(Path(directory) / "gallery.sqlite"))
        yield ProductDoor(perception, gallery, config)


def _opencv_method(config: Config, progress: Progress) -> Method:
    # Converting and fetching are loaded by nothing else that measures.
    from doorbell.evaluation.opencv import OpenCvDoor, OpenCvLooker, OpenCvRecognizer
    from doorbell.models.build import fetch_baseline

    section = config.inference
    yunet = fetch_baseline("yunet", models_directory(section), progress=progress)
    recognizer = OpenCvRecognizer(yunet, network_files("sface", section).float32)
    return Method(
        recognizer,
        lambda: nullcontext(OpenCvDoor(recognizer)),
        OpenCvLooker(recognizer),
        config.tracking,
    )
