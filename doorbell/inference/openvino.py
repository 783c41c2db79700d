"""Running a network on the CPU with OpenVINO.

Sends nothing: OpenVINO is imported without the package that reports its use to the vendor, and
stays without it in this process.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from doorbell.errors import MEMORY_ADVICE, InferenceError
from doorbell.inference import Input
from doorbell.inference.tensors import TensorSpec, check_inputs, host_array

TELEMETRY = "openvino_telemetry"


@contextmanager
def _unavailable(module: str) -> Iterator[None]:
    """Let the import of a module fail for so long; what was there before is there again after."""
    kept = sys.modules.get(module)
    sys.modules[module] = None  # type: ignore[assignment] # documented by the language
    try:
        yield
    finally:
        del sys.modules[module]
        if kept is not None:
            sys.modules[module] = kept


# OpenVINO looks for that package when it is imported. Where it finds none it takes a stub of its
# own for good, which sends nothing.
with _unavailable(TELEMETRY):
    import openvino

# Networks up to this size run on one thread unless more are asked for, and one item at a time.
# Measured 2026-11-22 on BlazeFace, two cores, on which other processes ran: two threads take 1.5 ms
# (median; 2.5 in the mean), one 1.2 (1.3), and 15 % less where the batch is fixed to one. Two items
# take as long one by one as together, and eight 1 to 16 % longer.
SMALL_BYTES = 4 << 20
# Larger networks run in batches of this or of one: for each batch that there ever was OpenVINO
# keeps 6 MB of SFace. A face takes 6.6 ms of processor time among eight, and 9.5 alone.
LARGE_BATCH = 8

Precision: TypeAlias = Literal["float32", "float16", "bfloat16"]
# What OpenVINO calls them.
HINTS: dict[Precision, str] = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}

# What OpenVINO, the C++ library and the loader say of memory and threads that they did not get.
MEMORY_WORDS = ("alloc", "out of memory", "temporarily unavailable", "failed to map segment")


class OpenVinoRunner:
    """One network compiled for this CPU, for any batch; see ``Runner``."""

    def __init__(
        self,
        path: Path,
        *,
        threads: int,
        cache_directory: Path | None,
        precision: Precision = "float32",
    ) -> None:
        """Compile the network.

        Args:
            path: an ONNX file with float32 outputs.
            threads: 0 for as many as the machine has cores, and one for a small network.
            cache_directory: where compiled networks are kept; None to compile at every start.
            precision: to compute in; on a processor without it that is float32.

        Raises:
            InferenceError: OpenVINO cannot read or compile the file.
        """
        # A thread that is bound to a core waits for whatever else runs there.
        settings: dict[str, object] = {
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_PRECISION_HINT": HINTS[precision],
        }
        is_small = path.is_file() and path.stat().st_size <= SMALL_BYTES
        if threads or is_small:
            settings["INFERENCE_NUM_THREADS"] = threads or 1
        if cache_directory is not None:
            settings["CACHE_DIR"] = str(cache_directory)
        try:
            core = openvino.Core()
            model = core.read_model(path) if is_small else None
            if model is not None and _is_open_in_batch_only(model.inputs):
                inputs = _specifications(model.inputs)
                model.reshape({port: [1, *port.partial_shape[1:]] for port in model.inputs})
                compiled = core.compile_model(model, "CPU", settings)
                self._batches: tuple[int, ...] = (1,)
            else:
                # By its path, so that what is compiled already is not read as ONNX first.
                compiled = core.compile_model(str(path), "CPU", settings)
                inputs = _specifications(compiled.inputs)
                is_open = _is_open_in_batch_only(compiled.inputs)
                self._batches = (LARGE_BATCH, 1) if is_open else ()
        except RuntimeError as exc:
            said = " ".join(str(exc).split())
            raise InferenceError(
                f"OpenVINO cannot load {path}: {said}; {what_helps(said)}"
            ) from exc
        self._inputs = inputs
        self._output_names = [port.any_name for port in compiled.outputs]
        self._path = path
        self._request: openvino.InferRequest | None = compiled.create_infer_request()

    def infer(self, inputs: Mapping[str, Input]) -> dict[str, NDArray[np.float32]]:
        """Run the network once; see ``Runner``."""
        if self._request is None:
            raise InferenceError(f"{self._path.name} was closed: open it again")
        batch = check_inputs(inputs, self._inputs)
        arrays = {name: host_array(value) for name, value in inputs.items()}
        if batch in self._batches or not self._batches:
            return self._run(self._request, arrays)
        parts, start = [], 0
        for size in self._batches:
            while start + size <= batch:
                those = slice(start, start + size)
                parts.append(
                    self._run(self._request, {name: each[those] for name, each in arrays.items()})
                )
                start += size
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _run(
        self, request: openvino.InferRequest, arrays: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[np.float32]]:
        try:
            # The request reads the inputs in place and the outputs are copied for the caller.
            results = request.infer(arrays, share_inputs=True)
        except RuntimeError as exc:
            raise InferenceError(f"OpenVINO failed on {self._path.name}: {exc}") from exc
        return {name: results[name] for name in self._output_names}

    def close(self) -> None:
        """Release the compiled network; idempotent."""
        self._request = None


@cache
def own_precision() -> Precision:
    """Say what this processor computes networks in fastest, by OpenVINO.

    That is bfloat16 on x86-64 with AMX or AVX-512's bfloat16, float16 on arm64 with its half
    precision (every Jetson since Xavier has it), and float32 on others.
    """
    hint = openvino.Core().get_property("CPU", "INFERENCE_PRECISION_HINT").to_string()
    return next((name for name, said in HINTS.items() if said == hint), "float32")


def what_helps(said: str) -> str:
    """What to do about a network that OpenVINO could not load, by its words."""
    short = any(word in said for word in MEMORY_WORDS)
    return MEMORY_ADVICE if short else "run `doorbell models build`"


def _specifications(ports: Sequence[Any]) -> dict[str, TensorSpec]:
    """What each input of a network takes."""
    return {
        port.any_name: TensorSpec(
            tuple(None if size.is_dynamic else size.get_length() for size in port.partial_shape),
            np.dtype(port.element_type.to_dtype()),
        )
        for port in ports
    }


def _is_open_in_batch_only(inputs: Sequence[Any]) -> bool:
    """Whether the first dimension of every input is left open, and no other."""
    return all(
        [size.is_dynamic for size in port.partial_shape] == [True] + [False] * (rank - 1)
        for port in inputs
        for rank in [len(port.partial_shape)]
    )
