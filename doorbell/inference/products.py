"""Many vectors in one byte a number, multiplied by one vector on the processor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import doorbell.inference.openvino  # noqa: F401 - cuts off OpenVINO's reporting
from doorbell.errors import InferenceError

# The product is a dense layer with compressed weights. They are unpacked in registers, so that
# memory is read at one byte a number; the vector stays float32 and so do the sums.
# One thread: a second one gains a third of a millisecond with 100,000 rows where nothing else is at
# work, and waits for its turn for several where something is.
SETTINGS = {
    "INFERENCE_PRECISION_HINT": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
    "PERFORMANCE_HINT": "LATENCY",
    "INFERENCE_NUM_THREADS": "1",
}


class QuantizedRows:
    """Rows that each are an int8 vector times a scale; used by one thread."""

    def __init__(self, rows: NDArray[np.int8], scales: NDArray[np.float32]) -> None:
        """Compile the product.

        Args:
            rows: (n, d) int8; not copied, and not to be changed from now on.
            scales: (n, 1) float32.

        Raises:
            InferenceError: OpenVINO cannot compile it.
        """
        import openvino  # after the import above
        from openvino import opset13 as opset

        vector = opset.parameter([1, rows.shape[1]], np.float32)
        packed = opset.constant(rows, shared_memory=True)
        unpacked = opset.multiply(opset.convert(packed, np.float32), opset.constant(scales))
        product = opset.matmul(vector, unpacked, transpose_a=False, transpose_b=True)
        try:
            compiled = openvino.Core().compile_model(
                openvino.Model([product], [vector]), "CPU", SETTINGS
            )
        except RuntimeError as exc:
            raise InferenceError(
                f"OpenVINO cannot multiply {rows.shape[0]} rows of int8: {exc}; update openvino"
            ) from exc
        self._request = compiled.create_infer_request()

    def times(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """The product of every row with a vector.

        Args:
            vector: (d,) float32.

        Returns:
            (n,) float32, overwritten by the next call.

        Raises:
            InferenceError: the device failed.
        """
        try:
            results = self._request.infer(
                {0: vector[np.newaxis]}, share_inputs=True, share_outputs=True
            )
        except RuntimeError as exc:
            raise InferenceError(f"OpenVINO failed to compare with the gallery: {exc}") from exc
        products: NDArray[np.float32] = results[0][0]
        return products
