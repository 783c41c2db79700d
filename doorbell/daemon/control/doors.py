"""Which door is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from doorbell.daemon.control.check import CheckRequests
from doorbell.daemon.control.status import StatusRequests
from doorbell.daemon.control.talk import TalkRequests
from doorbell.errors import RefusedError, UnknownDoorError


@dataclass(frozen=True, slots=True)
class AskedDoor:
    """What answers for one door.

    Attributes:
        door_id: as configured.
        status: how it is, and its chimes.
        talk: what is said and heard there.
    """

    door_id: str
    status: StatusRequests
    talk: TalkRequests


class AskedDoors:
    """The doors of the house.

    Args:
        doors: at least one; the first is meant where a request names none and only reads.
        check: examines every part of the house.

    Attributes:
        check: as given.
    """

    def __init__(self, doors: Sequence[AskedDoor], check: CheckRequests) -> None:
        self._doors = {each.door_id: each for each in doors}
        self.check = check

    def of(self, door_id: str | None) -> AskedDoor:
        """The door of that id, or the first.

        Raises:
            UnknownDoorError: there is none of that id.
        """
        if door_id is None:
            return next(iter(self._doors.values()))
        if door_id not in self._doors:
            raise UnknownDoorError(door_id, self._doors)
        return self._doors[door_id]

    def one(self, door_id: str | None) -> AskedDoor:
        """The door that something is to happen at; where there are several, it has to be named.

        Raises:
            UnknownDoorError: as ``of``.
            RefusedError: it is not named.
        """
        if door_id is None and len(self._doors) > 1:
            raise RefusedError(f"say at which door: {', '.join(self._doors)}")
        return self.of(door_id)
