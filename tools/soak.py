"""A week at the door in minutes: ``.venv/bin/python tools/soak.py``.

The real daemon with a real mosquitto, a sound card and a simulated camera, while the broker ends
and starts, the daemon is stopped and killed, clocks are set, daylight-saving time ends and what is
old is deleted; compared with the script. Hours in which nobody comes pass at once for the daemon's
wall clock and for its time since the machine started; see docs/reliability.md for what is not
shortened. Needs mosquitto and a C compiler. Exits with 1 where anything is not as it should be.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from statistics import median

from soaking.house import Footprint
from soaking.play import Week
from soaking.truth import Finding, judge
from soaking.week import LONGEST_DAYS, write_week

MODELS = Path(__file__).parents[1] / "models" / "built"
# Pools and caches fill until everybody has come a few times, and two together: a day.
WARM_UP_VISITS = 24
# So few looks are no level.
LEVEL_VISITS = 5
GROWTH_MEGABYTES = 3.0


def main() -> int:
    """Play the script, print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--days", type=int, default=LONGEST_DAYS, choices=range(1, LONGEST_DAYS + 1)
    )
    parser.add_argument("--seed", type=int, default=1, help="who comes when")
    parser.add_argument("--folder", type=Path, help="keep logs and the gallery here")
    parser.add_argument(
        "--models", type=Path, default=MODELS, help="built by doorbell models build"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="doorbell-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    happenings = write_week(options.days, options.seed)
    with closing(Week(folder, options.models, happenings)) as week:
        played = week.play()
        documents = week.subscriber.documents("event")
        found = [
            *judge(happenings, played.expected, played.kept, documents, week.sound.sounds),
            Finding("what did not happen in time", 0, len(played.problems), tuple(played.problems)),
            *_footprints(played.lives),
        ]
    seconds = time.monotonic() - began
    if options.json:
        document = {
            "days": options.days,
            "seconds": round(seconds),
            "repeated_events": len(documents) - len({each["event_id"] for each in documents}),
            "findings": [{**asdict(each), "right": each.is_right} for each in found],
            "lives": [[asdict(each) for each in life] for life in played.lives],
        }
        print(json.dumps(document, indent=1))  # noqa: T201 - what it is for
    else:
        _print(found, played.lives, f"{options.days} days in {seconds:.0f} s; logs in {folder}")
    return 0 if all(each.is_right for each in found) else 1


def _footprints(lives: Sequence[Sequence[Footprint]]) -> list[Finding]:
    """Whether nothing grew in any life of the daemon, once it was warm."""
    warm = [
        life[WARM_UP_VISITS:] for life in lives if len(life) >= WARM_UP_VISITS + 2 * LEVEL_VISITS
    ]
    grown = [f"{grew:+.1f} MB" for life in warm if (grew := growth(life)) >= GROWTH_MEGABYTES]
    threads = [sorted({each.threads for each in life}) for life in warm]
    descriptors = [sorted({each.descriptors for each in life}) for life in warm]
    return [
        Finding("lives in which memory grew", 0, len(grown), tuple(grown)),
        Finding(
            "lives in which the number of threads changed",
            0,
            sum(len(each) > 1 for each in threads),
            tuple(str(each) for each in threads if len(each) > 1),
        ),
        Finding(
            "lives in which the number of open files grew",
            0,
            sum(life[-1].descriptors > life[0].descriptors for life in warm),
            tuple(str(each) for each in descriptors if len(each) > 2),
        ),
    ]


def growth(life: Sequence[Footprint]) -> float:
    """Megabytes between the first and the last few visits after warming up."""
    levels = [each.resident_megabytes for each in life]
    return median(levels[-LEVEL_VISITS:]) - median(levels[:LEVEL_VISITS])


def _print(found: Sequence[Finding], lives: Sequence[Sequence[Footprint]], summary: str) -> None:
    out = sys.stdout.write
    out(f"{'':48}{'expected':>9}{'found':>7}\n")
    for each in found:
        mark = "✔" if each.is_right else "✘"
        out(f"{mark} {each.what:46}{each.expected:9}{each.found:7}\n")
        for wrong in each.wrong:
            out(f"    {wrong}\n")
    out("\nlife  visits   memory after warming up   threads   open files\n")
    for number, life in enumerate(lives, 1):
        warm = life[WARM_UP_VISITS:]
        if len(warm) >= 2 * LEVEL_VISITS:
            level = median(each.resident_megabytes for each in warm[:LEVEL_VISITS])
            memory = f"{level:.1f} MB {growth(warm):+.1f} MB"
            threads = "-".join(map(str, sorted({each.threads for each in warm})))
            files = "-".join(map(str, sorted({each.descriptors for each in warm})))
            out(f"{number:4}{len(life):8}   {memory:24}{threads:>8}{files:>13}\n")
    out(f"{summary}\n")


if __name__ == "__main__":
    sys.exit(main())
