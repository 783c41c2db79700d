"""Podman with a storage of its own, which builds and starts the doorbell's image in a trial.

No registry of images is needed: the base is a root made by mmdebstrap, which goes by the name of
the one that it stands for. Needs root and the packages buildah, podman, podman-compose, runc,
netavark, catatonit and mmdebstrap.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from machines.clean_system import CHECKOUT, KEPT_SECONDS, CannotMakeError
from machines.report import WORK
from machines.step import StepFailedError

BASE = "localhost/debian:trixie-slim"
SUITE = "trixie"
PROGRAMS = ("buildah", "catatonit", "mmdebstrap", "podman", "podman-compose", "runc")
# What a machine that lowers its own limits for nobody refuses to raise.
LIMITS = '["nofile=1024:1024", "nproc=4096:4096"]'
SHOWN_CHARACTERS = 2000


class Podman:
    """Images, volumes and containers of a trial, apart from this machine's own.

    Args:
        folder: for all of them; what was built in it before is taken anew.

    Raises:
        CannotMakeError: this machine lacks a program, or lets this user start no container.
    """

    def __init__(self, folder: Path) -> None:
        if os.geteuid() != 0:
            raise CannotMakeError(
                "containers with networks of their own take root; run this as root"
            )
        missing = [each for each in PROGRAMS if shutil.which(each) is None]
        if missing:
            raise CannotMakeError(
                f"{', '.join(missing)} is missing; apt-get install {' '.join(missing)}"
            )
        folder.mkdir(parents=True, exist_ok=True)
        storage = folder / "storage.conf"
        storage.write_text(
            f'[storage]\ndriver = "overlay"\n'
            f'graphroot = "{folder}/storage"\nrunroot = "{folder}/run"\n',
            encoding="utf-8",
        )
        engine = folder / "containers.conf"
        manager = "systemd" if Path("/run/systemd/system").is_dir() else "cgroupfs"
        engine.write_text(
            f"[containers]\ndefault_ulimits = {LIMITS}\n"
            f'[engine]\nruntime = "runc"\ncgroup_manager = "{manager}"\n',
            encoding="utf-8",
        )
        self._environment = {
            **os.environ,
            "BUILDAH_ISOLATION": "chroot",
            "BUILDAH_FORMAT": "docker",  # the one that keeps the health check
            "BUILDAH_LAYERS": "true",
            "CONTAINERS_CONF": str(engine),
            "CONTAINERS_STORAGE_CONF": str(storage),
        }

    def __call__(self, *words: str) -> str:
        """Do ``podman WORDS``; what it prints.

        Raises:
            StepFailedError: it ends with another code than 0.
        """
        return self._run("podman", *words)

    def code(self, *words: str) -> int:
        """The exit code of ``podman WORDS``."""
        done = subprocess.run(
            ["podman", *words], env=self._environment, capture_output=True, check=False
        )
        return done.returncode

    def log(self, container: str, lines: int) -> str:
        """The last lines that a container has said."""
        words = ["podman", "logs", "--tail", str(lines), container]
        done = subprocess.run(
            words,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout

    def compose(self, *words: str, settings: Mapping[str, str]) -> str:
        """Do ``podman-compose WORDS`` with the checkout's compose.yaml; what it prints."""
        command = ["podman-compose", "-f", str(CHECKOUT / "compose.yaml"), *words]
        return self._run(*command, **settings)

    def import_base(self, kept: Path) -> None:
        """Make what stands for the base of the image, or take the one of some days ago."""
        root = kept / f"{SUITE}.tar"
        if not root.exists() or time.time() - root.stat().st_mtime > KEPT_SECONDS:
            self._run(
                "mmdebstrap", "--variant=minbase", "--include=ca-certificates", SUITE, str(root)
            )
        elif self.code("image", "exists", BASE) == 0:
            return
        container = self._run("buildah", "from", "scratch").strip()
        self._run("buildah", "add", "--quiet", container, str(root), "/")
        # What this machine knows of mirrors, and whom it trusts.
        for known in ("/etc/apt/apt.conf.d", "/etc/apt/auth.conf.d", "/etc/ssl/certs"):
            if Path(known).is_dir():
                self._run("buildah", "copy", "--quiet", container, known, known)
        self._run("buildah", "commit", "--quiet", "--rm", container, BASE)

    @contextmanager
    def running(self, *words: str) -> Iterator[str]:
        """A container of ``podman run --detach WORDS`` for the block; its identifier."""
        container = self("run", "--detach", *words).splitlines()[-1]
        try:
            yield container
        finally:
            self("rm", "--force", "--time", "10", container)

    def process(self, container: str, words: str) -> int:
        """The number, on this machine, of the process in a container whose command holds words."""
        for line in self("top", container, "hpid", "args").splitlines():
            number, _, command = line.strip().partition(" ")
            if words in command and number.isdigit() and "podman-init" not in command:
                return int(number)
        raise StepFailedError(f"no process in {container} is called {words}")

    def _run(self, *command: str, **settings: str) -> str:
        done = subprocess.run(
            command,
            env={**self._environment, **settings},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = (done.stdout + done.stderr)[-SHOWN_CHARACTERS:]
            raise StepFailedError(f"{' '.join(command[:3])} ended with {done.returncode}: {said}")
        return done.stdout


def trial_podman() -> Podman:
    """The one of the trials of this checkout."""
    return Podman(WORK / "containers")
