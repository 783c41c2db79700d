"""Invitations: a code that gives one device access once, soon, and to who types it right."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from doorbell.console.devices import Device, Devices
from doorbell.console.routing import Role
from doorbell.storage.sqlite import transaction

# 32 letters and digits that are not taken for each other (Crockford's Base32): 40 bits in eight.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_CHARACTERS = 8
VALID_SECONDS = 600.0
MAX_WRONG_TRIES = 5
# Each of them is compared with a code that is tried.
MAX_OPEN = 4

_MEANT = str.maketrans("ILO", "110")


@dataclass(frozen=True, slots=True)
class Invitation:
    """A code, which nothing can tell again.

    Attributes:
        code: eight letters and digits.
        role: what the device may do.
        expires_at: seconds since the epoch.
    """

    code: str
    role: Role
    expires_at: float

    @property
    def shown_code(self) -> str:
        """The code for people: two groups of four."""
        return f"{self.code[:4]}-{self.code[4:]}"


class Invitations:
    """The table of invitations.

    Args:
        connection: to the console's file.
        devices: where a device is added.
        now: seconds since the epoch.
    """

    def __init__(
        self, connection: sqlite3.Connection, devices: Devices, now: Callable[[], float]
    ) -> None:
        self._connection = connection
        self._devices = devices
        self._now = now

    def invite(self, role: Role, name: str = "") -> Invitation:
        """Make a code; the oldest goes where too many are open.

        Args:
            role: viewer, member or owner.
            name: what the device is to be called; empty to let it be typed with the code.
        """
        code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARACTERS))
        salt, now = secrets.token_bytes(16), self._now()
        with transaction(self._connection):
            self._drop_closed()
            self._connection.execute(
                "DELETE FROM invitations WHERE invitation_id NOT IN (SELECT invitation_id FROM"
                " invitations ORDER BY invitation_id DESC LIMIT ?)",
                (MAX_OPEN - 1,),
            )
            self._connection.execute(
                "INSERT INTO invitations (name, role, salt, code_hash, made_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (name, int(role), salt, _hash(code, salt), now),
            )
        return Invitation(code, role, now + VALID_SECONDS)

    def accept(self, typed: str, name: str) -> tuple[Device, str] | None:
        """Give a device access for a code; a wrong one counts against every open invitation.

        Args:
            typed: what was typed or scanned.
            name: what the device is to be called, unless the invitation says so.

        Returns:
            The device with its secret, or None.
        """
        code = "".join(c for c in typed.upper() if c.isalnum()).translate(_MEANT)
        with transaction(self._connection):
            self._drop_closed()
            rows = self._connection.execute(
                "SELECT invitation_id, name, role, salt, code_hash FROM invitations"
            ).fetchall()
            right = [row for row in rows if hmac.compare_digest(_hash(code, row[3]), row[4])]
            if not right:
                self._connection.execute("UPDATE invitations SET wrong_tries = wrong_tries + 1")
                self._drop_closed()
                return None
            invitation_id, given, role, *_ = right[0]
            self._connection.execute(
                "DELETE FROM invitations WHERE invitation_id = ?", (invitation_id,)
            )
            return self._devices.add(given or name, Role(role))

    def _drop_closed(self) -> None:
        now = self._now()
        self._connection.execute(
            "DELETE FROM invitations WHERE wrong_tries >= ? OR made_at NOT BETWEEN ? AND ?",
            (MAX_WRONG_TRIES, now - VALID_SECONDS, now),
        )


def _hash(code: str, salt: bytes) -> bytes:
    # Slow, as 40 bits could be tried one after the other by whoever copied the file.
    return hashlib.scrypt(code.encode(), salt=salt, n=2**12, r=8, p=1)
