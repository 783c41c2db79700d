"""``doorbell people``: whom the household knows."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZipFile

import click

from doorbell.cli.options import with_config
from doorbell.cli.printing import (
    example,
    json_option,
    local_time,
    plural,
    print_forgotten,
    print_json,
    print_table,
    yes_option,
)
from doorbell.errors import SoundError, UsageError

if TYPE_CHECKING:
    from doorbell.config import Config
    from doorbell.household.enrollment_strength import Strength
    from doorbell.recognition.gallery import Gallery, PersonSummary


@click.group(epilog=example("doorbell people list", "doorbell people chime Anna sunrise"))
def people() -> None:
    """Whom the household knows."""


@people.command("list", epilog=example("doorbell people list --json"))
@json_option
@with_config
def list_(config: Config, *, as_json: bool) -> None:
    """List everybody enrolled.

    JSON: a list of objects with person_id, name, samples, strength (weak, fair or strong), visits,
    last_seen_at (ISO 8601, UTC, or null), chime (null for the default one), preferences and
    consent (an object with words and noted_at, or null where none was noted).
    """
    from doorbell.recognition.gallery import Gallery

    with Gallery.of(config.storage) as gallery:
        summaries = gallery.people.summaries()
        strengths = [_strength(gallery, summary) for summary in summaries]
    if as_json:
        print_json([_document(*each) for each in zip(summaries, strengths, strict=True)])
        return
    print_table(
        ["name", "samples", "strength", "visits", "last seen", "chime", "consent"],
        [
            [
                summary.person.name,
                summary.samples,
                strength.level.value,
                summary.visits,
                local_time(summary.last_seen_at),
                summary.person.chime or "default",
                "noted" if summary.consent else "no",
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
        person = gallery.people.get(name)
        (summary,) = (each for each in gallery.people.summaries() if each.person == person)
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
        ("consent", _consent(summary)),
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
        before = gallery.people.get(name)
        after = gallery.people.rename(name, new_name)
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
        gone = gallery.people.get(source)
        kept = gallery.people.merge(source, into)
    click.echo(f"{gone.name} is now part of {kept.name}")


@people.command(epilog=example("doorbell people forget Anna"))
@click.argument("name")
@yes_option
@with_config
def forget(config: Config, name: str, *, yes: bool) -> None:
    """Delete a person, with every sample, visit and picture."""
    from doorbell.household.forgetting import VisitFiles, forget_person
    from doorbell.recognition.gallery import Gallery

    with Gallery.of(config.storage) as gallery:
        person = gallery.people.get(name)
        if not yes:
            click.confirm(f"Forget {person.name} with every sample, visit and picture?", abort=True)
        traces = VisitFiles(gallery, config).forget
        outcome = forget_person(gallery, person.name, config.storage, traces)
    print_forgotten(outcome)


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
        person = gallery.people.set_chime(name, chosen)
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
        person = gallery.people.set_preferences(name, wishes)
    click.echo(f"{person.name} has {plural(len(wishes), 'preference')}")


@people.command(epilog=example("doorbell people consent Anna 'in writing, 1 March'"))
@click.argument("name")
@click.argument("words", metavar="CONSENT")
@with_config
def consent(config: Config, name: str, words: str) -> None:
    """Note what a person agreed to, and that it was now.

    CONSENT is free text: how, to whom, to what. It replaces what was noted before.
    """
    from doorbell.recognition.gallery import Gallery

    with Gallery.of(config.storage) as gallery:
        person = gallery.people.note_consent(name, words, time.time())
    click.echo(f"noted for {person.name}")


@people.command(epilog=example("doorbell people export Anna --output anna.zip"))
@click.argument("name")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="A new file.  [default: doorbell-NUMBER.zip, by the person's number]",
)
@with_config
def export(config: Config, name: str, output: Path | None) -> None:
    """Write down everything that is held on a person, to give it to them.

    A ZIP file for its owner alone: person.json (the person with chime, preferences and consent,
    every face as its numbers, every visit) and the pictures of the visits, nothing of it encrypted.
    """
    from doorbell.outputs.pictures import picture_path, read_picture
    from doorbell.recognition.gallery import Gallery
    from doorbell.sealing import open_seal
    from doorbell.storage.files import whole_file

    with Gallery.of(config.storage) as gallery:
        person = gallery.people.get(name)
        held = gallery.personal_data(person.person_id)
    path = output or Path(f"doorbell-{person.person_id}.zip")
    directory, seal = config.storage.pictures_directory, open_seal(config.storage.key_file)
    pictures = 0
    try:
        with (
            whole_file(path, replace=False) as partial,
            ZipFile(partial, "w", ZIP_DEFLATED) as archive,
        ):
            text = json.dumps(held.document, indent=2, ensure_ascii=False)
            archive.writestr("person.json", text)
            for picture in (picture_path(directory, visit_id) for visit_id in held.visit_ids):
                if picture.is_file():
                    archive.writestr(f"pictures/{picture.name}", read_picture(picture, seal))
                    pictures += 1
    except OSError as exc:
        raise UsageError(
            f"cannot write {path}: {exc.strerror}; give the path of a new file with --output"
        ) from exc
    click.echo(
        f"{path} has everything on {person.name}: "
        f"{plural(len(held.document['samples']), 'sample')}, "
        f"{plural(len(held.visit_ids), 'visit')} and {plural(pictures, 'picture')}"
    )


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


def _consent(summary: PersonSummary) -> str:
    if summary.consent is None:
        return (
            f"not noted; ask, then: doorbell people consent {shlex.quote(summary.person.name)} "
            "'in writing, today'"
        )
    return f"{summary.consent.words} (noted {local_time(summary.consent.noted_at)})"


def _strength(gallery: Gallery, summary: PersonSummary) -> Strength:
    from doorbell.household.enrollment_strength import strength
    from doorbell.recognition.embedder import SFACE_ID

    return strength(gallery.people.samples(summary.person.name, SFACE_ID))


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
        "consent": None
        if summary.consent is None
        else {"words": summary.consent.words, "noted_at": iso_utc(summary.consent.noted_at)},
    }
