"""Visits that another process has deleted are found, whatever of them waits here."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from doorbell.daemon.forgotten_visits import ForgottenVisits
from doorbell.domain import FaceSample, Left, Stranger, Visit
from doorbell.gallery.gallery import Gallery
from doorbell.status import VisitsForgotten

NOW = time.time()


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        yield gallery


def comes(gallery: Gallery, visit_id: str, at: float) -> Visit:
    """A stranger comes for ten seconds."""
    sample = FaceSample(np.eye(128, dtype=np.float32)[0], "any", 0.5)
    stranger = gallery.strangers.add([sample], at)
    visit = Visit(visit_id, at, at + 10, at + 10, stranger)
    gallery.visits.save(visit)
    return visit


def forget(gallery: Gallery, visit: Visit) -> None:
    assert isinstance(visit.visitor, Stranger)
    with Gallery.open(Path(gallery.file.name)) as other:
        other.strangers.forget(visit.visitor.stranger_id)


def test_visits_of_this_run_and_of_the_day_before_are_found_once(gallery: Gallery) -> None:
    before = comes(gallery, "before", NOW - 3600)
    comes(gallery, "another", NOW - 3595)
    found = ForgottenVisits(gallery)
    now = comes(gallery, "now", NOW)
    found.note(Left("e1", NOW, now))
    assert found.find(0) is None
    forget(gallery, before)
    assert found.find(1) == VisitsForgotten(("before",), beside=("another",))
    assert found.find(1) is None
    forget(gallery, now)
    assert found.find(2) == VisitsForgotten(("now",))


def test_what_the_doorbell_forgets_itself_is_not_found_again(gallery: Gallery) -> None:
    visit = comes(gallery, "here", NOW)
    found = ForgottenVisits(gallery)
    forget(gallery, visit)
    found.note(VisitsForgotten(("here",)))
    assert found.find(1) is None


def test_a_visit_that_was_not_forgotten_stays_known(gallery: Gallery) -> None:
    first, second = comes(gallery, "first", NOW), comes(gallery, "second", NOW)
    found = ForgottenVisits(gallery)
    forget(gallery, first)
    assert found.find(1) == VisitsForgotten(("first",), beside=("second",))
    forget(gallery, second)
    assert found.find(2) == VisitsForgotten(("second",))
