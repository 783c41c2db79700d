"""What is heard in a recording of the door, or of a file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from doorbell.control.requests.talk import TALK_RATE
from doorbell.testbed.hearing import likeness

PIECE = TALK_RATE // 2
# Of samples of 16 bits; and of the correlation of a piece with another voice, which is below 0.4.
SILENT, ALIKE = 300.0, 0.6


def pieces(samples: NDArray[np.float64], rate: int) -> list[NDArray[np.float64]]:
    """Half a second each, as a telephone would carry them: what is silent is left out.

    Args:
        samples: of 16 bits.
        rate: of them, in hertz.
    """
    at = np.arange(0, len(samples) / rate, 1 / TALK_RATE)
    heard = np.interp(at * rate, np.arange(len(samples)), samples)
    each = [heard[begin : begin + PIECE] for begin in range(0, len(heard) - PIECE, PIECE)]
    return [piece for piece in each if piece.std() > SILENT]


def is_what_was_said(heard: list[NDArray[np.float64]], said: NDArray[np.float64]) -> bool:
    """Whether nearly all pieces are some of what was said, in its order.

    A loaded machine stutters, and browsers make voices clearer: so neither the whole is compared,
    nor is every piece the same.
    """
    found = [likeness(said, piece) for piece in heard]
    places = [place for alike, place in found if alike >= ALIKE]
    return len(places) >= max(2, 0.7 * len(heard)) and places == sorted(places)
