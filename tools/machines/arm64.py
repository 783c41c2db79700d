"""The doorbell on arm64, emulated: ``tools/metal.py arm64``.

A Debian for arm64 gets a Jetson's versions of the Python packages, and the kernel hands its
programs to QEMU. What is computed there is compared with what this machine computes; then somebody
is enrolled there and comes. Times say nothing about a Jetson. Needs root, mmdebstrap, mosquitto,
the models, and 4 GB in ``build/arm64``, where what was unpacked stays for the next run.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
from packaging.markers import Marker

from doorbell.config import InferenceSection
from doorbell.measure.accuracy.precision import Difference, compare_faces
from doorbell.measure.accuracy.stills import Seen, read_picture
from doorbell.models.store import RECORD_NAME, face_path, models_directory
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.daemon_process import DaemonProcess
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually
from machines import faces_seen
from machines.boot import show_somebody
from machines.clean_system import CHECKOUT, CLONED, copy_checkout
from machines.emulation import Emulated, emulated, fetch_emulator, said_by, unpack
from machines.report import Report, take_all
from machines.step import StepFailedError

# Debian 12's Python, the newest in Debian for which NumPy 1 comes ready-made.
SUITE, PYTHON = "bookworm", "3.11"
PACKAGES = (
    "python3-venv,python3-dev,gcc,libc6-dev,libasound2,libasound2-dev,alsa-utils,espeak-ng,libgl1,"
    "libglib2.0-0,libseccomp2,ca-certificates"
)
# miniaudio does not come ready-made for its Python, as for JetPack 7's.
NEWER_SUITE, NEWER_PYTHON = "trixie", "python3.13"
VENV = "/opt/doorbell/.venv"
DOORBELL = f"{VENV}/bin/doorbell"
SITE = f"{VENV}/lib/python{PYTHON}/site-packages"
MODELS = "/models"
SOURCES = "/srv/sources"
PHOTOS = "/srv/photos"
STATE = "/srv/state"
PERSON = "Barack Obama"
# The quicker precision where it is emulated.
KEPT_THERE = (
    f"inference.models_directory={MODELS}",
    "inference.precision=float32",
    f"storage.directory={STATE}",
)
# A frame takes ten seconds: each is waited for, and the networks do as little as they may.
IN_ITS_TIME = (
    *("camera.realtime=false", "camera.frames_per_second=2"),
    *("camera.width=640", "camera.height=360"),
    *("detection.regions_per_frame=3", "detection.far_regions_per_frame=0"),
    *("detection.person_looks_per_second=0", "recognition.embeddings_per_second=2"),
    *("recognition.decide_within_seconds=60", "visits.announce_after_seconds=600"),
    *("chime.enabled=false", "mqtt.enabled=true", "mqtt.host=127.0.0.1"),
)
VISIT_SECONDS = 900.0
# An emulated processor takes minutes for a face: of two, small ones.
KNOWN_PORTRAIT = "obama"
PORTRAITS, PHOTO_PIXELS = ("ardern", KNOWN_PORTRAIT), 256
THERE = {
    "implementation_name": "cpython",
    "platform_machine": "aarch64",
    "platform_python_implementation": "CPython",
    "python_full_version": f"{PYTHON}.0",
    "python_version": PYTHON,
    "sys_platform": "linux",
}
# What comes as source for that Python.
FROM_SOURCE = ("simpleaudio", "sdnotify")
# Of the C library that JetPack 6 has, and older.
TAGS = ("manylinux2014", *(f"manylinux_2_{minor}" for minor in range(17, 36)))
# At most, or of cosines at least; shifts in widths of the face. Those of float16 are what the tests
# hold GPUs to.
BOUNDS = {
    "float32": Difference(box=0.001, keypoints=0.001, cosine=0.9999),
    "float16": Difference(box=0.01, keypoints=0.01, cosine=0.999),
}


def run(report: Report, work: Path) -> None:
    """Take every step.

    Args:
        report: of this part.
        work: a directory that may have what an earlier run has unpacked.

    Raises:
        StepFailedError: one did not show what it is for.
    """
    with report.step("each Python package can be had for Python 3.10 to 3.14") as step:
        said_by([str(CHECKOUT / "tools" / "lock"), "--check"])
        step.seen = "ready-made, but for what plays sounds, sdnotify and pycuda"
    with report.step("an emulator, and two systems") as step:
        emulator = fetch_emulator(work / "emulator")
        root = unpack(work / "system", SUITE, PACKAGES)
        bare = unpack(work / "bare", NEWER_SUITE, "python3")
        step.seen = said_by([str(emulator), "--version"]).splitlines()[0]
    with (
        report.step("a compiler is asked for where there is none"),
        emulated(emulator, bare) as system,
    ):
        _look_for_compiler(system)
    with emulated(emulator, root) as system:
        with report.step("the packages of a Jetson; what comes as source is compiled") as step:
            step.seen = _install(system)
        with report.step("the models are built there") as step:
            step.seen = _build_models(system)
        with report.step("faces here, in float32") as step:
            _make_photos(system.path(PHOTOS))
            here = faces_seen.look(system.path(PHOTOS), system.path(MODELS), "float32")
            step.seen = f"{sum(len(each.faces) for each in here.values())} in {len(here)} photos"
        for precision, bounds in BOUNDS.items():
            with report.step(f"the same faces on arm64, in {precision}") as step:
                step.seen = _compare(here, system, precision, bounds)
        with report.step("somebody is enrolled there, of a photo") as step:
            step.seen = _enroll(system)
        with report.step("they come there, and home automation hears the name") as step:
            step.seen = _come(system, work)


def _look_for_compiler(system: Emulated) -> None:
    _copy_checkout(system)
    script = ". tools/setup.sh; find_python; need_python_and_libraries; echo ${packages[@]}"
    asked_for = system.run("bash", "-c", f"cd {CLONED}; {script}").split()
    missing = {"gcc", f"{NEWER_PYTHON}-dev"} - set(asked_for)
    if missing:
        raise StepFailedError(f"{', '.join(missing)}: not among {asked_for}")


def _install(system: Emulated) -> str:
    """Unpack what comes ready-made, and compile the rest there, of what was fetched here."""
    _copy_checkout(system)
    for leftover in (VENV, SOURCES):
        shutil.rmtree(system.path(leftover), ignore_errors=True)
    system.run("python3", "-m", "venv", VENV)
    pip = [sys.executable, "-m", "pip"]
    build = CHECKOUT / "tools" / "requirements" / "build.txt"
    with tempfile.TemporaryDirectory(prefix="doorbell-") as folder:
        ready, source = _split_lock(Path(folder))
        install = [*pip, "install", "--no-compile", "--upgrade", f"--target={system.path(SITE)}"]
        install += [f"--platform={tag}_aarch64" for tag in TAGS]
        install += [f"--python-version={PYTHON}", "--implementation=cp", "--only-binary=:all:"]
        said_by([*install, "--no-deps", "--require-hashes", "-r", str(build), "-r", str(ready)])
        download = [*pip, "download", "--no-binary=:all:", f"--dest={system.path(SOURCES)}"]
        said_by([*download, "--no-deps", "--require-hashes", "-r", str(source)])
    archives = [f"{SOURCES}/{each.name}" for each in system.path(SOURCES).iterdir()]
    options = ("--no-index", "--no-deps", "--no-build-isolation", "--use-pep517")
    pip_there = (f"{VENV}/bin/python", "-m", "pip", "install", *options)
    system.run(*pip_there, *archives)
    system.run(*pip_there, "--editable", str(CLONED))
    versions = "import cv2, numpy; print('NumPy', numpy.__version__ + ', OpenCV', cv2.__version__)"
    return system.run(f"{VENV}/bin/python", "-c", f"import simpleaudio, gpiod; {versions}")


def _split_lock(folder: Path) -> tuple[Path, Path]:
    """The requirements of the service in two files: what comes ready-made, and what as source."""
    lock = (CHECKOUT / "tools" / "requirements" / "service.txt").read_text(encoding="utf-8")
    files = folder / "ready.txt", folder / "source.txt"
    texts = ["", ""]
    for requirement in re.split(r"^(?=[a-z])", lock, flags=re.MULTILINE):
        marker = re.search(r" ; (.*?)(?= \\)", requirement)
        if marker is not None and Marker(marker[1]).evaluate(THERE):
            name = requirement.partition("==")[0]
            # This machine's Python may be another one.
            texts[name in FROM_SOURCE] += requirement.replace(marker[0], "", 1)
    for file, text in zip(files, texts, strict=True):
        file.write_text(text, encoding="utf-8")
    return files


def _build_models(system: Emulated) -> str:
    """Build them of the packages that this machine has fetched; they are to be the same files."""
    made = models_directory(InferenceSection())
    shutil.rmtree(system.path(MODELS), ignore_errors=True)
    shutil.copytree(made / "downloads", system.path(f"{MODELS}/downloads"))
    system.run(DOORBELL, "models", "build", *_set(f"inference.models_directory={MODELS}"))
    here, there = (
        json.loads((folder / RECORD_NAME).read_text(encoding="utf-8"))
        for folder in (made, system.path(MODELS))
    )
    if here != there:
        raise StepFailedError("the files are not those that were built here, byte for byte")
    return f"{len(here)} networks, byte for byte as on this machine"


def _make_photos(folder: Path) -> None:
    """Make small pictures of sample portraits, the same for every decoder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in PORTRAITS:
        pixels = read_picture(face_path(name, models_directory(InferenceSection())))
        scale = PHOTO_PIXELS / max(pixels.shape[:2])
        small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f"{name}.png"), small[..., ::-1])


