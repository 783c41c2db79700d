"""The doorbell in containers: ``tools/metal.py container``.

The image is built as compose.yaml says and started by it: without a privilege, on a root that
cannot be written. Somebody comes to the simulated camera, and home automation, a mosquitto outside,
hears who it was.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from doorbell.camera.simulated.script import SceneScript
from doorbell.config import load_config
from doorbell.models.manifest import load_manifest
from doorbell.models.store import models_directory
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.scenes import KNOWN, Visitor, scene_toml
from doorbell.testbed.waiting import eventually
from machines.addon import try_addon
from machines.clean_system import CannotMakeError
from machines.containers import BASE, Podman, trial_podman
from machines.report import WORK, Report, say
from machines.step import StepFailedError

IMAGE = "localhost/doorbell"
DAEMON = "doorbell-trial_doorbell_1"
CONSOLE = "doorbell-trial_console_1"
UID = 8480
# By which a container reaches this machine.
OUTSIDE = "host.containers.internal"
NAME = "Anna"
# In the container, where the models are fetched to.
FACES = Path("/var/cache/doorbell/models/faces")
ENROLLED = FACES / "obama.jpg"
# Somebody comes, and goes, again and again.
SCENE_SECONDS = 20.0
COMES = Visitor(enters=2.0, approach=2.0, stays=8.0, who=KNOWN)
FIRST_START_SECONDS = 600.0
START_SECONDS = 120.0
VISIT_SECONDS = 90.0
# What the image has in the places of a household's own: its configuration as shipped.
OWN_PLACES = "/etc/doorbell /var/lib/doorbell /var/lib/doorbell-console /var/cache/doorbell"
SHIPPED = ["/etc/doorbell/doorbell.toml"]


def main(arguments: Sequence[str]) -> int:
    """Take the steps, print them, write the report; the exit code."""
    argparse.ArgumentParser(prog="metal.py container", description=__doc__).parse_args(arguments)
    report = Report(
        "container",
        "the image, compose.yaml and the add-on of Home Assistant",
        "Podman with runc, on a Debian made by mmdebstrap in place of the base's image",
    )
    try:
        try_all(report, trial_podman())
    except (CannotMakeError, StepFailedError) as exc:
        say(f"metal.py container: {exc}")
    say(f"{'passed' if report.passed else 'FAILED'}: {report.write()}")
    return 0 if report.passed else 1


def try_all(report: Report, podman: Podman) -> None:
    """Take every step."""
    with tempfile.TemporaryDirectory(prefix="doorbell-container-") as name:
        folder = Path(name)
        with report.step("The base, and the image on it") as step:
            podman.import_base(WORK)
            podman.compose("build", settings={"DOORBELL_BASE": BASE})
            size = int(podman("image", "inspect", "--format", "{{.Size}}", IMAGE))
            step.seen = f"{size / 1e6:.0f} MB"
        with report.step("No weights, faces or keys in the image") as step:
            step.seen = look_into_image(podman)
        with Household(podman, folder) as household:
            try_daemon(report, household)
            try_console(report, household)
            try_addon(report, podman, folder, household.broker.for_containers())


class Household:
    """The containers of compose.yaml, with settings of their own, and a broker beside them.

    As a context manager they are gone at the end, with their volumes.
    """

    def __init__(self, podman: Podman, folder: Path) -> None:
        self.podman = podman
        self.broker = PasswordBroker(folder)
        self._settings = folder / "settings"
        folder.chmod(0o755)

    def __enter__(self) -> Household:
        self._write_settings()
        self.broker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.broker.stop()
        self.compose("down", "--volumes")

    def compose(self, *words: str) -> None:
        """Do it with the compose file."""
        settings = {"DOORBELL_SETTINGS": str(self._settings), "COMPOSE_PROFILES": "console"}
        self.podman.compose("-p", "doorbell-trial", *words, settings=settings)

    def ask(self, *words: str, container: str = DAEMON) -> str:
        """Ask in a container, with the command line."""
        return self.podman("exec", container, "doorbell", *words)

    def is_healthy(self) -> bool:
        """What the image's health check says now; without systemd nobody else asks it."""
        return self.podman.code("healthcheck", "run", DAEMON) == 0

    def wait_until_healthy(self, seconds: float) -> None:
        """Wait for the health check."""
        if not eventually(self.is_healthy, seconds):
            log = self.podman.log(DAEMON, 5)
            raise StepFailedError(f"not healthy after {seconds:.0f} s; its log ends with {log}")

    def _write_settings(self) -> None:
        daemon, console = self._settings / "daemon", self._settings / "console"
        for directory in (daemon, console):
            directory.mkdir(parents=True)
        # The same portraits are in the container, once it has fetched them.
        faces = models_directory(load_config(None, []).inference) / "faces"
        scene = scene_toml(SceneScript((COMES.appearance(faces),), SCENE_SECONDS))
        scene = scene.replace(str(faces.resolve()), str(FACES))
        (daemon / "porch.toml").write_text(scene, encoding="utf-8")
        password = daemon / "mqtt-password"
        password.touch(0o400)
        os.chown(password, UID, UID)
        password.write_text(self.broker.password, encoding="utf-8")
        (daemon / "doorbell.toml").write_text(
            f"""
            [camera]
            uri = "simulated:/etc/doorbell/porch.toml"
            loop = true

            [visits]
            absence_seconds = 2
            cooldown_seconds = 0

            [mqtt]
            enabled = true
            host = "{OUTSIDE}"
            port = {self.broker.port}
            username = "{self.broker.user}"
            password_file = "/etc/doorbell/mqtt-password"

            [control]
            socket = "/run/doorbell/doorbell.sock"
            group = "doorbell-control"
            users = ["doorbell-console"]
            """,
            encoding="utf-8",
        )
        (console / "doorbell.toml").write_text(
            """
            [console]
            enabled = true
            listen = "0.0.0.0:8480"

            [control]
            socket = "/run/doorbell/doorbell.sock"
            """,
            encoding="utf-8",
        )


