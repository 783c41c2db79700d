"""Whether a file is a gallery that is ours to touch, found out without writing a byte."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from doorbell.errors import GalleryError
from doorbell.gallery.migrations import SCHEMA
from doorbell.storage.sqlite import (
    LaterVersionError,
    NotOursError,
    Schema,
    is_damage,
    reading,
    verify,
)
from doorbell.storage.sqlite_copies import advice_to_go_back, advice_to_restore
from doorbell.storage.sqlite_schema import ChangedSchemaError, require_own


def inspect(
    path: Path,
    advice: str | None = None,
    *,
    exactly: bool = True,
    look_through: bool = True,
    schema: Schema = SCHEMA,
) -> int:
    """Refuse what is not ours to touch, through a connection that cannot write.

    Args:
        path: the file.
        advice: what to do about one that is refused; None for that about the gallery in use.
        exactly: refuse one that has more in it than a doorbell makes, or less.
        look_through: whether to look for damage in all of it.
        schema: what a doorbell makes.

    Returns:
        The version of what is in it.

    Raises:
        GalleryError: it is damaged, not a gallery, or of a later version.
    """
    if not path.is_file():
        raise GalleryError(f"{path} is not a file; {advice or 'give another storage.directory'}")
    restore = advice or f"the file was left as it was; {advice_to_restore(path)}"
    advice = advice or (
        "the file was left as it is; move it away, or give another storage.directory"
    )
    try:
        with reading(path, SCHEMA.busy_seconds) as connection:
            if exactly:
                require_own(connection, schema)
            return verify(connection, schema, look_through=look_through)
    except ChangedSchemaError as exc:
        raise GalleryError(
            f"the gallery {path} was changed by something that is no doorbell: {exc}; the file was "
            f"left as it was; {advice_to_rebuild(path)}"
        ) from exc
    except LaterVersionError as exc:
        raise GalleryError(
            f"the gallery {path} is of version {exc.version}, written by a later doorbell; "
            f"this one knows versions up to {SCHEMA.version}: "
            f"{advice_to_go_back(path, SCHEMA.version)}; {advice}"
        ) from exc
    except NotOursError as exc:
        raise GalleryError(f"{path} is not a gallery: {exc}; {advice}") from exc
    except sqlite3.DatabaseError as exc:
        if not is_damage(exc):
            raise  # busy, or out of reach: no word about what is in it
        raise GalleryError(f"the gallery {path} is damaged: {exc}; {restore}") from exc


def advice_to_rebuild(path: Path) -> str:
    """How to go on with a gallery that something else has changed."""
    return (
        "to go on with its people, strangers and visits alone, stop the doorbell, then: "
        f"doorbell gallery restore {path}"
    )
