"""Devices that have access: a random token each, of which only the hash is kept."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import sqlite3
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from doorbell.console.routing import Role
from doorbell.text import without_unseen

# A device that stays away for so long has to be paired anew.
ABSENCE_SECONDS = 90 * 86400.0
# Noting that a device was there costs a write.
SEEN_EVERY_SECONDS = 60.0
# As long as what it did.
REVOKED_KEPT_SECONDS = 366 * 86400.0
MAX_NAME_CHARACTERS = 64

_SECRET = re.compile(r"([1-9][0-9]{0,17})\.([A-Za-z0-9_-]{43})")
_NOBODY = bytes(32)
_COLUMNS = "device_id, name, role, created_at, seen_at, revoked_at"


@dataclass(frozen=True, slots=True)
class Device:
    """A device, or another system, that has access.

    Attributes:
        device_id: its number, given once.
        name: what people call it.
        role: what it may do; ``STREAM`` for another system.
        created_at, seen_at: seconds since the epoch.
        revoked_at: since when it may do nothing; None while it has access.
    """

    device_id: int
    name: str
    role: Role
    created_at: float
    seen_at: float
    revoked_at: float | None = None

    @property
    def expires_at(self) -> float | None:
        """When it has to be paired anew unless it comes before; None for another system."""
        return None if self.role == Role.STREAM else self.seen_at + ABSENCE_SECONDS


def clean_name(text: str) -> str:
    """What a device is called: one line of at most 64 characters, empty if nothing is left."""
    seen = without_unseen(unicodedata.normalize("NFC", text))
    printable = "".join(c if c.isprintable() else " " for c in seen)
    return " ".join(printable.split())[:MAX_NAME_CHARACTERS].strip()


class Devices:
    """The table of devices.

    Args:
        connection: to the console's file.
        now: seconds since the epoch.
    """

    def __init__(self, connection: sqlite3.Connection, now: Callable[[], float]) -> None:
        self._connection = connection
        self._now = now

    def add(self, name: str, role: Role) -> tuple[Device, str]:
        """Give access.

        Returns:
            The device, and its secret, which nothing can tell again.
        """
        token, now = secrets.token_urlsafe(32), self._now()
        cursor = self._connection.execute(
            "INSERT INTO devices (name, role, token_sha256, created_at, seen_at)"
            " VALUES (?, ?, ?, ?, ?)",
            (name, int(role), _hash(token), now, now),
        )
        number = int(cursor.lastrowid or 0)
        return Device(number, name, role, now, now), f"{number}.{token}"

    def find(self, secret: str) -> Device | None:
        """Whose secret that is; None for nobody's, or one that has access no more."""
        parts = _SECRET.fullmatch(secret)
        if parts is None:
            return None
        row = self._connection.execute(
            f"SELECT {_COLUMNS}, token_sha256 FROM devices WHERE device_id = ?",  # noqa: S608 - as below
            (int(parts[1]),),
        ).fetchone()
        # As long for a number that was never given.
        is_right = hmac.compare_digest(_hash(parts[2]), _NOBODY if row is None else row[-1])
        if row is None or not is_right:
            return None
        device = _device(row[:-1])
        return device if self._has_access(device) else None

    def still_has_access(self, device_id: int) -> bool:
        """Whether a device that was found before may go on."""
        return any(each.device_id == device_id for each in self._some("device_id = ?", device_id))

    def note_seen(self, device: Device) -> None:
        """Remember that a device was there, to the minute."""
        now = self._now()
        if not 0 <= now - device.seen_at < SEEN_EVERY_SECONDS:
            self._connection.execute(
                "UPDATE devices SET seen_at = ? WHERE device_id = ?", (now, device.device_id)
            )

    def all(self) -> list[Device]:
        """Those that have access, as they came."""
        return self._some("TRUE")

    def revoke(self, device_id: int) -> Device | None:
        """Take access away, at once; None where the device has none."""
        found = self._some("device_id = ?", device_id)
        if not found:
            return None
        self._connection.execute(
            "UPDATE devices SET revoked_at = ?, token_sha256 = zeroblob(32) WHERE device_id = ?",
            (self._now(), device_id),
        )
        return found[0]

    def tidy(self) -> None:
        """Drop what was revoked, or stayed away, more than a year ago."""
        self._connection.execute(
            "DELETE FROM devices WHERE coalesce(revoked_at, seen_at) < ? AND role != ?",
            (self._now() - REVOKED_KEPT_SECONDS, int(Role.STREAM)),
        )

    def _some(self, condition: str, *values: object) -> list[Device]:
        query = f"SELECT {_COLUMNS} FROM devices WHERE {condition} ORDER BY device_id"  # noqa: S608 - our own words
        rows = self._connection.execute(query, values)
        return [device for row in rows if self._has_access(device := _device(row))]

    def _has_access(self, device: Device) -> bool:
        if device.revoked_at is not None:
            return False
        return device.expires_at is None or self._now() < device.expires_at


def _hash(token: str) -> bytes:
    # 256 random bits need no slow hash.
    return hashlib.sha256(token.encode("ascii")).digest()


def _device(row: tuple[int, str, int, float, float, float | None]) -> Device:
    device_id, name, role, created_at, seen_at, revoked_at = row
    return Device(device_id, name, Role(role), created_at, seen_at, revoked_at)
