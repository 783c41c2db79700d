"""What a benchmark leaves behind: results and ratios of one run, and where it ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from doorbell.bench.timing import Timing


@dataclass(frozen=True, slots=True)
class Result:
    """The time that one thing took.

    Attributes:
        name: what, for people.
        backend: what ran it.
        timing: of one call.
        threads: on a processor; None on a GPU.
        figures: further numbers of it, by the key that they have in JSON.
    """

    name: str
    backend: str
    timing: Timing
    threads: int | None
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BenchReport:
    """One run.

    Attributes:
        machine: see ``describe_machine``.
        results: in the order in which they are to be read.
        ratios: times of two results, the slower by the faster as a rule; the key says which.
    """

    machine: Mapping[str, str]
    results: tuple[Result, ...]
    ratios: Mapping[str, float]

    def document(self) -> dict[str, object]:
        """The format of ``--json``."""
        return {
            "machine": dict(self.machine),
            "results": [
                {
                    "name": result.name,
                    "backend": result.backend,
                    "p50_ms": round(result.timing.p50_ms, 4),
                    "p99_ms": round(result.timing.p99_ms, 4),
                    "rounds": result.timing.rounds,
                    "threads": result.threads,
                    **result.figures,
                }
                for result in self.results
            ],
            "ratios": {name: round(ratio, 3) for name, ratio in self.ratios.items()},
        }
