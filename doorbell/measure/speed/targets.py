"""What the doorbell is meant to reach, beside what was measured.

The targets are for two cores of a usual processor; what falls short is reported as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from doorbell.measure.speed.doors import beside_one_door, doors_name
from doorbell.measure.speed.end_to_end import DECIDED, NAMED
from doorbell.measure.speed.gallery import DECIDING, NEW_STRANGER
from doorbell.measure.speed.memory import CAMERA, PART
from doorbell.measure.speed.pipeline import NOBODY, size_name
from doorbell.measure.speed.product import DOORBELL
from doorbell.measure.speed.report import BenchReport, Result
from doorbell.measure.speed.scene import P720
from doorbell.measure.speed.stages import EMBED, FACES_720, FACES_1080, NAME, NAME_EACH
from doorbell.measure.speed.time_to_detect import ARRIVING

MILLION = 1_000_000


class Measurements:
    """Results and ratios of one run, by what they are of.

    Every method raises ``LookupError`` for what was not measured.
    """

    def __init__(self, report: BenchReport) -> None:
        self._report = report

    def ours(self, name: str) -> Result:
        """The product's result of a name."""
        return self._first(lambda r: (r.name, r.backend) == (name, DOORBELL))

    def gallery(self, name: str, samples: int) -> Result:
        """A result in a gallery of a size."""
        return self._first(lambda r: (r.name, r.figures.get("embeddings")) == (name, samples))

    def ratio(self, name: str, peer: str) -> float:
        """How many times as long a peer took."""
        return self._report.ratios[f"{name}: {peer} / {DOORBELL}"]

    def beside_one_door(self, count: int, what: str) -> float:
        """How many times as long as with one door the name takes with so many."""
        return self._report.ratios[beside_one_door(count, what)]

    def memory(self) -> float:
        """Megabytes of a doorbell with a camera that holds none itself."""
        parts = [r for r in self._report.results if r.name.startswith(PART.format(""))]
        if not parts:
            raise LookupError(PART)
        return sum(r.figures["added_mb"] for r in parts if r.name != PART.format(CAMERA))

    def _first(self, fits: Callable[[Result], bool]) -> Result:
        found = next(filter(fits, self._report.results), None)
        if found is None:
            raise LookupError("not measured")
        return found


@dataclass(frozen=True, slots=True)
class Target:
    """One figure to reach.

    Attributes:
        what: for people.
        figure: picks it out of what was measured.
        limit: at least so much, or less than so much.
        more_is_better: which of both.
        unit: of the figure.
    """

    what: str
    figure: Callable[[Measurements], float]
    limit: float
    more_is_better: bool
    unit: str


@dataclass(frozen=True, slots=True)
class TargetResult:
    """A target, and what was measured.

    Attributes:
        target: what is to be met.
        figure: what was measured.
    """

    target: Target
    figure: float

    @property
    def met(self) -> bool:
        """Whether it is enough."""
        if self.target.more_is_better:
            return self.figure >= self.target.limit
        return self.figure < self.target.limit

    def document(self) -> Mapping[str, object]:
        """The format of ``--json``."""
        return {
            "what": self.target.what,
            "figure": round(self.figure, 4),
            "at_least" if self.target.more_is_better else "below": self.target.limit,
            "unit": self.target.unit,
            "met": self.met,
        }


def _faster(name: str, peer: str, times: float) -> Target:
    return Target(
        f"{name}, beside {peer}",
        lambda found: found.ratio(name, peer),
        times,
        more_is_better=True,
        unit="x",
    )


def _below(what: str, figure: Callable[[Measurements], float], limit: float, unit: str) -> Target:
    return Target(what, figure, limit, more_is_better=False, unit=unit)


def _looked_at(doors: Result) -> float:
    return doors.figures["frames_per_second"] / doors.figures["sent_per_second"]


def _beside_one_door(found: Measurements, *, what: str) -> float:
    return found.beside_one_door(4, what)


def _further_door(found: Measurements) -> float:
    one, four = (found.ours(doors_name(count)).figures["resident_mb"] for count in (1, 4))
    return (four - one) / 3


TARGETS: Sequence[Target] = (
    _faster(FACES_720, "MediaPipe, short range", 2.0),
    _faster(FACES_1080, "MediaPipe, short range", 2.0),
    _faster(NAME_EACH, "OpenCV YuNet + SFace", 6.0),
    _faster(NAME, "OpenCV YuNet + SFace", 6.0),
    _faster(EMBED, "ONNX Runtime SFace", 5.0),
    _faster(EMBED, "OpenCV SFace", 5.0),
    _below(f"{NAMED}, p95", lambda found: found.ours(NAMED).figures["p95_ms"], 250.0, "ms"),
    Target(
        "frames a second, 720p, one at the door",
        lambda found: found.ours(size_name(P720)).figures["frames_per_second"],
        200.0,
        more_is_better=True,
        unit="frames/s",
    ),
    _below(NOBODY, lambda found: 100 * found.ours(NOBODY).figures["core"], 8.0, "% of a core"),
    Target(
        "somebody comes, 15 frames a second: found in the first frame with a face",
        lambda found: 100 * found.ours(ARRIVING).figures["at_once"],
        100.0,
        more_is_better=True,
        unit="%",
    ),
    _below(
        "deciding among 1,000,000, p99",
        lambda found: found.gallery(DECIDING, MILLION).timing.p99_ms,
        2.0,
        "ms",
    ),
    _below(
        "after a new stranger among 1,000,000, p99",
        lambda found: found.gallery(NEW_STRANGER, MILLION).timing.p99_ms,
        2.0,
        "ms",
    ),
    Target(
        "deciding among 1,000,000, exact",
        lambda found: 100 * found.gallery(DECIDING, MILLION).figures["exact"],
        100.0,
        more_is_better=True,
        unit="%",
    ),
    _below(
        "1,000,000 samples, memory",
        lambda found: found.gallery(DECIDING, MILLION).figures["memory_mb"],
        300.0,
        "MB",
    ),
    _below(
        "1,000,000 samples, loading",
        lambda found: (
            found.gallery(DECIDING, MILLION).figures["open_seconds"]
            + found.gallery(DECIDING, MILLION).figures["load_seconds"]
        ),
        5.0,
        "s",
    ),
    Target(
        "four doors, 720p at 10 frames a second: frames looked at of those sent",
        lambda found: 100 * _looked_at(found.ours(doors_name(4))),
        99.0,
        more_is_better=True,
        unit="%",
    ),
    *(
        _below(
            f"four doors: first usable face to the name, {what}, beside one door",
            partial(_beside_one_door, what=what),
            1.3,
            "x",
        )
        for what in ("p50", "p95")
    ),
    _below("four doors: memory of each further door", _further_door, 40.0, "MB"),
    _below(DECIDED, lambda found: found.ours(DECIDED).timing.p50_ms / 1000, 1.5, "s"),
    _below("resident memory, camera aside", Measurements.memory, 220.0, "MB"),
)


def target_results(report: BenchReport) -> list[TargetResult]:
    """Compare what was measured with the targets; those that were not measured are left out."""
    findings = Measurements(report)
    rows = []
    for target in TARGETS:
        with suppress(LookupError):
            rows.append(TargetResult(target, target.figure(findings)))
    return rows
