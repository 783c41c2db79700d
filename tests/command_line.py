"""The command line as a household types it, and the faces in the gallery that it works on."""

from collections.abc import Callable

import numpy as np
from click.testing import Result

from doorbell.domain import FaceSample
from doorbell.recognition.embedder import SFACE_ID

Cli = Callable[..., Result]


def sample(axis: int) -> FaceSample:
    embedding = np.zeros(128, np.float32)
    embedding[axis] = 1.0
    return FaceSample(embedding, SFACE_ID, 0.5)
