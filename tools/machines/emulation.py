"""Systems for another processor: unpacked, and their programs handed to QEMU by the kernel.

Nothing runs while one is unpacked, so that it takes a minute; what packages do when they are set up
is not done, but for the list of libraries.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from machines.step import StepFailedError

ARCHITECTURE = "arm64"
# The QEMU of Debian 12 breaks NumPy.
EMULATOR_SUITE, EMULATOR = "trixie", "usr/bin/qemu-aarch64"
# It has what a Jetson Orin's Cortex-A78AE has: half precision, and neither bfloat16 nor SVE.
PROCESSOR = "neoverse-n1"
# What the set-up commands are written in.
BASICS = "bash,coreutils,dash,findutils,grep,libc-bin,sed"
# This machine's; OpenVINO asks /sys for the processor's cores.
MOUNTED = ("dev", "proc", "sys")
BINFMT = Path("/proc/sys/fs/binfmt_misc")
REGISTERED = "doorbell-arm64"
# An executable of 64 bits, little endian, for that processor, of any system's conventions (elf(5)).
# F: the emulator is opened here and now, so that it is found in every root.
RULE = (
    rf":{REGISTERED}:M::"
    r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:"
    r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:"
)
MERGED = "/usr/share/mmdebstrap/hooks/maybe-merged-usr"


class Emulated:
    """A system for another processor, in a directory.

    Attributes:
        root: the directory.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, path: str) -> Path:
        """Where a path of the system is on this machine."""
        return self.root / path.lstrip("/")

    def command(self, *words: str, **variables: str) -> list[str]:
        """The command that runs another one in it, with this machine's processes and devices.

        Args:
            words: of the command.
            variables: of its environment, which has nothing of this machine's else.
        """
        places = " ".join(MOUNTED)
        mounts = f'for each in {places}; do mount --bind "/$each" "$1/$each" || exit; done'
        enter = f'{mounts}; exec chroot "$@"'
        environment = {
            "HOME": "/root",
            "LC_ALL": "C.UTF-8",
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
            "QEMU_CPU": PROCESSOR,
            **variables,
        }
        settings = [f"{name}={value}" for name, value in environment.items()]
        entered = ["unshare", "--mount", "sh", "-c", enter, "sh", str(self.root)]
        return [*entered, "env", "-i", *settings, *words]

    def run(self, *words: str, **variables: str) -> str:
        """Run a command in it: what it prints.

        Raises:
            StepFailedError: it fails; says the last of what it said.
        """
        return said_by(self.command(*words, **variables))


def said_by(command: Sequence[str]) -> str:
    """Run a command: what it prints.

    Raises:
        StepFailedError: it fails; says the last of what it said.
    """
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        said = (ended.stdout + ended.stderr).strip()[-1000:]
        raise StepFailedError(f"'{command[-1]}' ended with {ended.returncode}: {said}")
    return ended.stdout.strip()


def fetch_emulator(folder: Path) -> Path:
    """Unpack QEMU's emulator of that processor, if it is not there; the program, which is static.

    Raises:
        StepFailedError: it cannot be fetched.
    """
    _unpack(folder, EMULATOR_SUITE, "qemu-user")
    return folder / EMULATOR


def unpack(folder: Path, suite: str, packages: str) -> Path:
    """Unpack a Debian of that processor, if it is not there.

    Args:
        folder: for it; made.
        suite: Debian's release.
        packages: beside ``BASICS``, separated by commas.

    Raises:
        StepFailedError: it cannot be fetched.
    """
    options = [f"--architectures={ARCHITECTURE}", "--skip=check/qemu", f"--hook-dir={MERGED}"]
    _unpack(folder, suite, f"{BASICS},{packages}", *options)
    return folder


def _unpack(folder: Path, suite: str, packages: str, *options: str) -> None:
    if folder.exists():
        return
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    said_by(
        ["mmdebstrap", "--variant=extract", *options, f"--include={packages}", suite, str(part)]
    )
    part.rename(folder)


@contextmanager
def emulated(emulator: Path, root: Path) -> Iterator[Emulated]:
    """Let the kernel run a system's programs with an emulator, for so long.

    Raises:
        StepFailedError: this kernel, or this user, cannot have it so.
    """
    system = Emulated(root)
    for each in MOUNTED:
        system.path(each).mkdir(exist_ok=True)
    # Its packages would have made them.
    system.path("/etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n", encoding="utf-8")
    system.path("/etc/group").write_text("root:x:0:\n", encoding="utf-8")
    try:
        if not (BINFMT / "register").exists():
            said_by(["mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT)])
        if (BINFMT / REGISTERED).exists():  # left by a run that was killed
            (BINFMT / REGISTERED).write_text("-1")
        (BINFMT / "register").write_text(f"{RULE}{emulator}:F")
    except (OSError, StepFailedError) as exc:
        raise StepFailedError(
            f"the kernel takes no emulator for another processor's programs ({exc}); run this as "
            "root, on a machine with binfmt_misc"
        ) from exc
    try:
        system.run("ldconfig")
        yield system
    finally:
        (BINFMT / REGISTERED).write_text("-1")
