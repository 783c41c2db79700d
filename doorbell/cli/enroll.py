"""``doorbell enroll``: teaching the doorbell a person."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbell.cli.options import door_of, door_option, named_door, with_config
from doorbell.cli.printing import example, json_option, plural, print_json, print_table, say

if TYPE_CHECKING:
    from doorbell.config import Config
    from doorbell.gallery.gallery import Gallery
    from doorbell.household.enrollment_strength import Coverage
    from doorbell.household.registration import EnrollmentReport, PictureResult

# Long enough to be told five poses and take them; who takes them sooner is done sooner.
CAMERA_SECONDS = 30.0

# What a check measures, and how it is shown: name, heading, form of its value.
COLUMNS = (
    ("size", "size", "{:.0f} px"),
    ("blur", "sharp", "{:.2f}"),
    ("pose", "pose", "{:+.0f}°"),
    ("light", "light", "{:.0f}"),
    ("same_person", "same person", "{:.2f}"),
    ("nobody_else", "nobody else", "{:.2f}"),
)


@click.command(
    epilog=example(
        "doorbell enroll Anna anna-1.jpg anna-2.jpg",
        "doorbell enroll Anna --video anna.mp4",
        "doorbell enroll Anna --camera",
        "doorbell enroll Anna --camera --door garden",
    )
)
@click.argument("name")
@click.argument("photos", metavar="[PHOTO]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--camera",
    "from_camera",
    is_flag=True,
    help="Use the door's own camera, live.",
)
@door_option
@click.option(
    "--video",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Use a video of the person.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Take poor pictures too, and a face that looks like somebody else's.",
)
@click.option("--consent", help="What the person agreed to; see `doorbell people consent`.")
@json_option
@with_config
def enroll(
    config: Config,
    name: str,
    photos: tuple[Path, ...],
    video: Path | None,
    consent: str | None,
    *,
    from_camera: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Enroll a person from photos, video or camera.

    Each picture must show one face, sharp, large, lit and frontal enough, like the person's other
    pictures and not like anybody else's; one that does not is refused with the reason, and the
    others are enrolled. The exit code is 1 if nothing was.

    JSON: an object with person, person_id (null if nothing was enrolled), added, strength (level:
    weak, fair or strong; missing: a list of hints; or null) and pictures: a list of objects with
    source, accepted, message, hint and checks, an object that has for each of size, blur, pose,
    light, same_person and nobody_else that was looked at an object with passed and value.
    """
    if bool(photos) + from_camera + (video is not None) != 1:
        raise click.UsageError("give either photos, --video FILE or --camera")
    door_id = named_door()
    if door_id is not None and not from_camera:
        raise click.UsageError("--door is for --camera")
    door = door_of(config, door_id) if from_camera else config
    from doorbell.camera.opening import open_latest
    from doorbell.config import control_socket
    from doorbell.control.camera import open_daemon_camera
    from doorbell.gallery.gallery import Gallery
    from doorbell.gallery.names import clean_consent, clean_name
    from doorbell.household.documents import enrollment_document
    from doorbell.household.enrollment import Enroller
    from doorbell.household.enrollment_frames import guided_frames, video_frames
    from doorbell.household.enrollment_strength import Coverage
    from doorbell.models.store import models_directory
    from doorbell.pipeline.perception import open_perception

    clean_name(name)  # refused before anybody has to stand still
    if consent is not None:
        clean_consent(consent)
    with ExitStack() as stack:
        gallery = stack.enter_context(Gallery.of(config.storage, config.gallery))
        perception = stack.enter_context(closing(open_perception(config)))
        enroller = Enroller(perception, gallery, config)
        if photos:
            report = enroller.enroll_photos(name, photos, force=force)
        elif video is not None:
            # The whole path: the same video is known again wherever the command was given.
            path = video.resolve()
            frames = stack.enter_context(closing(video_frames(path)))
            report = enroller.enroll_frames(name, frames, source=str(path), force=force)
        else:
            faces = models_directory(config.inference) / "faces"
            running = open_daemon_camera(control_socket(config), door_id)
            latest = running or open_latest(door.camera, faces)
            stack.enter_context(closing(latest))
            coverage = Coverage()
            report = enroller.enroll_frames(
                name,
                guided_frames(latest, coverage, _guide, seconds=CAMERA_SECONDS),
                source=f"the camera at {datetime.now().astimezone().isoformat()}",
                force=force,
                coverage=coverage,
            )
        if report.person is not None and consent is not None:
            gallery.people.note_consent(report.person.name, consent, time.time())
        if as_json:
            print_json(enrollment_document(report))
        else:
            _print_report(report)
            _ask_for_consent(report, gallery)
    if report.person is None:
        click.get_current_context().exit(1)


def _guide(coverage: Coverage) -> None:
    """Say which poses were seen, and which one to take next."""
    from doorbell.household.enrollment_strength import GUIDANCE

    seen = "".join(f"✔ {pose}  " for pose in coverage.seen)
    say(f"{seen}{GUIDANCE[coverage.missing[0]]}", err=True)


def _print_report(report: EnrollmentReport) -> None:
    checked = [result for result in report.results if result.checks]
    if checked:
        print_table(
            ["photo", *(heading for _, heading, _ in COLUMNS), ""],
            [_row(result) for result in checked],
            empty="",
        )
    for result in report.results:
        hint = f"; {result.hint}" if result.hint else ""
        # What is wrong with a file itself names it already.
        named = result.message.startswith(result.source)
        source = "" if named else f"{result.source}: "
        say(f"{source}{result.message}{hint}", err=not result.accepted)
    if report.person is None:
        say("nobody was enrolled", err=True)
    else:
        added = plural(report.added, "sample")
        say(f"{report.person.name} is enrolled; {added} added")
    if report.strength is not None:
        say(f"strength: {report.strength.level.value}")
        for hint in report.strength.missing:
            say(f"  still helps: {hint}")


def _ask_for_consent(report: EnrollmentReport, gallery: Gallery) -> None:
    if any(
        each.person == report.person and not each.consent for each in gallery.people.summaries()
    ):
        say("what they agreed to is not noted yet; do it with: doorbell people consent")


def _row(result: PictureResult) -> list[str]:
    checks = {check.name: check for check in result.checks}
    cells = [Path(result.source).name]
    for name, _, form in COLUMNS:
        check = checks.get(name)
        cells.append("" if check is None else f"{_mark(check.passed)} {form.format(check.value)}")
    return [*cells, _mark(result.accepted)]


def _mark(good: bool) -> str:
    return "✔" if good else "✘"
