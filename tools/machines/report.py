"""What a part of ``tools/metal.py`` has shown: its steps with their times, and on what machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from doorbell.measure.speed.machine import describe_machine
from machines.clean_system import CHECKOUT, CannotMakeError
from machines.step import Step, StepFailedError

# Where each run leaves its report, and where those are that docs/jetson.md is made of.
WORK = CHECKOUT / "build" / "metal"
KEPT = CHECKOUT / "docs" / "reports"
COUNTS = ("no core", "one core", "two cores", "three cores", "four cores")


def machine_in_words() -> str:
    """This machine, without anything that tells whose it is: ``two cores of an Intel Xeon``."""
    name = describe_machine().get("processor", "an unknown processor")
    name = re.sub(r"\((R|TM)\)|\bProcessor\b|\bCPU\b|@.*", "", name).strip()
    cores = len(os.sched_getaffinity(0))
    count = COUNTS[cores] if cores < len(COUNTS) else f"{cores} cores"
    article = "an" if name[:1] in "AEIOUaeiou" else "a"
    return f"{count} of {article} {' '.join(name.split())}"


def commit_of_checkout() -> str:
    """The commit that is tried."""
    git = ["git", "-C", str(CHECKOUT)]
    asked = subprocess.run(
        [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        return "unknown"
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD"], check=False).returncode
    return asked.stdout.strip() + ("+" if changed else "")


def today() -> str:
    """This day, ISO 8601."""
    return datetime.now(timezone.utc).date().isoformat()


def say(text: str) -> None:
    """Print a line at once: whoever waits for a step sees that it has begun."""
    print(text, flush=True)  # noqa: T201 - what it is for


@dataclass
class Report:
    """What one run of a part has shown.

    Attributes:
        part: its name on the command line.
        what: what it tries, in words for a table.
        how: on what, likewise.
        machine: the processor.
        date: ISO 8601.
        commit: of the checkout; ``+`` after it says that files were changed.
        steps: in order.
    """

    part: str
    what: str
    how: str
    machine: str = field(default_factory=machine_in_words)
    date: str = field(default_factory=today)
    commit: str = field(default_factory=commit_of_checkout)
    steps: list[Step] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether there were steps, and all showed what they are for."""
        return bool(self.steps) and all(step.passed for step in self.steps)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Take a step, print it and how it went; an error ends the run, and is kept.

        The block may set ``seen`` of what it is given.
        """
        step = Step(title)
        self.steps.append(step)
        say(f"{len(self.steps):2}. {title}")
        began = time.monotonic()
        try:
            yield step
            step.passed = True
        except Exception as exc:
            step.seen = str(exc) or type(exc).__name__
            raise
        finally:
            step.seconds = round(time.monotonic() - began, 1)
            said = "; ".join(filter(None, ("" if step.passed else "FAILED", step.seen)))
            say(f"    {step.seconds:.1f} s{said and f': {said}'}")

    def write(self, folder: Path = WORK) -> Path:
        """Write it into a folder, as JSON under the part's name."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.part}.json"
        document = {**asdict(self), "passed": self.passed}
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> Report:
        """Read one that was written."""
        document = json.loads(path.read_text(encoding="utf-8"))
        document.pop("passed")
        steps = [Step(**step) for step in document.pop("steps")]
        return cls(**document, steps=steps)


def take_all(report: Report, take: Callable[[Report, Path], None]) -> int:
    """Take the steps in an empty folder and write the report, whatever they come to.

    Returns:
        The exit code of the part.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="doorbell-metal-") as folder:
            take(report, Path(folder))
    except CannotMakeError as exc:
        say(f"metal.py {report.part}: {exc}")
        return 3
    except StepFailedError:
        pass  # printed, and kept
    path = report.write()
    say(f"{'passed' if report.passed else 'FAILED'}: {path.relative_to(CHECKOUT)}")
    return 0 if report.passed else 1