class PasswordBroker:
    """A mosquitto on every address of this machine that asks a password, and who hears it all."""

    user, password = "house", "a word between them"

    def __init__(self, folder: Path) -> None:
        self._passwords, self._heard = folder / "passwords", folder / "heard"
        self._passwords.touch(0o600)
        subprocess.run(
            ["mosquitto_passwd", "-b", self._passwords, self.user, self.password], check=True
        )
        self._broker = Mosquitto(
            folder,
            "allow_anonymous false",
            f"password_file {self._passwords}",
            host="0.0.0.0",  # noqa: S104 # containers come from a network of their own
        )
        self._listener: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._broker.port

    def for_containers(self) -> dict[str, Any]:
        """How containers reach it."""
        return {
            "host": OUTSIDE,
            "port": self.port,
            "username": self.user,
            "password": self.password,
        }

    def start(self) -> None:
        """Start it, and listen."""
        self._broker.start()
        command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port)]
        command += ["-u", self.user, "-P", self.password, "-t", "doorbell/+/event", "-F", "%p"]
        with self._heard.open("wb") as heard:
            self._listener = subprocess.Popen(command, stdout=heard)

    def stop(self) -> None:
        """End both."""
        if self._listener is not None:
            self._listener.terminate()
            self._listener.wait()
        self._broker.stop()

    def events(self) -> list[dict[str, object]]:
        """Every event that was heard, in order."""
        lines = self._heard.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def wait_for(self, name: str, seconds: float) -> float:
        """Wait until a visitor of that name is told of; how long that took.

        Raises:
            StepFailedError: nobody of that name is.
        """
        began, before = time.monotonic(), len(self.events())
        if not eventually(
            lambda: any(_is_of(each, name) for each in self.events()[before:]), seconds
        ):
            heard = [each.get("event_type") for each in self.events()[before:]]
            raise StepFailedError(f"nobody told of {name} within {seconds:.0f} s; heard {heard}")
        return time.monotonic() - began


def _is_of(event: dict[str, object], name: str) -> bool:
    return event.get("event_type") == "recognized" and event.get("person") == name


def look_into_image(podman: Podman) -> str:
    """Look for what an image is to be without; its user.

    Raises:
        StepFailedError: something was found.
    """
    manifest = load_manifest()
    names = " -o ".join(f"-name '{each}*'" for each in [*manifest.models, *manifest.faces])
    search = (
        f"find {OWN_PLACES} -type f; find / -xdev \\( {names} \\) ! -name '*.py' ! -name '*.pyc'"
    )
    as_root = ("run", "--rm", "--network=none", "--user=root", "--entrypoint=/bin/sh", IMAGE, "-c")
    found = podman(*as_root, search).splitlines()
    if found != SHIPPED:
        raise StepFailedError(f"the image holds {found}")
    environment = podman("image", "inspect", "--format", "{{.Config.Env}}", IMAGE).upper()
    if any(word in environment for word in ("PASSWORD", "TOKEN", "SECRET")):
        raise StepFailedError(f"the image's environment is {environment}")
    return f"user {podman('image', 'inspect', '--format', '{{.Config.User}}', IMAGE).strip()}"


