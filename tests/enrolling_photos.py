"""Enrolls by a photo, and tells how it went."""

from pathlib import Path

from doorbell.household.enrollment import Enroller
from doorbell.household.registration import EnrollmentReport, PictureResult

OBAMA = "Barack Obama"


def enroll(
    enroller: Enroller, *paths: Path, name: str = OBAMA, force: bool = False
) -> tuple[EnrollmentReport, PictureResult]:
    report = enroller.enroll_photos(name, paths, force=force)
    return report, report.results[-1]


def refused(enroller: Enroller, path: Path, *, name: str = OBAMA, force: bool = False) -> str:
    """The reason and hint given for the only photo."""
    report, result = enroll(enroller, path, name=name, force=force)
    assert (report.person, report.added, result.accepted) == (None, 0, False)
    assert result.source == str(path)
    assert result.hint
    return f"{result.message}; {result.hint}"
