"""Forgetting, on a real gallery and real files: whoever asks for it, the same nothing is left."""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from doorbell.clock import SECONDS_PER_DAY, BootTime
from doorbell.config import Config, StorageSection, load_config
from doorbell.domain import FaceSample, Left, Person, Stranger, Visit
from doorbell.errors import GalleryError, UnknownPersonError, UnknownStrangerError
from doorbell.gallery.backup import back_up
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.gallery.lock import only_daemon
from doorbell.household.doors import doors_by_visit
from doorbell.household.forgetting import (
    ForgettingOutcome,
    ForgetVisits,
    forget_older,
    forget_person,
    forget_stranger,
)
from doorbell.household.visit_files import forget_in_files
from doorbell.outputs.mqtt.messages import encode, event_document
from doorbell.outputs.mqtt.outbox import Outbox
from doorbell.outputs.pictures import Pictures, picture_path
from doorbell.status import ClockState, VisitsForgotten

NOW = 1_700_000_000.0
JPEG = b"\xff\xd8\xff\xe0 a picture \xff\xd9"

Forget = Callable[[Gallery, Config, ForgetVisits], ForgettingOutcome]


def face(seed: int) -> FaceSample:
    values = np.random.default_rng(seed).normal(size=128)
    return FaceSample((values / np.linalg.norm(values)).astype(np.float32), "any", 0.5)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    directory = tmp_path / "state"
    settings = ("strangers_days=30", "visits_days=60", "free_megabytes=0")
    return load_config(
        None, [f"storage.directory={directory}", *(f"storage.{each}" for each in settings)]
    )


@pytest.fixture
def gallery(config: Config) -> Iterator[Gallery]:
    """Anna and Ben, and two strangers, one of them seen long ago; each came once."""
    with Gallery.of(config.storage) as gallery:
        long_ago = NOW - 40 * SECONDS_PER_DAY
        came: dict[str, tuple[Person | Stranger, float]] = {
            "anna": (gallery.people.enroll("Anna", [EnrolledSample(face(1))]).person, NOW - 90),
            "ben": (gallery.people.enroll("Ben", [EnrolledSample(face(2))]).person, NOW - 80),
            "stranger": (gallery.strangers.add([face(3)], long_ago), long_ago),
            "recent": (gallery.strangers.add([face(4)], NOW - 70), NOW - 70),
        }
        for number, (visit_id, (visitor, at)) in enumerate(came.items()):
            visit = Visit(f"visit-{visit_id}", at, at + 5, at + 5, visitor, 0.7, 4, 0.5)
            gallery.visits.save(visit, [face(10 + number)])
            leave(config, visit)
        yield gallery


def leave(config: Config, visit: Visit) -> None:
    """A picture of a visit, and an event with it that waits for the broker."""
    picture = picture_path(config.storage.pictures_directory, visit.visit_id)
    picture.parent.mkdir(exist_ok=True)
    picture.write_bytes(JPEG + visit.visit_id.encode())
    with closing(Outbox(config.storage.outbox_path, config.mqtt)) as outbox:
        event = Left(f"event of {visit.visit_id}", visit.started_at, visit, JPEG)
        outbox.append(encode(event_document(event)), JPEG, BootTime.now())


def waiting(config: Config) -> list[str]:
    """Whose visits' events wait."""
    with closing(Outbox(config.storage.outbox_path, config.mqtt)) as outbox:
        found, numbers = [], set[int]()
        while (number := outbox.next_unsent(numbers)) is not None:
            numbers.add(number)
            if (event := outbox.read(number)) is not None:
                found.append(json.loads(event.document)["visit_id"])
    return found


def pictured(config: Config) -> set[str]:
    return {path.stem for path in config.storage.pictures_directory.iterdir()}


def files_with(config: Config, trace: bytes) -> list[str]:
    return [
        path.name
        for path in sorted(config.storage.directory.rglob("*"))
        if path.is_file() and trace in path.read_bytes()
    ]


def beside(gallery: Gallery, config: Config) -> ForgetVisits:
    """What the command line passes."""
    return partial(forget_in_files, gallery, config)


def anna(gallery: Gallery, config: Config, forget_visits: ForgetVisits) -> ForgettingOutcome:
    return forget_person(gallery, "anna", config.storage, forget_visits)


