"""What a machine without a network is given, in pieces: wheels by the locks' hashes, and models.

Only Python's own library is used, as that machine has nothing else when it puts them together.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

CHECKOUT = Path(__file__).parents[2]
LOCKS = CHECKOUT / "tools" / "requirements"
MANIFEST = "manifest.json"
# Of the lock of tests, what runs the networks on a GPU, the tests of what runs them, and pip.
TESTED_WITH = (
    "iniconfig",
    "packaging",
    "pip",
    "pluggy",
    "pygments",
    "pytest",
    "pytest-timeout",
    "tensorrt-rtx-cu13-bindings",
    "tensorrt-rtx-cu13-libs",
)
# Which come as source: pycuda and tensorrt-rtx's own module are built where they are installed.
AS_SOURCE = ("pycuda", "sdnotify", "tensorrt-rtx-cu13")
# What a trial has no use for, which would be built as well.
LEFT_OUT = ("amqtt", "miniaudio", "simpleaudio")
PLATFORMS = ("2_39", "2_35", "2_34", "2_31", "2_28", "2_27", "2_24", "2_17")


class BundleError(Exception):
    """The pieces cannot be made, or are not what was made; says why."""


def entries(lock: str) -> dict[str, str]:
    """The entries of a lock, hashes and all, by the package's name; of several versions all."""
    found: dict[str, str] = {}
    text = (LOCKS / f"{lock}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if match := re.match(r"([a-z0-9-]+)(?:\[[a-z,]+\])?==", line):
            found[match[1]] = found.get(match[1], "") + line + "\n"
    return found


def chosen() -> dict[str, str]:
    """The entries of every package that the trial needs; each package in one lock's version."""
    everything = entries("test")
    packages = {name: everything[name] for name in (*TESTED_WITH, "tensorrt-rtx-cu13")}
    for lock in ("build", "demo", "jetson"):
        for name, entry in entries(lock).items():
            packages.setdefault(name, everything.get(name, entry) if lock == "demo" else entry)
    return {name: entry for name, entry in packages.items() if name not in LEFT_OUT}


def prepare(folder: Path, models: Path, python: str, piece_bytes: int) -> None:
    """Fetch everything, and write it in pieces.

    Args:
        folder: gets the pieces and their manifest.
        models: the models, as built.
        python: of the other machine, as in "3.12".
        piece_bytes: how large a piece may be.

    Raises:
        BundleError: something cannot be fetched.
    """
    if not (models / "built.json").is_file():
        raise BundleError(f"there are no models in {models}; run doorbell models build first")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        wheels = Path(scratch) / "wheels"
        wheels.mkdir()
        _fetch(wheels, python)
        write_pieces(folder, wheels, models, python, piece_bytes)


def write_pieces(folder: Path, wheels: Path, models: Path, python: str, piece_bytes: int) -> None:
    """Write wheels and models in pieces; older ones go.

    Args:
        folder: gets them, and their manifest.
        wheels: a folder of packages.
        models: the models, as built.
        python: what the wheels are for.
        piece_bytes: how large a piece may be.
    """
    for old in folder.glob("piece-*"):
        old.unlink()
    with tempfile.TemporaryFile(dir=folder) as whole:
        with tarfile.open(fileobj=whole, mode="w") as archive:
            archive.add(wheels, "wheels")
            for path in sorted([*models.glob("*.onnx"), models / "built.json", models / "faces"]):
                archive.add(path, f"models/{path.name}")
        whole.seek(0)
        pieces = _split(whole, folder, piece_bytes)
    document = {"python": python, "pieces": pieces}
    (folder / MANIFEST).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _fetch(wheels: Path, python: str) -> None:
    packages = chosen()
    ready = wheels.parent / "ready.txt"
    ready.write_text("".join(v for k, v in packages.items() if k not in AS_SOURCE), "utf-8")
    platforms = [f"--platform=manylinux_{each}_x86_64" for each in PLATFORMS]
    platforms += ["--platform=manylinux2014_x86_64", "--platform=manylinux1_x86_64"]
    _pip("download", "--only-binary=:all:", f"--python-version={python}", *platforms, ready, wheels)
    source = wheels.parent / "source.txt"
    source.write_text("".join(packages[name] for name in AS_SOURCE), "utf-8")
    _pip("download", "--no-build-isolation", "--no-binary=:all:", source, wheels)


def _pip(command: str, *words: object) -> None:
    *options, requirements, wheels = map(str, words)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", command, "--quiet", "--no-deps", "--require-hashes"),
            *("--disable-pip-version-check", *options, "--requirement", requirements),
            *("--dest", wheels),
        ],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BundleError(f"pip {command} could not fetch what the locks name: {done.stderr}")


def _split(whole: IO[bytes], folder: Path, piece_bytes: int) -> list[dict[str, str]]:
    pieces: list[dict[str, str]] = []
    while content := whole.read(piece_bytes):
        name = f"piece-{len(pieces):02}"
        (folder / name).write_bytes(content)
        pieces.append({"name": name, "sha256": hashlib.sha256(content).hexdigest()})
    return pieces


def join(folder: Path, target: Path) -> str:
    """Put the pieces together and unpack them; what was unpacked, in words.

    Args:
        folder: with the pieces and their manifest.
        target: gets ``wheels`` and ``models``.

    Raises:
        BundleError: a piece is missing, or is not what was made.
    """
    try:
        document = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise BundleError(f"{folder / MANIFEST} is missing; carry it with the pieces") from exc
    whole = target / "all.tar"
    target.mkdir(parents=True, exist_ok=True)
    with whole.open("wb") as writer:
        for content in _checked(folder, document["pieces"]):
            writer.write(content)
    with tarfile.open(whole) as archive:
        archive.extractall(target)  # noqa: S202 - its hashes are our own
    whole.unlink()
    wheels = len(list((target / "wheels").iterdir()))
    return f"{len(document['pieces'])} pieces: {wheels} packages for Python {document['python']}"


def _checked(folder: Path, pieces: list[dict[str, str]]) -> Iterator[bytes]:
    for piece in pieces:
        path = folder / piece["name"]
        if not path.is_file():
            raise BundleError(f"{path} is missing; carry all {len(pieces)} pieces")
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != piece["sha256"]:
            raise BundleError(f"{path} has the hash {found}, not {piece['sha256']}; carry it again")
        yield content
