"""Frames in shared memory: whole or not at all, and written by one."""

from __future__ import annotations

import mmap
import os
import threading

import numpy as np
import pytest

from doorbell.imaging.frame_ring import SLOTS, RingReader, RingShape, RingWriter

SHAPE = RingShape(64, 36)


def ring() -> tuple[RingWriter, RingReader]:
    writer = RingWriter(SHAPE)
    return writer, RingReader(os.dup(writer.descriptor), SHAPE)


def write(writer: RingWriter, sequence: int, value: int) -> int:
    slot, pixels = writer.begin()
    pixels[...] = value
    writer.end(slot, sequence)
    return slot


def test_a_frame_is_read_until_another_has_taken_its_place() -> None:
    writer, reader = ring()
    slots = [write(writer, sequence, sequence) for sequence in range(1, SLOTS + 1)]
    assert sorted(slots) == list(range(SLOTS))
    for sequence, slot in enumerate(slots, 1):
        pixels = reader.read(slot, sequence)
        assert pixels is not None
        assert pixels.shape == (36, 64, 3)
        assert np.all(pixels == sequence)
    assert write(writer, 9, 9) == slots[0]
    assert reader.read(slots[0], 1) is None
    assert reader.read(slots[1], 2) is not None
    reader.close()


def test_a_frame_that_is_being_written_is_not_read() -> None:
    writer, reader = ring()
    slot, pixels = writer.begin()
    pixels[...] = 1
    assert reader.read(slot, 0) is None
    assert reader.read(slot, 1) is None
    writer.end(slot, 1)
    assert reader.read(slot, 1) is not None


def test_who_reads_beside_the_writer_never_sees_two_frames_in_one() -> None:
    writer, reader = ring()
    stop = threading.Event()
    written: list[tuple[int, int]] = [(write(writer, 0, 0), 0)]

    def go_on() -> None:
        sequence = 0
        while not stop.is_set():
            sequence += 1
            written.append((write(writer, sequence, sequence % 251), sequence))

    thread = threading.Thread(target=go_on)
    thread.start()
    seen = missed = 0
    try:
        while seen < 300 and missed < 200_000:
            slot, sequence = written[-1]
            pixels = reader.read(slot, sequence)
            if pixels is None:
                missed += 1
                continue
            seen += 1
            assert np.all(pixels == sequence % 251)
    finally:
        stop.set()
        thread.join()
    assert seen == 300


def test_nobody_but_the_writer_can_write_or_shrink_it() -> None:
    writer = RingWriter(SHAPE)
    received = os.dup(writer.descriptor)
    with pytest.raises(PermissionError):
        mmap.mmap(received, SHAPE.file_bytes)  # for writing too
    with pytest.raises(PermissionError):
        os.ftruncate(received, 10)
    with pytest.raises(PermissionError):
        os.pwrite(received, b"x", 0)
    os.close(received)


def test_memory_of_another_size_is_refused_before_it_is_read() -> None:
    writer = RingWriter(SHAPE)
    with pytest.raises(ValueError, match=r"size|large|cut short|cannot read|slot"):
        RingReader(os.dup(writer.descriptor), RingShape(640, 360))
    with pytest.raises(ValueError, match=r"size|large|cut short|cannot read|slot"):
        RingReader(os.open(os.devnull, os.O_RDONLY), SHAPE)
    reader = RingReader(os.dup(writer.descriptor), SHAPE)
    with pytest.raises(ValueError, match=r"size|large|cut short|cannot read|slot"):
        reader.read(SLOTS, 1)


def test_the_memory_is_given_back_with_the_last_who_holds_it() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - numbers, no paths
    for _ in range(20):
        writer, reader = ring()
        write(writer, 1, 1)
        reader.close()
        del writer
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # noqa: PTH208
