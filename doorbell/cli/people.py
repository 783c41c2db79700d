"""``doorbell people``: whom the household knows."""

from __future__ import annotations

import json
import shlex
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbell.cli.options import read_gallery, with_config
from doorbell.cli.printing import (
    example,
    json_option,
    local_time,
    plural,
    print_forgotten,
    print_ignored,
    print_json,
    print_table,
    say,
    undo_option,
    yes_option,
)
from doorbell.errors import UsageError
from doorbell.text import shown

if TYPE_CHECKING:
    from doorbell.config import Config
    from doorbell.gallery.gallery import PersonSummary


@click.group(epilog=example("doorbell people list", "doorbell people chime Anna sunrise"))
def people() -> None:
    """Whom the household knows."""


@people.command("list", epilog=example("doorbell people list --json"))
@json_option
@with_config
def list_(config: Config, *, as_json: bool) -> None:
    """List everybody enrolled.

    JSON: a list of objects with person_id, name, samples, strength (weak, fair or strong), visits,
    last_seen_at (ISO 8601, UTC, or null), chime (null for the default one), preferences, consent
    (an object with words and noted_at, or null where none was noted), enroll_again (the command
    after which they are known in a hood, in sunglasses and by infrared too, or null) and ignored
    (whether their coming never rings).
    """
    from doorbell.household.documents import person_document
    from doorbell.household.listing import known_people

    known = read_gallery(config, known_people)
    if as_json:
        print_json([person_document(each) for each in known])
        return
    print_table(
        ["#", "name", "samples", "strength", "visits", "last seen", "chime", "consent"],
        [
            [
                each.summary.person.person_id,
                each.summary.person.name,
                each.summary.samples,
                each.strength.level.value,
                each.summary.visits,
                local_time(each.summary.last_seen_at),
                "ignored"
                if each.summary.person.ignored
                else each.summary.person.chime or "default",
                "noted" if each.summary.consent else "no",
            ]
            for each in known
        ],
        empty="nobody is enrolled; begin with: doorbell enroll NAME PHOTO...",
    )
    again = [each.enroll_again for each in known if each.enroll_again is not None]
    if again:
        gain = "these would be known in a hood, in sunglasses and by infrared too after:"
        for line in (gain, *(f"  {each}" for each in again)):
            say(line, err=True)  # beside the table, for people


@people.command(epilog=example("doorbell people show Anna"))
@click.argument("name")
@json_option
@with_config
def show(config: Config, name: str, *, as_json: bool) -> None:
    """Show one person.

    JSON: an object with the keys of ``people list``.
    """
    from doorbell.gallery.gallery import Gallery
    from doorbell.household.documents import person_document
    from doorbell.household.listing import known_person

    with Gallery.of(config.storage, config.gallery) as gallery:
        known = known_person(gallery, name)
    if as_json:
        print_json(person_document(known))
        return
    summary, person, strength = known.summary, known.summary.person, known.strength
    say(person.name)
    for key, value in (
        ("samples", str(summary.samples)),
        ("strength", "; ".join([strength.level.value, *strength.missing])),
        ("visits", str(summary.visits)),
        ("last seen", local_time(summary.last_seen_at) or "never"),
        ("number", str(person.person_id)),
        ("chime", person.chime or "default"),
        ("rings", "no: ignored" if person.ignored else "yes"),
        ("preferences", json.dumps(dict(person.preferences), ensure_ascii=False)),
        ("consent", _consent(summary)),
    ):
        say(f"  {key:<12} {value}")
    if known.enroll_again is not None:
        say(f"  {'better after':<12} {known.enroll_again}")


@people.command(epilog=example("doorbell people rename Ana Anna"))
@click.argument("name")
@click.argument("new_name")
@with_config
def rename(config: Config, name: str, new_name: str) -> None:
    """Give a person another name."""
    from doorbell.gallery.gallery import Gallery
    from doorbell.household.naming import rename_person

    with Gallery.of(config.storage, config.gallery) as gallery:
        done = rename_person(gallery, name, new_name)
        number = gallery.people.get(done.now.label).person_id
    say(f"{done.before.label} is now {done.now.label}")
    if config.mqtt.enabled:
        say(
            f"Home Assistant's triggers and entities of person {number} go on as they are; "
            f"change automations that compare the name {done.before.label!r} itself"
        )


