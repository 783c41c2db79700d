"""A disk with a whole Debian system, the doorbell installed in it by ``tools/install-jetson``."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from machines.clean_system import CHECKOUT, CleanSystem, clean_system
from machines.qemu import WORK, Kernel, add_built_modules, modules_in_order

RELEASE = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64"
# The camera of the door, and the one that is put in its place.
FRONT_DOOR, SPARE = 0, 10
PERSON, PHOTOGRAPH, CHIME = "Barack Obama", "obama2.jpg", "sunrise"
# Parameters of the modules that are loaded at the start. The virtual camera has one capture device
# with one webcam input: no tuners, outputs and radios.
MODULES = {
    "v4l2loopback": f"video_nr={FRONT_DOOR} card_label=Front-door exclusive_caps=1",
    "vivid": f"n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0 vid_cap_nr={SPARE}",
    "snd_aloop": "index=0 pcm_substreams=1",
    "gpio-sim": "",
}
# What the folders of the machine outside are reached by.
OTHER_MODULES = ("9pnet_virtio", "9p")
# What a system has that is not started from a directory, and what its devices are tried with.
PACKAGES = ("systemd-sysv", "udev", "kmod", "dbus", "alsa-utils", "v4l-utils")
DISK_BYTES = 6 << 30
# What goes into it, and is tried.
INSTALLED: tuple[str, ...] = (
    "doorbell",
    "config",
    "systemd",
    "models/manifest.toml",
    "pyproject.toml",
)
INSTALLED += (
    "tools/install-jetson",
    "tools/setup.sh",
    "tools/requirements",
    "tools/machines/disk.py",
)
SETTINGS = {
    # An emulated processor is slowest at arithmetic: the networks are to do as little as they may.
    'precision = "auto"': 'precision = "float32"',
    "regions_per_frame = 8": "regions_per_frame = 3",
    "far_regions_per_frame = 1": "far_regions_per_frame = 0",
    "person_looks_per_second = 2.0": "person_looks_per_second = 0",
    "embeddings_per_second = 10.0": "embeddings_per_second = 2.0",
    # At less than a frame a second a name takes longer, and is to come before the bell.
    "decide_within_seconds = 2.0": "decide_within_seconds = 15.0",
    "announce_after_seconds = 3.0": "announce_after_seconds = 20.0",
    '# device = "plughw:CARD=Inside"': 'device = "plughw:CARD=Loopback,DEV=0"',
    '# line = "PQ.05"': 'line = "DOORBELL-BUTTON"',
    '# line = "PQ.06"': 'line = "DOORBELL-RELAY"',
}
FSTAB = """\
/dev/vda / ext4 defaults 0 0
tools /tools 9p trans=virtio,version=9p2000.L,ro 0 0
kept /kept 9p trans=virtio,version=9p2000.L 0 0
"""
LINES_UNIT = """\
[Unit]
Description=Lines of a simulated GPIO chip
After=systemd-modules-load.service sys-kernel-config.mount
Requires=sys-kernel-config.mount
Before=doorbell.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/python3 -m machines.simulated_chip
Environment=PYTHONPATH=/tools

[Install]
WantedBy=multi-user.target
"""
STEPS_UNIT = """\
[Unit]
Description=What is tried

[Service]
ExecStart=/opt/doorbell/.venv/bin/python -u -m machines.kernel_steps
ExecStopPost=/bin/systemctl poweroff --no-block
Environment=PYTHONPATH=/tools PYTHONDONTWRITEBYTECODE=1
StandardOutput=journal+console
StandardError=journal+console

