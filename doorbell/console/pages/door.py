"""The door: its picture of now, who waits for a name, and who came today."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from doorbell.clock import iso_utc
from doorbell.console.doorbell_client import Doorbell, doorbell_of
from doorbell.console.doors import at_door
from doorbell.console.pages.health import parts_now
from doorbell.console.rendering import render
from doorbell.console.routing import Role
from doorbell.errors import RefusedError

# Cards on the page; what else waits is among the visits.
CARDS = 6
LIKELY = 4
# Of a doorbell that has only begun.
NOT_TOLD = {"muted": False, "muted_until": None, "quiet_to": None}


async def door(request: Request) -> Response:
    """The first page."""
    doorbell = doorbell_of(request)
    member = request.state.device.role >= Role.MEMBER
    status, today = await asyncio.gather(
        doorbell.ask("status", **at_door(request)),
        doorbell.ask("visits.today", since=_midnight()),
    )
    waiting = today.document["waiting"] if member else []
    cards = await asyncio.gather(*(_card(doorbell, visit) for visit in waiting[:CARDS]))
    return render(
        request,
        "door.html",
        status=status.document,
        settings=status.document["settings"] or NOT_TOLD,
        health=parts_now(request, status.document),
        visitors=today.document["visitors"],
        cards=[card for card in cards if card is not None],
        more=max(0, len(waiting) - CARDS),
        member=member,
    )


async def wall(request: Request) -> Response:
    """The picture alone, for a tablet on the wall or a panel of home automation."""
    doorbell = doorbell_of(request)
    status = (await doorbell.ask("status", **at_door(request))).document
    now = datetime.now().astimezone()
    offset = now.utcoffset()
    return render(
        request,
        "wall.html",
        status=status,
        settings=status["settings"] or NOT_TOLD,
        member=request.state.device.role >= Role.MEMBER,
        now_ms=round(now.timestamp() * 1000),
        offset_minutes=0 if offset is None else round(offset.total_seconds() / 60),
    )


async def _card(doorbell: Doorbell, visit: dict[str, Any]) -> dict[str, Any] | None:
    try:
        found = (await doorbell.ask("visits.get", visit=visit["visit_id"])).document
    except RefusedError:  # forgotten in between
        return None
    return {"visit": found["visit"], "likely": found["likely"][:LIKELY]}


def _midnight() -> str | None:
    """When today began, by the clock of the house."""
    start = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    return iso_utc(start.timestamp())
