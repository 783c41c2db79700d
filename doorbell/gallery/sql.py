"""What the stores of the gallery ask of a database, whichever it is.

Their statements are SQL that SQLite and PostgreSQL both understand, with ``?`` for each parameter.
An identifier that was given once is never given again, and of those who write one goes after the
other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from doorbell.gallery.codec import StoredEmbedding
from doorbell.storage.encryption import Cipher

# As a LIMIT: all there are.
EVERY = 2**63 - 1


class GalleryDatabase(Protocol):
    """An open database; used by the one thread that opened it.

    Whatever is said against a call becomes a ``GalleryError`` that names the database.

    Attributes:
        cipher: how embeddings and portraits are kept in it.
        among: goes on after a column or ``NOT (column``: that its value is one of a parameter's,
            which is ``listed``.
        gone: a table, or what shows less of it, that says who went by which naming; see
            ``queries.became``.
        has_copies: whether machines decide by copies of it: see ``gallery.link``.
    """

    cipher: Cipher
    among: str
    gone: str
    has_copies: bool

    @property
    def name(self) -> str:
        """How it is called in messages; without a password."""
        ...

    def close(self) -> None:
        """Release it; idempotent."""
        ...

    def writing(self) -> AbstractContextManager[None]:
        """One transaction that writes, alone: all of it or nothing.

        Raises:
            GalleryLostError: it is another gallery than the one that was opened.
        """
        ...

    def reading(self) -> AbstractContextManager[None]:
        """Several reads of one state, whatever others write."""
        ...

    def rows(self, sql: str, *parameters: object) -> list[dict[str, Any]]:
        """Every row of a query, by column."""
        ...

    def batches(self, size: int, sql: str, *parameters: object) -> Iterator[list[tuple[Any, ...]]]:
        """Every row of a query as a tuple, so many at a time; within ``reading``."""
        ...

    def execute(self, sql: str, *parameters: object) -> int:
        """Change rows, within ``writing``; how many."""
        ...

    def insert(self, table: str, **columns: object) -> int:
        """Add a row, within ``writing``; its number."""
        ...

    def last_given(self, table: str) -> int:
        """The largest number that a row of a table was ever given; 0 for none.

        Of a table that may give the number of a row again which is gone, the largest there is.
        """
        ...

    def give_after(self, table: str, number: int) -> None:
        """Number the rows to come after this, within ``writing``."""
        ...

    def listed(self, values: Collection[int] | Collection[str]) -> object:
        """Values as the one parameter of ``among``."""
        ...

    def require_seal(self) -> None:
        """Go on only if embeddings are still kept as they were when it was opened.

        Raises:
            EncryptionError: somebody encrypted or decrypted them, or changed the key.
        """
        ...

    def keep_change_log(self) -> None:
        """Let it note its changes from now on, if it does not yet; see ``change_log``."""
        ...

    def foreign_version(self) -> int:
        """A number that changes whenever somebody else has changed what faces are compared with.

        Raises:
            GalleryLostError: it is another gallery than the one that was opened.
        """
        ...

    def sees_every_visit(self) -> bool:
        """Whether visits at every door are seen, and not only those at some."""
        ...

    def last_deleted_change(self) -> int:
        """Up to which number the change log may lack changes of whoever is gone; 0 for none."""
        ...

    def most_alike(
        self, column: str, model_id: str, embedding: StoredEmbedding, count: int
    ) -> list[int] | None:
        """Find whose templates are most alike, within ``reading``, where it can do so by itself.

        Args:
            column: ``person_id`` or ``stranger_id``; or ``rowid``, for visits of nobody known, by
                the mean of the faces kept with each.
            model_id: the embedder.
            embedding: what they are to be like.
            count: how many are wanted.

        Returns:
            Their numbers, now and then without one of them; None where it cannot.
        """
        ...

    def wait_at_most(self, seconds: float) -> None:
        """Give up on a transaction of another's that takes longer than this."""
        ...

    def overwrite_deleted(self) -> None:
        """Leave no byte of what was deleted, as far as that can be had; what cannot is logged."""
        ...

    def advice_to_restore(self) -> str:
        """What to do about a gallery that is lost or damaged."""
        ...
