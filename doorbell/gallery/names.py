"""Names and words that people write into the gallery: cleaned, or refused with the reason."""

from __future__ import annotations

import re
import unicodedata

from doorbell.errors import InvalidNameError, UsageError

MAX_NAME_CHARACTERS = 100
MAX_CONSENT_CHARACTERS = 500

_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_REFUSED_BIDIRECTIONAL = frozenset(
    {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # they reorder what follows
)
_INVISIBLE_CATEGORIES = frozenset({"Zs", "Cf", "Mn"})


def clean_name(name: str) -> str:
    """Trim a person's name and bring it to Unicode's NFC; any script and emoji are kept.

    Raises:
        InvalidNameError: nothing visible in it, too long, or characters that change how the text
            around it is shown; or it looks like a stranger's identifier.
    """
    cleaned = unicodedata.normalize("NFC", name.strip())
    for character in cleaned:
        if (
            unicodedata.category(character) in _REFUSED_CATEGORIES
            or unicodedata.bidirectional(character) in _REFUSED_BIDIRECTIONAL
        ):
            raise InvalidNameError(
                f"the name {name!r} has the control character U+{ord(character):04X}; "
                "write it without"
            )
    if all(unicodedata.category(character) in _INVISIBLE_CATEGORIES for character in cleaned):
        raise InvalidNameError(f"the name {name!r} is empty; write at least one letter")
    if len(cleaned) > MAX_NAME_CHARACTERS:
        raise InvalidNameError(
            f"the name {cleaned[:20]!r}... has {len(cleaned)} characters; "
            f"at most {MAX_NAME_CHARACTERS} are kept"
        )
    if re.fullmatch(r"stranger-\d+", cleaned, re.IGNORECASE):
        raise InvalidNameError(
            f"the name {cleaned!r} is how a stranger nobody has named is shown; choose another"
        )
    return cleaned


def name_key(name: str) -> str:
    """By which two spellings are one name: letter case and Unicode composition do not count."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name.strip()).casefold())


def clean_consent(words: str) -> str:
    """Trim what was agreed to, into one line.

    Raises:
        UsageError: nothing is left, or it is too long.
    """
    cleaned = " ".join(unicodedata.normalize("NFC", words).split())
    if not cleaned.isprintable() or not 0 < len(cleaned) <= MAX_CONSENT_CHARACTERS:
        raise UsageError(
            f"the consent {words[:20]!r} was refused; write what was agreed to, in 1 to "
            f"{MAX_CONSENT_CHARACTERS} characters, as in 'in writing, 1 March'"
        )
    return cleaned
