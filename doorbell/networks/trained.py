"""Weights that were trained here: the file that holds them.

A NumPy archive: the name of the network, kernel and bias of each convolution in float16, and some
values that the trained network gave, which whatever is built of it has to give again.
"""

from __future__ import annotations

import io
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from doorbell.domain import Float32Array
from doorbell.errors import ModelError

# What NumPy and the reader of archives raise where a file is not what it says.
DAMAGED = (
    *(AttributeError, EOFError, LookupError, MemoryError, NotImplementedError, OSError),
    *(RuntimeError, SyntaxError, TypeError, ValueError, tokenize.TokenError),
    *(zipfile.BadZipFile, zlib.error),
)


@dataclass(frozen=True, eq=False, slots=True)
class TrainedWeights:
    """What is kept of a network that was trained.

    Attributes:
        network: which of ``doorbell.networks`` it is, by the name of its graph.
        convolutions: kernel (out, in / groups, height, width) and bias (out,) of each, float32 that
            float16 holds.
        expected: some values of each output for a picture that is known, float32.
    """

    network: str
    convolutions: Sequence[tuple[Float32Array, Float32Array]]
    expected: Mapping[str, Float32Array]


def rounded(
    convolutions: Sequence[tuple[Float32Array, Float32Array]],
) -> list[tuple[Float32Array, Float32Array]]:
    """Weights as the file keeps them."""
    return [
        (kernel.astype(np.float16).astype(np.float32), bias.astype(np.float16).astype(np.float32))
        for kernel, bias in convolutions
    ]


def pack_weights(trained: TrainedWeights) -> bytes:
    """Write the file."""
    arrays: dict[str, np.ndarray] = {"network": np.array(trained.network)}
    for i, (kernel, bias) in enumerate(trained.convolutions):
        arrays[f"kernel_{i}"], arrays[f"bias_{i}"] = (
            kernel.astype(np.float16),
            bias.astype(np.float16),
        )
    for output, values in trained.expected.items():
        arrays[f"expected_{output}"] = values.astype(np.float32)
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type] # no array is called as an option
    return content.getvalue()


def unpack_weights(content: bytes) -> TrainedWeights:
    """Read the file.

    Raises:
        ModelError: it is damaged, or no such file.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            count = sum(name.startswith("kernel_") for name in archive.files)
            return TrainedWeights(
                str(archive["network"]),
                [
                    (_read(archive, f"kernel_{i}"), _read(archive, f"bias_{i}"))
                    for i in range(count)
                ],
                {
                    name.removeprefix("expected_"): _read(archive, name)
                    for name in archive.files
                    if name.startswith("expected_")
                },
            )
    except DAMAGED as exc:
        raise ModelError(
            f"these are no trained weights, or they are damaged: {exc}; take the file that "
            "`doorbell train` has written"
        ) from exc


def _read(archive: Mapping[str, np.ndarray], name: str) -> Float32Array:
    array = archive[name].astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are no numbers")
    return array
