"""Whether a GPU is there that TensorRT can use, and which; if not, what is missing.

Enters: nothing. Leaves: names and versions, or an error of one line. Runs no network.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from doorbell.errors import InferenceError


def describe_gpu(import_module: Callable[[str], Any] = importlib.import_module) -> dict[str, str]:
    """Say what the first GPU is and what drives it.

    Args:
        import_module: hands out ``tensorrt`` and ``pycuda.driver``.

    Raises:
        InferenceError: TensorRT or pycuda is missing, or no GPU answers.
    """
    trt = _module("tensorrt", "it comes with JetPack, or with CUDA", import_module)
    cuda = _module("pycuda.driver", "pip install 'doorbell[jetson]'", import_module)
    try:
        cuda.init()
        device = cuda.Device(0)
        major, minor = device.compute_capability()
        version = cuda.get_driver_version()  # 1000 * major + 10 * minor, of CUDA
        return {
            "gpu": device.name(),
            "compute capability": f"{major}.{minor}",
            "tensorrt": trt.__version__,
            "cuda": f"{version // 1000}.{version % 1000 // 10}",
        }
    except cuda.Error as exc:
        raise InferenceError(f"no GPU answers: {exc}; is its driver loaded?") from exc


def _module(name: str, remedy: str, import_module: Callable[[str], Any]) -> Any:
    try:
        return import_module(name)
    # A binding whose libraries are missing says so in one way or the other.
    except (ImportError, OSError) as exc:
        reason = " ".join(str(exc).split())
        raise InferenceError(f"no GPU can be used: {reason} ({remedy})") from exc
