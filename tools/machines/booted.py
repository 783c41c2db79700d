"""A system that is booted: systemd as process 1 in a container of systemd-nspawn, at native speed.

It has this machine's kernel, a network with nothing but its own loopback device, and none of this
machine's devices. What is changed in there is gone at the end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from doorbell.testbed.waiting import eventually
from machines.clean_system import CannotMakeError

BOOT_SECONDS = 120.0
STOP_SECONDS = 60.0
# Longer than the longest wait of one command: the start of a service.
COMMAND_SECONDS = 300.0
# What a shell in there has; systemd gives its services one of their own.
ENVIRONMENT = {
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "SYSTEMD_PAGER": "",
    "PIP_FIND_LINKS": "/wheels",
    "PIP_NO_INDEX": "1",
}
# Where systemd keeps control groups, of either version, on a machine that it does not run itself.
HIERARCHIES = tuple(Path("/sys/fs/cgroup", name) for name in ("systemd", "unified", ""))
JOINING = 'for group in $1; do echo $$ >"$group/cgroup.procs"; done; shift; exec "$@"'
# How systemd is told to power off (systemd(1), SIGRTMIN+4 would cut it short).
POWER_OFF = "SIGRTMIN+4"


class BootedSystem:
    """A system in a directory that can be booted, again and again.

    Attributes:
        root: the directory; what is written there is seen inside at once.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._log = root.with_name(f"{root.name}.log")
        self._container: subprocess.Popen[bytes] | None = None
        self._groups: list[Path] = []

    def boot(self) -> None:
        """Start it, and wait until systemd has started what it starts.

        Raises:
            CannotMakeError: it does not come up; says what the container printed.
        """
        command = ["systemd-nspawn", f"--directory={self.root}", "--machine=doorbell-trial"]
        command += ["--register=no", "--console=pipe", "--quiet", "--boot"]
        command += ["--private-network", "--resolv-conf=off", "--timezone=off"]
        if not Path("/run/systemd/system").exists():
            # Two systems in one control group would end each other's processes.
            self._groups = _make_groups()
            joining = ["sh", "-c", JOINING, "sh", " ".join(map(str, self._groups))]
            command = [*joining, *command, "--keep-unit"]
        with self._log.open("wb") as log:
            self._container = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        if not eventually(self._is_up, BOOT_SECONDS):
            said = self._log.read_text(encoding="utf-8", errors="replace")[-1500:]
            self.kill()
            raise CannotMakeError(f"systemd does not come up in systemd-nspawn: {said}")

    def _is_up(self) -> bool:
        if self._container is None or self._container.poll() is not None:
            return False
        return self._process_1() is not None and self.run(
            "systemctl", "is-system-running", seconds=10.0
        ).stdout.strip() in ("running", "degraded")

    def _process_1(self) -> int | None:
        """Its process 1, as this machine counts."""
        container = self._container
        if container is None:
            return None
        children = Path(f"/proc/{container.pid}/task/{container.pid}/children")
        try:
            found = [int(each) for each in children.read_text().split()]
            # Until then the container is still being built around it.
            booted = [pid for pid in found if Path(f"/proc/{pid}/comm").read_text() == "systemd\n"]
        except OSError:
            return None
        return booted[0] if booted else None

    def enter(self, *namespaces: str) -> list[str]:
        """The command that leads a program into it, or into some of its namespaces alone."""
        process = self._process_1()
        if process is None:
            raise ProcessLookupError("the system does not run; boot it")
        return ["nsenter", f"--target={process}", *(namespaces or ("--all",))]

    def run(
        self, *command: str, answer: str = "", seconds: float = COMMAND_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as root; what it reads is ``answer``."""
        return subprocess.run(
            [*self.enter(), "--wd=/", *command],
            env=ENVIRONMENT,
            input=answer,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def path(self, path: str) -> Path:
        """Where a path of its own is on this machine; not those on its own /run and /tmp."""
        return self.root / path.removeprefix("/")

    def power_off(self) -> None:
        """Let it stop its services and end; kill it where it does not."""
        container = self._container
        if container is not None and container.poll() is None:
            process = self._process_1()
            if process is not None:
                subprocess.run(["kill", f"-{POWER_OFF}", str(process)], check=False)
            eventually(lambda: container.poll() is not None, STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End it at once; idempotent."""
        if self._container is not None:
            self._container.kill()
            self._container.wait()
            self._container = None
        for group in self._groups:
            _remove_group(group)
        self._groups = []


def _make_groups() -> list[Path]:
    """Make a control group for one system, in each hierarchy that systemd uses."""
    name = f"doorbell-{uuid4().hex[:8]}"
    made = []
    for hierarchy in HIERARCHIES:
        if (hierarchy / "cgroup.procs").exists():
            (hierarchy / name).mkdir()
            made.append(hierarchy / name)
    return made


def _remove_group(group: Path) -> None:
    """Remove a control group and those in it; what still ends in one stays."""
    for folder, _, _ in os.walk(group, topdown=False):
        with suppress(OSError):
            Path(folder).rmdir()


def why_not() -> str:
    """Why nothing can be booted here; empty where it can."""
    if shutil.which("systemd-nspawn") is None:
        return "systemd-nspawn is not installed; apt-get install systemd-container"
    return ""


@contextmanager
def booted_copy(root: Path, folder: Path) -> Iterator[BootedSystem]:
    """Boot what is in a directory, and leave that as it is.

    Args:
        root: of the system.
        folder: an empty one, for what is changed.

    Raises:
        CannotMakeError: this machine boots nothing in a container, or lays no file system over
            another.
    """
    if reason := why_not():
        raise CannotMakeError(reason)
    merged = folder / "system"
    _run(["mount", "-t", "tmpfs", "-o", "size=2g", "doorbell-trial", folder])
    try:
        for name in ("changed", "work", "system"):
            (folder / name).mkdir()
        layers = f"lowerdir={root},upperdir={folder}/changed,workdir={folder}/work"
        _run(["mount", "-t", "overlay", "overlay", "-o", layers, merged])
        try:
            # A machine that was never started would switch on whatever can be.
            _run(["systemd-machine-id-setup", f"--root={merged}"])
            system = BootedSystem(merged)
            system.boot()
            try:
                yield system
            finally:
                system.power_off()
        finally:
            subprocess.run(["umount", "--lazy", merged], check=True)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _run(command: Sequence[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotMakeError(f"{command[0]} failed: {done.stderr.strip()}")
