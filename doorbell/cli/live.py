"""``doorbell status``, ``ring`` and ``mute``: asking the running doorbell."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from doorbell.cli.options import door_option, named_door, with_config
from doorbell.cli.printing import example, json_option, print_json, say

if TYPE_CHECKING:
    from doorbell.config import Config
    from doorbell.control.client import Client

Document = dict[str, Any]


@click.command(epilog=example("doorbell status", "doorbell status --json"))
@json_option
@with_config
def status(config: Config, *, as_json: bool) -> None:
    """Tell how the running doorbell is, and who is at the door; of several doors, at each.

    The exit code is 3 if none is running.

    JSON: an object with device, version, uptime_seconds, camera, sound, door_speaker, talk,
    microphone, replies, storage, broker, statistics, settings, at_the_door, people, strangers,
    min_face_pixels, built_in_chimes and quiet_now, of the first door; and doors, a list with such
    an object for each door.
    """
    with _client(config) as client:
        first = client.ask("status").document
        others = [client.ask("status", door_id=each["id"]) for each in first["doors"][1:]]
    doors = [
        {key: value for key, value in told.items() if key not in ("ok", "doors")}
        for told in (first, *(each.document for each in others))
    ]
    if as_json:
        print_json({**doors[0], "doors": doors})
    else:
        for line in _lines_of_doors(doors):
            say(line)


@click.command(epilog=example("doorbell ring", "doorbell ring --door garden"))
@door_option
@with_config
def ring(config: Config) -> None:
    """Ring for whoever is at the door, as the button does."""
    with _client(config) as client:
        say(client.ask("ring", door_id=named_door()).document["summary"])


@click.command(
    epilog=example(
        "doorbell mute",
        "doorbell mute --minutes 60",
        "doorbell mute --until 07:00",
        "doorbell mute --door garden",
    )
)
@click.option("--minutes", type=float, help="For so long, a week at most.")
@click.option("--until", metavar="HH:MM", help="Until that time of day.")
@click.option("--off", is_flag=True, help="Let the chimes sound again.")
@door_option
@with_config
def mute(config: Config, minutes: float | None, until: str | None, *, off: bool) -> None:
    """Silence the chimes, until --off if nothing else is said; everybody is still announced.

    Of several doors the chimes of all are meant where none is named.
    """
    if (minutes is not None) + (until is not None) + off > 1:
        raise click.UsageError("give one of --minutes, --until and --off")
    when: Document = {}
    if minutes is not None:
        when["minutes"] = minutes
    if until is not None:
        when["until"] = until
    with _client(config) as client:
        asked = client.ask("mute", muted=not off, door_id=named_door(), **when)
        say(asked.document["summary"])


def _client(config: Config) -> Client:
    from doorbell.config import control_socket
    from doorbell.control.client import Client

    return Client.connect(control_socket(config))


def _lines_of_doors(doors: Sequence[Document]) -> list[str]:
    """How each door is, in words; what is so at all of several is said once, at the end."""
    if len(doors) == 1:
        return _lines(doors[0], _house(doors[0]))
    told = [_house(each) for each in doors]
    shared = [line for line in told[0] if all(line in each for each in told)]
    lines: list[str] = []
    for door, house in zip(doors, told, strict=True):
        lines += [*_lines(door, [line for line in house if line not in shared]), ""]
    return lines + shared if shared else lines[:-1]


def _house(told: Document) -> list[str]:
    """How it is with what doors have in common."""
    storage = [f"{each['part']}: {each['reason']}" for each in told["storage"]]
    return [*_told(told["notifications"]), *storage]


def _lines(told: Document, house: Sequence[str]) -> list[str]:
    """How a door is, in words; one line for each part."""
    lines = [f"{told['device']['name']} has been running for {_duration(told['uptime_seconds'])}"]
    camera, sound, broker = told["camera"], told["sound"], told["broker"]
    if camera is not None:
        reason = f": {camera['reason']}" if camera["reason"] else ""
        lines.append(f"camera: {camera['condition']}{reason}")
    if sound is not None:
        played = {None: "no chime was played yet", True: "plays", False: "does not play"}
        reason = f": {sound['reason']}" if sound["reason"] else ""
        lines.append(f"sound: {played[sound['works']]}{reason}")
    lines += _at_the_door(told)
    if broker["enabled"]:
        connected = "connected" if broker["connected"] else "not connected"
        lines.append(
            f"broker: {connected}" + (f": {broker['problem']}" if broker["problem"] else "")
        )
    lines += house
    if (statistics := told["statistics"]) is not None:
        lines.append(
            f"speed: {statistics['frames_per_second']:.1f} frames/s, half of them within "
            f"{statistics['latency_ms_p50']:.0f} ms"
        )
    settings = told["settings"]
    if settings is not None:
        if settings["muted"]:
            until = settings["muted_until"]
            lines.append("chimes: muted" + (f" until {_time(until)}" if until else ""))
        elif told["quiet_now"]:
            lines.append(f"chimes: quiet until {settings['quiet_to']}")
        else:
            lines.append(f"chimes: on, at {settings['volume']:.0%}")
        if settings["privacy"]:
            lines.append("pictures: none are made")
    names = [each["visitor"]["label"] or "somebody" for each in told["at_the_door"]]
    lines.append("at the door: " + (", ".join(names) or "nobody"))
    return lines


def _told(notifications: Document) -> list[str]:
    """Who is told elsewhere, and what did not arrive."""
    from doorbell.control.requests.notifications import SILENT_SECONDS

    if not notifications["enabled"]:
        return []
    problems = [
        f"{each['name']}: {each['problem']}"
        for each in notifications["targets"]
        if each["problem"] is not None
    ]
    if notifications["silent_seconds"] > SILENT_SECONDS:
        silent = _duration(notifications["silent_seconds"])
        problems = [f"the notifier has not asked for {silent}", *problems]
    told = ", ".join(each["name"] for each in notifications["targets"]) or "nobody is told"
    return [f"notifications: {'; '.join(problems) or told}"]


def _at_the_door(told: Document) -> list[str]:
    """How it is with what speaks and listens there."""
    speaker, microphone = told["door_speaker"], told["microphone"]
    lines, is_on = [], told["talk"]["enabled"]
    if is_on and speaker is not None:
        works = {None: "nothing was said yet", True: "speaks", False: "does not speak"}
        reason = f": {speaker['reason']}" if speaker["reason"] else ""
        lines.append(f"speaker at the door: {works[speaker['works']]}{reason}")
    if microphone["enabled"]:
        is_open = "open, somebody listens" if microphone["is_open"] else "closed"
        lines.append(f"microphone at the door: {is_open}")
    if is_on and (after := (told["settings"] or {}).get("reply_after_seconds")):
        lines.append(f"reply where nobody answers: after {after} s")
    return lines


def _duration(seconds: float) -> str:
    minutes = int(seconds // 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    days, hours = minutes // 1440, minutes // 60 % 24
    parts = ((days, "d"), (hours, "h"), (minutes % 60, "min"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


def _time(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone().strftime("%H:%M")