@people.command(epilog=example("doorbell people ignore Ben", "doorbell people ignore Ben --undo"))
@click.argument("name")
@undo_option
@with_config
def ignore(config: Config, name: str, *, undo: bool) -> None:
    """Never ring when a person comes.

    Events, pictures and home automation go on telling of them; who presses the button is heard.
    """
    from doorbell.gallery.gallery import Gallery
    from doorbell.household.ignoring import ignore_person

    with Gallery.of(config.storage, config.gallery) as gallery:
        print_ignored(ignore_person(gallery, name, ignored=not undo))


@people.command(epilog=example('doorbell people merge "Anna B." Anna'))
@click.argument("source")
@click.argument("into")
@click.option("--force", is_flag=True, help="Also if they do not look alike.")
@with_config
def merge(config: Config, source: str, into: str, *, force: bool) -> None:
    """Make two entries of one person one.

    SOURCE goes, INTO has the samples and visits of both. Two who do not look alike are refused.
    `doorbell people undo` takes it back.
    """
    from doorbell.gallery.gallery import Gallery
    from doorbell.household.naming import merge_people

    with Gallery.of(config.storage, config.gallery) as gallery:
        done = merge_people(gallery, source, into, force=force)
    say(f"{done.before.label} is now part of {done.now.label}")


@people.command(epilog=example("doorbell people undo"))
@with_config
def undo(config: Config) -> None:
    """Take the last naming of a stranger, or merge, back; again, the one before it.

    Who was named or merged has again the samples and visits they had, but for what was forgotten
    since.
    """
    from doorbell.gallery.gallery import Gallery
    from doorbell.household.naming import undo_naming

    with Gallery.of(config.storage, config.gallery) as gallery:
        done = undo_naming(gallery)
    say(f"{done.now.label} is no longer part of {done.before.label}")


@people.command(
    epilog=example("doorbell people samples Anna", "doorbell people samples Anna --remove 12")
)
@click.argument("name")
@click.option("--remove", "number", type=int, metavar="N", help="Delete the sample of this number.")
@json_option
@yes_option
@with_config
def samples(config: Config, name: str, number: int | None, *, as_json: bool, yes: bool) -> None:
    """List a person's samples, or remove one.

    One that stands out is less like the person's others than enrolling would take: it may show
    somebody else. A photo is told by the beginning of its SHA-256, as `sha256sum` prints it. What
    is removed cannot be brought back but by enrolling it again.

    JSON: a list of objects with number, added_at (ISO 8601, UTC, or null), source, quality (null
    where it is damaged), likeness (the cosine with the mean of the person's others, or null) and
    stands_out.
    """
    from doorbell.gallery.gallery import Gallery
    from doorbell.household.documents import sample_document
    from doorbell.household.samples import list_samples, remove_sample

    with Gallery.of(config.storage, config.gallery) as gallery:
        person = gallery.people.get(name)
        if number is not None:
            if not yes:
                click.confirm(f"Remove sample {number} of {shown(person.name)}?", abort=True)
            left = remove_sample(gallery, name, number)
            say(f"sample {number} is removed; {person.name} has {plural(left, 'sample')} left")
            return
        found = list_samples(gallery, name)
    if as_json:
        print_json([sample_document(each) for each in found])
        return
    print_table(
        ["number", "added", "source", "quality", "like the others", ""],
        [
            [
                each.number,
                local_time(each.added_at),
                each.source,
                "" if each.quality is None else f"{each.quality:.2f}",
                "" if each.likeness is None else f"{each.likeness:.2f}",
                "damaged" if each.quality is None else "stands out" if each.stands_out else "",
            ]
            for each in found
        ],
        empty=f"{person.name} has no samples",
    )


