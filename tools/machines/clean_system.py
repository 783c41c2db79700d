"""A clean system in a directory: made with mmdebstrap, entered with chroot.

It has a Jetson's release file but neither its GPU nor a running systemd.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
# How long a system that mmdebstrap has made is taken anew for the next run.
KEPT_SECONDS = 3 * 86400.0
# What a Jetson's Ubuntu has from the start.
PREINSTALLED = "python3,sudo,systemd"
# Where it lies in the clean system.
CLONED = Path("/srv/doorbell")


class CannotMakeError(Exception):
    """This machine cannot make such a system; says why and what to do."""


class CleanSystem:
    """A system in a directory, with the checkout where a user may have put it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.checkout = root / CLONED.relative_to("/")

    def claim(self, release: str | None) -> None:
        """Be the Jetson with this release file, or none."""
        file = self.root / "etc" / "nv_tegra_release"
        file.unlink(missing_ok=True)
        if release is not None:
            file.write_text(f"{release}, DATE: Wed Jan  8 01:49:37 UTC 2025\n")

    def run(
        self, *command: str, answer: str = "", terminal: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it, with a process file system of its own for as long.

        Args:
            command: its words.
            answer: what it can read.
            terminal: whether that comes from a terminal, so that questions are asked.
        """
        enter = 'mount -t proc proc "$1/proc" && exec chroot "$@"'
        environment = {
            "HOME": "/root",
            "LC_ALL": "C.UTF-8",
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "PIP_FIND_LINKS": "/wheels",
            "PIP_NO_INDEX": "1",
        }
        keyboard, reads = pty.openpty() if terminal else os.pipe()[::-1]
        try:
            os.write(keyboard, answer.encode())
            if not terminal:
                os.close(keyboard)
            return subprocess.run(
                ["unshare", "--mount", "sh", "-c", enter, "sh", self.root, *command],
                env=environment,
                stdin=reads,
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            os.close(reads)
            if terminal:
                os.close(keyboard)

    def install(
        self, *options: str, answer: str = "", terminal: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run the installer in it, with these options."""
        command = str(CLONED / "tools" / "install-jetson")
        return self.run(command, *options, answer=answer, terminal=terminal)

    def path(self, path: str) -> Path:
        """Where a path of its own is on this machine."""
        return self.root / path.removeprefix("/")

    def changes(self) -> dict[str, tuple[int, int]]:
        """Every file's number and the time of its last change.

        The kernel keeps that time for content, name, owner and mode, and no program can set it.
        """
        found = {path: path.lstat() for path in self.root.rglob("*")}
        return {str(path): (status.st_ino, status.st_ctime_ns) for path, status in found.items()}


@contextmanager
def clean_system(
    root: Path, models_directory: Path, kept: Path, locks: Sequence[str] = ("build", "service")
) -> Iterator[CleanSystem]:
    """Make one, within some days of what an earlier run has made; it is gone at the end.

    Args:
        root: an empty directory.
        models_directory: where the models were built.
        kept: a directory for what the next run takes.
        locks: of tools/requirements, whose packages pip finds in it.

    Raises:
        CannotMakeError: nobody can make one here, or not this user.
    """
    if os.geteuid() != 0:
        raise CannotMakeError("only root can enter another system; run this as root")
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        raise CannotMakeError("this machine lets nobody mount, as some containers do")
    # In memory, which spares the disk a hundred thousand small writes, and their removal.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3g", "doorbell", root], check=True)
    try:
        with tempfile.TemporaryDirectory(prefix="doorbell-wheels-") as wheels:
            downloads = [_download(lock, wheels) for lock in locks]
            try:
                _unpack_base_system(root, kept)
            finally:
                ended = [each.wait() for each in downloads]
            if any(ended):
                raise RuntimeError("pip could not download what the doorbell depends on")
            shutil.copytree(wheels, root / "wheels")
        yield _furnish(root, models_directory)
    finally:
        subprocess.run(["umount", "--lazy", root], check=True)


def _download(lock: str, directory: str) -> subprocess.Popen[bytes]:
    """Begin to fetch what pip takes dependencies from: the very files whose hashes are known."""
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", directory]
    names = ["--no-deps", "--require-hashes", "-r", f"{CHECKOUT}/tools/requirements/{lock}.txt"]
    return subprocess.Popen([*download, *names])


def _unpack_base_system(root: Path, kept: Path) -> None:
    """Make it with mmdebstrap, or unpack the one that a run within some days has made."""
    suite, mirror = system_of_this_machine()
    name = re.sub(r"\W+", "-", f"{suite} {mirror} {PREINSTALLED}")
    made_before = kept / f"{name}.tar"
    if made_before.exists() and time.time() - made_before.stat().st_mtime < KEPT_SECONDS:
        subprocess.run(["tar", "-C", root, "-xpf", made_before], check=True)
        return
    made = subprocess.run(
        ["mmdebstrap", "--variant=minbase", f"--include={PREINSTALLED}", suite, root, mirror],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if made.returncode:
        raise RuntimeError(f"mmdebstrap could not make {suite}: {made.stdout[-2000:]}")
    root.chmod(0o755)
    part = made_before.with_suffix(f".{os.getpid()}")
    subprocess.run(["tar", "-C", root, "-cf", part, "."], check=True)
    part.replace(made_before)


def system_of_this_machine() -> tuple[str, str]:
    """The release that this machine runs, and the mirror that it takes it from."""
    about = Path("/etc/os-release").read_text(encoding="utf-8")
    [suite] = re.findall(r"^VERSION_CODENAME=(\S+)$", about, re.MULTILINE)
    policy = subprocess.run(["apt-cache", "policy"], capture_output=True, text=True, check=True)
    mirrors = re.findall(rf"^ *\d+ (\S+) {suite}/main ", policy.stdout, re.MULTILINE)
    if not mirrors:
        raise CannotMakeError(f"apt knows no mirror of {suite}/main here; run apt-get update")
    return suite, mirrors[0]


def _furnish(root: Path, models_directory: Path) -> CleanSystem:
    """Give it what this machine knows of mirrors, what models are made of, and the checkout."""
    for configuration in ("/etc/apt/apt.conf.d", "/etc/apt/auth.conf.d"):
        if Path(configuration).is_dir():
            shutil.copytree(configuration, root / configuration[1:], dirs_exist_ok=True)
    shutil.copy("/etc/resolv.conf", root / "etc")
    (root / "etc" / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n", encoding="utf-8")
    for package in (models_directory / "downloads").iterdir():
        shutil.copy(package, root / "wheels")
    (root / "wheels").chmod(0o755)
    system = CleanSystem(root)
    copy_checkout(system.checkout)
    return system


def copy_checkout(target: Path) -> None:
    """Copy the checkout as a user may have it, without what was made in it."""
    unwanted = (".*", "built", "build", "__pycache__", "*.egg-info", "*.pyc")
    shutil.copytree(CHECKOUT, target, symlinks=True, ignore=shutil.ignore_patterns(*unwanted))
