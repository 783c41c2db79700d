"""The doorbell as a service where systemd is process 1: ``tools/metal.py boot``.

A clean system of this release is made with mmdebstrap, the doorbell is installed in it by the
installer, and systemd-nspawn boots that. Needs root and the packages
mmdebstrap, systemd-container, mosquitto and mosquitto-clients.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from doorbell.camera.simulated.script import SceneScript
from doorbell.testbed.scenes import Visitor, scene_toml
from machines import camera_steps, service_steps
from machines.booted import BootedSystem, booted_copy
from machines.clean_system import CHECKOUT, CLONED, CleanSystem, clean_system
from machines.report import WORK, Report, take_all
from machines.service import Service
from machines.step import StepFailedError

RELEASE = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64"
MODELS = CHECKOUT / "models" / "built"
INSTALLER = str(CLONED / "tools" / "install-jetson")
# What the camera sees: somebody comes, and stays for as long as any step takes.
SCENE = "/srv/porch.toml"
SCENE_SECONDS = 3600.0
VISITOR = Visitor(enters=3.0, approach=2.0, stays=3000.0)


def main(arguments: Sequence[str]) -> int:
    """Take the steps, print them and write the report; the exit code."""
    parser = argparse.ArgumentParser(prog="metal.py boot", description=__doc__)
    parser.add_argument("--short", action="store_true", help="shorten what takes minutes")
    parser.add_argument("--models", type=Path, default=MODELS, help="where they were built")
    options = parser.parse_args(arguments)
    report = Report(
        part="boot",
        what="the service, where systemd is process 1",
        how="Debian in systemd-nspawn" + (", short form" if options.short else ""),
    )
    return take_all(report, partial(try_installer, models=options.models, short=options.short))


def try_installer(report: Report, folder: Path, models: Path, *, short: bool) -> None:
    """Install it in an image with the Jetson's installer, boot that, and try the service.

    Raises:
        CannotMakeError: this machine cannot make or boot such a system.
        StepFailedError: a step failed; it is in the report.
    """
    with furnished(folder, models, "build", "service") as system:
        system.claim(RELEASE)
        camera = show_somebody(system.root, models)
        with report.step("Install it in an image, with tools/install-jetson") as step:
            installed = system.install("--camera", camera)
            if "4 steps are left for the Jetson itself" not in installed.stderr:
                raise StepFailedError(installed.stdout[-500:] + installed.stderr[-1500:])
            step.seen = "all but what needs the Jetson's GPU or a running systemd"
        with booted_copy(system.root, folder / "booted") as booted:
            try_service(report, booted, short=short)


def show_somebody(root: Path, models: Path) -> str:
    """Give a system the script of a camera before which somebody comes; the camera's address."""
    faces = root / "srv" / "faces"
    shutil.copytree(models / "faces", faces, dirs_exist_ok=True)
    scene = scene_toml(SceneScript((VISITOR.appearance(faces),), SCENE_SECONDS))
    # Paths as they are inside.
    inside = scene.replace(str(root.resolve()), "")
    (root / SCENE[1:]).write_text(inside, encoding="utf-8")
    return f"simulated:{SCENE}"


def try_service(report: Report, system: BootedSystem, *, short: bool) -> None:
    """Take every step of the installed service, from the first boot to the end of it."""
    service = Service(system, short=short)
    two_doors = (
        "Two doors: each camera is read by a process as confined as the service",
        camera_steps.cameras_of_two_doors,
    )
    steps: tuple[tuple[str, Callable[[Service], str]], ...] = (
        ("Boot: it is up without a hand", service_steps.first_boot),
        (
            "The installer once more, where systemd runs",
            partial(service_steps.install_again, installer=INSTALLER),
        ),
        ("Start: active once it watches the door", service_steps.start),
        ("Reload: what may be changed is taken", service_steps.reload),
        ("Stopped by SIGSTOP, it is ended by the watchdog and started anew", service_steps.hang),
        ("Killed, it is started anew", service_steps.kill),
        (
            "A wrong configuration, mended while systemd waits: up without a hand",
            service_steps.mend_configuration,
        ),
        (
            "At its start limit it pauses; mended, it is up without a hand",
            service_steps.reach_start_limit,
        ),
        ("The broker's password as a credential", service_steps.plain_credential),
        ("The broker's password as an encrypted credential", service_steps.encrypted_credential),
        ("Stop: it ends in order", service_steps.stop),
        ("Boot again: it starts with the machine", service_steps.boot_again),
        ("The journal knows how severe each line is", service_steps.journal),
        *(() if short else (two_doors,)),
        ("Uninstall: nothing is left", partial(service_steps.uninstall, installer=INSTALLER)),
    )
    for title, take in steps:
        with report.step(title) as step:
            step.seen = take(service)


@contextmanager
def furnished(folder: Path, models: Path, *locks: str) -> Iterator[CleanSystem]:
    """Make a clean system in a folder, with another beside it for what is booted."""
    (folder / "booted").mkdir(parents=True)
    (folder / "root").mkdir()
    kept = WORK / "clean-system"
    kept.mkdir(parents=True, exist_ok=True)
    with clean_system(folder / "root", models, kept, locks) as system:
        yield system
