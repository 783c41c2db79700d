"""The second network: aligned crops in, identifiers of faces out.

SFace (Zhong et al., 2021): 112 x 112 RGB, 0 to 255, to 128 numbers whose cosine says how alike two
faces are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from doorbell.domain import Float32Array, UInt8Array
from doorbell.inference import Runner

# SFace's vectors before they are scaled to unit length are longer the more of a face there is to
# see. Measured 2026-11-22 on outdoor photographs, boxes of 32 pixels and up: three in four true
# faces are above 8.2 and 19 in 20 above 6, 19 in 20 hands, prints and other mistakes of the
# detector below 6.9; portraits lie between 8.8 and 14.
FACE_LENGTH = 7.0

# Stands beside every embedding of the published weights.
SFACE_ID = "sface-2021dec"


@dataclass(frozen=True, eq=False, slots=True)
class Embeddings:
    """Vectors of n faces.

    Attributes:
        vectors: (n, 128) float32, each of unit length.
        lengths: (n,) float32, before that: how much of a face the network saw.
    """

    vectors: Float32Array
    lengths: Float32Array


class Embedder:
    """Turns faces into vectors.

    Attributes:
        model_id: stands beside every stored embedding; those of different models never meet.
    """

    def __init__(self, runner: Runner, model_id: str) -> None:
        self._runner = runner
        self.model_id = model_id

    def close(self) -> None:
        """Release the network; idempotent."""
        self._runner.close()

    def embed(self, crops: Sequence[UInt8Array], *, mirrored: bool = False) -> Embeddings:
        """Embed faces, all in one batch.

        Args:
            crops: n aligned faces, each (112, 112, 3) uint8, RGB.
            mirrored: embed each face's mirror image too and take the mean: twice the work for a
                vector that depends less on pose and light.
        """
        if not crops:
            return Embeddings(np.empty((0, 128), np.float32), np.empty(0, np.float32))
        views = [*crops, *(crop[:, ::-1] for crop in crops)] if mirrored else crops
        batch = np.stack(views).transpose(0, 3, 1, 2).astype(np.float32, order="C")
        raw = self._runner.infer({"image": batch})["embedding"]  # (n or 2 n, 128)
        raw = raw.reshape(-1, len(crops), raw.shape[1])  # (1 or 2, n, 128)
        lengths = np.linalg.norm(raw, axis=2).mean(axis=0)  # (n,)
        vectors = raw.sum(axis=0)  # (n, 128)
        unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)[:, None]
        return Embeddings(unit.astype(np.float32), lengths.astype(np.float32))