@people.command(epilog=example("doorbell people forget Anna"))
@click.argument("name")
@yes_option
@with_config
def forget(config: Config, name: str, *, yes: bool) -> None:
    """Delete a person, with every sample, visit and picture.

    Of a gallery on a server, the machines are named that have not done so yet.
    """
    from doorbell.gallery.gallery import Gallery
    from doorbell.gallery.link.machines import FOLLOW_SECONDS, behind
    from doorbell.household.forgetting import forget_person
    from doorbell.household.visit_files import forget_in_files, waits_for_daemon

    with Gallery.of(config.storage, config.gallery) as gallery:
        person = gallery.people.get(name)
        if not yes:
            question = f"Forget {shown(person.name)} with every sample, visit and picture?"
            click.confirm(question, abort=True)
        forget_visits = partial(forget_in_files, gallery, config)
        outcome = forget_person(gallery, person.name, config.storage, forget_visits)
        machines = behind(gallery.file, FOLLOW_SECONDS)
    print_forgotten(outcome, machines, waits_for_daemon=waits_for_daemon(config))


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
    from doorbell.gallery.gallery import Gallery
    from doorbell.household.chimes import give_chime

    if (chime_name is None) != to_default:
        raise click.UsageError("give either CHIME or --default")
    with Gallery.of(config.storage, config.gallery) as gallery:
        person = give_chime(gallery, name, chime_name)
    say(f"{person.name} rings with {person.chime or 'the default chime'}")


@people.command(
    epilog=example('doorbell people preferences Anna \'{"tv": "news", "scene": "evening"}\'')
)
@click.argument("name")
@click.argument("preferences_json", metavar="JSON")
@with_config
def preferences(config: Config, name: str, preferences_json: str) -> None:
    """Set what goes out with a person's events.

    JSON is any object of at most 16 kB; home automation may read in it what to switch on. {} takes
    them away.
    """
    from doorbell.gallery.gallery import Gallery

    beginning = preferences_json[:60]
    try:
        wishes = json.loads(preferences_json)
    except (ValueError, RecursionError) as exc:
        raise UsageError(
            f"{beginning!r} is not JSON: {exc}; quote it for the shell, "
            """as in '{"tv": "news"}'"""
        ) from exc
    if not isinstance(wishes, dict):
        raise UsageError(f"{beginning!r} is not a JSON object; write it in braces")
    with Gallery.of(config.storage, config.gallery) as gallery:
        person = gallery.people.set_preferences(name, wishes)
    say(f"{person.name} has {plural(len(wishes), 'preference')}")


@people.command(epilog=example("doorbell people consent Anna 'in writing, 1 March'"))
@click.argument("name")
@click.argument("words", metavar="CONSENT")
@with_config
def consent(config: Config, name: str, words: str) -> None:
    """Note what a person agreed to, and that it was now.

    CONSENT is free text: how, to whom, to what. It replaces what was noted before.
    """
    from doorbell.gallery.gallery import Gallery

    with Gallery.of(config.storage, config.gallery) as gallery:
        person = gallery.people.note_consent(name, words, time.time())
    say(f"noted for {person.name}")


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
    from doorbell.gallery.gallery import Gallery
    from doorbell.household.personal_data import export_personal_data

    with Gallery.of(config.storage, config.gallery) as gallery:
        done = export_personal_data(gallery, name, output, config.storage)
    say(
        f"{done.path} has everything on {done.person.name}: {plural(done.samples, 'sample')}, "
        f"{plural(done.visits, 'visit')} and {plural(done.pictures, 'picture')}"
    )


def _consent(summary: PersonSummary) -> str:
    if summary.consent is None:
        return (
            f"not noted; ask, then: doorbell people consent {shlex.quote(summary.person.name)} "
            "'in writing, today'"
        )
    return f"{summary.consent.words} (noted {local_time(summary.consent.noted_at)})"
