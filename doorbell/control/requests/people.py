"""What is asked of people."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import StringConstraints

from doorbell.control.schema import Id, Name, Request, Words


class ListPeople(Request):
    """Everybody enrolled: ``people``."""

    verb = "people.list"
    only_reads = True


class GetPerson(Request):
    """One person: ``person``, and ``visits``, the newest twenty."""

    verb = "people.get"
    only_reads = True
    person_id: Id


class RenamePerson(Request):
    """Give a person another name."""

    verb = "people.rename"
    person_id: Id
    name: Name


class PersonChime(Request):
    """Give a person a built-in chime; null for the default one."""

    verb = "people.chime"
    person_id: Id
    chime: Annotated[str, StringConstraints(max_length=64)] | None


class PersonPreferences(Request):
    """Give a person these preferences in place of those before."""

    verb = "people.preferences"
    person_id: Id
    preferences: dict[str, Any]


class PersonConsent(Request):
    """Note what a person agreed to."""

    verb = "people.consent"
    person_id: Id
    words: Words


class IgnorePerson(Request):
    """Never ring for a person, or ring again."""

    verb = "people.ignore"
    person_id: Id
    ignored: bool = True


class MergePeople(Request):
    """Make two people one: the first goes, ``into`` has everything of both."""

    verb = "people.merge"
    person_id: Id
    into: Id
    force: bool = False


class ForgetPerson(Request):
    """Delete a person with every sample, visit and picture; the name is given once more."""

    verb = "people.forget"
    person_id: Id
    name: Name


class ExportPerson(Request):
    """Everything that is held on a person: a ZIP file in the blob."""

    verb = "people.export"
    person_id: Id
