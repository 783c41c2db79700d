"""What is tried, and what it is compared with.

Backends are known by what they open, not by what they are: a processor is tried like a GPU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from doorbell.config import Config
from doorbell.domain import UInt8Array
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.measure.speed.backends import Backend, openvino_backend, tensorrt_backend
from doorbell.measure.speed.machine import describe_machine
from doorbell.models.manifest import load_manifest
from doorbell.models.store import face_path, models_directory
from doorbell.pipeline.perception import Perception, open_perception

# Of each of both measurements of times.
SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried.

    Attributes:
        config: its sections on inference and detection.
        reference: whose answers are right.
        float32, float16: the device in both precisions.
        pictures: (height, width, 3) uint8, RGB, with faces.
        machine: goes into the report.
        seconds: of each measurement of times.
    """

    config: Config
    reference: Backend
    float32: Backend
    float16: Backend
    pictures: Sequence[UInt8Array]
    machine: Mapping[str, str]
    seconds: float

    def perception(self, backend: Backend) -> Perception:
        """The way of the daemon from pictures to vectors, on one backend.

        Raises:
            InferenceError: it refuses a network.
        """
        return open_perception(
            self.config, open_network=lambda files, _section: backend.open(files)
        )


def gpu_trial(config: Config, gpu: str) -> Trial:
    """The first GPU compared with this processor, on the sample portraits.

    Args:
        config: as it applies to the daemon.
        gpu: what it is called, for the report.

    Raises:
        ModelError: the portraits have not been fetched.
    """
    section = config.inference
    directory = models_directory(section)
    return Trial(
        config,
        reference=openvino_backend(section),
        float32=tensorrt_backend(section, "float32"),
        float16=tensorrt_backend(section, "float16"),
        pictures=[
            decode_photo(read_photo(face_path(name, directory)), name)
            for name in load_manifest().faces
        ],
        machine={"gpu": gpu, **describe_machine()},
        seconds=SECONDS,
    )
