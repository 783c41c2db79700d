"""What has been tried and where, in docs/jetson.md: ``tools/metal.py table``.

The table is made of the reports in ``docs/reports``, and stands between two comments of the page.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from machines.clean_system import CHECKOUT
from machines.report import KEPT, Report

PAGE = CHECKOUT / "docs" / "jetson.md"
BEGIN, END = "<!-- made by tools/metal.py table -->", "<!-- end of what it made -->"


def main(arguments: Sequence[str]) -> int:
    """Write the table anew; the exit code."""
    argparse.ArgumentParser(prog="metal.py table", description=__doc__).parse_args(arguments)
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


def renewed(page: str) -> str:
    """A page with the table as it is to be.

    Raises:
        ValueError: the page has no such place.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no place for the table, between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{table(kept_reports())}{END}{after}"


def kept_reports() -> list[Report]:
    """Those that the page is made of, by the name of their part."""
    return [Report.read(path) for path in sorted(KEPT.glob("*.json"))]


def table(reports: Iterable[Report]) -> str:
    """The reports as a table in Markdown, a row for each step."""
    rows = ["| tried | where | seen |", "|---|---|---|"]
    for report in reports:
        passed = sum(step.passed for step in report.steps)
        minutes = sum(step.seconds for step in report.steps) / 60
        where = f"{report.how}; {report.machine}, {report.date}"
        seen = f"{passed} of {len(report.steps)} steps passed, in {minutes:.0f} min"
        rows.append(_row(f"**{report.what}**", where, seen))
        for step in report.steps:
            seen = step.seen if step.passed else f"**failed**: {step.seen}"
            rows.append(_row(step.title, "", seen or "passed"))
    return "\n".join((*rows, ""))


def _row(*cells: str) -> str:
    """One line of it; what a step has seen may hold anything."""
    return f"| {' | '.join(' '.join(cell.replace('|', '/').split()) for cell in cells)} |"