def _compare(here: faces_seen.Faces, system: Emulated, precision: str, bounds: Difference) -> str:
    kept = f"/srv/{precision}.npz"
    system.run(
        *(f"{VENV}/bin/python", "-m", "machines.faces_seen"),
        *(PHOTOS, MODELS, precision, kept),
        PYTHONPATH=f"{CLONED}/tools",
    )
    there = faces_seen.read(system.path(kept))
    system.path(kept).unlink()
    pairs = [
        (seen, there.get(name, Seen(seen.path, seen.middle_xy, ()))) for name, seen in here.items()
    ]
    differences = [each for pair in pairs for each in compare_faces(*pair)]
    counts = [sum(len(seen.faces) for seen in seen_by.values()) for seen_by in (here, there)]
    if counts != [len(differences)] * 2:
        raise StepFailedError(f"{counts[0]} faces here, {counts[1]} there")
    worst = Difference(
        max(each.box for each in differences),
        max(each.keypoints for each in differences),
        min(each.cosine for each in differences),
    )
    said = (
        f"{len(differences)} faces; edges differ by {worst.box:.5f} of their width at most, "
        f"keypoints by {worst.keypoints:.5f}; the lowest cosine is {worst.cosine:.6f}"
    )
    within = worst.box <= bounds.box and worst.keypoints <= bounds.keypoints
    if not within or worst.cosine < bounds.cosine:
        raise StepFailedError(f"{said}, where {bounds} is the limit")
    return said


