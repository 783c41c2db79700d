"""A household with two doors that tests imagine."""

from __future__ import annotations

from typing import Any

from console_documents import status
from console_household import Household

# As long as a name may be, and no markup.
LONG_NAME = "Garden <gate> of the workshop by the old apple tree, donkeys too"

DOORS = [{"id": "front", "name": "Front door"}, {"id": "garden", "name": LONG_NAME}]


class TwoDoors(Household):
    """A household with a second door, which is muted."""

    def answers(self) -> dict[str, Any]:
        for number, each in enumerate(self.visits.values()):
            each["door_id"] = DOORS[number % 2]["id"]
        return {**super().answers(), "status": self._status}

    def _status(self, request: dict[str, Any]) -> dict[str, Any]:
        asked = request.get("door_id", "front")
        door = next((each for each in DOORS if each["id"] == asked), None)
        if door is None:
            error = f"there is no door {asked!r}"
            return {"ok": False, "kind": "not_found", "error": error}
        told = status(device=door, doors=DOORS)
        if asked == "garden":
            told["settings"]["muted"] = True
            told["camera"] = {**told["camera"], "gives_frames": False, "reason": "no cable"}
        return told