[Install]
WantedBy=multi-user.target
"""


def make_disk(kernel: Kernel, models_directory: Path) -> Path:
    """The disk for this checkout, made if it is not there: an ext4 file system, mostly holes.

    Raises:
        CannotMakeError: this machine cannot make it.
    """
    add_built_modules(kernel)
    disk = WORK / f"doorbell-{_digest(kernel)}.ext4"
    if disk.exists():
        return disk
    for old in WORK.glob("doorbell-*.ext4"):
        old.unlink()
    with tempfile.TemporaryDirectory(prefix="doorbell-disk-") as name:
        root = Path(name)
        with clean_system(root, models_directory, WORK) as system:
            _install(system, models_directory)
            _add_modules(root, kernel)
            _furnish(root)
            part = disk.with_suffix(".part")
            part.unlink(missing_ok=True)
            with part.open("wb") as file:
                os.truncate(file.fileno(), DISK_BYTES)
            make = ["mke2fs", "-q", "-t", "ext4", "-d", str(root), str(part)]
            subprocess.run(make, check=True)
            part.rename(disk)
    return disk


def _digest(kernel: Kernel) -> str:
    """Of all that goes into the disk."""
    found = hashlib.sha256(kernel.version.encode())
    given = [CHECKOUT / name for name in INSTALLED]
    files = [file for each in given for file in (each, *each.rglob("*"))]
    for file in sorted(files):
        if file.is_file() and file.suffix != ".pyc":
            found.update(f"{file.relative_to(CHECKOUT)}\0".encode() + file.read_bytes())
    return found.hexdigest()[:12]


def _install(system: CleanSystem, models_directory: Path) -> None:
    """The installer's own steps, the packages around them, and a person who is known."""
    system.claim(RELEASE)
    installed = system.install("--camera", f"/dev/video{FRONT_DOOR}")
    # 3: what needs the Jetson's own GPU is left.
    if installed.returncode != 3:
        raise RuntimeError(f"the installer failed: {installed.stderr[-2000:]}")
    _run(system, "apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *PACKAGES)
    shutil.rmtree(system.root / "wheels")
    configuration = system.path("/etc/doorbell/doorbell.toml")
    text = configuration.read_text(encoding="utf-8")
    for shipped, wanted in SETTINGS.items():
        if text.count(f"\n{shipped}\n") != 1:
            raise RuntimeError(f"config/doorbell.toml has not one line {shipped}")
        text = text.replace(f"\n{shipped}\n", f"\n{wanted}\n")
    configuration.write_text(text, encoding="utf-8")
    photograph = system.path(f"/srv/{PHOTOGRAPH}")
    shutil.copy(models_directory / "faces" / PHOTOGRAPH, photograph)
    photograph.chmod(0o644)
    _doorbell(system, "enroll", PERSON, f"/srv/{PHOTOGRAPH}")
    _doorbell(system, "people", "chime", PERSON, CHIME)


def _doorbell(system: CleanSystem, *words: str) -> None:
    """Run its command line as the daemon's user."""
    state, program = "HOME=/var/lib/doorbell", "/opt/doorbell/.venv/bin/doorbell"
    caches = "XDG_CACHE_HOME=/var/cache/doorbell"
    _run(system, "runuser", "-u", "doorbell", "--", "env", state, caches, program, *words)


def _run(system: CleanSystem, *command: str) -> None:
    finished = system.run(*command)
    if finished.returncode != 0:
        said = f"{finished.stdout[-1000:]}{finished.stderr[-1000:]}"
        raise RuntimeError(f"{' '.join(command)} ended with {finished.returncode}: {said}")


def _add_modules(root: Path, kernel: Kernel) -> None:
    names = (*OTHER_MODULES, *MODULES)
    target = root / "usr" / "lib" / "modules" / kernel.version
    for module in modules_in_order(kernel, names):
        place = target / module.relative_to(kernel.modules)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(module, place)
    for listing in kernel.modules.glob("modules.builtin*"):
        shutil.copy(listing, target)
    shutil.copy(kernel.modules / "modules.order", target)
    subprocess.run(["depmod", "-b", root / "usr", kernel.version], check=True)


def _furnish(root: Path) -> None:
    """What is started, mounted and loaded when the machine starts."""
    files = {
        "fstab": FSTAB,
        "hostname": "doorbell\n",
        "modules-load.d/doorbell.conf": "".join(f"{name}\n" for name in MODULES),
        "modprobe.d/doorbell.conf": "".join(
            f"options {name} {options}\n" for name, options in MODULES.items() if options
        ),
        "systemd/system/simulated-chip.service": LINES_UNIT,
        "systemd/system/kernel-steps.service": STEPS_UNIT,
    }
    for name, text in files.items():
        place = root / "etc" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    for folder in ("tools", "kept"):
        (root / folder).mkdir()
    for unit in ("simulated-chip", "kernel-steps"):
        subprocess.run(["systemctl", "--root", root, "enable", "--quiet", unit], check=True)
    subprocess.run(["systemctl", "--root", root, "mask", "--quiet", "apt-daily.timer"], check=True)
