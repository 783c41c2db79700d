"""Which chime was played, by its tones."""

import numpy as np

from doorbell.outputs.sound.synthesis import CHIMES, SAMPLE_RATE

RESOLUTION = 1 << 18


def pitches(samples: np.ndarray, name: str) -> list[float]:
    """Strongest frequency, in Hz, at each stroke of the chime that is expected."""
    found = []
    starts = sorted({note.start_seconds for note in CHIMES[name]})
    for start, end in zip(starts, [*starts[1:], starts[-1] + 0.3], strict=True):
        piece = samples[round((start + 0.01) * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
        spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece)), RESOLUTION))
        found.append(float(np.argmax(spectrum)) * SAMPLE_RATE / RESOLUTION)
    return found


def sounds_like(samples: np.ndarray, name: str) -> bool:
    """Whether what was played is a chime."""
    documented = [note.frequency_hz for note in CHIMES[name]]
    measured = pitches(samples, name)
    return np.allclose(measured, documented, rtol=0.01)
