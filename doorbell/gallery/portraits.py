"""Portraits of people who agreed to have one: a small picture each, chosen by the household.

A person has one at most that is shown. One that a merging has put aside is kept with the person,
for when that is undone; whoever deletes a portrait deletes those too.
"""

from __future__ import annotations

from doorbell.errors import EncryptionError, GalleryError, UsageError
from doorbell.gallery.codec import PORTRAIT_ENCRYPTED_AS
from doorbell.gallery.people import PeopleStore
from doorbell.gallery.store import Changes
from doorbell.imaging.portrait import is_portrait


class PortraitStore:
    """What people look like."""

    def __init__(self, changes: Changes, people: PeopleStore) -> None:
        self._changes = changes
        self._file = changes.file
        self._people = people

    def of(self, person_id: int) -> bytes | None:
        """The portrait of a person, a JPEG; None where there is none, or a damaged one.

        Raises:
            UnknownPersonError: nobody has that number.
        """
        self._people.by_id(person_id)
        rows = self._file.rows(
            "SELECT jpeg FROM portraits WHERE person_id = ? AND hidden_by IS NULL "
            "ORDER BY id DESC LIMIT 1",
            person_id,
        )
        if not rows:
            return None
        try:
            jpeg = self._file.cipher.decrypt(rows[0]["jpeg"], PORTRAIT_ENCRYPTED_AS)
        except EncryptionError:
            self._file.require_seal()
            return None
        return jpeg if is_portrait(jpeg) else None

    def owners(self) -> set[int]:
        """Numbers of the people who have one."""
        return {
            row["person_id"]
            for row in self._file.rows("SELECT person_id FROM portraits WHERE hidden_by IS NULL")
        }

    def choose(self, person_id: int, jpeg: bytes, chosen_at: float) -> None:
        """Give a person a portrait in the place of the one before.

        Args:
            person_id: whose it is.
            jpeg: see ``imaging.portrait``.
            chosen_at: wall time.

        Raises:
            UnknownPersonError: nobody has that number.
            UsageError: it is not noted that they agreed to anything.
            GalleryError: that is no portrait.
        """
        if not is_portrait(jpeg):
            raise GalleryError(f"{len(jpeg)} bytes were refused that are no portrait")
        with self._changes.one():
            person = self._people.by_id(person_id)
            if not self._file.rows(
                "SELECT 1 FROM people WHERE id = ? AND consent IS NOT NULL", person_id
            ):
                raise UsageError(
                    f"{person.name} has no portrait before it is noted that they agreed: note it "
                    "first"
                )
            # What came by a merging is put aside: undoing that gives it back to whose it was.
            self._file.execute(
                "UPDATE portraits SET hidden_by = (SELECT max(naming_id) FROM moved "
                "WHERE portrait_id = portraits.id) WHERE person_id = ? AND hidden_by IS NULL",
                person_id,
            )
            self._file.execute(
                "DELETE FROM portraits WHERE person_id = ? AND hidden_by IS NULL", person_id
            )
            self._file.insert(
                "portraits",
                person_id=person_id,
                jpeg=self._file.cipher.encrypt(jpeg, PORTRAIT_ENCRYPTED_AS),
                chosen_at=chosen_at,
            )
        self._changes.overwrite_log()

    def delete(self, person_id: int) -> bool:
        """Delete a person's portraits, those put aside too, and overwrite the bytes; if any was.

        Raises:
            UnknownPersonError: nobody has that number.
        """
        with self._changes.one():
            self._people.by_id(person_id)
            deleted = self._file.execute("DELETE FROM portraits WHERE person_id = ?", person_id)
        self._changes.overwrite_log()
        return deleted > 0
