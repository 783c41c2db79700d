"""The second network: aligned crops in, identifiers of faces out.

SFace (Zhong et al., 2021): 112 x 112 RGB, 0 to 255, to 128 numbers whose cosine says how alike two
faces are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from doorbell.domain import Float32Array, UInt8Array
from doorbell.inference import Runner


class Embedder:
    """Turns faces into vectors.

    Attributes:
        model_id: stands beside every stored embedding; those of different models never meet.
    """

    def __init__(self, runner: Runner, model_id: str) -> None:
        self._runner = runner
        self.model_id = model_id

    def embed(self, crops: Sequence[UInt8Array]) -> Float32Array:
        """Embed faces, all in one batch.

        Args:
            crops: n aligned faces, each (112, 112, 3) uint8, RGB.

        Returns:
            (n, 128) float32, each of unit length.
        """
        if not crops:
            return np.empty((0, 0), np.float32)
        batch = np.stack(crops).transpose(0, 3, 1, 2).astype(np.float32, order="C")
        vectors = self._runner.infer({"image": batch})["embedding"]  # (n, 128)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(norms, 1e-12), np.float32)
