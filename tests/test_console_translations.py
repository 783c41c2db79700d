"""No page says anything that a reader of another language would have to guess."""

from __future__ import annotations

import ast
import re

import pytest
from babel.messages.catalog import Message

from doorbell.console.catalogues import ROOT, extracted
from doorbell.console.languages import LANGUAGES, catalogue

OTHERS = [language for language in LANGUAGES if language != "en"]


def texts(value: str | tuple[str, ...] | list[str] | None) -> list[str]:
    return [value or ""] if isinstance(value, str) or value is None else list(value)


def values(text: str) -> list[str]:
    return sorted(set(re.findall(r"%\(\w+\)[sd]", text)))


def messages(language: str) -> dict[str, Message]:
    return {texts(message.id)[0]: message for message in catalogue(language) if message.id}


def said() -> list[Message]:
    return [message for message in extracted() if message.id]


@pytest.mark.parametrize("language", OTHERS)
def test_every_message_is_translated(language: str) -> None:
    translated = messages(language)
    missing = [
        key
        for message in said()
        for key in texts(message.id)[:1]
        if key not in translated or not all(texts(translated[key].string))
    ]
    assert missing == [], "run python -m doorbell.console.catalogues, and translate what is new"


@pytest.mark.parametrize("language", OTHERS)
def test_nothing_is_translated_that_no_page_says(language: str) -> None:
    assert set(messages(language)) - {texts(message.id)[0] for message in said()} == set()


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_the_same_values(language: str) -> None:
    for key, message in messages(language).items():
        plural = texts(message.id)[-1]
        for number, text in enumerate(texts(message.string)):
            assert values(text) == values(plural if number else key), key


def test_what_the_code_says_is_said_by_the_name_that_is_looked_for() -> None:
    """``gettext_of(request)("...")`` works, but would never be found and translated."""
    hidden = [
        f"{path.name}:{node.lineno}"
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Call)
        and isinstance(node.func.func, ast.Name)
        and node.func.func.id == "gettext_of"
    ]
    assert hidden == []