def _enroll(system: Emulated) -> str:
    shutil.rmtree(system.path(STATE), ignore_errors=True)
    photo = f"{PHOTOS}/{KNOWN_PORTRAIT}.png"
    said = system.run(DOORBELL, "enroll", PERSON, photo, *_set(*KEPT_THERE))
    if f"{PERSON} is enrolled" not in said:
        raise StepFailedError(said)
    return "one photo, good"


def _come(system: Emulated, work: Path) -> str:
    """Let a daemon there watch the door in its own time, until its bell rings with the name."""
    camera = show_somebody(system.root, models_directory(InferenceSection()))
    log = work / "visit.log"
    with tempfile.TemporaryDirectory(prefix="doorbell-broker-") as folder, ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(Path(folder), "allow_anonymous true"))
        listener = stack.enter_context(Subscriber(broker.port))
        settings = (*KEPT_THERE, *IN_ITS_TIME, f"camera.uri={camera}", f"mqtt.port={broker.port}")
        command = system.command(DOORBELL, "run", "--config=/dev/null", *_set(*settings))
        started = time.monotonic()
        stack.enter_context(DaemonProcess(command, log))

        def rings() -> list[dict[str, Any]]:
            return [each for each in listener.documents("event") if each["event_type"] == "ring"]

        if not eventually(lambda: rings() != [], VISIT_SECONDS):
            raise StepFailedError(f"no ring within {VISIT_SECONDS:.0f} s; see {log.name}")
        [ring, *_] = rings()
    if ring["person"] != PERSON:
        raise StepFailedError(f"it rang for {ring['person']}, similarity {ring['similarity']:.2f}")
    seconds = time.monotonic() - started
    return f"similarity {ring['similarity']:.2f}, {seconds:.0f} s after the daemon's start"


def _set(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def _copy_checkout(system: Emulated) -> None:
    target = system.path(str(CLONED))
    shutil.rmtree(target, ignore_errors=True)
    copy_checkout(target)


def main(arguments: Sequence[str]) -> int:
    """Run the part; its exit code."""
    argparse.ArgumentParser(prog="metal.py arm64", description=__doc__).parse_args(arguments)
    report = Report(
        "arm64",
        "packages, models and faces on arm64",
        "Debian for arm64, its programs run by QEMU on x86-64",
    )
    return take_all(report, lambda report, _: run(report, CHECKOUT / "build" / "arm64"))
