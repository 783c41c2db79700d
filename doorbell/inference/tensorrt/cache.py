"""The files that make the next start fast: engines, timings, compiled kernels.

Every file can be lost, damaged or of another machine: then it is made again, and where it cannot be
written that is a warning.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from doorbell.errors import InferenceError
from doorbell.inference.tensorrt.device import Device
from doorbell.storage.files import READABLE, write_whole

logger = logging.getLogger(__name__)


def engine_file_name(
    network: Path,
    *,
    tensorrt_version: str,
    gpu_name: str,
    compute_capability: tuple[int, int],
    precision: str,
) -> str:
    """Name an engine by everything it depends on.

    An engine loads only on one GPU architecture and with one exact TensorRT version.
    """
    content = hashlib.sha256(network.read_bytes()).hexdigest()
    parts = (content, tensorrt_version, gpu_name, f"{compute_capability}", precision)
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return f"{network.stem}-{key[:16]}.engine"


def device_file_name(device: Device, suffix: str) -> str:
    """Name a file that belongs to one GPU and one TensorRT."""
    trt = device.trt
    words = f"{trt.__name__}-{trt.__version__}-{device.name}"
    return f"{re.sub(r'[^A-Za-z0-9.]+', '-', words)}.{suffix}"


def load_engine(device: Device, path: Path, build: Callable[[], bytes]) -> Any:
    """Load the engine at ``path``; build and keep it where there is none that loads.

    Raises:
        InferenceError: a new engine cannot be built or loaded.
    """
    kept = read_file(path)
    if kept:
        engine = device.load(kept)
        if engine is not None:
            return engine
        logger.warning("engine %s cannot be loaded; building it anew", path)
    logger.info("building engine %s for %s; it takes minutes, once", path.name, device.description)
    serialized = build()
    engine = device.load(serialized)
    if engine is None:
        raise InferenceError(
            f"{device.description} cannot load the engine {path.name} that it has just built"
        )
    write_file(path, serialized)
    return engine


def read_file(path: Path) -> bytes:
    """Return a file that only saves time; empty if there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as exc:
        logger.warning("%s cannot be read (%s); it is made anew", path, exc)
        return b""


def write_file(path: Path, content: bytes) -> None:
    """Write a file that only saves time: whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content, durable=False, mode=READABLE)
    except OSError as exc:
        logger.warning("%s cannot be kept (%s); the next start makes it again", path, exc)
