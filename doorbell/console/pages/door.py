"""The door: its picture of now, who waits for a name, and who came today."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from doorbell.console.link import Doorbell
from doorbell.console.rendering import gettext_of, render
from doorbell.console.routing import Role
from doorbell.errors import RefusedError

# Cards on the page; what else waits is among the visits.
CARDS = 6
LIKELY = 4
# Of a doorbell that has only begun.
NOT_TOLD = {"muted": False, "muted_until": None, "quiet_to": None}


async def door(request: Request) -> Response:
    """The first page."""
    doorbell: Doorbell = request.app.state.doorbell
    member = request.state.device.role >= Role.MEMBER
    status, today = await asyncio.gather(
        doorbell.ask("status"), doorbell.ask("visits.today", since=_midnight())
    )
    lines = health_lines(status.document)
    waiting = today.document["waiting"] if member else []
    cards = await asyncio.gather(*(_card(doorbell, visit) for visit in waiting[:CARDS]))
    return render(
        request,
        "door.html",
        status=status.document,
        settings=status.document["settings"] or NOT_TOLD,
        health=lines if member else _without_reasons(request, lines),
        visitors=today.document["visitors"],
        cards=[card for card in cards if card is not None],
        more=max(0, len(waiting) - CARDS),
        member=member,
    )


async def wall(request: Request) -> Response:
    """The picture alone, for a tablet on the wall or a panel of home automation."""
    doorbell: Doorbell = request.app.state.doorbell
    status = (await doorbell.ask("status")).document
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


def health_lines(status: dict[str, Any]) -> list[tuple[str, str, str]]:
    """How each part is: its name, ``good``, ``warn`` or ``bad``, and why where it is not good."""
    camera, sound, broker = status["camera"], status["sound"], status["broker"]
    lines = []
    if camera is None:
        lines.append(("camera", "warn", ""))
    elif not camera["gives_frames"]:
        lines.append(("camera", "bad", camera["reason"]))
    else:
        lines.append(("camera", "warn" if camera["reason"] else "good", camera["reason"] or ""))
    if sound is not None and sound["works"] is not None:  # a chime was played
        lines.append(("sound", "good" if sound["works"] else "bad", sound["reason"] or ""))
    if broker["enabled"]:
        connected = broker["connected"] is not False and not broker["problem"]
        lines.append(("broker", "good" if connected else "bad", broker["problem"] or ""))
    failing = "; ".join(part["reason"] for part in status["storage"])
    lines.append(("storage", "bad" if failing else "good", failing))
    return lines


def _without_reasons(
    request: Request, lines: list[tuple[str, str, str]]
) -> list[tuple[str, str, str]]:
    """The same for who may only look: a reason may name an address of the house, or a file."""
    _ = gettext_of(request)
    words = {"warn": _("works, but not well"), "bad": _("does not work")}
    return [(part, state, words.get(state, "") if reason else "") for part, state, reason in lines]


def _midnight() -> str:
    """When today began, by the clock of the house."""
    start = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    return start.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
