"""Which measurement of what, by whose method: builds the parts, measures, and takes them down."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from typing_extensions import assert_never

from doorbell.config import Config, TrackingSection
from doorbell.errors import UsageError
from doorbell.gallery.gallery import Gallery
from doorbell.inference import open_runner
from doorbell.measure.accuracy.clips import measure_clips
from doorbell.measure.accuracy.conditions import Trials, measure_conditions
from doorbell.measure.accuracy.detection import measure_scenes
from doorbell.measure.accuracy.identification import measure_household
from doorbell.measure.accuracy.jitter import BlazeFaceBoxFinder, BoxFinder, measure_jitter
from doorbell.measure.accuracy.precision import Precision, measure_precision
from doorbell.measure.accuracy.remembering import RememberingPerception
from doorbell.measure.accuracy.replay import ProductReplay, Replay
from doorbell.measure.accuracy.report import Report
from doorbell.measure.accuracy.stills import ProductRecognizer, Recognizer
from doorbell.measure.accuracy.verification import measure_pairs
from doorbell.models.fetch import Progress
from doorbell.models.store import models_directory, network_files
from doorbell.pipeline.perception import Perception, open_perception

Measurement: TypeAlias = Literal[
    "pairs", "household", "conditions", "clips", "scenes", "jitter", "precision"
]
Baseline: TypeAlias = Literal["opencv"]


@dataclass(frozen=True, slots=True)
class Method:
    """Whose faces, names and boxes are measured.

    Attributes:
        recognizer: of single pictures.
        open_finder: gives what finds the faces that conditions are drawn around, the same for all.
        open_replay: gives a door with an empty gallery.
        looker: of videos.
        tracking: by what boxes are followed.
        open_in: gives the recognizer with networks that compute in another precision.
    """

    recognizer: Recognizer
    open_finder: Callable[[], AbstractContextManager[Recognizer]]
    open_replay: Callable[[], AbstractContextManager[Replay]]
    looker: BoxFinder
    tracking: TrackingSection
    open_in: Callable[[Precision], AbstractContextManager[Recognizer]]


def measure(  # noqa: PLR0911 - one for each kind
    what: Measurement,
    folder: Path,
    method: Method,
    progress: Progress,
    trials: Trials = Trials(),  # noqa: B008 - frozen
) -> Report:
    """Measure one thing on a folder of labelled pictures or videos.

    Args:
        what: decides what the folder holds; see ``labels``.
        folder: is only read.
        method: whose.
        progress: told about each step.
        trials: how much is tried of conditions.

    Raises:
        UsageError: the folder is not as it should be.
        PictureError: a picture cannot be read.
        CameraError: a video cannot be read.
    """
    match what:
        case "pairs":
            return measure_pairs(folder, method.recognizer, progress)
        case "household":
            with method.open_replay() as door:
                return measure_household(folder, door, progress)
        case "conditions":
            with method.open_finder() as finder:
                return measure_conditions(folder, trials, finder, method.open_replay, progress)
        case "clips":
            return measure_clips(folder, method.open_replay, progress)
        case "scenes":
            return measure_scenes(folder, method.recognizer, progress)
        case "jitter":
            return measure_jitter(folder, method.looker, method.tracking, progress)
        case "precision":
            return measure_precision(folder, method.open_in, progress)
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
    recognizer = ProductRecognizer(perception)
    remembering = RememberingPerception(perception)
    return Method(
        recognizer,
        lambda: nullcontext(recognizer),
        lambda: _product_replay(remembering, config),
        BlazeFaceBoxFinder(perception, config.detection),
        config.tracking,
        lambda precision: _product_in(precision, config),
    )


@contextmanager
def _product_finder(config: Config) -> Iterator[ProductRecognizer]:
    with closing(open_perception(config)) as perception:
        yield ProductRecognizer(perception)


@contextmanager
def _product_in(precision: Precision, config: Config) -> Iterator[ProductRecognizer]:
    """The product's networks on the CPU: float16 as a GPU computes it."""
    # Graphs are rewritten by nothing else that measures.
    from doorbell.measure.accuracy.rounding import open_rounding

    settings = {"backend": "openvino", "precision": precision}
    section = config.inference.model_copy(update=settings)
    open_network = open_rounding if precision == "float16" else open_runner
    with closing(
        open_perception(config.model_copy(update={"inference": section}), open_network=open_network)
    ) as perception:
        yield ProductRecognizer(perception)


@contextmanager
def _product_replay(perception: Perception, config: Config) -> Iterator[ProductReplay]:
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="doorbell-"))
        gallery = stack.enter_context(Gallery.open(Path(directory) / "gallery.sqlite"))
        yield ProductReplay(perception, gallery, config)


def _opencv_method(config: Config, progress: Progress) -> Method:
    # Converting and fetching are loaded by nothing else that measures.
    from doorbell.measure.accuracy.opencv import OpenCvLooker, OpenCvRecognizer, OpenCvReplay
    from doorbell.models.build import fetch_baseline

    section = config.inference
    yunet = fetch_baseline("yunet", models_directory(section), progress=progress)
    recognizer = OpenCvRecognizer(yunet, network_files("sface", section).float32)
    return Method(
        recognizer,
        lambda: _product_finder(config),
        lambda: nullcontext(OpenCvReplay(recognizer)),
        OpenCvLooker(recognizer),
        config.tracking,
        _opencv_in,
    )


def _opencv_in(precision: Precision) -> AbstractContextManager[Recognizer]:
    raise UsageError(f"OpenCV does not compute in {precision}: leave --baseline out")
