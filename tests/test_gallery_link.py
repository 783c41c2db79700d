"""A machine's copy of the gallery, and what goes between it and a real server."""

import multiprocessing
import random
import secrets
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pytest
from command_line import sample
from galleries import OnServer, account_on, on_postgres
from linked_machines import MODEL, NOON, Machine

from doorbell.config import GallerySection, RecognitionSection
from doorbell.domain import Visit
from doorbell.errors import GalleryError
from doorbell.gallery.gallery import EnrolledSample, Gallery, open_server
from doorbell.gallery.link.copy import GalleryCopy
from doorbell.gallery.link.exchange import NUMBERS_AHEAD, Exchange
from doorbell.gallery.link.link import GalleryLink
from doorbell.gallery.link.machines import behind
from doorbell.household.strangers import merge_alike
from doorbell.storage.encryption import NO_CIPHER
from doorbell.testbed.postgres import Postgres, find_postgres
from doorbell.testbed.waiting import eventually

pytestmark = on_postgres

DOOR = "front"


@pytest.fixture
def place() -> OnServer:
    return OnServer()


@pytest.fixture
def machine(place: OnServer, tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path, place.account("front_door", DOOR), DOOR)
    made.exchange()
    yield made
    made.gallery.close()


def test_what_is_written_at_the_door_is_on_the_server(place: OnServer, machine: Machine) -> None:
    visit = machine.meet(sample(1))
    machine.gallery.visits.touch({visit.visit_id: NOON + 7})
    machine.exchange()
    with place.open() as gallery:
        assert gallery.visits.newest(9) == machine.gallery.visits.newest(9)
        [stranger] = gallery.strangers.all()
        assert stranger == machine.gallery.strangers.all()[0]
        assert gallery.visits.get(visit.visit_id).last_seen_at == NOON + 7
        assert len(gallery.visits.samples(visit.visit_id)) == 1
        assert gallery.strangers.samples(stranger.stranger_id, MODEL)[0].embedding[1] == 1.0
    assert machine.gallery.file.count_waiting() == 0


def test_a_door_learns_what_the_household_says(place: OnServer, machine: Machine) -> None:
    visit = machine.meet(sample(1))
    machine.exchange()
    with place.open() as gallery:
        gallery.people.enroll("Anna", [EnrolledSample(sample(2), "photo", {"glasses": sample(3)})])
        gallery.corrections.to_person(visit.visit_id, "Anna", learn=True)
        gallery.people.ignore("Anna", ignored=True)
        machine.exchange()
        assert machine.gallery.visits.get(visit.visit_id).visitor == gallery.people.get("Anna")
        assert machine.gallery.visits.get(visit.visit_id).corrected
        assert machine.gallery.strangers.all() == []
        assert len(machine.gallery.people.samples("Anna", MODEL)) == 2
        told, known = machine.gallery.templates(MODEL), gallery.templates(MODEL)
        assert told.people == known.people
        gallery.corrections.undo()
        machine.exchange()
        assert machine.gallery.visits.get(visit.visit_id) == gallery.visits.get(visit.visit_id)
        assert len(machine.gallery.people.samples("Anna", MODEL)) == 1
        gallery.people.forget("Anna")
        machine.exchange()
        assert machine.gallery.people.all() == []


def test_names_that_change_hands_do_so_at_the_door(place: OnServer, machine: Machine) -> None:
    with place.open() as gallery:
        for axis, name in enumerate(("Anna", "Bert")):
            gallery.people.enroll(name, [EnrolledSample(sample(axis))])
        machine.exchange()
        for name, new in (("Anna", "x"), ("Bert", "Anna"), ("x", "Bert")):
            gallery.people.rename(name, new)
        machine.exchange()
        assert machine.gallery.people.all() == gallery.people.all()


