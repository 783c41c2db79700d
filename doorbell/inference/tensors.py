"""What every backend demands of its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doorbell.errors import InferenceError
from doorbell.inference import DeviceArray, Input


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output of a network.

    Attributes:
        shape: None where the network leaves a size open.
        dtype: of its elements.
    """

    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]

    @property
    def is_batched(self) -> bool:
        """Whether the first dimension is the batch."""
        return bool(self.shape) and self.shape[0] is None

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Say whether an array of that shape can be this tensor."""
        return len(shape) == len(self.shape) and all(
            size > 0 if wanted is None else size == wanted
            for size, wanted in zip(shape, self.shape, strict=True)
        )

    def __str__(self) -> str:
        words = ["any" if size is None else str(size) for size in self.shape]
        if self.is_batched:
            words[0] = "batch"
        return f"({', '.join(words)})"


def host_array(value: Input) -> NDArray[Any]:
    """Return an input as the processor sees it."""
    return value.host if isinstance(value, DeviceArray) else value


def check_inputs(inputs: Mapping[str, Input], specs: Mapping[str, TensorSpec]) -> int:
    """Return the batch size, 1 for a network without a batch.

    Raises:
        InferenceError: a name, shape or type does not fit.
    """
    if inputs.keys() != specs.keys():
        raise InferenceError(f"the network takes {sorted(specs)}, not {sorted(inputs)}")
    batches = set()
    for name, spec in specs.items():
        value = host_array(inputs[name])
        if not spec.fits(value.shape):
            raise InferenceError(f"input {name!r} must be {spec}, not {value.shape}")
        if value.dtype != spec.dtype:
            raise InferenceError(f"input {name!r} must be {spec.dtype}, not {value.dtype}")
        if spec.is_batched:
            batches.add(value.shape[0])
    if len(batches) > 1:
        raise InferenceError(f"inputs of one call must share their batch, not {sorted(batches)}")
    return batches.pop() if batches else 1
