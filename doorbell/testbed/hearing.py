"""What is heard in a recording."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def likeness(heard: NDArray[np.generic], sent: NDArray[np.generic]) -> tuple[float, int]:
    """How much of one sound is in another: the highest correlation, and where that begins.

    Args:
        heard: samples, the longer.
        sent: samples at the same rate.
    """
    heard, sent = heard.astype(np.float64), sent.astype(np.float64)
    size = len(heard) + len(sent)
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sent, size)), size)
    product = product[: len(heard) - len(sent) + 1]
    energy = np.concatenate([[0.0], np.cumsum(heard**2)])
    windows = np.sqrt(np.maximum(energy[len(sent) :] - energy[: -len(sent)], 1.0))
    correlation = product / (windows[: len(product)] * np.linalg.norm(sent))
    best = int(np.argmax(correlation))
    return float(correlation[best]), best
