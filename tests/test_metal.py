"""The reports of what was tried without a device, and what docs/jetson.md makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from machines.report import KEPT, Report
from machines.step import Step, StepFailedError
from machines.table import PAGE, kept_reports, renewed, table


def report() -> Report:
    return Report("boot", "the service", "Debian in a container", "two cores", "2026-11-29", "abc")


def test_a_report_says_what_was_shown_and_comes_back_as_it_was(tmp_path: Path) -> None:
    told = report()
    with told.step("Start") as step:
        step.seen = "active"

    assert told.passed
    assert Report.read(told.write(tmp_path)) == told


def test_a_step_that_fails_is_kept_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    told = report()
    with pytest.raises(StepFailedError), told.step("Start"):
        raise StepFailedError("it is failed")

    assert not told.passed
    assert told.steps[0].seen == "it is failed"
    assert "FAILED; it is failed" in capsys.readouterr().out
    assert not report().passed, "nothing was tried"


def test_the_table_has_a_row_for_each_step() -> None:
    told = report()
    told.steps = [
        Step("Start", 30.0, passed=True, seen="active"),
        Step("Stop", 30.0, seen="a|b\nc"),
    ]

    assert table([told]).splitlines()[2:] == [
        "| **the service** | Debian in a container; two cores, 2026-11-29 "
        "| 1 of 2 steps passed, in 1 min |",
        "| Start |  | active |",
        "| Stop |  | **failed**: a/b c |",
    ]


def test_the_page_has_the_table_of_the_reports_that_are_kept() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert renewed(page) == page
    assert [each.part for each in kept_reports()] == [path.stem for path in sorted(KEPT.glob("*"))]
