"""Several doors of one house: what each ``[[door]]`` has of its own, and the rest from the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import Field

from doorbell.config.section import Section

if TYPE_CHECKING:
    from doorbell.config import Config

# What Home Assistant accepts in ids and object ids.
IDENTIFIER_PATTERN = r"^[a-zA-Z0-9_-]{1,64}$"

DoorId: TypeAlias = Annotated[
    str, Field(pattern=IDENTIFIER_PATTERN, description="1 to 64 letters, digits, - and _")
]
# Keys of a section, which are validated with those that the door shares with the others.
Table: TypeAlias = Annotated[dict[str, Any], Field(description="keys of the section of that name")]

DOORS_AT_MOST = 16


class DoorSection(Section):
    """``[[door]]``: one of several doors; what is left out is as in the section of that name."""

    id: DoorId
    name: Annotated[str, Field(min_length=1, max_length=64)]
    area: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    camera: Table = Field(default_factory=dict)
    detection: Table = Field(default_factory=dict)
    visits: Table = Field(default_factory=dict)
    attention: Table = Field(default_factory=dict)
    storage: Table = Field(default_factory=dict)
    chime: Table = Field(default_factory=dict)
    announcements: Table = Field(default_factory=dict)
    talk: Table = Field(default_factory=dict)
    replies: Table = Field(default_factory=dict)
    mqtt: Table = Field(default_factory=dict)
    button: Table = Field(default_factory=dict)
    relay: Table = Field(default_factory=dict)


# Of these sections a door has some keys of its own; of the others all.
OWN_KEYS: Mapping[str, frozenset[str]] = {
    "detection": frozenset({"ignore"}),
    "storage": frozenset({"pictures_days", "visits_days"}),
    "mqtt": frozenset({"enabled", "publish_images", "image_width", "image_quality"}),
}


def tables(house: Config, door: DoorSection) -> dict[str, Any]:
    """The configuration of one door, to be validated: sections of the house, and tables.

    Raises:
        ValueError: a key that all doors share.
    """
    own: dict[str, dict[str, Any]] = {"device": {"id": door.id, "name": door.name}}
    if door.area is not None:
        own["device"]["area"] = door.area
    for section in DoorSection.model_fields.keys() - {"id", "name", "area"}:
        table, keys = getattr(door, section), OWN_KEYS.get(section)
        for key in table:
            if keys is not None and key not in keys:
                msg = (
                    f"the door {door.id!r}: {section}.{key} is the same for all doors: set it in "
                    f"[{section}]; a door's own are {', '.join(sorted(keys))}"
                )
                raise ValueError(msg)
        if table:
            own[section] = table
    merged: dict[str, Any] = {
        name: getattr(house, name) for name in type(house).model_fields if name != "door"
    }
    for section, table in own.items():
        merged[section] = {**merged[section].model_dump(), **table}
    return merged


def require_apart(doors: Sequence[Config]) -> None:
    """Refuse doors that share what only one of them can have.

    Raises:
        ValueError: two do.
    """
    if len(doors) > DOORS_AT_MOST:
        msg = f"there are {len(doors)} doors; one daemon watches {DOORS_AT_MOST} at most"
        raise ValueError(msg)
    ids = [door.device.id.casefold() for door in doors]
    for door_id in ids:
        if ids.count(door_id) > 1:
            msg = f"two doors have the id {door_id!r}: give each its own"
            raise ValueError(msg)
    seen: dict[tuple[str, object], str] = {}
    for door in doors:
        for what, value in _of_one_door(door):
            other = seen.setdefault((what, value), door.device.id)
            if other != door.device.id:
                msg = (
                    f"the doors {other!r} and {door.device.id!r} have the same {what}: "
                    "give each its own"
                )
                raise ValueError(msg)


def _of_one_door(door: Config) -> Iterator[tuple[str, object]]:
    """What a door shares with no other."""
    yield "name", door.device.name.casefold()
    if not door.camera.uri.startswith("simulated:"):
        yield "camera.uri", door.camera.uri
    if door.camera.uri_file is not None:
        yield "camera.uri_file", door.camera.uri_file
    for line in (door.button, door.relay):
        if line.line is not None:
            yield "GPIO line", (line.chip, line.line)
