"""What was found out about a device, as JSON and Markdown that can be passed on.

Lets nothing through that says whose device it is: no path but a file's own name, and of the
pictures only how many there were.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from doorbell.measure.gpu.comparison import Bounds
from doorbell.measure.speed.report import BenchReport, Result

# An absolute path of two parts or more.
PATH = re.compile(r"(?<![\w.])(?:/[^\s/:;,'\"()\[\]]+)+/([^\s/:;,'\"()\[\]]+)")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that had to be right.

    Attributes:
        name: what was checked, and on which backend.
        ok: whether it was.
        message: what was found.
        figures: the numbers of it, by their key in JSON.
    """

    name: str
    ok: bool
    message: str
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """The whole result.

    Attributes:
        made_at: when.
        bounds: by the name of the backend.
        temperatures: degrees Celsius by zone, ``before`` and ``after``.
        checks: everything that had to be right.
        bench: times; None where nothing could be measured.
        notes: a sentence each, about how the times compare with what is published.
    """

    made_at: datetime
    machine: Mapping[str, str]
    bounds: Mapping[str, Bounds]
    temperatures: Mapping[str, Mapping[str, float]]
    checks: tuple[Check, ...]
    bench: BenchReport | None
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether everything was right."""
        return all(check.ok for check in self.checks)

    def document(self) -> dict[str, object]:
        """The format of the JSON file."""
        bench = self.bench.document() if self.bench else {"results": [], "ratios": {}}
        return {
            "passed": self.passed,
            "made_at": self.made_at.isoformat(timespec="seconds"),
            "machine": dict(self.machine),
            "temperatures": {when: dict(zones) for when, zones in self.temperatures.items()},
            "bounds": {name: asdict(bounds) for name, bounds in self.bounds.items()},
            "checks": [
                {
                    "name": check.name,
                    "ok": check.ok,
                    "message": without_paths(check.message),
                    **{key: round(value, 6) for key, value in check.figures.items()},
                }
                for check in self.checks
            ],
            "results": bench["results"],
            "ratios": bench["ratios"],
            "notes": list(self.notes),
        }

    def markdown(self) -> str:
        """The same for people."""
        return "\n".join([*self._lines(), ""])

    def _lines(self) -> Iterator[str]:
        failed = sum(not check.ok for check in self.checks)
        verdict = "PASS" if self.passed else f"FAIL: {failed} of {len(self.checks)} checks"
        yield f"# {verdict}"
        yield f"\nDoorbell on a GPU, {self.made_at:%Y-%m-%d %H:%M} UTC.\n"
        yield from _table(("", ""), self.machine.items())
        for when, zones in self.temperatures.items():
            if zones:
                degrees = ", ".join(f"{zone} {value:.0f} °C" for zone, value in zones.items())
                yield f"\nTemperatures {when}: {degrees}."
        yield "\n## Checks\n"
        for name, bounds in self.bounds.items():
            yield (
                f"{name} may differ by: outputs of one network to a cosine of "
                f"{bounds.output_cosine}, boxes and keypoints by {bounds.shift} of a face's width, "
                f"embeddings to a cosine of {bounds.embedding_cosine}.\n"
            )
        yield from _table(
            ("check", "", "found"),
            (
                (check.name, "ok" if check.ok else "FAIL", without_paths(check.message))
                for check in self.checks
            ),
        )
        if self.bench:
            yield "\n## Times\n"
            yield from _table(
                ("what", "on", "threads", "p50 ms", "p99 ms"), map(_row, self.bench.results)
            )
            yield ""
            yield from (f"- {note}" for note in self.notes)

    def write(self, stem: Path) -> tuple[Path, Path]:
        """Write both files beside each other; raises ``OSError``."""
        paths = stem.with_name(f"{stem.name}.json"), stem.with_name(f"{stem.name}.md")
        contents = json.dumps(self.document(), indent=2, ensure_ascii=False), self.markdown()
        for path, content in zip(paths, contents, strict=True):
            path.write_text(content, encoding="utf-8")
        return paths


def without_paths(message: str) -> str:
    """One line without the folders of anybody: of a path its last part is left, if it is a file."""
    home = str(Path.home())
    line = " ".join(message.split())
    if len(home) > 1:
        line = line.replace(home, "/home")
    return PATH.sub(lambda path: path[1] if "." in path[1] else "(a folder)", line)


def _row(result: Result) -> Sequence[object]:
    threads = "" if result.threads is None else result.threads
    timing = result.timing
    return result.name, result.backend, threads, f"{timing.p50_ms:.3f}", f"{timing.p99_ms:.3f}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield f"| {' | '.join(str(cell).replace('|', '/') for cell in row)} |"
