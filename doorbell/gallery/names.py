"""Names and words that people write into the gallery: cleaned, or refused with the reason."""

from __future__ import annotations

import unicodedata

from doorbell.errors import InvalidNameError, UsageError
from doorbell.gallery.look_alikes import reads_like_no_name
from doorbell.text import is_control, shown, unseen

MAX_NAME_CHARACTERS = 100
MAX_CONSENT_CHARACTERS = 500

_REFUSED_BIDIRECTIONAL = frozenset(
    {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # they reorder what follows
)
_INVISIBLE_CATEGORIES = frozenset({"Zs", "Cf", "Mn"})
_SPACES = " \u3000"  # the latter is that of Chinese and Japanese


def clean_name(name: str) -> str:
    """Trim a person's name and bring it to Unicode's NFC; any script and emoji are kept.

    Letters of several scripts may stand in one name, and accents and joined emoji do.

    Raises:
        InvalidNameError: nothing visible in it, too long, or characters that show nothing or change
            how the text around it is shown; or it reads like what is shown where there is no name.
    """
    cleaned = unicodedata.normalize("NFC", name.strip())
    quoted = shown(repr(name))
    for character in cleaned:
        if is_control(character) or unicodedata.bidirectional(character) in _REFUSED_BIDIRECTIONAL:
            raise InvalidNameError(
                f"the name {quoted} has the control character U+{ord(character):04X}; "
                "write it without"
            )
    if all(unicodedata.category(character) in _INVISIBLE_CATEGORIES for character in cleaned):
        raise InvalidNameError(f"the name {quoted} is empty; write at least one letter")
    if (hidden := unseen(cleaned)) is not None:
        raise InvalidNameError(
            f"the name {quoted} has the character U+{ord(hidden):04X}, which shows nothing; write "
            "it without"
        )
    for character in cleaned:
        if unicodedata.category(character) == "Zs" and character not in _SPACES:
            raise InvalidNameError(
                f"the name {quoted} has the space U+{ord(character):04X}, which looks like another "
                "or like none; write a plain one"
            )
    if len(cleaned) > MAX_NAME_CHARACTERS:
        raise InvalidNameError(
            f"the name {shown(repr(cleaned[:20]))}... has {len(cleaned)} characters; "
            f"at most {MAX_NAME_CHARACTERS} are kept"
        )
    if reads_like_no_name(cleaned):
        raise InvalidNameError(
            f"the name {quoted} reads like a stranger, or nobody, whom nobody has named; "
            "choose another"
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
