"""The faces of a folder's photos as this machine finds and embeds them, kept for a comparison.

``python -m machines.faces_seen FOLDER MODELS PRECISION FILE`` writes them; embeddings are in the
file and nowhere else.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import numpy as np

from doorbell.config import load_config
from doorbell.domain import Face, FaceSample
from doorbell.measure.accuracy.stills import Seen, read_picture
from doorbell.pipeline.perception import open_perception
from doorbell.recognition.embedder import SFACE_ID

# By the photo's name.
Faces: TypeAlias = Mapping[str, Seen]


def look(folder: Path, models_directory: Path, precision: str) -> Faces:
    """Find and embed the faces of each photo on this processor, by the photo's name.

    Raises:
        DoorbellError: a photo or a network cannot be read.
    """
    settings = {"models_directory": models_directory, "precision": precision, "backend": "openvino"}
    config = load_config(None, [f"inference.{key}={value}" for key, value in settings.items()])
    seen: dict[str, Seen] = {}
    with closing(open_perception(config)) as perception:
        for path in sorted(folder.glob("*.png")):
            pixels = read_picture(path)
            crops = [perception.crop_face(pixels, face) for face in perception.detect_still(pixels)]
            samples = perception.embed(crops)
            faces = [(crop.face, each) for crop, each in zip(crops, samples, strict=True) if each]
            seen[path.name] = Seen(path, np.zeros(2, np.float32), tuple(faces))
    return seen


def write(seen: Faces, file: Path) -> None:
    """Write them, for ``read``."""
    found = [(name, *pair) for name, faces in seen.items() for pair in faces.faces]
    np.savez(
        file,
        names=np.array([name for name, _, _ in found], str),
        boxes=np.array([face.box_xyxy for _, face, _ in found], np.float32).reshape(-1, 4),
        keypoints=np.array([face.keypoints_xy for _, face, _ in found], np.float32),
        scores=np.array([face.score for _, face, _ in found], np.float32),
        embeddings=np.array([sample.embedding for _, _, sample in found], np.float32),
    )


def read(file: Path) -> Faces:
    """Read them; photos without a face are left out, and lengths of vectors are not kept."""
    with np.load(file, allow_pickle=False) as kept:
        rows = zip(
            *(kept[key] for key in ("names", "boxes", "keypoints", "scores", "embeddings")),
            strict=True,
        )
        seen: dict[str, Seen] = {}
        for name, box, keypoints, score, embedding in rows:
            before = seen[name].faces if name in seen else ()
            face = Face(box, keypoints, float(score))
            faces = (*before, (face, FaceSample(embedding, SFACE_ID, 1.0)))
            seen[str(name)] = Seen(Path(name), np.zeros(2, np.float32), faces)
    return seen


if __name__ == "__main__":
    photos, models, computed_in, target = sys.argv[1:]
    write(look(Path(photos), Path(models), computed_in), Path(target))
