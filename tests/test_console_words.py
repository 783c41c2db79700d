from __future__ import annotations

import pytest
from babel.core import Locale

from doorbell.console.words import (
    duration_in_words,
    hint_in_words,
    initials,
    likeness_in_words,
    strength_in_words,
    without_commands,
)
from doorbell.household.enrollment_strength import GUIDANCE, Level


def loud(message: str) -> str:
    """Another language: capitals, but for what stands for a value."""
    return message.upper().replace("%(COUNT)S", "%(count)s")


@pytest.mark.parametrize(
    ("similarity", "words"),
    [
        (0.9, "very much alike"),
        (0.65, "very much alike"),
        (0.5, "clearly alike"),
        (0.4, "somewhat alike"),
        (-0.1, "hardly alike"),
        (None, ""),
    ],
)
def test_a_likeness_in_words(similarity: float | None, words: str) -> None:
    assert likeness_in_words(similarity, str) == words


@pytest.mark.parametrize(
    ("until", "english", "german"),
    [
        ("12:00:00", "1 second", "1 Sekunde"),
        ("12:00:41", "41 seconds", "41 Sekunden"),
        ("12:05:00", "5 minutes", "5 Minuten"),
        ("11:59:00", "1 second", "1 Sekunde"),
    ],
)
def test_how_long_a_visit_was(until: str, english: str, german: str) -> None:
    begin, end = "2026-11-28T12:00:00Z", f"2026-11-28T{until}Z"

    assert duration_in_words(begin, end, Locale("en")) == english
    assert duration_in_words(begin, end, Locale("de")) == german


def test_each_strength_has_words() -> None:
    assert {strength_in_words(level.value, loud).partition(":")[0] for level in Level} == {
        "WEAK",
        "FAIR",
        "STRONG",
    }


@pytest.mark.parametrize(
    "hint",
    [
        GUIDANCE["left"],
        GUIDANCE["right"],
        "come nearer, in even light",
        "one more photo in daylight",
        "one more photo of another day and light",
        "4 more photos of another day and light",
    ],
)
def test_what_helps_is_said_in_the_readers_language(hint: str) -> None:
    assert hint_in_words(hint, loud) == hint.upper()


def test_a_hint_that_is_new_is_said_as_it_is() -> None:
    assert hint_in_words("stand on one leg", loud) == "stand on one leg"


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Anna", "A"),
        ("Anna Maria Schmidt", "AS"),
        ("åse", "Å"),
        ("<img src=x>", "IS"),
        ("李小龍", "李"),
        ("👩‍👩‍👧‍👦", ""),
        ("", ""),
    ],
)
def test_the_initials_of_a_name(name: str, letters: str) -> None:
    assert initials(name) == letters


@pytest.mark.parametrize(
    ("sentence", "kept"),
    [
        ("the name is empty; write at least one letter", None),
        ("not alike; nothing was changed: use --force if they are one", "not alike"),
        (
            "it is theirs already; to learn: doorbell visits correct 7 'A' --learn",
            "it is theirs already",
        ),
        (
            "no clear face was kept; enroll a photo: doorbell enroll 'B; C' PHOTO",
            "no clear face was kept",
        ),
        (
            "the light is too weak; take it by day, or in a lit room, or use --force",
            "the light is too weak; take it by day, or in a lit room",
        ),
        ("use --force", None),
    ],
)
def test_advice_for_the_command_line_is_left_out(sentence: str, kept: str | None) -> None:
    assert without_commands(sentence) == (sentence if kept is None else kept)
