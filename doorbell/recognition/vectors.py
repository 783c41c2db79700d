"""What finds the most alike of many vectors: in memory, or in a file that several processes map."""

from __future__ import annotations

from typing import Protocol

from doorbell.domain import Float32Array
from doorbell.recognition.nearest import Ids


class Vectors(Protocol):
    """Vectors by identifier; see ``nearest.VectorIndex`` and ``mapped_index.MappedIndex``."""

    def __len__(self) -> int: ...

    def __contains__(self, vector_id: int, /) -> bool: ...

    def vector(self, vector_id: int) -> Float32Array:
        """The vector of an identifier; ``KeyError`` where there is none."""
        ...

    def put(self, vector_id: int, vector: Float32Array) -> None:
        """Add a vector, or replace the one of this identifier."""
        ...

    def remove(self, vector_id: int) -> None:
        """Remove the vector of an identifier, if there is one."""
        ...

    def best(self, query: Float32Array, count: int = 1) -> tuple[Ids, Float32Array]:
        """The most alike, those first."""
        ...

    def reaching(self, query: Float32Array, least: float) -> tuple[Ids, Float32Array]:
        """All whose product with the query is so high, in no order."""
        ...

    def settle(self) -> None:
        """Wait until nothing is done in the background any more."""
        ...
