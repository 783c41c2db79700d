"""A person's chime: whether there is one of that name, and where it lies."""

from __future__ import annotations

from doorbell.config.paths import expand
from doorbell.domain import Person
from doorbell.errors import SoundError, UsageError
from doorbell.gallery.gallery import Gallery
from doorbell.outputs.sound.synthesis import chime_names, load_chime


def give_chime(gallery: Gallery, name: str, chime: str | None) -> Person:
    """Give a person a chime.

    Args:
        gallery: where they are enrolled.
        name: theirs.
        chime: a built-in one or the path of a WAV file; None for the default one.

    Returns:
        The person with the chime as it is stored: a path from wherever the daemon may run.

    Raises:
        UsageError: there is no such chime, or the file cannot be played.
        UnknownPersonError: nobody has that name; the nearest names are offered.
    """
    return gallery.people.set_chime(name, None if chime is None else _checked(chime))


def is_chime(chime: str) -> bool:
    """Whether a chime can be played on this machine."""
    try:
        load_chime(chime)
    except SoundError:
        return False
    return True


def _checked(chime: str) -> str:
    """A built-in name, or the absolute path of a WAV file."""
    try:
        load_chime(chime)
    except SoundError as exc:
        raise UsageError(str(exc)) from exc
    if chime in chime_names():
        return chime
    return str(expand(chime).absolute())
