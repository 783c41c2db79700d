"""Running a network on the CPU with OpenVINO.

Enters: an ONNX file with float32 outputs. Leaves: named arrays. Calls nobody: OpenVINO's
reporting is cut off before it is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from doorbell.errors import InferenceError
from doorbell.inference import Input
from doorbell.inference.tensors import TensorSpec, check_inputs, host_array

# OpenVINO imports a package that reports its use to the vendor unless somebody opts out. Where that
# import fails it takes a stub of its own, which sends nothing; None makes it fail.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment] # documented by the language

import openvino  # noqa: E402 - only after the line above


class OpenVinoRunner:
    """One network compiled for this CPU, for any batch; see ``Runner``."""

    def __init__(
        self,
        path: Path,
        *,
        threads: int,
        cache_directory: Path | None,
        bfloat16: bool = False,
    ) -> None:
        """Compile the network.

        Args:
            path: an ONNX file with float32 outputs.
            threads: 0 for as many as the machine has cores.
            cache_directory: where compiled networks are kept; None to compile at every start.
            bfloat16: compute in bfloat16 where the processor has it.

        Raises:
            InferenceError: OpenVINO cannot read or compile the file.
        """
        # Without the hint some CPUs compute in bfloat16 and embeddings differ between machines.
        settings: dict[str, object] = {
            "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        if cache_directory is not None:
            settings["CACHE_DIR"] = str(cache_directory)
        try:
            core = openvino.Core()
            compiled = core.compile_model(core.read_model(path), "CPU", settings)
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
        check_inputs(inputs, self._inputs)
        arrays = {name: host_array(value) for name, value in inputs.items()}
        try:
            # The request reads the inputs in place and the outputs are copied for the caller.
            results = self._request.infer(arrays, share_inputs=True)
        except RuntimeError as exc:
            raise InferenceError(f"OpenVINO failed on {self._path.name}: {exc}") from exc
        return {name: results[name] for name in self._output_names}

    def close(self) -> None:
        """Release the compiled network; idempotent."""
        self._request = None