def test_a_door_that_was_away_forgets_before_it_knows_anything_else(
    place: OnServer, machine: Machine
) -> None:
    visit = machine.meet(sample(7))
    with place.open() as gallery:
        gallery.people.enroll("Anna", [EnrolledSample(sample(5))])
        machine.exchange()
        gallery.people.forget("Anna")
        gallery.strangers.forget(visit.visitor.stranger_id)  # type: ignore[union-attr]
        late = machine.visit(visit.visitor, sample(7), NOON + 60)  # type: ignore[arg-type]
        with machine.linked():
            assert machine.gallery.people.all() == []
            assert machine.gallery.strangers.all() == []
        machine.exchange()
        assert gallery.visits.newest(9) == []
    assert machine.forgotten == [visit.visit_id, late.visit_id]
    content = b"".join(each.read_bytes() for each in machine.path.parent.glob("front.sqlite*"))
    assert sample(5).embedding.tobytes() not in content
    assert sample(7).embedding.tobytes() not in content
    assert machine.gallery.visits.newest(9) == []


def test_a_stranger_merged_elsewhere_keeps_the_visits_that_come_late(
    place: OnServer, machine: Machine
) -> None:
    first = machine.meet(sample(1))
    second = machine.meet(sample(2), NOON + 100)
    machine.exchange()
    with place.open() as gallery:
        one, other = (each.visitor.stranger_id for each in (first, second))  # type: ignore[union-attr]
        late = machine.visit(second.visitor, sample(2), NOON + 300)  # type: ignore[arg-type]
        gallery.strangers.merge(one, other, undoable=True)
        machine.exchange()
        [stranger] = gallery.strangers.all()
        assert [each.visitor for each in gallery.visits.newest(9)] == [stranger] * 3
        assert machine.gallery.visits.newest(9) == gallery.visits.newest(9)
        assert late.visit_id in {each.visit_id for each in gallery.visits.newest(1)}


def test_numbers_of_strangers_are_given_ahead_and_never_twice(
    place: OnServer, machine: Machine, tmp_path: Path
) -> None:
    other = Machine(tmp_path, place.account("back_door", "back"), "back")
    with pytest.raises(GalleryError, match="no number left"):
        other.meet(sample(0))
    assert other.gallery.visits.newest(9) == []
    other.exchange()
    for turn in range(NUMBERS_AHEAD):
        machine.gallery.strangers.add([], NOON + turn)
        other.gallery.strangers.add([], NOON + turn)
    with pytest.raises(GalleryError, match="no number left"):
        machine.gallery.strangers.add([], NOON)
    machine.exchange()
    other.exchange()
    machine.exchange()
    assert len(machine.gallery.strangers.all()) == 2 * NUMBERS_AHEAD
    assert machine.gallery.strangers.all() == other.gallery.strangers.all()
    assert machine.gallery.file.numbers_left() == NUMBERS_AHEAD
    other.gallery.close()


def test_visits_move_with_the_clock_on_the_server_too(place: OnServer, machine: Machine) -> None:
    before = machine.meet(sample(1))
    latest = machine.gallery.visits.last_number()
    during = machine.meet(sample(2), NOON + 100)
    machine.gallery.visits.follow_clock(NOON - 1, NOON + 200, 3600.0, latest)
    machine.exchange()
    with place.open() as gallery:
        assert gallery.visits.get(before.visit_id).started_at == NOON
        assert gallery.visits.get(during.visit_id).started_at == NOON + 3700
        assert gallery.strangers.all() == machine.gallery.strangers.all()
        assert gallery.strangers.all()[1].first_seen_at == NOON + 3700


def test_two_doors_that_meet_one_new_stranger_in_an_outage_end_with_one(
    place: OnServer, machine: Machine, tmp_path: Path
) -> None:
    other = Machine(tmp_path, place.account("back_door", "back"), "back")
    other.exchange()
    first, second = machine.meet(sample(1)), other.meet(sample(1), NOON + 600)
    assert first.visitor != second.visitor
    machine.exchange()
    other.exchange()
    late = other.visit(second.visitor, sample(1), NOON + 900)  # type: ignore[arg-type]
    with place.open() as gallery:
        read = partial(gallery.templates, MODEL)
        assert any(merge_alike(gallery, read, RecognitionSection(), undoable=True))
        machine.exchange()
        other.exchange()
        machine.exchange()
        [stranger] = gallery.strangers.all()
        assert stranger.stranger_id == min(
            each.visitor.stranger_id  # type: ignore[union-attr]
            for each in (first, second)
        )
        assert [each.visitor for each in gallery.visits.newest(9)] == [stranger] * 3
    for each in (machine, other):
        [known] = each.gallery.strangers.all()
        assert (known.stranger_id, known.visits) == (stranger.stranger_id, 2)
    assert [each.visit_id for each in other.gallery.visits.newest(9)] == [
        late.visit_id,
        second.visit_id,
    ]
    other.gallery.close()


