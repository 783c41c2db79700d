"""Running a network on an NVIDIA GPU with TensorRT.

An engine is built once for this GPU and this TensorRT, kept in a directory, and built anew where it
cannot be loaded. TensorRT comes with JetPack or CUDA, is imported by ``device`` only, and was not
run on hardware when this was written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from doorbell.errors import InferenceError
from doorbell.inference import NetworkFiles
from doorbell.inference.tensorrt.cache import (
    device_file_name,
    engine_file_name,
    load_engine,
    read_file,
    write_file,
)
from doorbell.inference.tensorrt.device import Device, open_device
from doorbell.inference.tensorrt.engine import (
    MAX_BATCH,
    Precision,
    Progress,
    build_engine,
    is_strongly_typed,
    network_file,
)
from doorbell.inference.tensorrt.runner import TensorRtRunner

__all__ = [
    "ENGINES",
    "MAX_BATCH",
    "Precision",
    "Progress",
    "TensorRtRunner",
    "build_engine",
    "build_engines",
    "gpu_fault",
    "keeps_float32",
    "open_tensorrt",
    "require_gpu",
]

logger = logging.getLogger(__name__)

# Beside the networks, unless a directory is configured.
ENGINES = "engines"


def gpu_fault() -> str | None:
    """Say why networks cannot run on a GPU here; None if they can."""
    try:
        open_device().close()
    except InferenceError as exc:
        return str(exc)
    return None


def open_tensorrt(
    files: NetworkFiles,
    *,
    cache_directory: Path | None,
    precision: Precision = "float16",
    progress: Progress | None = None,
    open_gpu: Callable[[], Device] = open_device,
) -> TensorRtRunner:
    """Load the engine of a network, building it first where there is none that fits.

    Args:
        files: for float16, TensorRT 10 and later take the float16 graph, 8.6 the other.
        cache_directory: where engines are kept; None for ``engines`` beside the network.
        precision: of the network's arithmetic; float32 for one that has no other.
        progress: told how far a build is; a line of the log for each quarter unless given.
        open_gpu: opens the device to run on.

    Raises:
        InferenceError: TensorRT or pycuda is not installed, there is no GPU, or it refuses the
            network.
    """
    precision = "float32" if files.float16 is None else precision
    device = _open(open_gpu)
    try:
        return _load(device, files, cache_directory, precision, progress or _Quarters(files.name))
    except BaseException:
        device.close()
        raise


def build_engines(
    networks: Sequence[NetworkFiles],
    *,
    cache_directory: Path | None,
    precision: Precision = "float16",
    progress: Callable[[str, float], None],
    open_gpu: Callable[[], Device] = open_device,
) -> None:
    """Build the engines of networks that are not there yet, and load each to see that it can be.

    Args:
        networks: see ``open_tensorrt``.
        cache_directory: see ``open_tensorrt``.
        precision: see ``open_tensorrt``.
        progress: told the name of the network and how far it is, 0 to 1.
        open_gpu: opens the device to build for.

    Raises:
        InferenceError: as ``open_tensorrt``.
    """
    for files in networks:
        progress(files.name, 0.0)
        open_tensorrt(
            files,
            cache_directory=cache_directory,
            precision=precision,
            progress=partial(progress, files.name),
            open_gpu=open_gpu,
        ).close()
        progress(files.name, 1.0)


def keeps_float32(precision: Precision, *, open_gpu: Callable[[], Device] = open_device) -> bool:
    """Say whether what a network does in float32 is done so here, next to what it does in float16.

    The flag of 8.6 lets TensorRT halve anything, the place of a region in a frame as well.

    Raises:
        InferenceError: networks cannot run on a GPU here.
    """
    device = _open(open_gpu)
    device.close()
    return precision == "float32" or is_strongly_typed(device.trt)


def require_gpu(open_gpu: Callable[[], Device] = open_device) -> str:
    """Say what GPU and TensorRT are here.

    Raises:
        InferenceError: networks cannot run on a GPU here.
    """
    device = _open(open_gpu)
    device.close()
    return device.description


def _open(open_gpu: Callable[[], Device]) -> Device:
    try:
        return open_gpu()
    except InferenceError as exc:
        raise InferenceError(
            f"TensorRT cannot be used: {exc}; on a Jetson run tools/install-jetson, for a desktop "
            "GPU `pip install '.[rtx]'` in the checkout, elsewhere set inference.backend to "
            "openvino"
        ) from exc


def _load(
    device: Device,
    files: NetworkFiles,
    cache_directory: Path | None,
    precision: Precision,
    progress: Progress,
) -> TensorRtRunner:
    network = network_file(device.trt, files, precision)
    directory = cache_directory or network.parent / ENGINES
    path = directory / engine_file_name(
        network,
        tensorrt_version=device.trt.__version__,
        gpu_name=device.name,
        compute_capability=device.compute_capability,
        precision=precision,
    )
    with device.current(f"loading {files.name}"):
        engine = load_engine(
            device,
            path,
            lambda: build_engine(
                device.trt,
                network,
                precision=precision,
                timing_cache=directory / device_file_name(device, "timings"),
                progress=progress,
            ),
        )
    kernels = device.open_kernels()
    if kernels is None:
        return TensorRtRunner(device, engine, files.name)
    kernels_path = path.with_suffix(".kernels")
    kernels.restore(read_file(kernels_path))
    return TensorRtRunner(
        device,
        engine,
        files.name,
        kernels=kernels,
        on_close=lambda: write_file(kernels_path, kernels.serialize()),
    )


class _Quarters:
    """Writes a line of the log for each quarter of a build."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._told = 0

    def __call__(self, share: float) -> None:
        quarter = int(share * 4)
        if quarter > self._told:
            self._told = quarter
            logger.info("the engine of %s is built to %d %%", self._name, 25 * quarter)
