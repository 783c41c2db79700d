"""Running a network on the CPU with OpenVINO.

Enters: an ONNX file with float32 outputs. Leaves: named arrays. Calls nobody: OpenVINO's
reporting is cut off before it is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from doorbell.errors import InferenceError
from doorbell.inference import Input
from doorbell.inference.tensors import TensorSpec, check_inputs, host_array

# OpenVINO imports a package that reports its use to the vendor unless somebody opts out. Where that
# import fails it takes a stub of its own, which sends nothing; None makes it fail.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment] # documented by the language

import openvino  # noqa: E402 - only after the line above

# Networks up to this size run on one thread unless more are asked for, and are compiled once more
# for a batch of one. Measured 2026-11-22 on BlazeFace, two cores, on which other processes ran: two
# threads take 1.5 ms (median; 2.5 in the mean), one 1.2 (1.3), and 15 % less for a fixed batch. The
# embedder gains 4 % by that, for twice the memory.
SMALL_BYTES = 4 << 20


class OpenVinoRunner:
    """One network compiled for this CPU, for any batch; see ``Runner``."""

    def __init__(
        self,
        path: Path,
        *,
        threads: int,
        cache_directory: Path | None,
        precision: Literal["auto", "float32", "bfloat16"] = "float32",
    ) -> None:
        """Compile the network.

        Args:
            path: an ONNX file with float32 outputs.
            threads: 0 for as many as the machine has cores, and one for a small network.
            cache_directory: where compiled networks are kept; None to compile at every start.
            precision: to compute in; ``auto`` takes bfloat16 where the processor has it.

        Raises:
            InferenceError: OpenVINO cannot read or compile the file.
        """
        # A thread that is bound to a core waits for whatever else runs there.
        settings: dict[str, object] = {
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
        }
        # Left to itself OpenVINO computes in bfloat16 where that is the processor's own.
        if precision != "auto":
            settings["INFERENCE_PRECISION_HINT"] = "f32" if precision == "float32" else "bf16"
        is_small = path.is_file() and path.stat().st_size <= SMALL_BYTES
        if threads or is_small:
            settings["INFERENCE_NUM_THREADS"] = threads or 1
        if cache_directory is not None:
            settings["CACHE_DIR"] = str(cache_directory)
        try:
            core = openvino.Core()
            # By its path, so that what is compiled already is not read as ONNX first.
            compiled = core.compile_model(str(path), "CPU", settings)
            self._single: openvino.InferRequest | None = None
            if is_small and _is_open_in_batch_only(compiled):
                model = core.read_model(path)
                model.reshape({port: [1, *port.partial_shape[1:]] for port in model.inputs})
                single = core.compile_model(model, "CPU", settings)
                self._single = single.create_infer_request()
        except RuntimeError as exc:
            raise InferenceError(
                f"OpenVINO cannot load {path}: {exc}; run `doorbell models build`"
            ) from exc
        self._inputs = {
            port.any_name: TensorSpec(
                tuple(
                    None if size.is_dynamic else size.get_length() for size in port.partial_shape
                ),
                np.dtype(port.element_type.to_dtype()),
            )
            for port in compiled.inputs
        }
        self._output_names = [port.any_name for port in compiled.outputs]
        self._path = path
        self._request: openvino.InferRequest | None = compiled.create_infer_request()

    def infer(self, inputs: Mapping[str, Input]) -> dict[str, NDArray[np.float32]]:
        """Run the network once; see ``Runner``."""
        if self._request is None:
            raise InferenceError(f"{self._path.name} was closed: open it again")
        batch = check_inputs(inputs, self._inputs)
        request = self._single if batch == 1 and self._single is not None else self._request
        arrays = {name: host_array(value) for name, value in inputs.items()}
        try:
            # The request reads the inputs in place and the outputs are copied for the caller.
            results = request.infer(arrays, share_inputs=True)
        except RuntimeError as exc:
            raise InferenceError(f"OpenVINO failed on {self._path.name}: {exc}") from exc
        return {name: results[name] for name in self._output_names}

    def close(self) -> None:
        """Release the compiled network; idempotent."""
        self._request = self._single = None


def _is_open_in_batch_only(model: openvino.CompiledModel) -> bool:
    """Whether the first dimension of every input is left open, and no other."""
    return all(
        [size.is_dynamic for size in port.partial_shape] == [True] + [False] * (rank - 1)
        for port in model.inputs
        for rank in [len(port.partial_shape)]
    )
