"""What stands in the fields of forms and in the queries of addresses."""

from __future__ import annotations

import re

_NUMBER = re.compile("[1-9][0-9]{0,17}", re.ASCII)


def number_in(text: str) -> int | None:
    """The number of a person, a stranger or a device, as SQLite can hold it; None for no number."""
    return int(text) if _NUMBER.fullmatch(text) else None
