"""The number of a frame, drawn into its lower left corner so that whoever is shown it can read it.

A row of squares, so large that they outlive JPEG and a picture of half the size: a white one, a
black one, and the bits of the number, the highest first, white for 1.
"""

from __future__ import annotations

from doorbell.domain import UInt8Array

BITS = 24
_SQUARES = 2 + BITS
# Of a picture's width, as many fit with room to spare; 16 pixels of 1280.
_SQUARES_IN_WIDTH = 80
_MIDDLE = 128


def draw_frame_number(pixels: UInt8Array, number: int) -> None:
    """Draw the last ``BITS`` bits of a number into a picture, (height, width, 3), uint8."""
    height, width = pixels.shape[:2]
    side = _side(width)
    for position, bit in enumerate(f"10{number % (1 << BITS):0{BITS}b}"):
        left = position * side
        pixels[height - side :, left : left + side] = 255 if bit == "1" else 0


def read_frame_number(pixels: UInt8Array) -> int | None:
    """Read it from a picture of any size, (height, width, 3), uint8; None where there is none."""
    height, width = pixels.shape[:2]
    side = _side(width)
    middles = [round((position + 0.5) * side) for position in range(_SQUARES)]
    bits = [bool(pixels[height - 1 - side // 2, x].mean() >= _MIDDLE) for x in middles]
    if bits[:2] != [True, False]:
        return None
    return int("".join("1" if bit else "0" for bit in bits[2:]), 2)


def _side(width: int) -> int:
    return max(1, width // _SQUARES_IN_WIDTH)
