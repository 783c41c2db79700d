"""On what a figure was measured: processor, system, versions, and what a Jetson says of itself.

Leaves out whatever tells whose machine it is: its name on the network, its users, its paths, its
serial numbers.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

ROOT = Path("/")
PACKAGES = ("doorbell", "openvino", "numpy", "opencv-python")
# `nvpmodel` keeps the mode there, and the names in its configuration; asking the program itself
# takes root on some releases.
POWER_STATUS = "var/lib/nvpmodel/status"
POWER_MODES = "etc/nvpmodel.conf"
CUDA_VERSIONS = "usr/local/cuda/version.json"


def describe_machine(root: Path = ROOT) -> dict[str, str]:
    """Say what this machine is, in order of interest; what cannot be found out is left out."""
    found = {
        "processor": _processor(root),
        "cores": str(len(os.sched_getaffinity(0))),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "distribution": _match(root / "etc/os-release", r'^PRETTY_NAME="?([^"\n]+)'),
        "python": platform.python_version(),
        **{package: _version(package) for package in PACKAGES},
        "board": _text(root / "proc/device-tree/model"),
        "l4t": ".".join(
            _groups(
                root / "etc/nv_tegra_release", r"^# R(\d+) \(release\), REVISION: (\d+(?:\.\d+)*)"
            )
        ),
        "jetpack": _jetpack(root),
        "cuda": _match(root / CUDA_VERSIONS, r'"cuda"\s*:\s*\{[^}]*"version"\s*:\s*"([^"]+)'),
        "power mode": power_mode(root),
    }
    return {name: value for name, value in found.items() if value}


def power_mode(root: Path = ROOT) -> str:
    """The Jetson's power mode, as its number and name; empty elsewhere."""
    number = _match(root / POWER_STATUS, r"pmode:0*(\d+)")
    name = _match(root / POWER_MODES, rf"^<\s*POWER_MODEL\s+ID={number}\s+NAME=(\S+)\s*>")
    return f"{number} ({name})" if number and name else number


def temperatures(root: Path = ROOT) -> dict[str, float]:
    """Degrees Celsius of every thermal zone that answers, by its name."""
    found = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        # A zone that is asleep answers with an error, or a number far below zero.
        degrees = _match(zone / "temp", r"^(\d+)")
        if degrees:
            found[_text(zone / "type") or zone.name] = int(degrees) / 1000
    return found


def _processor(root: Path) -> str:
    """Its name; on arm64 the kernel gives none, and the board says it all."""
    return _match(root / "proc/cpuinfo", r"^model name\s*:\s*(.+)$") or platform.machine()


def _jetpack(root: Path) -> str:
    if shutil.which("dpkg-query") is None:
        return ""
    command = ["dpkg-query", f"--admindir={root / 'var/lib/dpkg'}"]
    command += ["--show", "--showformat=${Version}", "nvidia-jetpack"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return answer.stdout.strip()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _match(path: Path, pattern: str) -> str:
    return next(iter(_groups(path, pattern)), "")


def _groups(path: Path, pattern: str) -> tuple[str, ...]:
    found = re.search(pattern, _text(path), re.MULTILINE)
    return found.groups() if found else ()


def _text(path: Path) -> str:
    """What a small file of the system says; empty where it is not there or refuses."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""