def try_daemon(report: Report, household: Household) -> None:
    """Start it, let somebody come, freeze it, kill it, start it anew."""
    podman = household.podman
    with report.step("The first start fetches the models, and is healthy"):
        household.compose("up", "-d", "doorbell")
        if household.is_healthy():
            raise StepFailedError("healthy before anything was there")
        household.wait_until_healthy(FIRST_START_SECONDS)
    with report.step("No capability, no new privileges, a root that cannot be written") as step:
        step.seen = look_at_privileges(podman)
    with report.step("Somebody is enrolled, comes, and home automation hears the name") as step:
        household.ask("enroll", NAME, str(ENROLLED))
        step.seen = f"{household.broker.wait_for(NAME, VISIT_SECONDS):.0f} s after enrolling"
    with report.step("Frozen, it is unhealthy; thawed, healthy"):
        with frozen(podman.process(DAEMON, "doorbell run")):
            if household.is_healthy():
                raise StepFailedError("healthy while it was frozen")
        household.wait_until_healthy(START_SECONDS)
    with report.step("Killed, it is started anew"):
        killed = podman.process(DAEMON, "doorbell run")
        os.kill(killed, signal.SIGKILL)
        if not eventually(lambda: runs_as_another(podman, killed), START_SECONDS):
            raise StepFailedError("nothing has started it")
        household.wait_until_healthy(START_SECONDS)
    with report.step("A new container of the same volumes knows who it was") as step:
        household.compose("down")
        household.compose("up", "-d", "doorbell")
        household.wait_until_healthy(START_SECONDS)
        people = json.loads(household.ask("people", "list", "--json"))
        household.broker.wait_for(NAME, VISIT_SECONDS)
        step.seen = f"{len(people)} enrolled"


def try_console(report: Report, household: Household) -> None:
    """Start the web pages beside it."""
    with report.step("The web pages show nothing without a token, and the door with one") as step:
        household.compose("up", "-d", "console")
        if not eventually(lambda: picture_code(None) == 401, START_SECONDS):
            raise StepFailedError(f"without a token it answers {picture_code(None)}")
        token = json.loads(household.ask("console", "token", "trial", "--json", container=CONSOLE))
        if not eventually(lambda: picture_code(token["token"]) == 200, START_SECONDS):
            raise StepFailedError(f"with a token it answers {picture_code(token['token'])}")
        hidden = household.podman.code("exec", CONSOLE, "ls", "/var/lib/doorbell/.local")
        if hidden == 0:
            raise StepFailedError("its container sees the gallery")
        step.seen = "401 and 200; the gallery is not in its container"


def picture_code(token: str | None) -> int:
    """The HTTP code with which the picture of now is answered; 0 without an answer."""
    command = [
        "curl",
        "--silent",
        "--insecure",
        "--output",
        os.devnull,
        "--write-out",
        "%{http_code}",
    ]
    if token is not None:
        command += ["--header", f"Authorization: Bearer {token}"]
    command += ["https://localhost:8480/frame.jpg"]
    return int(subprocess.run(command, capture_output=True, check=False).stdout or 0)


def look_at_privileges(podman: Podman) -> str:
    """What the daemon's process may do in its container.

    Raises:
        StepFailedError: more than it should.
    """
    status = Path(f"/proc/{podman.process(DAEMON, 'doorbell run')}/status").read_text("utf-8")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    capabilities = {fields[each] for each in ("CapPrm", "CapEff", "CapBnd", "CapAmb")}
    if capabilities != {"0" * 16} or fields["NoNewPrivs"] != "1" or fields["Seccomp"] != "2":
        raise StepFailedError(f"its process has {fields}")
    if fields["Uid"].split() != [str(UID)] * 4:
        raise StepFailedError(f"it runs as {fields['Uid']}")
    for place in ("/new", "/opt/doorbell/new", "/etc/doorbell/new"):
        if podman.code("exec", DAEMON, "touch", place) == 0:
            raise StepFailedError(f"{place} could be written")
    return f"user {UID}, no capability, seccomp's filter on"


def runs_as_another(podman: Podman, killed: int) -> bool:
    """Whether the daemon's process is there, and not that one."""
    try:
        return podman.process(DAEMON, "doorbell run") != killed
    except StepFailedError:
        return False


@contextmanager
def frozen(process: int) -> Iterator[None]:
    """Stop a process for the block."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
