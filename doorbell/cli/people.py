"""``doorbell people``: whom the household knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from doorbell.cli.options import with_config
from doorbell.cli.printing import (
    example,
    finish_forgetting,
    json_option,
    local_time,
    plural,
    print_json,
    print_table,
    yes_option,
)
from doorbell.errors import SoundError, UsageError

if TYPE_CHECKING:
    from doorbell.config import Config
    from doorbell.recognition.gallery import Gallery, PersonSummary
    from doorbell.recognition.strength import Strength


@click.group(epilog=example("doorbell people list", "doorbell people chime Anna sunrise"))
def people() -> None:
    """Whom the household knows."""


@people.command("list", epilog=example("doorbell people list --json"))
@json_option
@with_config
def list_(config: Config, *, as_json: bool) -> None:
    """List everybody enrolled.

    JSON: a list of objects with person_id, name, samples, strength (weak, fair or strong), visits,
    last_seen_at (ISO 8601, UTC, or null), chime (null for the default one) and preferences.
    """
    from doorbell.recognition.gallery import Gallery

    with Gallery.of(config.storage) as gallery:
        summaries = gallery.summaries()
        strengths = [_strength(gallery, summary) for summary in summaries]
    if as_json:
        print_json([_document(*each) for each in zip(summaries, strengths, strict=True)])
        return
    print_table(
        ["name", "samples", "strength", "visits", "last seen", "chime"],
        [
            [
                summary.person.name,
                summary.samples,
                strength.level.value,
                summary.visits,
                local_time(summary.last_seen_at),
                summary.person.chime or "default",
            ]
            for summary, strength in zip(summaries, strengths, strict=True)
        ],
        empty="nobody is enrolled; begin with: doorbell enroll NAME PHOTO...",
    )


@people.command(epilog=example("doorbell people show Anna"))
@click.argument("name")
@json_option
@with_config
def show(config: Config, name: str, *, as_json: bool) -> None:
    """Show one person.

    JSON: an object with the keys of ``people list``.
    """
    from doorbell.recognition.gallery import Gallery

    with Gallery.of(config.storage) as gallery:
        person = gallery.person(name)
        (summary,) = (each for each in gallery.summaries() if each.person == person)
        strength = _strength(gallery, summary)
    if as_json:
        print_json(_document(summary, strength))
        return
    click.echo(person.name)
    for key, value in (
        ("samples", str(summary.samples)),
        ("strength", "; ".join([strength.level.value, *strength.missing])),
        ("visits", str(summary.visits)),
        ("last seen", local_time(summary.last_seen_at) or "never"),
        ("chime", person.chime or "default"),
        ("preferences", json.dumps(dict(person.preferences), ensure_ascii=False)),
    ):
        click.echo(f"  {key:<12} {value}")


@people.command(epilog=example("doorbell people rename Ana Anna"))
@click.argument("name")
@click.argument("new_name")
@with_config
def rename(config: Config, name: str, new_name: str) -> None:
    """Give a person another name."""
    from doorbell.recognition.gallery import Gallery

    with Gallery.of(config.storage) as gallery:
        before = gallery.person(name)
        after = gallery.rename(name, new_name)
    click.echo(f"{before.name} is now {after.name}")


@people.command(epilog=example('doorbell people merge "Anna B." Anna'))
@click.argument("source")
@click.argument("into")
@with_config
def merge(config: Config, source: str, into: str) -> None:
    """Make two entries of one person one.

    SOURCE goes, INTO has the samples and visits of both.
    """
    from doorbell.recognition.gallery import Gallery

    with Gallery.of(config.storage) as gallery:
        gone = gallery.person(source)
        kept = gallery.merge(source, into)
    click.echo(f"{gone.name} is now part of {kept.name}")


@people.command(epilog=example("doorbell people forget Anna"))
@click.argument("name")
@yes_option
@with_config
def forget(config: Config, name: str, *, yes: bool) -> None:
    """Delete a person, with every sample, visit and picture."""
    from doorbell.recognition.gallery import Gallery

    with Gallery.of(config.storage) as gallery:
        person = gallery.person(name)
        if not yes:
            click.confirm(f"Forget {person.name} with every sample, visit and picture?", abort=True)
        forgotten = gallery.forget(person.name)
    finish_forgetting(forgotten, config.storage.pictures_directory)


@people.command(
    epilog=example(
        "doorbell people chime Anna sunrise",
        "doorbell people chime Anna anna.wav",
        "doorbell people chime Anna --default",
    )
)
@click.argument("name")
@click.argument("chime_name", metavar="CHIME", required=False)
@click.option("--default", "to_default", is_flag=True, help="Back to the default chime.")
@with_config
def chime(config: Config, name: str, chime_name: str | None, *, to_default: bool) -> None:
    """Give a person a chime.

    CHIME is a WAV file or a built-in one: westminster, ding-dong, alert, gong, sunrise, cascade,
    crystal or horn.
    """
    from doorbell.recognition.gallery import Gallery

    if (chime_name is None) != to_default:
        raise click.UsageError("give either CHIME or --default")
    chosen = None if chime_name is None else _checked_chime(chime_name)
    with Gallery.of(config.storage) as gallery:
        person = gallery.set_chime(name, chosen)
    click.echo(f"{person.name} rings with {chosen or 'the default chime'}")


@people.command(
    epilog=example('doorbell people preferences Anna \'{"tv": "news", "scene": "evening"}\'')
)
@click.argument("name")
@click.argument("preferences_json", metavar="JSON")
@with_config
def preferences(config: Config, name: str, preferences_json: str) -> None:
    """Set what goes out with a person's events.

    JSON is any object; home automation may read in it what to switch on. {} takes them away.
    """
    from doorbell.recognition.gallery import Gallery

    try:
        wishes = json.loads(preferences_json)
    except ValueError as exc:
        raise UsageError(
            f"{preferences_json!r} is not JSON: {exc}; quote it for the shell, "
            """as in '{"tv": "news"}'"""
        ) from exc
    if not isinstance(wishes, dict):
        raise UsageError(f"{preferences_json!r} is not a JSON object; write it in braces")
    with Gallery.of(config.storage) as gallery:
        person = gallery.set_preferences(name, wishes)
    click.echo(f"{person.name} has {plural(len(wishes), 'preference')}")


def _checked_chime(chime_name: str) -> str:
    """A built-in name, or the path of a WAV file from wherever the daemon may run."""
    from doorbell.outputs.chimes import chime_names, load_chime

    try:
        load_chime(chime_name)
    except SoundError as exc:
        raise UsageError(str(exc)) from exc
    if chime_name in chime_names():
        return chime_name
    return str(Path(chime_name).expanduser().absolute())


def _strength(gallery: Gallery, summary: PersonSummary) -> Strength:
    from doorbell.recognition.embedder import SFACE_ID
    from doorbell.recognition.strength import strength

    return strength(gallery.samples(summary.person.name, SFACE_ID))


def _document(summary: PersonSummary, strength: Strength) -> dict[str, Any]:
    from doorbell.outputs.messages import iso_utc

    return {
        "person_id": summary.person.person_id,
        "name": summary.person.name,
        "samples": summary.samples,
        "strength": strength.level.value,
        "visits": summary.visits,
        "last_seen_at": iso_utc(summary.last_seen_at),
        "chime": summary.person.chime,
        "preferences": dict(summary.person.preferences),
    }
