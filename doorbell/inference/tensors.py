"""What every backend demands of its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doorbell.errors import InferenceError


def check_inputs(inputs: Mapping[str, NDArray[Any]], shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Return the batch size.

    Args:
        inputs: arrays by name.
        shapes: of every input, without the batch.

    Raises:
        InferenceError: a name, shape or type does not fit.
    """
    if inputs.keys() != shapes.keys():
        raise InferenceError(f"the network takes {sorted(shapes)}, not {sorted(inputs)}")
    for name, shape in shapes.items():
        value = inputs[name]
        if value.shape[1:] != shape or value.ndim == 0 or value.shape[0] == 0:
            raise InferenceError(
                f"input {name!r} must be (batch, {', '.join(map(str, shape))}), not {value.shape}"
            )
        if value.dtype != np.float32:
            raise InferenceError(f"input {name!r} must be float32, not {value.dtype}")
    batches = {value.shape[0] for value in inputs.values()}
    if len(batches) != 1:
        raise InferenceError(f"inputs of one call must share their batch, not {sorted(batches)}")
    return int(batches.pop())
