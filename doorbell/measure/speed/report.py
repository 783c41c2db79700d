"""What a benchmark leaves behind: results and ratios of one run, and where it ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from doorbell.measure.speed.timing import Timing


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

    @classmethod
    def joined(cls, reports: Sequence[BenchReport]) -> BenchReport:
        """Several reports of one run as one."""
        return cls(
            {name: value for report in reports for name, value in report.machine.items()},
            tuple(result for report in reports for result in report.results),
            {name: ratio for report in reports for name, ratio in report.ratios.items()},
        )

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
                    "mean_ms": round(result.timing.mean_ms, 4),
                    "rounds": result.timing.rounds,
                    "threads": result.threads,
                    **{key: round(value, 4) for key, value in result.figures.items()},
                }
                for result in self.results
            ],
            "ratios": {name: round(ratio, 3) for name, ratio in self.ratios.items()},
        }
