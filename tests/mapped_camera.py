"""What stands in for jetson-utils and a camera behind it, as NVIDIA documents them.

A ring of four buffers that are used in turn; nothing is in memory before the GPU is waited for,
which does what it was asked in order; None where no picture came in time, an exception at the end
and on an error, after which the source gives nothing any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from doorbell.camera.jetson import CudaImage, JetsonUtils, VideoSource
from doorbell.domain import UInt8Array

BUFFERS = 4
NOTHING_YET = 0xCD

# What a source does at one Capture: give a picture, let the time pass, or fail.
Step = UInt8Array | None | Exception


class MappedImage:
    """A handle to memory that processor and GPU share."""

    def __init__(self, width: int, height: int, memory: UInt8Array) -> None:
        self.width, self.height = width, height
        self.memory = memory

    @property
    def ptr(self) -> int:
        return self.memory.ctypes.data


class ScriptedSource:
    """A camera that does one step after the other."""

    def __init__(self, utils: MappedUtils, steps: Sequence[Step], period_seconds: float) -> None:
        self._utils = utils
        self._steps = list(steps)
        self._period_seconds = period_seconds
        self._ring: list[MappedImage] = []
        self._captured = 0
        self._streaming = True
        self.closed = 0

    def Capture(self, *, format: str, timeout: int) -> MappedImage | None:  # noqa: A002, N802 - theirs
        assert format == "rgb8"
        assert timeout > 0
        step = self._steps.pop(0) if self._steps and self._streaming else RuntimeError("capture")
        if isinstance(step, Exception):
            self._streaming = False
            raise step
        if step is None:
            time.sleep(timeout / 1000)
            return None
        time.sleep(self._period_seconds)
        height, width = step.shape[:2]
        if not self._ring or (self._ring[0].width, self._ring[0].height) != (width, height):
            self._ring = [self._utils.allocate(width, height) for _ in range(BUFFERS)]
        image = self._ring[self._captured % BUFFERS]
        self._captured += 1
        self._utils.ask(lambda: np.copyto(image.memory, step))
        return MappedImage(width, height, image.memory)

    def IsStreaming(self) -> bool:  # noqa: N802 - their name
        return self._streaming

    def Close(self) -> None:  # noqa: N802 - their name
        self._streaming = False
        self.closed += 1


class MappedUtils:
    """The module ``jetson_utils`` around such cameras.

    Args:
        scripts: the steps of one source after the other, each time one is opened.
        period_seconds: between two pictures.
    """

    def __init__(self, *scripts: Sequence[Step], period_seconds: float = 0.0) -> None:
        self._scripts = list(scripts)
        self._period_seconds = period_seconds
        self._asked: list[Callable[[], None]] = []
        self.sources: list[ScriptedSource] = []
        self.opened: list[tuple[str, dict[str, object]]] = []
        self.slots = 0

    def videoSource(self, uri: str, *, options: Mapping[str, object]) -> ScriptedSource:  # noqa: N802
        self.opened.append((uri, dict(options)))
        if not self._scripts:
            raise RuntimeError("failed to create videoSource device")
        source = ScriptedSource(self, self._scripts.pop(0), self._period_seconds)
        self.sources.append(source)
        return source

    def cudaAllocMapped(self, *, width: int, height: int, format: str) -> MappedImage:  # noqa: A002, N802
        assert format == "rgb8"
        self.slots += 1
        return self.allocate(width, height)

    def cudaMemcpy(self, dst: CudaImage, src: CudaImage) -> None:  # noqa: N802 - their name
        assert isinstance(dst, MappedImage)
        assert isinstance(src, MappedImage)
        if (dst.width, dst.height) != (src.width, src.height):
            raise TypeError("src/dst images need to have matching dimensions and formats")
        to, what = dst.memory, src.memory
        self.ask(lambda: np.copyto(to, what))

    def cudaToNumpy(self, image: CudaImage) -> UInt8Array:  # noqa: N802 - their name
        assert isinstance(image, MappedImage)
        return image.memory[:]

    def cudaDeviceSynchronize(self) -> None:  # noqa: N802 - their name
        for work in self._asked:
            work()
        self._asked.clear()

    def ask(self, work: Callable[[], None]) -> None:
        """Leave work for the GPU."""
        self._asked.append(work)

    @staticmethod
    def allocate(width: int, height: int) -> MappedImage:
        return MappedImage(width, height, np.full((height, width, 3), NOTHING_YET, np.uint8))


def _conforms(utils: MappedUtils, source: ScriptedSource) -> tuple[JetsonUtils, VideoSource]:
    """Checked by mypy: this is what the camera uses, no more."""
    return utils, source