def test_who_has_not_forgotten_yet_is_named(place: OnServer, machine: Machine) -> None:
    with place.open() as gallery:
        gallery.people.enroll("Anna", [EnrolledSample(sample(1))])
        machine.exchange()
        assert behind(gallery.file) == []
        gallery.people.forget("Anna")
        [away] = behind(gallery.file)
        assert away.name == socket.gethostname()
        machine.exchange()
        assert behind(gallery.file) == []
    assert behind(machine.gallery.file) == []


def test_a_write_that_was_done_is_not_done_again(place: OnServer, machine: Machine) -> None:
    visit = machine.meet(sample(1))
    machine.gallery.strangers.note_visit(visit.visitor.stranger_id, NOON, [])  # type: ignore[union-attr]
    before = machine.gallery.file.waiting(9)
    machine.exchange()
    copy = machine.gallery.file
    with copy.writing():  # as killed before it could drop them
        for each in before:
            copy.note(each.write)
            copy.execute(
                "UPDATE outbox SET sequence = ? WHERE sequence = ?",
                each.sequence,
                copy.last_sequence(),
            )
    machine.exchange()
    with place.open() as gallery:
        assert [each.visits for each in gallery.strangers.all()] == [2]


def test_a_copy_that_was_put_back_loses_no_write(
    place: OnServer, machine: Machine, tmp_path: Path
) -> None:
    machine.exchange()
    earlier = tmp_path / "earlier.sqlite"
    with closing(sqlite3.connect(machine.path)) as connection:
        connection.execute("VACUUM INTO ?", (str(earlier),))
    machine.meet(sample(1))
    machine.exchange()
    machine.gallery.close()
    for each in tmp_path.glob("front.sqlite*"):
        each.unlink()
    earlier.rename(machine.path)
    machine.gallery = GalleryCopy.open(machine.path)
    with machine.linked() as exchange:
        machine.meet(sample(2), NOON + 60)
        exchange.follow()
    with place.open() as gallery:
        assert len(gallery.visits.newest(9)) == len(gallery.strangers.all()) == 2
        assert machine.gallery.strangers.all() == gallery.strangers.all()


