"""Fewer writes that come to the same for the server."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import sample
from galleries import OnServer, dump, on_postgres

from doorbell.domain import Stranger, Visit
from doorbell.gallery.gallery import open_server
from doorbell.gallery.link.copy import GalleryCopy
from doorbell.gallery.link.exchange import Exchange
from doorbell.gallery.link.writes import (
    AddStranger,
    EndVisits,
    ForgetStranger,
    SaveVisit,
    SeeVisits,
    Write,
    joined,
)

pytestmark = on_postgres

NOON = 1.8e9
POSTMAN, NEIGHBOUR = (Stranger(number, NOON, NOON, 1) for number in (7, 8))
FIRST, SECOND = (
    Visit(name * 32, NOON, NOON + number, door_id="front") for number, name in enumerate("ab")
)


def arrived(visit: Visit) -> SaveVisit:
    return SaveVisit(visit, (), None, None)


def told(visit: Visit, stranger: Stranger) -> SaveVisit:
    known = replace(visit, visitor=stranger, similarity=0.7, frames_used=9)
    return SaveVisit(known, [sample(stranger.stranger_id)], NOON + 2, None)


def left(visit: Visit, stranger: Stranger | None) -> SaveVisit:
    return SaveVisit(replace(visit, visitor=stranger, ended_at=NOON + 9), (), None, NOON + 9)


def sent(path: Path, writes: list[Write], *, together: bool) -> list[str]:
    """What the server has of writes, sent in one go or one by one."""
    place = OnServer()
    with (
        GalleryCopy.open(path) as copy,
        closing(open_server(place.section)) as server,
        place.open() as gallery,
    ):
        exchange = Exchange(copy.file, server, ("front",))
        exchange.begin()
        for write in writes:
            with copy.file.writing():
                copy.file.note(write)
            if not together:
                exchange.send()
        exchange.send()
        assert copy.file.count_waiting() == 0
        return sorted(dump(gallery))


@pytest.mark.parametrize(
    ("writes", "fewer"),
    [
        pytest.param(
            [
                arrived(FIRST),
                arrived(SECOND),
                AddStranger(7, NOON, [sample(7)]),
                told(FIRST, POSTMAN),
                SeeVisits({FIRST.visit_id: NOON + 4}),
                AddStranger(8, NOON, [sample(8)]),
                told(SECOND, NEIGHBOUR),
                left(FIRST, POSTMAN),
                left(SECOND, None),
            ],
            4,
            id="two visits at once",
        ),
        pytest.param(
            [
                AddStranger(7, NOON, [sample(7)]),
                told(FIRST, POSTMAN),
                arrived(FIRST),
                ForgetStranger(7),
                arrived(FIRST),
                EndVisits([FIRST.visit_id]),
                left(FIRST, None),
            ],
            1,
            id="what deletes and ends between",
        ),
    ],
)
def test_the_last_save_of_a_visit_has_all_of_those_before(
    tmp_path: Path, writes: list[Write], fewer: int
) -> None:
    assert len(joined(writes)) == len(writes) - fewer
    in_one_go = sent(tmp_path / "one.sqlite", writes, together=True)
    assert in_one_go == sent(tmp_path / "each.sqlite", writes, together=False)
