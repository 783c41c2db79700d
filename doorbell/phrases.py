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

# Quick replies, by identifier. What is said at the door is heard by whoever stands there: nothing
# that tells that nobody is at home.
REPLIES: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "coming": "I am coming",
        "moment": "One moment, please",
        "wait": "Please wait, somebody will be with you shortly",
        "parcel": "Please leave the parcel at the door",
        "neighbour": "Please give it to a neighbour",
        "later": "Please come back later",
        "not_now": "Not now, please",
        "no_thanks": "No, thank you",
    },
    "de": {
        "coming": "Ich komme",
        "moment": "Einen Moment, bitte",
        "wait": "Bitte warten Sie, es kommt gleich jemand",
        "parcel": "Bitte legen Sie das Paket vor die Tür",
        "neighbour": "Bitte geben Sie es bei den Nachbarn ab",
        "later": "Bitte kommen Sie später wieder",
        "not_now": "Jetzt bitte nicht",
        "no_thanks": "Nein, danke",
    },
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


_WAS_AT: Mapping[str, str] = {"en": "This was at {clock}.", "de": "Das war um {clock} Uhr."}


def was_at(clock: str, language: Language) -> str:
    """Say when something was that is told late.

    Args:
        clock: the time of day.
        language: of the house.
    """
    return _WAS_AT[language].format_map({"clock": clock})


_PRESSED: Mapping[str, str] = {"en": "the bell was pressed", "de": "es hat geklingelt"}
_CAMERA_FAILS: Mapping[str, str] = {
    "en": "The doorbell's camera does not see",
    "de": "Die Kamera der Türklingel sieht nichts",
}
_CAMERA_WORKS: Mapping[str, str] = {
    "en": "The doorbell's camera sees again",
    "de": "Die Kamera der Türklingel sieht wieder",
}
_STORAGE_FAILS: Mapping[str, str] = {
    "en": "The doorbell cannot keep something",
    "de": "Die Türklingel kann etwas nicht speichern",
}
_STORAGE_WORKS: Mapping[str, str] = {
    "en": "The doorbell keeps everything again",
    "de": "Die Türklingel speichert wieder alles",
}
_TRIAL: Mapping[str, str] = {
    "en": "A test of the doorbell's notifications",
    "de": "Ein Test der Benachrichtigungen der Türklingel",
}
_ARRIVES: Mapping[str, str] = {
    "en": "Notifications to {target} arrive.",
    "de": "Benachrichtigungen an {target} kommen an.",
}
_IT_IS: Mapping[str, str] = {"en": "It's {name}", "de": "Das ist {name}"}
_NOBODY: Mapping[str, str] = {"en": "Nobody I know", "de": "Niemand, den ich kenne"}
_IGNORE: Mapping[str, str] = {"en": "Ignore", "de": "Nicht mehr klingeln"}
_SAY: Mapping[str, str] = {"en": "Say: {label}", "de": "Sagen: {label}"}


def was_pressed(language: Language) -> str:
    """Say that somebody pressed the button."""
    return _PRESSED[language]


def camera(works: bool, language: Language) -> str:
    """Say whether the camera works."""
    return (_CAMERA_WORKS if works else _CAMERA_FAILS)[language]


def storage(works: bool, language: Language) -> str:
    """Say whether everything can be kept."""
    return (_STORAGE_WORKS if works else _STORAGE_FAILS)[language]


def trial(target: str, language: Language) -> tuple[str, str]:
    """Title and message of a notification that tries a target."""
    return _TRIAL[language], _ARRIVES[language].format_map({"target": target})


def it_is(name: str, language: Language) -> str:
    """The answer that a visitor is somebody."""
    return _IT_IS[language].format_map({"name": name})


def nobody_known(language: Language) -> str:
    """The answer that a visitor is nobody whom the household knows."""
    return _NOBODY[language]


def ignore(language: Language) -> str:
    """The answer that the bell is not to ring for a visitor any more."""
    return _IGNORE[language]


def say_reply(label: str, language: Language) -> str:
    """The answer that a quick reply is to be said at the door."""
    return _SAY[language].format_map({"label": label})
