"""Somebody ignored for good: told of as before, and never rung for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from command_line import Cli, sample
from galleries import Place
from visiting import ANNA, POSTMAN, POSTMAN_AGAIN, Door, come_and_go, kinds, known

from doorbell.domain import Arrived, Left, Recognized, Ring, Unknown, Visit
from doorbell.errors import UsageError
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.household.ignoring import ignore_person, ignore_stranger, ignore_visitor


@pytest.fixture
def gallery(place: Place) -> Iterator[Gallery]:
    with place.open() as gallery:
        anna = gallery.people.enroll("Anna", [EnrolledSample(sample(0))]).person
        stranger = gallery.strangers.add([sample(1)], 1000.0)
        gallery.visits.save(Visit("va", 1000.0, 1010.0, 1015.0, anna))
        gallery.visits.save(Visit("vb", 2000.0, 2010.0, 2015.0, stranger))
        yield gallery


def test_the_coming_of_somebody_ignored_is_told_and_does_not_ring() -> None:
    door = Door()
    ignored = replace(ANNA, ignored=True)
    assert kinds(come_and_go(door, 1, known(ignored))) == [Arrived, Recognized, Left]
    postman = replace(POSTMAN_AGAIN, visitor=replace(POSTMAN, ignored=True))
    assert kinds(come_and_go(door, 2, postman)) == [Arrived, Unknown, Left]
    # Long after any cool-down too, and nobody else is ignored for it.
    door.wait(10_000)
    assert Ring not in kinds(come_and_go(door, 3, known(ignored)))
    assert Ring in kinds(come_and_go(door, 4, known(replace(ANNA, person_id=9))))


def test_looking_at_the_door_does_not_ring_for_somebody_ignored_and_a_press_does() -> None:
    door = Door()
    door.frame(door.see(1, 0, known(replace(ANNA, ignored=True))))
    assert kinds([door.visits.press(door.now, door.wall).event]) == [Ring]


def test_people_and_strangers_are_ignored_by_name_number_and_visit(gallery: Gallery) -> None:
    assert ignore_person(gallery, "anna").ignored
    assert gallery.people.get("Anna").ignored
    assert not ignore_person(gallery, "Anna", ignored=False).ignored
    assert ignore_stranger(gallery, 1).ignored
    assert not ignore_stranger(gallery, 1, ignored=False).ignored
    assert ignore_visitor(gallery, "last") == gallery.strangers.get(1)
    assert gallery.strangers.get(1).ignored
    assert ignore_visitor(gallery, "va").label == "Anna"
    gallery.visits.save(Visit("vc", 3000.0, 3010.0, 3015.0))
    with pytest.raises(UsageError, match="nobody can tell"):
        ignore_visitor(gallery, "last")


def test_the_daemon_knows_it_with_the_templates(gallery: Gallery) -> None:
    templates = gallery.templates("any")
    ignore_person(gallery, "Anna")
    ignore_stranger(gallery, 1)
    templates = gallery.templates("any")
    assert [each.ignored for each in templates.people] == [True]
    assert [each.ignored for each in templates.strangers] == [True]


def test_who_is_ignored_stays_so_by_whatever_they_are_made(gallery: Gallery) -> None:
    ignore_stranger(gallery, 1)
    # However long ago they came: forgotten, they would ring.
    assert gallery.strangers.forget_before(1e9) == []
    gallery.strangers.add([sample(2)], 3000.0)
    assert gallery.strangers.merge(1, 2).ignored
    assert gallery.strangers.name(1, "Ben").ignored
    # Somebody whom the household knows already is who they were.
    ignore_stranger(gallery, gallery.strangers.add([sample(3)], 4000.0).stranger_id)
    assert not gallery.strangers.name(3, "Anna").ignored
    assert gallery.people.rename("Ben", "Benno").ignored
    assert gallery.strangers.forget_before(1e9) == []


def test_on_the_command_line(cli: Cli) -> None:
    assert cli("people", "ignore", "Anna").output == "Anna never rings\n"
    assert cli("strangers", "ignore", "stranger-1").output == "stranger-1 never rings\n"
    assert "ignored" in cli("people", "list").stdout
    assert "ignored" in cli("strangers", "list").stdout
    assert [each["ignored"] for each in json.loads(cli("people", "list", "--json").stdout)] == [
        True,
        False,
    ]
    assert json.loads(cli("strangers", "show", "1", "--json").stdout)["ignored"]
    assert cli("people", "ignore", "Anna", "--undo").output == "Anna rings again\n"
    assert cli("strangers", "ignore", "1", "--undo").output == "stranger-1 rings again\n"
    assert not json.loads(cli("people", "show", "Anna", "--json").stdout)["ignored"]
    assert cli("people", "ignore", "Ana").exit_code == 2


def test_the_number_of_a_person_is_in_the_list(cli: Cli) -> None:
    cli("people", "forget", "Anna", "--yes")
    heading, _, row = cli("people", "list").stdout.splitlines()[:3]
    assert heading.split()[:2] == ["#", "name"]
    assert row.split()[:2] == ["2", "李小龍"]
    assert ["number", "2"] in [
        line.split() for line in cli("people", "show", "李小龍").stdout.splitlines()
    ]


def test_renaming_says_what_it_does_to_automations(cli: Cli) -> None:
    told = cli("people", "rename", "Anna", "Berta", "--set", "mqtt.enabled=true").stdout
    assert "person 1 go on as they are" in told
    assert "compare the name 'Anna' itself" in told
    assert cli("people", "rename", "Berta", "Anna").stdout == "Berta is now Anna\n"
