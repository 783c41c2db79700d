"""What the daemon tells in numbers and short words, as sentences in the reader's language."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import takewhile
from typing import Any

from babel.core import Locale
from babel.dates import format_timedelta

from doorbell.console import moments

Gettext = Callable[[str], str]

# Cosines of one person's faces are seldom below 0.33 in good pictures, and of two people's seldom
# above 0.5 (``household.enrollment_checks``).
_LIKENESS = (0.65, 0.5, 0.33)
_CLAUSE = re.compile(r"(?=; |, or )")
_COMMAND = re.compile(r"\bdoorbell [a-z]+|--[a-z]")


def likeness_in_words(similarity: float | None, gettext: Gettext) -> str:
    """How alike a face and a person's are, a cosine; empty where it was not compared."""
    if similarity is None:
        return ""
    words = (
        gettext("very much alike"),
        gettext("clearly alike"),
        gettext("somewhat alike"),
        gettext("hardly alike"),
    )
    return words[sum(similarity < limit for limit in _LIKENESS)]


def duration_in_words(started_at: str, ended_at: str, locale: Locale) -> str:
    """How long something took, such as "41 seconds" or "3 minutes"."""
    took = moments.parse(ended_at) - moments.parse(started_at)
    seconds = max(timedelta(seconds=1), timedelta(seconds=round(took.total_seconds())))
    return format_timedelta(seconds, threshold=1.5, locale=locale)


def strength_in_words(strength: str, gettext: Gettext) -> str:
    """How well somebody is known: ``weak``, ``fair`` or ``strong``."""
    words = {
        "weak": gettext("weak: the door may not know them yet"),
        "fair": gettext("fair: known in good light"),
        "strong": gettext("strong: known in most light"),
    }
    return words.get(strength, strength)


def hint_in_words(hint: str, gettext: Gettext) -> str:
    """What another picture has to show, as the daemon says it, in the reader's language."""
    count, _, rest = hint.partition(" ")
    if rest == "more photos of another day and light" and count.isdecimal():
        return gettext("%(count)s more photos of another day and light") % {"count": count}
    known = {
        "come nearer, in even light": gettext("come nearer, in even light"),
        "turn a little to the left": gettext("turn a little to the left"),
        "turn a little to the right": gettext("turn a little to the right"),
        "one more photo in daylight": gettext("one more photo in daylight"),
        "one more photo of another day and light": gettext(
            "one more photo of another day and light"
        ),
    }
    return known.get(hint, hint)


def without_commands(sentence: str) -> str:
    """What the daemon says, without the advice at its end that is for the command line."""
    first, *others = _CLAUSE.split(sentence)
    return first + "".join(takewhile(lambda clause: _COMMAND.search(clause) is None, others))


def verdict_in_words(told: dict[str, Any], gettext: Gettext) -> dict[str, Any]:
    """What the daemon says of a photo or a face: ``accepted``, ``reason``, ``said``, ``helps``."""
    if told["accepted"]:
        return {"accepted": True, "reason": "", "said": gettext("Good."), "helps": ""}
    said, helps = {
        "no_face": (
            gettext("No face is found."),
            gettext("Take the face from the front, in even light, larger in the picture."),
        ),
        "several": (gettext("Several faces are found."), gettext("Choose the one that is meant.")),
        "crowd": (
            gettext("Too many faces are found."),
            gettext("Cut the photo to the one that is meant."),
        ),
        "size": (
            gettext("The face is too small."),
            gettext("Go nearer, or send the photo in its full size."),
        ),
        "blur": (gettext("The face is blurred."), gettext("Take a sharper photo.")),
        "pose": (gettext("The face looks to the side."), gettext("Look at the camera.")),
        "light": (
            gettext("The light is not good enough."),
            gettext("See to even light on the face."),
        ),
        "same_person": (
            gettext("This face is unlike the other pictures of this person."),
            gettext("It may be somebody else."),
        ),
        "nobody_else": (
            gettext("This face looks like %(name)s.") % {"name": told.get("who") or ""},
            gettext("Enroll it under that name if it is the same person."),
        ),
    }.get(told.get("reason", ""), (sentence(told["message"]), sentence(told["hint"])))
    return {
        "accepted": False,
        "reason": told.get("reason", ""),
        "said": said,
        "helps": helps,
    }


def sentence(words: str) -> str:
    """Words of the daemon as a sentence."""
    return f"{words[:1].upper()}{words[1:]}." if words else ""


def initials(name: str) -> str:
    """Of the first and the last part of a name, in capitals; one letter where it has one part."""
    letters = [found for part in name.split() if (found := next(filter(str.isalnum, part), ""))]
    return "".join(letters[:1] + letters[1:][-1:]).upper()


def by_name(people: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """People in the order of their names, whatever their case."""
    return sorted(people, key=lambda person: str(person["name"]).casefold())
