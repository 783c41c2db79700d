"""What networks are measured on: each backend with its precision, under a name.

The measuring code knows no other way to a runner, so that a processor can stand where a GPU will.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from doorbell.config import InferenceSection
from doorbell.inference import NetworkFiles, Runner, open_runner
from doorbell.inference.tensorrt import ENGINES
from doorbell.models.store import models_directory

Precision = Literal["float32", "float16", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Backend:
    """A way to run networks.

    Attributes:
        name: for people.
        threads: on a processor; None on a GPU.
        open: loads a network.
    """

    name: str
    threads: int | None
    open: Callable[[NetworkFiles], Runner]


def openvino_backend(section: InferenceSection, precision: Precision = "float32") -> Backend:
    """OpenVINO on this processor, with the configured threads."""
    threads = section.threads or len(os.sched_getaffinity(0))
    chosen = section.model_copy(
        update={"backend": "openvino", "precision": precision, "threads": threads}
    )
    return Backend(f"OpenVINO {precision}", threads, lambda files: open_runner(files, chosen))


def tensorrt_backend(section: InferenceSection, precision: Precision) -> Backend:
    """TensorRT on the first GPU; engines are kept with those of the daemon."""
    cache = section.cache_directory or models_directory(section) / ENGINES
    chosen = section.model_copy(
        update={"backend": "tensorrt", "precision": precision, "cache_directory": cache}
    )
    return Backend(f"TensorRT {precision}", None, lambda files: open_runner(files, chosen))
