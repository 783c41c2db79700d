"""Sentences that the doorbell says or sends, in the language of the house."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from doorbell.domain import Person, Stranger, Visitor

Language: TypeAlias = Literal["en", "de"]

_PERSON: Mapping[str, str] = {"en": "{name} is at the door", "de": "{name} ist an der Tür"}
_STRANGER: Mapping[str, str] = {
    "en": "A stranger is at the door",
    "de": "Jemand Fremdes ist an der Tür",
}
_SOMEBODY: Mapping[str, str] = {
    "en": "Somebody is at the door",
    "de": "Jemand ist an der Tür",
}


def at_the_door(visitor: Visitor | None, language: Language) -> str:
    """Say who is at the door.

    Args:
        visitor: who; None where nobody can tell.
        language: of the house.
    """
    match visitor:
        case Person(name=name):
            return _PERSON[language].format_map({"name": name})
        case Stranger():
            return _STRANGER[language]
        case None:
            return _SOMEBODY[language]
