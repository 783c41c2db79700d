"""A house of a hundred doors, by simulation: ``.venv/bin/python tools/building.py``.

Machines with the product's own copies of the gallery, links, pipelines, main loops and MQTT outputs
(``housing/machine.py`` says what is in them), against one PostgreSQL and one mosquitto on this
machine, and beside them one machine with a gallery of its own. Residents and strangers come, in an
hour of a morning's rush that passes faster than real time, while the server is killed, hangs and is
away, a machine's network is cut, somebody is forgotten and a machine is installed anew. Prints what
that took, and exits with 1 where anything is not as it should be.

Needs mosquitto and a PostgreSQL with pgvector; as root also cuts a network. A million samples take
some 10 GB below ``--folder``.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from housing.building import Building
from housing.happenings import play
from housing.plan import Plan, Played
from housing.truth import Deciding, Finding, by_phase, judge, kinds, repeated, unknown_residents

from doorbell.cli.printing import say
from doorbell.measure.speed.machine import describe_machine


def main() -> int:
    """Play it, and print what was found."""
    defaults = Plan()
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("doors", "residents", "samples", "visits", "probes", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(defaults, name))
    parser.add_argument("--speed", type=float, default=defaults.speed, help="times real time")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--folder", type=Path, help="for files; kept")
    parser.add_argument("--json", type=Path, help="write what was found there")
    options = parser.parse_args()
    plan = Plan(
        options.doors,
        options.residents,
        options.samples,
        options.visits,
        options.speed,
        options.seed,
        options.probes,
        tuple(options.set),
    )
    for number in (signal.SIGINT, signal.SIGTERM):  # also where it runs in the background
        signal.signal(number, lambda *_: sys.exit(1))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="doorbell-building-") as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)

        def progress(what: str) -> None:
            sys.stderr.write(f"{time.monotonic() - began:6.1f} s  {what}\n")

        with Building(plan, folder, progress) as building:
            played = play(building)
    found = judge(played)
    if options.json:
        options.json.write_text(json.dumps(document(played, found), indent=1), encoding="utf-8")
    _print(played, found)
    return 0 if all(each.is_right for each in found) else 1


def document(played: Played, found: list[Finding]) -> dict[str, object]:
    """All that was found."""
    return {
        "machine": dict(describe_machine()),
        "plan": asdict(played.plan),
        "phases": {each.name: each.ended - each.began for each in played.phases},
        "deciding_ms": {
            name: {who: each and asdict(each) for who, each in both.items()}
            for name, both in by_phase(played).items()
        },
        "figures": played.figures,
        "events": dict(kinds(played)),
        "events_repeated": repeated(played),
        "residents_unknown_while_installed_anew": unknown_residents(played),
        "findings": [asdict(each) for each in found],
    }


def _print(played: Played, found: list[Finding]) -> None:
    say(", ".join(f"{name}: {value}" for name, value in describe_machine().items()))
    plan = played.plan
    say(
        f"{plan.doors} doors, {plan.residents:,} residents, {plan.samples:,} samples, "
        f"{plan.visits:,} visits in an hour of {plan.hour:.0f} s"
    )
    say("")
    columns = "frames    p50    p95    p99   p95*"
    say(f"{'deciding, ms':20}{'shared: ' + columns:>46}{'plain: ' + columns:>46}")
    for name, both in by_phase(played).items():
        say(f"{name:20}{_in_columns(both['shared']):>46}{_in_columns(both['plain']):>46}")
    say("* of the time at work, without what other programs took")
    say("")
    for name, value in played.figures.items():
        say(f"{name.replace('_', ' ')}: {_rounded(value)}")
    say(f"events at the broker: {dict(kinds(played))}; once more: {repeated(played)}")
    say(f"taken for strangers until the new copy was whole: {unknown_residents(played)}")
    say("")
    for each in found:
        say(f"{'✔' if each.is_right else '✘'} {each.what}: {each.found}")


def _in_columns(taken: Deciding | None) -> str:
    if taken is None:
        return "-"
    shown = (taken.p50, taken.p95, taken.p99, taken.processor_p95)
    return f"{taken.count:6}" + "".join(f"{each:7.2f}" for each in shown)


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, 1)
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return value


if __name__ == "__main__":
    sys.exit(main())
