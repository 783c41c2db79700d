"""``doorbell enroll``: teaching the doorbell a person."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbell.cli.options import with_config
from doorbell.cli.printing import example, plural
from doorbell.errors import CameraError, EndOfStreamError

if TYPE_CHECKING:
    from doorbell.camera import Camera
    from doorbell.camera.latest import LatestFrame
    from doorbell.config import Config
    from doorbell.domain import Frame
    from doorbell.enrollment import EnrollmentReport

# Long enough to turn the head once each way.
CAMERA_SECONDS = 8.0


@click.command(
    epilog=example(
        "doorbell enroll Anna anna-1.jpg anna-2.jpg",
        "doorbell enroll Anna --video anna.mp4",
        "doorbell enroll Anna --camera",
    )
)
@click.argument("name")
@click.argument("photos", metavar="[PHOTO]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--camera", "from_camera", is_flag=True, help="Use the door's own camera, live.")
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
@with_config
def enroll(
    config: Config,
    name: str,
    photos: tuple[Path, ...],
    video: Path | None,
    *,
    from_camera: bool,
    force: bool,
) -> None:
    """Enroll a person from photos, video or camera.

    Each picture must show one face, sharp and large enough; one that does not is refused with the
    reason, and the others are enrolled. The exit code is 1 if nothing was.
    """
    if bool(photos) + from_camera + (video is not None) != 1:
        raise click.UsageError("give either photos, --video FILE or --camera")
    from doorbell.camera import open_camera
    from doorbell.camera.latest import open_latest
    from doorbell.config import CameraSection
    from doorbell.enrollment import Enroller
    from doorbell.models.store import models_directory
    from doorbell.perception import open_perception
    from doorbell.recognition.gallery import Gallery
    from doorbell.recognition.gallery_rows import clean_name

    clean_name(name)  # refused before anybody has to stand still
    with ExitStack() as stack:
        gallery = stack.enter_context(Gallery.open(config.storage.gallery_path))
        perception = stack.enter_context(closing(open_perception(config)))
        enroller = Enroller(perception, gallery, config)
        if photos:
            report = enroller.enroll_photos(name, photos, force=force)
        elif video is not None:
            # The whole path: the same video is known again wherever the command was given.
            path = str(video.resolve())
            camera = stack.enter_context(
                closing(open_camera(CameraSection(uri=path, realtime=False)))
            )
            report = enroller.enroll_frames(name, _every_frame(camera), source=path, force=force)
        else:
            faces = models_directory(config.inference) / "faces"
            latest = stack.enter_context(closing(open_latest(config.camera, faces)))
            click.echo("look at the camera and slowly turn your head to both sides", err=True)
            report = enroller.enroll_frames(
                name,
                _live_frames(latest),
                source=f"the camera at {datetime.now().astimezone().isoformat()}",
                force=force,
            )
    _print_report(report)
    if report.person is None:
        click.get_current_context().exit(1)


def _every_frame(camera: Camera) -> Iterator[Frame]:
    with suppress(EndOfStreamError):
        while True:
            yield camera.read()


def _live_frames(camera: LatestFrame) -> Iterator[Frame]:
    end = time.monotonic() + CAMERA_SECONDS
    frames = 0
    while (left := end - time.monotonic()) > 0:
        try:
            yield camera.get(left)
        except EndOfStreamError:
            return
        except CameraError:
            if frames == 0:
                raise
            return
        frames += 1


def _print_report(report: EnrollmentReport) -> None:
    for result in report.results:
        hint = f"; {result.hint}" if result.hint else ""
        # What is wrong with a file itself names it already.
        named = result.message.startswith(result.source)
        source = "" if named else f"{result.source}: "
        click.echo(f"{source}{result.message}{hint}", err=not result.accepted)
    if report.person is None:
        click.echo("nobody was enrolled", err=True)
    else:
        added = plural(report.added, "sample")
        click.echo(f"{report.person.name} is enrolled; {added} added")