def stranger(gallery: Gallery, config: Config, forget_visits: ForgetVisits) -> ForgettingOutcome:
    return forget_stranger(gallery, 1, config.storage, forget_visits)


def older(gallery: Gallery, config: Config, forget_visits: ForgetVisits) -> ForgettingOutcome:
    return forget_older(gallery, NOW, config.storage, forget_visits)


@pytest.mark.parametrize(
    ("forget", "who", "seeds"),
    [(anna, "anna", (1, 10)), (stranger, "stranger", (3, 12)), (older, "stranger", (3, 12))],
)
def test_nothing_is_left_of_whoever_is_forgotten_and_all_of_the_others(
    gallery: Gallery, config: Config, forget: Forget, who: str, seeds: tuple[int, ...]
) -> None:
    traces = [face(seed).embedding.tobytes() for seed in seeds]
    traces += [f"visit-{who}".encode(), b"Anna" if who == "anna" else b"stranger-1"]
    assert all(files_with(config, trace) for trace in traces)
    visitor = gallery.visits.get(f"visit-{who}").visitor
    assert visitor is not None

    outcome = forget(gallery, config, beside(gallery, config))

    assert outcome == ForgettingOutcome((visitor,), 1, (f"visit-{who}",), ())
    others = {f"visit-{each}" for each in ("anna", "ben", "stranger", "recent")} - {f"visit-{who}"}
    assert {visit.visit_id for visit in gallery.visits.newest(9)} == others
    assert pictured(config) == others
    assert set(waiting(config)) == others
    gallery.close()
    assert [trace for trace in traces if files_with(config, trace)] == []


def test_what_is_old_goes_whoever_it_was_of(gallery: Gallery, config: Config) -> None:
    later = NOW + 61 * SECONDS_PER_DAY
    outcome = forget_older(gallery, later, config.storage, beside(gallery, config))
    assert [visitor.label for visitor in outcome.visitors] == ["stranger-1", "stranger-2"]
    assert (outcome.samples, len(outcome.visit_ids)) == (2, 4)
    assert [person.name for person in gallery.people.all()] == ["Anna", "Ben"]
    assert gallery.visits.newest(9) == []
    assert (pictured(config), waiting(config)) == (set(), [])


def test_nothing_old_is_nothing_to_do(gallery: Gallery, config: Config) -> None:
    told: list[VisitsForgotten] = []
    soon = NOW - 15 * SECONDS_PER_DAY
    assert forget_older(gallery, soon, config.storage, told.append).visit_ids == ()
    for_ever = config.storage.model_copy(update={"strangers_days": 0, "visits_days": 0})
    late = NOW + 1000 * SECONDS_PER_DAY
    assert forget_older(gallery, late, for_ever, told.append).visitors == ()
    assert told == []
    assert len(gallery.visits.newest(9)) == 4


def test_an_event_that_names_the_forgotten_by_mistake_does_not_wait_either(
    gallery: Gallery, config: Config
) -> None:
    """Ben was taken for Anna, and the household said so while the event waited."""
    mistaken = Visit("mistaken", NOW, NOW + 5, NOW + 5, gallery.people.get("Anna"), 0.7, 4, 0.5)
    gallery.visits.save(mistaken)
    leave(config, mistaken)
    gallery.corrections.to_person("mistaken", "Ben", learn=False)
    forget_person(gallery, "Anna", config.storage, beside(gallery, config))
    assert set(waiting(config)) == {"visit-ben", "visit-stranger", "visit-recent"}
    assert files_with(config, b"Anna") == []
    assert gallery.visits.get("mistaken").visitor == gallery.people.get("Ben")


def test_beside_a_daemon_the_outbox_is_left_to_it(gallery: Gallery, config: Config) -> None:
    with only_daemon(config.storage.directory):
        forget_person(gallery, "Anna", config.storage, beside(gallery, config))
    assert "visit-anna" not in pictured(config)
    assert "visit-anna" in waiting(config)


def test_a_daemons_output_of_pictures_forgets_as_the_files_do(
    gallery: Gallery, config: Config
) -> None:
    with closing(Pictures(config.storage)) as pictures:
        forget_person(gallery, "Anna", config.storage, pictures.handle)
    assert pictured(config) == {"visit-ben", "visit-stranger", "visit-recent"}


