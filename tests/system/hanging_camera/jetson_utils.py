"""The module ``jetson_utils`` before a camera whose driver hangs, in C and for ever, as it is told.

For the path of a process of its own: the daemon imports it where ``camera.uri`` is ``csi://0``. It
hangs while the file that ``HANGS_WHILE`` names is there.
"""

import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from mapped_camera import MappedImage, MappedUtils, ScriptedSource

HANGS_WHILE = Path(os.environ["HANGS_WHILE"])
PERIOD_SECONDS = 1 / 15
_rng = np.random.default_rng(6)
_PICTURES = [_rng.integers(0, 256, (240, 320, 3), np.uint8) for _ in range(15)]
_utils = MappedUtils()

cudaAllocMapped = _utils.cudaAllocMapped  # noqa: N816 - their name
cudaMemcpy = _utils.cudaMemcpy  # noqa: N816 - their name
cudaToNumpy = _utils.cudaToNumpy  # noqa: N816 - their name
cudaDeviceSynchronize = _utils.cudaDeviceSynchronize  # noqa: N816 - their name


class HangingSource(ScriptedSource):
    def Capture(self, *, format: str, timeout: int) -> MappedImage | None:  # noqa: A002, N802 - theirs
        if HANGS_WHILE.exists():
            threading.Event().wait()
        return super().Capture(format=format, timeout=timeout)


def videoSource(_uri: str, *, options: Mapping[str, object]) -> HangingSource:  # noqa: N802 - theirs
    del options
    return HangingSource(_utils, _PICTURES * 1000, PERIOD_SECONDS)
