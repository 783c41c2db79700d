"""Networks as named tensors in, named tensors out: the only place that knows a GPU."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Runner(Protocol):
    """One network, ready to run. Used by one thread at a time."""

    def infer(self, inputs: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Run the network once.

        Args:
            inputs: every input by name; the first dimension is the batch, any size from one up.

        Returns:
            Every output by name, owned by the caller.

        Raises:
            InferenceError: a name or shape does not fit, or the device failed.
        """

    def close(self) -> None:
        """Release the device; idempotent."""
