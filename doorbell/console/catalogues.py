"""Keep the catalogues of messages: find what the pages say, and lay it beside what is translated.

``python -m doorbell.console.catalogues`` brings every committed catalogue up to date; what is new
in it waits, empty, for its translation.
"""

from __future__ import annotations

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import write_po

from doorbell.console.languages import DOMAIN, FOLDER, LANGUAGES, catalogue

ROOT = FOLDER.parent
METHODS = [("templates/**.html", "jinja2"), ("**.py", "python")]
OPTIONS = {"templates/**.html": {"trimmed": "true", "silent": "false"}}


def extracted() -> Catalog:
    """Every message of the templates and the code, without a translation."""
    found = Catalog(domain=DOMAIN, project="doorbell", fuzzy=False)
    for path, _, message, comments, context in extract_from_dir(ROOT, METHODS, OPTIONS):
        # Without line numbers, so that a catalogue changes only where a message does.
        found.add(message, None, [(path, 0)], auto_comments=comments, context=context)
    return found


def update() -> None:
    """Bring every catalogue up to date."""
    template = extracted()
    for language in LANGUAGES:
        if language == "en":
            continue
        path = FOLDER / language / "LC_MESSAGES" / f"{DOMAIN}.po"
        if path.exists():
            kept = catalogue(language)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            kept = Catalog(language, domain=DOMAIN, project="doorbell", fuzzy=False)
        kept.update(template, no_fuzzy_matching=True)
        kept.obsolete.clear()
        with path.open("wb") as file:
            write_po(
                file, kept, width=100, sort_output=True, omit_header=True, include_lineno=False
            )


if __name__ == "__main__":
    update()
