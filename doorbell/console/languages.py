"""The console's languages: English in the source, others as gettext catalogues.

The catalogues are read as they are committed (``locale/<language>/LC_MESSAGES/console.po``), so
that a checkout needs no compiling.
"""

from __future__ import annotations

import io
import math
import re
from functools import lru_cache
from pathlib import Path

from babel.core import Locale, negotiate_locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from starlette.requests import Request

DOMAIN = "console"
FOLDER = Path(__file__).parent / "locale"

LANGUAGES = {"en": "English", "de": "Deutsch"}
# Every message accented and 40 % longer: what is not translated or does not fit shows. It is only
# ever chosen by its name.
PSEUDO = "en-XA"
COOKIE = "language"

_ACCENTS = str.maketrans("aceinouyACEINOUY", "åçéîñöûýÅÇÉÎÑÖÛÝ")


def language_of(request: Request) -> str:
    """What the device has chosen, else what the house has, else what its browser prefers."""
    chosen = request.cookies.get(COOKIE)
    if chosen in LANGUAGES or chosen == PSEUDO:
        return chosen
    section = getattr(request.app.state, "section", None)
    if section is not None and section.language in LANGUAGES:
        return str(section.language)
    preferred = [
        part.split(";")[0].strip()
        for part in request.headers.get("accept-language", "")[:200].split(",")
    ]
    return negotiate_locale(preferred, [*LANGUAGES], sep="-") or "en"


def locale_of(language: str) -> Locale:
    """How dates and numbers of a language are written."""
    # Times as 14:03: a house has one clock, and a day of 24 hours.
    return Locale.parse("en_GB" if language in {"en", PSEUDO} else language)


@lru_cache(maxsize=8)
def translations(language: str) -> NullTranslations:
    """The messages of a language; English ones are in the source."""
    if language == PSEUDO:
        return PseudoTranslations()
    if language == "en":
        return NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, catalogue(language))
    compiled.seek(0)
    return Translations(compiled, domain=DOMAIN)


def catalogue(language: str) -> Catalog:
    """A language's messages as they are committed."""
    path = FOLDER / language / "LC_MESSAGES" / f"{DOMAIN}.po"
    with path.open("rb") as file:
        return read_po(file, locale=language, domain=DOMAIN)


class PseudoTranslations(NullTranslations):
    """Makes up a language from the English messages."""

    def gettext(self, message: str) -> str:
        """Accent a message and make it 40 % longer; what stands for a value stays."""
        return _pseudo(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """Do likewise with what is counted."""
        return _pseudo(msgid1 if n == 1 else msgid2)


def _pseudo(message: str) -> str:
    parts = re.split(r"(%\(\w+\)\w|%%)", message)
    accented = "".join(
        part if index % 2 else part.translate(_ACCENTS) for index, part in enumerate(parts)
    )
    longer = math.ceil(0.4 * len(message))
    return f"[{accented}{(' longer' * longer)[:longer]}]"
