"""The whole doorbell on a laptop: simulated camera, real networks, real broker, real chimes.

Everything runs the production path; the gallery is new and is deleted at the end.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from doorbell.camera.simulated.script import SceneScript, demo_script
from doorbell.config import Config, control_socket, load_config
from doorbell.daemon.run import run_daemon
from doorbell.domain import Left, picture_of
from doorbell.errors import DoorbellError, EnrollmentError
from doorbell.gallery.gallery import Gallery
from doorbell.household.enrollment import Enroller
from doorbell.imaging.visit_picture import draw_picture
from doorbell.models.store import face_path, models_directory
from doorbell.outputs.terminal import Timeline
from doorbell.pipeline.perception import open_perception
from doorbell.status import Message
from doorbell.testbed.console_process import ConsoleProcess
from doorbell.testbed.embedded_broker import EmbeddedBroker
from doorbell.testbed.scenes import write_scene
from doorbell.testbed.subscriber import Subscriber

# The photo to enroll from and the name; the simulated camera shows another photo of the person.
KNOWN_FACE = "obama2"
KNOWN_NAME = "Barack Obama"
KNOWN_CHIME = "ding-dong"


# Of the scenes before two doors; after the last visit it is empty for as long as ends a visit.
ROUND_SECONDS = 35.0
COOLDOWN_SECONDS = 10
SAID_OF_TWO_DOORS = (
    f" Who rings at one does not ring at the other within {COOLDOWN_SECONDS} seconds."
)
# By id, what the doors of a house of two are called.
TWO_DOORS = {"front": "Front door", "garden": "Garden gate"}


class VisitPictures:
    """The output that leaves one picture a visit, under a name that people can read.

    Args:
        directory: for the pictures.
        doors: what each door is called, by its id; none where there is only one, which is not
            named.
    """

    def __init__(self, directory: Path, doors: Mapping[str, str] | None = None) -> None:
        self._directory = directory
        self._doors = doors or {}
        self.written: list[Path] = []
        directory.mkdir(parents=True, exist_ok=True)
        for old in directory.glob("visit-*.jpg"):
            old.unlink()

    def handle(self, message: Message) -> None:
        """Write the picture of a visit that has ended."""
        picture = picture_of(message) if isinstance(message, Left) else None
        if not isinstance(message, Left) or picture is None:
            return
        visitor = message.visit.visitor
        words = [
            "undecided" if visitor is None else visitor.label,
            self._doors.get(message.door_id, ""),
        ]
        slug = re.sub(r"\W+", "-", " ".join(words).lower()).strip("-")
        path = self._directory / f"visit-{len(self.written) + 1}-{slug}.jpg"
        path.write_bytes(draw_picture(picture))
        self.written.append(path)

    def close(self) -> None:
        """Nothing is held."""


def run_demo(
    output_directory: Path,
    *,
    doors: int = 1,
    loop: bool = False,
    overrides: Sequence[str] = (),
) -> list[Path]:
    """Run one round of the built-in scene, or rounds until interrupted.

    Args:
        output_directory: where the pictures of the visits go; made if missing.
        doors: one, or two: the visitor who is known comes to both, a stranger to one.
        loop: go on with the next round.
        overrides: more settings, ``section.key=value``.

    Returns:
        The pictures written.

    Raises:
        DoorbellError: a model, a portrait or the broker is missing.
    """
    console = Console(highlight=False)
    with ExitStack() as stack:
        state = stack.enter_context(tempfile.TemporaryDirectory(prefix="doorbell-demo-"))
        broker = stack.enter_context(closing(EmbeddedBroker()))
        names = TWO_DOORS if doors > 1 else {}
        config = load_config(
            _write_house(Path(state), load_config(None, overrides)) if names else None,
            [
                "camera.uri=simulated:",
                f"camera.loop={'true' if loop else 'false'}",
                f"storage.directory={state}",
                f"visits.cooldown_seconds={COOLDOWN_SECONDS}",
                "mqtt.enabled=true",
                "mqtt.host=127.0.0.1",
                f"mqtt.port={broker.port}",
                *overrides,
            ],
        )
        _enroll_known(config.storage.gallery_path, console, overrides=overrides)
        subscriber = stack.enter_context(Subscriber(broker.port, topic="doorbell/#"))
        _open_pages(stack, Path(state), control_socket(config), console)
        console.print(
            f"A broker listens on 127.0.0.1:{broker.port}; to hear what home automation hears:\n"
            f"  mosquitto_sub -p {broker.port} -t 'doorbell/#' -F '%t %l bytes'\n"
            f"Visitors come to the {'doors' if names else 'door'} now; this takes about 40 seconds."
            f"{SAID_OF_TWO_DOORS if names else ''}\n",
            soft_wrap=True,
        )
        timeline = Timeline(console, time.time(), names)
        pictures = VisitPictures(output_directory, names)
        run_daemon(config, sinks=[timeline, pictures], on_choice=timeline.chose)
        console.print(
            f"\n{len(subscriber.messages)} MQTT messages reached a subscriber. "
            f"Pictures of the visits are in {output_directory.resolve()}:",
            soft_wrap=True,
        )
        for path in pictures.written:
            console.print(f"  {path.name}")
        return pictures.written


def _write_house(folder: Path, config: Config) -> Path:
    """Write the configuration of a house of two doors, and the scenes before their cameras."""
    known, stranger, *_ = demo_script(models_directory(config.inference) / "faces").appearances
    scenes = {
        "front": SceneScript((known,), ROUND_SECONDS),
        "garden": SceneScript(
            (replace(known, enters_seconds=8.5), replace(stranger, enters_seconds=21.5)),
            ROUND_SECONDS,
            seed=2,
        ),
    }
    house = folder / "doorbell.toml"
    house.write_text(
        "".join(
            f"[[door]]\nid = {json.dumps(door_id)}\nname = {json.dumps(TWO_DOORS[door_id])}\n"
            f"camera.uri = {json.dumps(write_scene(folder / f'{door_id}.toml', script))}\n"
            for door_id, script in scenes.items()
        )
    )
    return house


def _open_pages(stack: ExitStack, folder: Path, control: Path, console: Console) -> None:
    """Serve the household's web pages for as long as the demo runs, and say where."""
    try:
        pages = stack.enter_context(ConsoleProcess(folder, control))
        link = pages.pair("owner")
    except DoorbellError as exc:
        console.print(f"There are no web pages: {exc}", soft_wrap=True, markup=False)
        return
    console.print(
        "The household's web pages, for as long as this runs; whoever opens this in a browser is "
        f"their owner:\n  {link}",
        soft_wrap=True,
    )


def _enroll_known(gallery_path: Path, console: Console, *, overrides: Sequence[str]) -> None:
    config = load_config(None, overrides)
    photo = face_path(KNOWN_FACE, models_directory(config.inference))
    with closing(open_perception(config)) as perception, Gallery.open(gallery_path) as gallery:
        report = Enroller(perception, gallery, config).enroll_photos(KNOWN_NAME, [photo])
        if report.added == 0:
            raise EnrollmentError(report.results[0].message)
        gallery.people.set_chime(KNOWN_NAME, KNOWN_CHIME)
    console.print(f"Enrolled {KNOWN_NAME} from one photo, with the chime {KNOWN_CHIME}.")
