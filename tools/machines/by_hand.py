"""The service installed by hand, as docs/service.md says: ``tools/metal.py by-hand``.

The commands of that page are taken as they stand, in a clean system made with mmdebstrap, which
systemd-nspawn boots then. Needs what ``tools/metal.py boot`` needs.
"""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from machines import service_steps
from machines.boot import MODELS, furnished, show_somebody
from machines.booted import booted_copy
from machines.clean_system import CHECKOUT
from machines.report import Report, take_all
from machines.service import CONFIG, Service
from machines.step import StepFailedError


def main(arguments: Sequence[str]) -> int:
    """Take the steps, print them and write the report; the exit code."""
    parser = argparse.ArgumentParser(prog="metal.py by-hand", description=__doc__)
    parser.add_argument("--models", type=Path, default=MODELS, help="where they were built")
    options = parser.parse_args(arguments)
    report = Report(
        part="by-hand",
        what="the service installed by hand, as docs/service.md says",
        how="Debian in systemd-nspawn",
    )
    return take_all(report, partial(try_page, models=options.models))


def try_page(report: Report, folder: Path, models: Path) -> None:
    """Install it by hand, as docs/service.md says, and boot that.

    Raises:
        CannotMakeError: this machine cannot make or boot such a system.
        StepFailedError: a step failed; it is in the report.
    """
    installing, watching = page_commands()
    with furnished(folder, models, "build", "demo") as system:
        # sudo passes on nothing of the environment.
        system.path("/etc/pip.conf").write_text("[global]\nfind-links = /wheels\nno-index = true\n")
        camera = show_somebody(system.root, models)
        with report.step("Install it by hand, as docs/service.md says") as step:
            checkout = system.path("/opt/doorbell")
            shutil.copytree(system.checkout, checkout, symlinks=True)
            # pip would build what these come from, with what it takes from the network.
            shutil.copytree(models / "faces", checkout / "models" / "built" / "faces")
            done = system.run("bash", "-ec", "\n".join(installing))
            if done.returncode:
                raise StepFailedError(done.stdout[-500:] + done.stderr[-1500:])
            config = system.path(CONFIG)
            text = config.read_text(encoding="utf-8")
            config.write_text(text.replace("simulated:", camera, 1), encoding="utf-8")
            step.seen = f"{len(installing)} commands, and camera.uri"
        with booted_copy(system.root, folder / "booted") as booted:
            service = Service(booted, short=False)
            with report.step("Check, enable and start it, as docs/service.md says") as step:
                # An exit code of 1 is of the sound card that is not there.
                said = booted.run("bash", "-O", "expand_aliases", "-c", "\n".join(watching)).stdout
                if "1280 x 720 pixels from the simulated camera" not in said:
                    raise StepFailedError(said)
                step.seen = service_steps.first_boot(service)
            with report.step("Boot again: it starts with the machine") as step:
                step.seen = service_steps.boot_again(service)


def page_commands() -> tuple[list[str], list[str]]:
    """The commands of docs/service.md for what can be installed in an image, and those that follow.

    Left out is what a trial has already (a checkout), and what waits for somebody at a camera or
    keyboard.
    """
    page = (CHECKOUT / "docs" / "service.md").read_text(encoding="utf-8")
    installing, watching = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[:2]
    waits = ("sudo git clone ", "doorbell enroll ", "journalctl -u doorbell -f")
    commands = [line for line in installing.splitlines() if not line.startswith(waits)]
    of_systemd = [line for line in commands if line.startswith("sudo systemctl ")]
    first = [line for line in commands if line not in of_systemd]
    second = [line for line in watching.splitlines() if not line.startswith(waits)]
    return first, of_systemd + second
