"""What is wrong with a configuration, in words for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeAlias, get_args

from pydantic import BaseModel, ValidationError

from doorbell.config.secrets import without_credentials

# Where something stands: keys, and places in lists.
_Location: TypeAlias = Sequence[int | str]

# Of a wrong value.
SHOWN_CHARACTERS = 200


def describe(error: ValidationError, source: str, schema: type[BaseModel]) -> str:
    """Say every wrong key, its value and what it takes, a line each.

    Args:
        error: of the whole configuration.
        source: where it came from.
        schema: of the configuration, whose fields are its sections.
    """
    lines = [f"the configuration ({source}) is wrong:"]
    for problem in error.errors(include_url=False):
        location = ".".join(str(part) for part in problem["loc"])
        match problem["type"]:
            case "extra_forbidden":
                message = f"there is no such key{_nearest(problem['loc'], schema)}"
            case "value_error":
                message = str(problem["ctx"]["error"])
            case "model_type":
                message = f"this is a section: write {_header(problem['loc'])} and its keys below"
            case _:
                message = f"must be {_allowed(problem['loc'], schema)}"
        value = problem["input"]
        # The text of an unknown key may be a password: mqtt.password is a good guess.
        unknown_text = problem["type"] == "extra_forbidden" and isinstance(value, str)
        hidden = unknown_text or isinstance(value, Mapping | BaseModel)
        wrong = "" if hidden else f" = {shown(value)}"
        lines.append(f"  {location}{wrong}: {message}" if location else f"  {message}")
    return "\n".join(lines)


def shown(value: object) -> str:
    """Write a value down, without credentials, and cut off where it is long."""
    # Python refuses to write very long numbers in decimals.
    number = type(value) is int and value.bit_length() > 64
    text = without_credentials(f"{value:#x}" if number else repr(value))
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."


def _header(location: _Location) -> str:
    """How a section begins, or each of several."""
    name = ".".join(_keys(location))
    return f"[[{name}]]" if isinstance(location[-1], int) else f"[{name}]"


def _keys(location: _Location) -> list[str]:
    return [part for part in location if isinstance(part, str)]


def _nearest(location: _Location, schema: type[BaseModel]) -> str:
    *section, unknown = _keys(location)
    keys = _section_at(section, schema).model_fields
    close = get_close_matches(unknown, keys, n=1)
    kind = "keys are" if section else "sections are"
    return f"; did you mean {close[0]}?" if close else f"; the {kind} " + ", ".join(keys)


def _allowed(location: _Location, schema: type[BaseModel]) -> str:
    """Say in words what a key takes, from its JSON schema."""
    *section, key = _keys(location)
    takes = _section_at(section, schema).model_json_schema()["properties"][key]
    takes |= takes.get("anyOf", [{}])[0]  # the other choice is null, which TOML cannot write
    number = "a whole number" if takes.get("type") == "integer" else "a number"
    match takes:
        case {"description": words}:
            pass
        case {"enum": choices}:
            words = "one of " + ", ".join(choices)
        case {"format": "path"}:
            words = "a path"
        case {"format": "time"}:
            words = "a time of day, as in 22:00:00"
        case {"minLength": least, "maxLength": most}:
            words = f"text of {least} to {most} characters"
        case {"minLength": _}:
            words = "text that is not empty"
        case {"type": "boolean"}:
            words = "true or false"
        case {"exclusiveMinimum": least, "maximum": most}:
            words = f"{number} above {least:g} and at most {most:g}"
        case {"minimum": least, "maximum": most}:
            words = f"{number} from {least:g} to {most:g}"
        case _:
            words = "text"
    return str(words)


def _section_at(keys: Sequence[str], schema: type[BaseModel]) -> type[BaseModel]:
    """The section, or each of several, that these keys lead to."""
    for key in keys:
        schema = next(_sections_in(schema.model_fields[key].annotation))
    return schema


def _sections_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections_in(argument)
