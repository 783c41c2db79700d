"""Memory for frames that comes back when nobody looks at them any more."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from doorbell.domain import UInt8Array
from doorbell.imaging.frame_buffers import FrameBuffers


def address(pixels: UInt8Array) -> int:
    return int(pixels.__array_interface__["data"][0])


def test_memory_is_lent_again_once_the_frame_and_every_part_of_it_is_gone() -> None:
    buffers = FrameBuffers()
    frame = buffers.take(64, 36)
    assert frame.shape == (36, 64, 3)
    frame[...] = 7
    place, face = address(frame), frame[4:20, 8:24]
    turned = face[::-1, :, 0].T
    del frame, face
    other = buffers.take(64, 36)
    other[...] = 9
    assert address(other) != place
    assert np.all(turned == 7)
    del turned
    again = buffers.take(64, 36)
    assert address(again) == place
    assert np.all(other == 9)


def test_memory_of_another_size_is_given_back() -> None:
    buffers = FrameBuffers()
    del [buffers.take(64, 36)][:]
    large = buffers.take(640, 360)
    large[...] = 3
    assert large.shape == (360, 640, 3)
    assert buffers.take(64, 36).shape == (36, 64, 3)


def test_no_two_threads_are_lent_the_same_memory() -> None:
    buffers = FrameBuffers()

    def hold(worker: int) -> None:
        kept: list[UInt8Array] = []
        for each in range(400):
            frame = buffers.take(64, 36)
            frame[...] = worker
            kept = [*kept, frame][-1 - each % 5 :]
            assert all(np.all(held == worker) for held in kept)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(hold, range(1, 5)))
