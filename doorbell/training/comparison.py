"""Detectors side by side on the pictures that were held out, and on videos."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from doorbell.config import Config
from doorbell.detection.blazeface import SHORT_RANGE, BlazeFace, Candidates, Geometry, blend
from doorbell.detection.regions import own_region, whole_frame
from doorbell.domain import Face, Track, UInt8Array
from doorbell.errors import UsageError
from doorbell.inference import NetworkFiles, in_float32, open_runner
from doorbell.measure.accuracy.jitter import BlazeFaceBoxFinder, keep_best, measure_jitter
from doorbell.measure.accuracy.report import Report, Table
from doorbell.measure.accuracy.stills import read_picture
from doorbell.models.fetch import Progress
from doorbell.models.store import network_files
from doorbell.networks.graph import GraphBuilder
from doorbell.networks.trained import unpack_weights
from doorbell.networks.weights import ReadWeights
from doorbell.training.anchors import TRAINABLE
from doorbell.training.labels import Labels
from doorbell.training.pictures import Picture
from doorbell.training.precision import judge

RELEASED = "blazeface_short"
# Average precision counts what scores less than the product's threshold, too.
LEAST_SCORE = 0.02
METHODS: dict[str, Callable[[Candidates, float], list[Face]]] = {
    "nms": keep_best,
    "blending": blend,
}
_NETWORKS = {network.graph: network for network in TRAINABLE.values()}


@dataclass(frozen=True, slots=True)
class Contender:
    """A detector that is compared.

    Attributes:
        title: the file of its weights, or the released network.
        detector: gives candidates from ``LEAST_SCORE`` on.
        in_video: the same, from the product's threshold on.
    """

    title: str
    detector: BlazeFace
    in_video: BlazeFace


@contextmanager
def open_contenders(config: Config, weights: Sequence[Path]) -> Iterator[list[Contender]]:
    """Load the released short-range network, and trained ones, in float32.

    Raises:
        ModelError: the models have not been built, or a file holds no trained weights.
        UsageError: a file cannot be read, or its network is not known.
    """
    section = in_float32(config.inference)
    files = [(RELEASED, network_files(RELEASED, section), SHORT_RANGE)]
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="doorbell-")))
        for index, path in enumerate(weights):
            graph, geometry = _read(path)
            written = directory / f"{index}.onnx"
            onnx.save(graph, written)
            files.append(
                (path.name, NetworkFiles(path.name, float32=written, float16=None), geometry)
            )
        yield [
            Contender(
                title,
                BlazeFace(runner, geometry, LEAST_SCORE),
                BlazeFace(runner, geometry, config.detection.score_threshold),
            )
            for title, network, geometry in files
            for runner in [stack.enter_context(closing(open_runner(network, section)))]
        ]


def compare(
    pictures: Sequence[Picture],
    labels: Sequence[Labels],
    contenders: Sequence[Contender],
    config: Config,
    *,
    clips: Path | None,
    progress: Progress,
) -> Report:
    """Look at each picture as a whole, and at each video's main face.

    Args:
        pictures: none that a contender was trained on.
        labels: of each.
        contenders: see ``open_contenders``.
        config: says which scores count and what is blended.
        clips: folder of videos, for jitter; None leaves it out.
        progress: told about each step.

    Raises:
        PictureError: a picture cannot be read.
        UsageError: the folder holds no video.
        CameraError: a video cannot be read.
    """
    figures: dict[str, Any] = {
        "pictures": len(pictures),
        "faces": sum(len(each.boxes_xyxy) for each in labels),
    }
    rows = []
    for contender in contenders:
        found = [
            _look(contender.detector, read_picture(picture.path), config.detection.blend_iou)
            for picture in _told(pictures, contender.title, progress)
        ]
        jitter = _jitter(contender, config, clips, progress)
        for method in METHODS:
            judged = judge([faces[method] for faces in found], labels)
            entry = judged.figures(config.detection.score_threshold)
            if jitter:
                entry["jitter"] = jitter[method]
            figures[f"{contender.title}, {method}"] = entry
            rows.append((contender.title, method, *(f"{value:.3f}" for value in entry.values())))
    columns = ("network", "method", "AP at IoU 0.5", "recall", "false/picture", "keypoint error")
    return Report(
        figures,
        tables=(Table((*columns, "jitter") if clips else columns, tuple(rows)),),
        notes=(
            f"{figures['faces']} faces on {figures['pictures']} pictures that are held out",
            "recall, false faces and keypoints are of what scores "
            f"{config.detection.score_threshold} or more; keypoints are compared with the labels",
        ),
    )


def _read(path: Path) -> tuple[onnx.ModelProto, Geometry]:
    try:
        trained = unpack_weights(path.read_bytes())
    except OSError as exc:
        raise UsageError(f"cannot read {path}: {exc.strerror}") from exc
    if trained.network not in _NETWORKS:
        raise UsageError(
            f"{path} has the weights of {trained.network}; compared are {' and '.join(_NETWORKS)}"
        )
    network = _NETWORKS[trained.network]
    return network.write(GraphBuilder(ReadWeights(trained.convolutions))), network.geometry


def _told(pictures: Sequence[Picture], work: str, progress: Progress) -> Iterator[Picture]:
    for done, picture in enumerate(pictures, start=1):
        yield picture
        progress(work, done, len(pictures))


def _look(detector: BlazeFace, pixels: UInt8Array, min_iou: float) -> dict[str, list[Face]]:
    height, width = pixels.shape[:2]
    candidates = detector.candidates(pixels, [whole_frame(width, height)])
    return {method: faces(candidates, min_iou) for method, faces in METHODS.items()}


class _InVideo:
    """Looks at the whole frame, and around what is followed."""

    def __init__(self, detector: BlazeFace) -> None:
        self._detector = detector

    def candidates(self, pixels: UInt8Array, tracks: Sequence[Track]) -> Candidates:
        height, width = pixels.shape[:2]
        around = [own_region(track.face) for track in tracks]
        return self._detector.candidates(pixels, [*around, whole_frame(width, height)])


def _jitter(
    contender: Contender, config: Config, clips: Path | None, progress: Progress
) -> dict[str, float]:
    if clips is None:
        return {}
    finder = BlazeFaceBoxFinder(_InVideo(contender.in_video), config.detection)

    def told(work: str, done: int, total: int) -> None:
        progress(f"{contender.title}: {work}", done, total)

    report = measure_jitter(clips, finder, config.tracking, told)
    return {method: report.figures[method] or float("nan") for method in METHODS}
