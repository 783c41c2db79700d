"""Text that comes from outside: which characters of it show nothing, and how it is shown safely.

A terminal obeys some characters instead of showing them, others turn round what follows, and some
are not seen at all.
"""

from __future__ import annotations

import re
import unicodedata

# Default_Ignorable_Code_Point of Unicode 16 (DerivedCoreProperties.txt): shown as nothing. The
# property is stable: what is assigned later lies in ranges that are in it already.
_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
# Letters and signs that are drawn as nothing, but take room.
_BLANK = "\u2800\U0001d159\U00013441\U00013442\U00016fe4"

_UNSEEN = re.compile(f"[{_IGNORABLE}{_BLANK}]")
# What joins letters or signs of a name into one: shown as it is.
_JOINERS = "\u200c\u200d\ufe00-\ufe0f\U000e0020-\U000e007f\U000e0100-\U000e01ef"
_NEVER_RAW = re.compile(
    rf"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{_BLANK}]|(?![{_JOINERS}])[{_IGNORABLE}]"
)


# Where a character that shows nothing does something: it joins emoji into one, or chooses how they
# are drawn; it makes a flag or a key; it parts or joins letters of Arabic and Indic scripts (RFC
# 5892); it chooses the form of an ideograph, as names in Japanese do.
_PICTURE = "[\u2190-\u2bff\u3030\u303d\u3297\u3299\u00a9\u00ae\U0001f000-\U0001faff]"
_JOINED = re.compile(
    f"(?<={_PICTURE})\ufe0f?\u200d(?={_PICTURE})"
    f"|(?<={_PICTURE})[\ufe0e\ufe0f]"
    "|(?<=[0-9#*])\ufe0f(?=\u20e3)"
    "|(?<=\U0001f3f4)[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f"
    "|(?<=[\u0620-\u064a\u066e-\u06d3\u0750-\u077f])\u200c(?=[\u0620-\u064a\u066e-\u06d3\u0750-\u077f])"
    "|(?<=[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
_OF_INDIC_SCRIPTS = re.compile("(?<=(.))[\u200c\u200d](?=(.?))", re.DOTALL)
_VIRAMA = 9  # its canonical combining class


def unseen(text: str) -> str | None:
    """The first character of a text that shows nothing and does nothing; None without one."""
    found = _UNSEEN.search(_OF_INDIC_SCRIPTS.sub(_at_virama, _JOINED.sub("", text)))
    return None if found is None else found[0]


def without_unseen(text: str) -> str:
    """A text without all that shows nothing."""
    return _UNSEEN.sub("", text)


def _at_virama(found: re.Match[str]) -> str:
    beside = (found[1], found[2])
    is_joined = any(each and unicodedata.combining(each) == _VIRAMA for each in beside)
    return "" if is_joined else found[0]


def shown(text: str, *, keep: str = "") -> str:
    r"""A text for a terminal or a line of a log: what it would obey or not show, as ``\x1b``.

    Args:
        text: from wherever.
        keep: control characters that are left, as the end of a line is in a traceback.
    """
    return _NEVER_RAW.sub(lambda found: found[0] if found[0] in keep else _escaped(found[0]), text)


def _escaped(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def json_shown(document: str) -> str:
    """A JSON document with the same meaning, for a terminal: see ``shown``."""
    return _NEVER_RAW.sub(lambda found: "\n" if found[0] == "\n" else _in_json(found[0]), document)


def _in_json(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


def is_control(character: str) -> bool:
    """Whether a terminal or an editor obeys a character: it is none to write."""
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp", "Co")
