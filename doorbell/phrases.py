"""Sentences that the doorbell says or sends, in the language of the house."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from doorbell.domain import Person, Stranger, Visitor

Language: TypeAlias = Literal["en", "de"]

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


def at_the_door(visitor: Visitor | None, language: Language, door: str | None = None) -> str:
    """Say who is at the door.

    Args:
        visitor: who; None where nobody can tell.
        language: of the house.
        door: what the door is called, to be said too; None where there is only one.
    """
    match visitor:
        case Person(name=name):
            said = _said(language, en=f"{name} is at the door", de=f"{name} ist an der Tür")
        case Stranger():
            said = _said(
                language, en="A stranger is at the door", de="Jemand Fremdes ist an der Tür"
            )
        case None:
            said = _said(language, en="Somebody is at the door", de="Jemand ist an der Tür")
    return said if door is None else f"{said}: {door}"


def was_at(clock: str, language: Language) -> str:
    """Say when something was that is told late.

    Args:
        clock: the time of day.
        language: of the house.
    """
    return _said(language, en=f"This was at {clock}.", de=f"Das war um {clock} Uhr.")


def was_pressed(language: Language) -> str:
    """Say that somebody pressed the button."""
    return _said(language, en="the bell was pressed", de="es hat geklingelt")


def camera(works: bool, language: Language) -> str:
    """Say whether the camera works."""
    if works:
        return _said(
            language,
            en="The doorbell's camera sees again",
            de="Die Kamera der Türklingel sieht wieder",
        )
    return _said(
        language,
        en="The doorbell's camera does not see",
        de="Die Kamera der Türklingel sieht nichts",
    )


def storage(works: bool, language: Language) -> str:
    """Say whether everything can be kept."""
    if works:
        return _said(
            language,
            en="The doorbell keeps everything again",
            de="Die Türklingel speichert wieder alles",
        )
    return _said(
        language,
        en="The doorbell cannot keep something",
        de="Die Türklingel kann etwas nicht speichern",
    )


def trial(target: str, language: Language) -> tuple[str, str]:
    """Title and message of a notification that tries a target."""
    title = _said(
        language,
        en="A test of the doorbell's notifications",
        de="Ein Test der Benachrichtigungen der Türklingel",
    )
    message = _said(
        language,
        en=f"Notifications to {target} arrive.",
        de=f"Benachrichtigungen an {target} kommen an.",
    )
    return title, message


def it_is(name: str, language: Language) -> str:
    """The answer that a visitor is somebody."""
    return _said(language, en=f"It's {name}", de=f"Das ist {name}")


def nobody_known(language: Language) -> str:
    """The answer that a visitor is nobody whom the household knows."""
    return _said(language, en="Nobody I know", de="Niemand, den ich kenne")


def ignore(language: Language) -> str:
    """The answer that the bell is not to ring for a visitor any more."""
    return _said(language, en="Ignore", de="Nicht mehr klingeln")


def say_reply(label: str, language: Language) -> str:
    """The answer that a quick reply is to be said at the door."""
    return _said(language, en=f"Say: {label}", de=f"Sagen: {label}")


def _said(language: Language, *, en: str, de: str) -> str:
    return {"en": en, "de": de}[language]
