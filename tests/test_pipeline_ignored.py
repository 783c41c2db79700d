"""Zones in which nobody begins a visit, with the real networks."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from doorstep import PERIOD, Door, at_the_door, kinds

from doorbell.config import load_config
from doorbell.domain import Arrived, Event, Ring, UInt8Array, Unknown
from doorbell.gallery.gallery import Gallery
from doorbell.pipeline.perception import Perception

LEFT, RIGHT = (
    f"detection.ignore=[[[{left}, 0], [{right}, 0], [{right}, 1], [{left}, 1]]]"
    for left, right in ((0, 0.5), (0.5, 1))
)


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        yield gallery


@pytest.fixture(scope="module")
def somebody(models_directory: Path) -> UInt8Array:
    """In the left half of the frame."""
    return at_the_door("obama", models_directory)


@pytest.fixture(scope="module")
def faceless(perception: Perception, somebody: UInt8Array) -> UInt8Array:
    [face] = perception.detect_still(somebody)
    left, top, right, bottom = (int(edge) for edge in face.box_xyxy)
    hidden: UInt8Array = somebody.copy()
    hidden[max(top - 10, 0) : bottom + 10, left - 5 : right + 5] = 40
    return hidden


def sways(door: Door, portrait: UInt8Array) -> list[Event]:
    """Five seconds, from one foot to the other."""
    return [
        event
        for index in range(50)
        for event in door.see(np.roll(portrait, 6 * (index % 2), axis=1), seconds=PERIOD)
    ]


@pytest.mark.parametrize(("zone", "rings"), [(LEFT, False), (RIGHT, True)])
def test_a_face_in_a_zone_begins_no_visit(
    perception: Perception, gallery: Gallery, somebody: UInt8Array, *, zone: str, rings: bool
) -> None:
    door = Door(perception, gallery, load_config(None, [zone]))
    assert kinds(door.see(somebody, seconds=4)) == ([Arrived, Unknown, Ring] if rings else [])
    assert bool(door.pipeline.in_sight), "found, and no visitor"
    assert bool(door.pipeline.open_visits) == rings


@pytest.mark.parametrize(("zone", "rings"), [(LEFT, False), (RIGHT, True)])
def test_a_figure_in_a_zone_begins_no_visit(
    perception: Perception, gallery: Gallery, faceless: UInt8Array, *, zone: str, rings: bool
) -> None:
    door = Door(perception, gallery, load_config(None, [zone]))
    assert kinds(sways(door, faceless)) == ([Arrived, Unknown, Ring] if rings else [])
    assert door.pipeline.in_sight == ()