def test_what_the_server_refuses_for_good_keeps_nothing_else_waiting(
    place: OnServer, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    """A number that is somebody's, and a count that no column holds."""
    first = machine.meet(sample(1))
    taken = first.visitor.stranger_id  # type: ignore[union-attr]
    too_many = replace(machine.meet(sample(2), NOON + 60), frames_used=2**40)
    machine.gallery.visits.save(too_many)
    machine.gallery.visits.touch({first.visit_id: NOON + 8, too_many.visit_id: NOON + 70})
    after = machine.meet(sample(3), NOON + 120)
    with place.open() as gallery:
        with gallery.file.writing():
            gallery.file.insert("strangers", id=taken, first_seen_at=1, last_seen_at=1, visits=1)
        machine.exchange()
        machine.exchange()
        stored = {each.visit_id: each for each in gallery.visits.newest(9)}
        assert stored.keys() == {too_many.visit_id, after.visit_id}
        assert stored[too_many.visit_id].frames_used == 4
        assert len(gallery.strangers.all()) == 3
        # Of the refused, and of what builds on them, all is kept: nothing goes from the copy.
        copy = machine.gallery.file
        assert (copy.count_waiting(), copy.count_aside()) == (0, 4)
        assert {each.visit_id for each in machine.gallery.visits.newest(9)} == {
            *stored,
            first.visit_id,
        }
        assert [each.message.partition(" is not on")[0] for each in caplog.records] == [
            f"what is new of stranger {taken}",
            f"what is new of stranger {taken + 1}, visit {too_many.visit_id}",
        ]
        gallery.strangers.forget(taken)
        copy.try_again()
        machine.exchange()
        assert gallery.visits.get(first.visit_id).last_seen_at == NOON + 8
        assert [each.visits for each in gallery.strangers.all()] == [1, 1, 1]
        assert (copy.count_waiting(), copy.count_aside()) == (0, 2)


def test_what_may_pass_is_waited_for(place: OnServer, machine: Machine) -> None:
    machine.meet(sample(1))
    copy = machine.gallery.file
    with closing(open_server(machine.section)) as at, place.open() as other:
        exchange = Exchange(copy, at, (DOOR,))
        at.wait_at_most(0.05)
        with other.file.writing(), pytest.raises(GalleryError, match="locked"):
            exchange.send()
        at.rows("SELECT set_config('default_transaction_read_only', 'on', false)")
        with pytest.raises(GalleryError, match="read-only"):
            exchange.send()
        assert (copy.count_waiting(), copy.count_aside()) == (2, 0)


@pytest.fixture(scope="module")
def own() -> Iterator[Postgres]:
    """A server that may be killed."""
    programs = find_postgres()
    assert programs is not None
    with Postgres(programs) as started:
        yield started


def new_section(own: Postgres) -> GallerySection:
    """A new gallery, for the account of a door."""
    name = f"link_{secrets.token_hex(8)}"
    open_server(GallerySection(url=own.create(name))).close()
    return account_on(own, name, "front_door", (DOOR,))


def everything(section: GallerySection) -> Gallery:
    return Gallery(
        open_server(
            section.model_copy(update={"url": str(section.url).replace("front_door@", "doorbell@")})
        )
    )


def test_a_server_that_is_killed_keeps_no_door_waiting(own: Postgres, tmp_path: Path) -> None:
    section = new_section(own)
    machine = Machine(tmp_path, section, DOOR)
    with closing(GalleryLink(machine.path, NO_CIPHER, section, (DOOR,))) as link:
        assert link.catch_up(5.0)
        own.kill()
        visits = [machine.meet(sample(axis), NOON + 60 * axis) for axis in range(5)]
        assert eventually(lambda: link.state().problem is not None, 10.0)
        assert link.state().away_since is not None
        assert eventually(lambda: link.state().waiting == 10, 10.0)
        own.start()
        assert eventually(lambda: machine.gallery.file.count_waiting() == 0, 20.0)
        assert link.state().problem is None
    with closing(everything(section)) as gallery:
        assert [each.visit_id for each in reversed(gallery.visits.newest(9))] == [
            each.visit_id for each in visits
        ]
    machine.gallery.close()


def test_a_server_that_hangs_keeps_no_write_of_a_door_waiting(
    own: Postgres, tmp_path: Path
) -> None:
    """What is measured is compared with the same door and a server that answers."""
    section = new_section(own)
    machine = Machine(tmp_path, section, DOOR)

    def slowest(first: int) -> float:
        took = []
        for axis in range(first, first + 40):
            began = time.perf_counter()
            machine.gallery.templates(MODEL, 8)
            machine.meet(sample(axis), NOON + 60 * axis)
            took.append(time.perf_counter() - began)
        return float(np.percentile(took, 95))

    with closing(GalleryLink(machine.path, NO_CIPHER, section, (DOOR,))) as link:
        assert link.catch_up(5.0)
        answering = slowest(0)
        own.freeze()
        try:
            assert slowest(40) < max(2 * answering, 0.05)
        finally:
            own.thaw()
        assert eventually(lambda: machine.gallery.file.count_waiting() == 0, 20.0)
    with closing(everything(section)) as gallery:
        assert len(gallery.visits.newest(99)) == 80
    machine.gallery.close()


def test_newcomers_of_an_outage_are_compared_as_soon_as_it_is_over(tmp_path: Path) -> None:
    """However recently the house was tidied; and only then."""
    place = OnServer()
    machine = Machine(tmp_path, place.section, DOOR)
    machine.exchange()
    with closing(open_server(place.section)) as server, server.tidying(0.0) as is_ours:
        assert is_ours
    machine.meet(sample(1))
    tidied = threading.Event()

    def noting(_gallery: Gallery) -> Iterator[None]:
        tidied.set()
        yield

    def linked() -> GalleryLink:
        return GalleryLink(machine.path, NO_CIPHER, place.section, (DOOR,), tidy=noting)

    with closing(linked()):
        assert tidied.wait(10.0)
    tidied.clear()
    with closing(linked()) as link:
        assert link.catch_up(5.0)
        assert not tidied.wait(1.0)
    machine.gallery.close()


def test_a_door_s_account_tidies_what_is_its_own_and_no_more(
    place: OnServer, machine: Machine
) -> None:
    tidied: list[str] = []

    def noting(word: str) -> Callable[[Gallery], Iterator[None]]:
        def tidy(gallery: Gallery) -> Iterator[None]:
            tidied.append(f"{word} {gallery.visits.doors()}")
            yield

        return tidy

    machine.meet(sample(1))
    machine.exchange()
    with place.open() as gallery:
        gallery.visits.save(Visit("elsewhere", NOON, NOON, door_id="back"))
    link = GalleryLink(
        machine.path,
        NO_CIPHER,
        machine.section,
        (DOOR,),
        tidy_own=noting("own"),
        tidy=noting("house"),
    )
    with closing(link):
        assert eventually(lambda: bool(tidied), 10.0)
        assert link.state().problem is None
    assert tidied == ["own ['front']"]


def keep_linked(path: Path, section: GallerySection, begun: Event) -> None:
    """Keep a copy and the server alike until killed."""
    GalleryLink(path, NO_CIPHER, section, (DOOR,))
    begun.set()
    threading.Event().wait()


@pytest.mark.parametrize("kills", [5, pytest.param(100, marks=pytest.mark.long)])
@pytest.mark.timeout(1800)
def test_whoever_is_killed_when_each_write_is_done_once(
    own: Postgres, tmp_path: Path, kills: int
) -> None:
    """The link in a process of its own, which is killed like the server at random moments."""
    chance = random.Random(kills)  # noqa: S311 - not a secret
    section = new_section(own)
    machine = Machine(tmp_path, section, DOOR)
    machine.exchange()
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["doorbell.gallery.link.link"])
    ids: list[str] = []
    came: dict[int, int] = {}
    for turn in range(kills):
        begun = processes.Event()
        linking = processes.Process(target=keep_linked, args=(machine.path, section, begun))
        linking.start()
        assert begun.wait(60)
        until = time.monotonic() + chance.uniform(0.05, 1.0)
        while time.monotonic() < until:
            at = NOON + 60 * len(ids)
            # A link that is killed early again and again gets no numbers for newcomers.
            if came and (chance.random() < 0.6 or not machine.gallery.file.numbers_left()):
                stranger_id = chance.choice(list(came))
                stranger = machine.gallery.strangers.note_visit(stranger_id, at, [])
            else:
                stranger = machine.gallery.strangers.add([sample(len(came) % 128)], at)
            came[stranger.stranger_id] = came.get(stranger.stranger_id, 0) + 1
            ids.append(machine.visit(stranger, sample(len(ids) % 128), at).visit_id)
            time.sleep(0.02)
        if turn % 5 == 4:
            own.kill()
            own.start()
        linking.kill()
        linking.join()
    machine.exchange()
    with closing(everything(section)) as gallery:
        stored = gallery.file.rows("SELECT id FROM visits ORDER BY rowid")
        assert [row["id"] for row in stored] == ids
        assert {each.stranger_id: each.visits for each in gallery.strangers.all()} == came
        assert gallery.strangers.all() == machine.gallery.strangers.all()
    machine.gallery.close()
