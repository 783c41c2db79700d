"""What a terminal, file or pipe cannot take: letters that its encoding lacks, and a full disk."""

from __future__ import annotations

import codecs
import os
import sys
import unicodedata
from typing import TextIO

# What stands for signs that an encoding lacks; letters lose their accents, all else becomes "?".
PLAIN_SIGNS = {"✔": "+", "✘": "x", "●": "*", "○": "o", "♪": "~", "°": "'"}
_HANDLER = "doorbell.plain"


def plain(error: UnicodeError) -> tuple[str, int]:
    """Say what an encoding lacks in signs that it has; an error handler of ``codecs``.

    JSON is not printed through it: there a letter is escaped, and comes back whole.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(map(_plain_sign, text)), error.end


def _plain_sign(sign: str) -> str:
    if sign in PLAIN_SIGNS:
        return PLAIN_SIGNS[sign]
    base = [each for each in unicodedata.normalize("NFKD", sign) if each.isascii()]
    return "".join(base) or ("" if unicodedata.combining(sign) else "?")


def prepare_streams() -> None:
    """Let standard output and error take every text, whatever the locale."""
    codecs.register_error(_HANDLER, plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, codecs.StreamReaderWriter) or not hasattr(stream, "reconfigure"):
            continue  # None where it is closed; a test's own
        stream.reconfigure(errors=_HANDLER)


def takes(stream: TextIO, text: str) -> bool:
    """Whether a stream's encoding has every letter of a text."""
    try:
        text.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def give_up_output() -> None:
    """Write nothing more to standard output, which takes no more.

    Python would else try again as the process ends, and add words of its own.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
