"""Which of several doors a request is about: ``?door=`` of its address, or ``door`` of its form.

Nothing is said of a house with one door, and nothing asked: there the doorbell knows itself which.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

# As long as the doorbell takes them; it says itself that there is no such door.
MAX_CHARACTERS = 64


def door_in(request: Request) -> str | None:
    """The id of the door, as it was named; None for the first of the house."""
    form: dict[str, str] = getattr(request.state, "form", None) or {}
    named = form.get("door") or request.query_params.get("door", "")
    return named[:MAX_CHARACTERS] or None


def at_door(request: Request) -> dict[str, Any]:
    """What the doorbell is to be told of the door; nothing where none is named."""
    door_id = door_in(request)
    return {} if door_id is None else {"door_id": door_id}


def path_at_door(request: Request, path: str) -> str:
    """The path of a page, as it shows the same door."""
    return path_of_door(path, door_in(request))


def path_of_door(path: str, door_id: str | None) -> str:
    """The path of a page, perhaps with a place in it, as it shows a door; None for the first."""
    page, mark, place = path.partition("#")
    query = "" if door_id is None else f"?{urlencode({'door': door_id})}"
    return f"{page}{query}{mark}{place}"
