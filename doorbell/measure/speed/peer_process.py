"""What the product is compared with, in a process of its own.

Run by path, in any Python that has the peer's packages: ``python -I peer.py PEER FRAMES SETTINGS``.
Imports nothing of the doorbell, so that the peer's environment needs none of its packages.

A picture is copied and brought to the order of colours that the peer wants before the clock starts,
as a camera would deliver it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
Found: TypeAlias = "dict[str, list[Any]]"
Call: TypeAlias = Callable[[Pixels], Callable[[], Found]]
"""Prepares a picture, untimed, and returns what is to be timed."""

MIN_SCORE = 0.5  # MediaPipe's default
OPENCV_MIN_SCORE, OPENCV_NMS, OPENCV_TOP_K = 0.6, 0.3, 5000  # as `doorbell evaluate` takes them
MIN_IOU = 0.3  # MediaPipe's min_suppression_threshold
INPUT_PIXELS = 128
GRIDS = ((16, 2), (8, 6))  # cells, anchors a cell; MediaPipe's options of the short-range network


def mediapipe_calls(settings: dict[str, Any]) -> tuple[dict[str, Call], dict[str, str]]:
    """MediaPipe's face detection, short range and full range, as its Python package offers it."""
    del settings
    import mediapipe

    def calling(model_selection: int) -> Call:
        detection = mediapipe.solutions.face_detection.FaceDetection(
            model_selection=model_selection, min_detection_confidence=MIN_SCORE
        )

        def call(pixels: Pixels) -> Callable[[], Found]:
            height, width = pixels.shape[:2]

            def process() -> Found:
                boxes = []
                for detected in detection.process(pixels).detections or ():
                    box = detected.location_data.relative_bounding_box
                    left, top = box.xmin * width, box.ymin * height
                    boxes.append([left, top, left + box.width * width, top + box.height * height])
                return {"boxes": boxes}

            return process

        return call

    return (
        {"faces, short range": calling(0), "faces, full range": calling(1)},
        {"mediapipe": mediapipe.__version__, "mediapipe's numpy": np.__version__},
    )


def opencv_calls(settings: dict[str, Any]) -> tuple[dict[str, Call], dict[str, str]]:
    """OpenCV's YuNet and SFace, over the whole frame at its own size."""
    import cv2

    cv2.setNumThreads(settings["threads"])
    if hasattr(cv2, "setLogLevel"):  # OpenCV 4
        cv2.setLogLevel(2)
    else:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    detector = cv2.FaceDetectorYN.create(
        settings["yunet"], "", (320, 320), OPENCV_MIN_SCORE, OPENCV_NMS, OPENCV_TOP_K
    )
    embedder = cv2.FaceRecognizerSF.create(settings["sface"], "")
    people = np.zeros((1, INPUT_PIXELS), np.float32)  # one person, of the vectors' length

    def detect(bgr: Pixels) -> Any:
        detector.setInputSize((bgr.shape[1], bgr.shape[0]))
        rows = detector.detect(bgr)[1]
        return np.empty((0, 15), np.float32) if rows is None else rows

    def found(rows: Any) -> Found:
        return {"boxes": [[*row[:2], *(row[:2] + row[2:4])] for row in rows.astype(float)]}

    def faces(pixels: Pixels) -> Callable[[], Found]:
        bgr = np.ascontiguousarray(pixels[:, :, ::-1])
        return lambda: found(detect(bgr))

    def name(pixels: Pixels) -> Callable[[], Found]:
        bgr = np.ascontiguousarray(pixels[:, :, ::-1])

        def process() -> Found:
            rows = detect(bgr)
            for row in rows:
                vector = embedder.feature(embedder.alignCrop(bgr, row))[0]
                int(np.argmax(people @ (vector / np.linalg.norm(vector))))
            return found(rows)

        return process

    def embed(pixels: Pixels) -> Callable[[], Found]:
        bgr = np.ascontiguousarray(pixels[:, :, ::-1])
        return lambda: {"vector": embedder.feature(bgr)[0].astype(float).tolist()}

    return {"faces": faces, "name": name, "embed": embed}, {"opencv's own": cv2.__version__}


