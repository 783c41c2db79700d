"""What PostgreSQL says against a call, as the gallery's own errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from doorbell.errors import GalleryError, GalleryRefusedError

# Classes of SQLSTATE: data that cannot be, a constraint, a view's condition, a program limit that
# data exceeds, what a function of the database objects to.
_FOR_GOOD = ("22", "23", "44", "54", "P0")


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Errors as the gallery's, without the rows that the server's have in them.

    Args:
        name: of server and database.

    Raises:
        GalleryRefusedError: it would be refused again, whenever it is said.
        GalleryError: the server is out of reach, or has failed.
    """
    try:
        yield
    except psycopg.errors.LockNotAvailable as exc:
        raise GalleryError(
            f"the gallery {name} is locked: another doorbell or command writes; try again"
        ) from exc
    except psycopg.errors.InsufficientPrivilege as exc:
        raise GalleryRefusedError(
            f"the gallery {name} refused: {_said(exc)}; see what a role may do with: "
            "doorbell gallery roles"
        ) from exc
    except psycopg.OperationalError as exc:
        if "certificate" in (said := _said(exc)):
            raise GalleryError(
                f"the server of the gallery {name} is not whom it says it is: {said}; "
                "check gallery.tls_ca_file, whether the host in gallery.url is a name in the "
                "server's certificate, and until when that is valid"
            ) from exc
        raise GalleryError(
            f"the gallery {name} does not answer: {said}; check gallery.url, "
            "gallery.password_file and whether PostgreSQL runs"
        ) from exc
    except (psycopg.Error, UnicodeError) as exc:
        kind = GalleryRefusedError if _is_for_good(exc) else GalleryError
        raise kind(f"the gallery {name} failed: {_said(exc)}") from None


def _is_for_good(error: Exception) -> bool:
    """Whether the same words would be refused again, whenever they are said."""
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    if state is None:  # what psycopg cannot even send
        return isinstance(error, psycopg.DataError | UnicodeError)
    return state[:2] in _FOR_GOOD


def _said(error: Exception) -> str:
    """What the server says, without values of rows."""
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return error.diag.message_primary
    return " ".join(str(error).split())
