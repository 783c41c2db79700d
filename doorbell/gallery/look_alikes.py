"""Names that read like what the doorbell says itself where there is no name.

Letters that look alike are Unicode's confusables (UTS 39), as the package confusable-homoglyphs
has them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from doorbell.text import without_unseen

# What events, states, lists and Home Assistant show in the place of a name.
_RESERVED = re.compile(
    r"(new[\W_]*)?strangers?[\W_]*[0-9lio|]*"
    r"|unkn[o0](w|vv)n|undec[il1|]ded|unava[il1|]{2}ab[l1|i]e|n[o0]ne"
    r"|(n[o0]|s[o0]me)b[o0]dy([\W_]*kn[o0](w|vv)n)?"
)
# A letter in the name that Unicode gives a character.
_NAMED_LETTER = re.compile(
    r"\b(?:LATIN|SQUARED|CIRCLED|PARENTHESIZED|REGIONAL INDICATOR|TAG)\b.*"
    r"\b(?:LETTER|CAPITAL|SYMBOL LETTER) ([A-Z])(?: WITH .*)?$"
)


def reads_like_no_name(name: str) -> bool:
    """Whether somebody of that name would be taken for a stranger, or for nobody."""
    return _RESERVED.fullmatch(_as_ascii(name)) is not None


def _as_ascii(name: str) -> str:
    """As somebody reads it who knows Latin letters only; without accents, in small letters."""
    letters = unicodedata.normalize("NFKD", without_unseen(name))
    return "".join(map(_letter, letters)).strip()


@cache
def _letter(character: str) -> str:
    kind = unicodedata.category(character)
    if kind.startswith("M"):
        return ""
    if character.isascii():
        return character.lower()
    if kind == "Nd":
        return str(unicodedata.digit(character))
    if kind in ("Pd", "Zs"):
        return "-" if kind == "Pd" else " "
    for each in (character, character.upper(), character.lower()):
        for other in _confusables(each):
            if other.isascii():
                return other.lower()
    named = _NAMED_LETTER.search(unicodedata.name(character, ""))
    return named[1].lower() if named else character


def _confusables(character: str) -> list[str]:
    from confusable_homoglyphs import confusables  # reads its data, which few commands need

    found = confusables.is_confusable(character, greedy=True) or []
    return [other["c"] for each in found for other in each["homoglyphs"]]