def test_backups_are_told_of(gallery: Gallery, config: Config) -> None:
    backup = back_up(config.storage.gallery_path, None, NOW)
    outcome = forget_person(gallery, "Anna", config.storage, beside(gallery, config))
    assert [each.path for each in outcome.backups] == [backup]
    assert files_with(config, b"Anna") == [backup.name]


def test_who_is_not_there_is_refused_and_nothing_is_deleted(
    gallery: Gallery, config: Config
) -> None:
    forget_visits = beside(gallery, config)
    with pytest.raises(UnknownPersonError, match=r"nobody named 'Ana' .* did you mean Anna"):
        forget_person(gallery, "Ana", config.storage, forget_visits)
    with pytest.raises(UnknownStrangerError, match="there is no stranger-7; see those"):
        forget_stranger(gallery, 7, config.storage, forget_visits)
    assert (len(gallery.visits.newest(9)), len(pictured(config)), len(waiting(config))) == (4, 4, 4)


def test_a_gallery_that_cannot_be_written_keeps_the_pictures_too(
    gallery: Gallery, config: Config
) -> None:
    gallery.wait_at_most(0.0)
    with closing(sqlite3.connect(config.storage.gallery_path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(GalleryError, match="locked"):
            forget_person(gallery, "Anna", config.storage, beside(gallery, config))
    assert "visit-anna" in pictured(config)
    assert "visit-anna" in waiting(config)


def test_visits_are_kept_for_as_long_as_their_door_says(gallery: Gallery, config: Config) -> None:
    came = {"front": 100, "side": 100, "shop": 100}
    for door_id, days in came.items():
        for age in (days, 5):
            at = NOW - age * SECONDS_PER_DAY
            visit = Visit(f"{door_id}-{age}", at, at, at, door_id=door_id)
            gallery.visits.save(visit)
            leave(config, visit)
    kept = {"front": 0, "shop": 3}
    outcome = forget_older(gallery, NOW, config.storage, beside(gallery, config), kept)
    assert sorted(outcome.visit_ids) == sorted(
        ["side-100", "shop-100", "shop-5", "visit-stranger"]  # the last for its stranger
    )
    left = {visit.visit_id for visit in gallery.visits.newest(99)}
    assert left >= {"front-100", "front-5", "side-5", "visit-anna"}
    assert left == pictured(config) == set(waiting(config))
    with_earlier = {**kept, "": 1}
    later = NOW + 2 * SECONDS_PER_DAY
    forget_older(gallery, later, config.storage, beside(gallery, config), with_earlier)
    assert {visit.visit_id for visit in gallery.visits.newest(99)} == {
        "front-100",
        "front-5",
        "side-5",
    }


def test_pictures_are_kept_for_as_long_as_their_door_says(
    gallery: Gallery, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    ages = {"front": (100, 5), "side": (100, 15, 13), "shop": (100, 5, 1), "gone": (15, 13)}
    for door_id, days in ages.items():
        for age in days:
            visit = Visit(f"{door_id}-{age}", NOW, NOW, NOW, door_id=door_id)
            if door_id != "gone":  # whose visit the gallery does not have
                gallery.visits.save(visit)
            path = picture_path(config.storage.pictures_directory, visit.visit_id)
            path.write_bytes(JPEG)
            at = NOW - age * SECONDS_PER_DAY
            os.utime(path, (at, at))
    before = pictured(config)

    def sweep(storage: StorageSection) -> None:
        asked = doors_by_visit(config.model_copy(update={"storage": storage}))
        kept = {"front": 0, "shop": 3}
        output = Pictures(config.storage, days_by_door=kept, doors_by_visit=asked)
        with closing(output) as pictures:
            pictures.handle(ClockState(0.0, NOW))

    elsewhere = config.storage.model_copy(update={"directory": Path("/proc/nowhere")})
    sweep(elsewhere)
    assert pictured(config) == before
    assert "cannot tell at which door" in caplog.text
    sweep(config.storage)
    old = {"side-100", "side-15", "shop-100", "shop-5", "gone-15"}
    assert before - pictured(config) == old
