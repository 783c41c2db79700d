"""Networks as named tensors in, named tensors out: the only place that knows a GPU."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from doorbell.config import InferenceSection
from doorbell.errors import InferenceError

logger = logging.getLogger(__name__)

PROCESSOR = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True, eq=False)
class DeviceArray:
    """An array in memory that processor and GPU both read, as a camera on a Jetson gives it.

    Whoever made it keeps the memory, unchanged, until ``infer`` has returned.

    Attributes:
        address: where the GPU sees it; rows follow each other without gaps.
        host: the same memory as the processor sees it; gives shape and type.
    """

    address: int
    host: NDArray[Any]


Input: TypeAlias = NDArray[Any] | DeviceArray


class Runner(Protocol):
    """One network, ready to run. Used by one thread at a time."""

    def infer(self, inputs: Mapping[str, Input]) -> dict[str, NDArray[np.float32]]:
        """Run the network once.

        A dimension that the network leaves open takes any size from one up. The first one, where it
        is open, is the batch: all inputs and outputs that have one share it. A first dimension that
        is given belongs to an input that every member of the batch sees whole, such as the frame
        that regions are cut out of.

        Args:
            inputs: every input by name, float32 or uint8 as the network declares it.

        Returns:
            Every output by name, owned by the caller.

        Raises:
            InferenceError: a name or shape does not fit, or the device failed.
        """

    def close(self) -> None:
        """Release the device; idempotent."""


@dataclass(frozen=True, slots=True)
class NetworkFiles:
    """One network as ONNX, checked by whoever hands it out; the backend takes the one it needs.

    Attributes:
        name: of the network, for messages.
        float32: computes in float32.
        float16: computes in float16; inputs and outputs are float32. None for a network that
            computes in float32 on every device, whatever is configured.
        int8: computes its large layers in 8 bits; None where no such is built.
    """

    name: str
    float32: Path
    float16: Path | None
    int8: Path | None = None


def open_runner(files: NetworkFiles, section: InferenceSection) -> Runner:
    """Load a network on the configured backend.

    ``auto`` takes TensorRT where it, pycuda and a GPU are there, else OpenVINO.

    Raises:
        InferenceError: the backend is not installed, or it refuses the network.
    """
    match _backend(section):
        case "openvino":
            from doorbell.inference.compiled import kept_compilation
            from doorbell.inference.openvino import OpenVinoRunner

            path, precision = on_processor(files, section)
            manner = f"{precision}.{section.threads}"
            with kept_compilation(path, manner, section.cache_directory) as directory:
                return OpenVinoRunner(
                    path,
                    threads=section.threads,
                    cache_directory=directory,
                    precision=precision,
                )
        case "tensorrt":
            from doorbell.inference.tensorrt import open_tensorrt

            return open_tensorrt(
                files,
                cache_directory=section.cache_directory,
                precision=tensorrt_precision(section),
            )


def on_processor(
    files: NetworkFiles, section: InferenceSection
) -> tuple[Path, Literal["float32", "float16", "bfloat16"]]:
    """Say which file OpenVINO takes, and what it computes in where the file leaves that open."""
    from doorbell.inference.openvino import own_precision

    if files.float16 is None:  # for float32 alone
        return files.float32, "float32"
    match section.precision:
        case "float16":
            # Elsewhere the weights alone are float16.
            return files.float16, "float16" if own_precision() == "float16" else "float32"
        case "float32" | "bfloat16":
            return files.float32, section.precision
        case "int8":
            return files.int8 or files.float32, own_precision()
        case "auto":
            smallest = files.int8 if _multiplies_bytes() else None
            return smallest or files.float32, own_precision()


def says_how(files: NetworkFiles, section: InferenceSection) -> str:
    """Say who computes a network, and in what, for people.

    Raises:
        InferenceError: TensorRT is wanted and cannot compute so.
    """
    if _backend(section) == "tensorrt":
        return f"TensorRT in {tensorrt_precision(section)}"
    path, precision = on_processor(files, section)
    if path == files.int8:
        return "OpenVINO in 8 bits"
    if path == files.float16:
        return "OpenVINO in float16"
    return f"OpenVINO in {precision}"


def keeps_frames_on_gpu(section: InferenceSection) -> bool:
    """Whether networks run where a frame's memory is, and can cut regions out of it exactly.

    Raises:
        InferenceError: TensorRT is wanted and cannot be used.
    """
    if _backend(section) == "openvino":
        return False
    from doorbell.inference.tensorrt import keeps_float32

    return keeps_float32(tensorrt_precision(section))


def in_float32(section: InferenceSection) -> InferenceSection:
    """The same, in float32 where the configuration leaves the choice and only time is lost by it.

    A GPU keeps its float16: engines of a second precision would take minutes to build.
    """
    if section.precision in ("auto", "int8") and _backend(section) == "openvino":
        return section.model_copy(update={"precision": "float32"})
    return section


def tensorrt_precision(section: InferenceSection) -> Literal["float16", "float32"]:
    """Say how TensorRT is to compute; in float16 unless the configuration says otherwise.

    Raises:
        InferenceError: it cannot compute so.
    """
    match section.precision:
        case "auto" | "float16":
            return "float16"
        case "float32":
            return "float32"
        case "bfloat16" | "int8":
            raise InferenceError(
                "TensorRT computes in float16 or float32 here: set inference.precision to auto"
            )


def _backend(section: InferenceSection) -> Literal["openvino", "tensorrt"]:
    if section.backend == "auto":
        return "tensorrt" if _has_gpu() else "openvino"
    return section.backend


@cache
def _multiplies_bytes() -> bool:
    """Whether OpenVINO is faster in 8 bits on this processor.

    Measured 2026-11-28 on SFace, one thread: 6.0 ms instead of 13.8 in float32 with AVX-512 and
    VNNI, 8.3 instead of 13.5 with AVX-512 alone, 8.0 instead of 12.7 with AVX2, and 91 instead of
    42 with SSE 4.1. Not measured on any other kind.
    """
    try:
        return "avx2" in PROCESSOR.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return False


@cache
def _has_gpu() -> bool:
    """Say whether TensorRT is here and a GPU answers; one that does not is warned of."""
    if find_spec("pycuda") is None:
        return False
    if find_spec("tensorrt") is None and find_spec("tensorrt_rtx") is None:
        return False
    from doorbell.inference.tensorrt import gpu_fault

    fault = gpu_fault()
    if fault is not None:
        logger.warning("TensorRT is installed, but %s; using the processor", fault)
    return fault is None