def naive_calls(settings: dict[str, Any]) -> tuple[dict[str, Call], dict[str, str]]:
    """The short script anybody writes first: letterbox, ONNX Runtime, decoding in NumPy."""
    import cv2
    import onnxruntime

    def session(path: str, threads: int) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    # One thread is faster than two for so small a network.
    blazeface = session(settings["blazeface"], 1)
    sface = session(settings["sface"], settings["threads"])
    anchors = _anchors()

    def faces(pixels: Pixels) -> Callable[[], Found]:
        def process() -> Found:
            height, width = pixels.shape[:2]
            scale = INPUT_PIXELS / max(height, width)
            size = (round(width * scale), round(height * scale))
            left, top = (INPUT_PIXELS - size[0]) // 2, (INPUT_PIXELS - size[1]) // 2
            square = np.zeros((INPUT_PIXELS, INPUT_PIXELS, 3), np.float32)
            square[top : top + size[1], left : left + size[0]] = cv2.resize(
                pixels, size, interpolation=cv2.INTER_AREA
            )
            tensor = np.ascontiguousarray((square / 127.5 - 1).transpose(2, 0, 1)[None])
            raw, logits = blazeface.run(["regressors", "scores"], {"image": tensor})
            scores = 1 / (1 + np.exp(-np.clip(logits[0, :, 0], -80, 80)))  # (896,)
            middle = raw[0, :, :2] + anchors * INPUT_PIXELS
            half = raw[0, :, 2:4] / 2
            boxes = np.concatenate([middle - half, middle + half], axis=1)  # (896, 4)
            kept = _suppressed(boxes[scores > MIN_SCORE], scores[scores > MIN_SCORE])
            return {"boxes": ((kept - [left, top, left, top]) / scale).tolist()}

        return process

    def embed(pixels: Pixels) -> Callable[[], Found]:
        def process() -> Found:
            tensor = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None].astype(np.float32))
            return {"vector": sface.run(["embedding"], {"image": tensor})[0][0].tolist()}

        return process

    return {"faces": faces, "embed": embed}, {"onnxruntime": onnxruntime.__version__}


def _anchors() -> NDArray[np.float64]:
    """Centres as fractions of the input: (896, 2)."""
    grids = []
    for cells, per_cell in GRIDS:
        axis = (np.arange(cells) + 0.5) / cells
        y, x = np.meshgrid(axis, axis, indexing="ij")
        grids.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), per_cell, axis=0))
    return np.concatenate(grids)


def _suppressed(boxes: NDArray[Any], scores: NDArray[Any]) -> NDArray[Any]:
    """Non-maximum suppression: the best of those that overlap, (n, 4)."""
    kept = []
    order = np.argsort(-scores)
    while order.size:
        best = boxes[order[0]]
        kept.append(best)
        rest = boxes[order]
        overlap = np.minimum(best[2:], rest[:, 2:]) - np.maximum(best[:2], rest[:, :2])
        shared = np.prod(np.maximum(overlap, 0), axis=1)
        areas = np.prod(rest[:, 2:] - rest[:, :2], axis=1)
        order = order[shared / (np.prod(best[2:] - best[:2]) + areas - shared) <= MIN_IOU]
    return np.array(kept).reshape(-1, 4)


PEERS = {"mediapipe": mediapipe_calls, "opencv": opencv_calls, "naive": naive_calls}


def serve(peer: str, frames: Path, settings: dict[str, Any]) -> None:
    """Answer requests until stdin ends."""
    # What a library prints on stdout would be taken for an answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    calls, versions = PEERS[peer](settings)
    memory = np.memmap(frames, np.uint8, mode="r")

    def answer(document: dict[str, Any]) -> None:
        answers.write(json.dumps(document) + "\n")
        answers.flush()

    answer({"calls": sorted(calls), "versions": versions})
    for line in sys.stdin:
        request = json.loads(line)
        shape = tuple(request["shape"])
        call = calls[request["call"]](np.array(memory[: np.prod(shape)]).reshape(shape))
        started = time.perf_counter()
        found = call()
        taken = time.perf_counter() - started
        answer({"ms": taken * 1000, **found})


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3]))
