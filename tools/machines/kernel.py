"""The doorbell as a service on a real kernel: ``python -m machines.kernel``.

A whole Debian system, in which ``tools/install-jetson`` has installed the doorbell, is booted in
QEMU by Debian's kernel with systemd. Its camera is a v4l2loopback device that shows a visitor, then
the kernel's virtual one (vivid); its sound card is snd-aloop, its button and relay are lines of
gpio-sim. What is tried there, step by step, is in ``kernel_steps.py``. Leaves a picture,
a sound, a log and the report in ``build/metal``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import wave
from datetime import datetime, timezone
from pathlib import Path
from typing import TypedDict

import cv2
import numpy as np
from numpy.typing import NDArray

from doorbell.camera.simulated.camera import SimulatedCamera
from doorbell.camera.simulated.script import SceneScript
from doorbell.config import CameraSection
from doorbell.domain import UInt8Array
from doorbell.outputs.sound.synthesis import SAMPLE_RATE, synthesize
from doorbell.testbed.hearing import likeness
from doorbell.testbed.scenes import Visitor
from machines.clean_system import CHECKOUT, CannotMakeError
from machines.disk import CHIME, make_disk
from machines.qemu import (
    build_initramfs,
    emulator,
    fetch_emulator,
    fetch_kernel,
    modules_in_order,
    shared_folder,
)

REPORTS = CHECKOUT / "build" / "metal"
MEGABYTES = 3584
LONGEST_SECONDS = 45 * 60.0
WIDTH, HEIGHT, FRAMES_PER_SECOND, SCENE_SECONDS = 640, 480, 4.0, 240.0
JPEG_QUALITY = 85
# The chime is heard from this correlation on, and the picture is one of those that were shown.
HEARD, SHOWN = 0.9, 0.98
OTHERS = ("westminster", "alert", "ding-dong")
# What the disk is reached by.
MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")
SCRIPT = """\
mount -t ext4 /dev/vda /machine
exec switch_root /machine /lib/systemd/systemd
"""


class Step(TypedDict):
    """One step of the report."""

    name: str
    seconds: float
    passed: bool
    detail: str


def run(models_directory: Path, reports: Path = REPORTS) -> list[Step]:
    """Make what is missing, boot, and judge what was left.

    Args:
        models_directory: where the models were built, with the portraits.
        reports: gets ``kernel.json`` and the folder ``kernel``.

    Raises:
        CannotMakeError: this machine cannot make such a one.
    """
    fetch_emulator()
    kernel = fetch_kernel()
    started = time.monotonic()
    disk = make_disk(kernel, models_directory)
    steps = [_step("The system is installed", started, passed=True, detail=disk.name)]
    kept = reports / "kernel"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    frames = _draw_frames(kept / "frames", models_directory / "faces")
    with tempfile.TemporaryDirectory() as name:
        initramfs = Path(name) / "initramfs"
        build_initramfs(modules_in_order(kernel, MODULES), SCRIPT, initramfs)
        machine = emulator(
            kernel,
            initramfs,
            megabytes=MEGABYTES,
            append="quiet rw",
            options=[
                *("-drive", f"file={disk},format=raw,if=virtio,snapshot=on"),
                *shared_folder("tools", CHECKOUT / "tools"),
                *shared_folder("kept", kept, read_only=False),
            ],
        )
        started = time.monotonic()
        _boot(machine, kept / "console.log")
    told = kept / "steps.jsonl"
    if told.exists():
        steps += [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines()]
        told.unlink()
    else:
        steps.append(_step("The machine starts", started, passed=False, detail="see console.log"))
    steps += [_judge_sound(kept / "chime.wav"), _judge_picture(kept / "visit.jpg", frames)]
    shutil.rmtree(kept / "frames")
    return steps


def _boot(machine: list[str], console: Path) -> None:
    """Run it until it switches itself off, or for as long as it may."""
    with console.open("wb") as log:
        process = subprocess.Popen(machine, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            process.wait(LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            log.write(b"machines.kernel: it took too long, and was switched off\n")
        finally:
            process.kill()
            process.wait()


def _draw_frames(folder: Path, faces: Path) -> list[UInt8Array]:
    """Draw what the camera shows: nobody, and a visitor who comes and stays; the latter in grey."""
    comes = Visitor(enters=1.0, approach=4.0, stays=900.0).appearance(faces)
    drawn: list[UInt8Array] = []
    for name, who in (("porch", ()), ("visit", (comes,))):
        (folder / name).mkdir(parents=True)
        section = CameraSection(
            uri="simulated:",
            width=WIDTH,
            height=HEIGHT,
            frames_per_second=FRAMES_PER_SECOND,
            realtime=False,
        )
        camera = SimulatedCamera(section, SceneScript(who, SCENE_SECONDS))
        for number in range(round(SCENE_SECONDS * FRAMES_PER_SECOND)):
            picture = cv2.cvtColor(camera.read().pixels, cv2.COLOR_RGB2BGR)
            file = folder / name / f"{number:04}.jpg"
            cv2.imwrite(str(file), picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            if who:
                drawn.append(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8))
    return drawn


def _judge_sound(recording: Path) -> Step:
    """Whether the visitor's own chime is in what came out of the sound card, twice."""
    started = time.monotonic()
    name = "The visitor's chime is recorded at the card's other end, for the visit and the button"
    if not recording.exists():
        return _step(name, started, passed=False, detail="there is no recording")
    samples = _samples(recording)
    chime = synthesize(CHIME).samples[:, 0]
    found = []
    for _ in range(2):
        alike, at = likeness(samples, chime)
        found.append((at / SAMPLE_RATE, alike))
        samples[at : at + len(chime)] = 0
    other = max(likeness(_samples(recording), synthesize(each).samples[:, 0])[0] for each in OTHERS)
    said = ", ".join(f"at {at:.1f} s ({alike:.3f})" for at, alike in sorted(found))
    passed = all(alike >= HEARD for _, alike in found)
    return _step(name, started, passed=passed, detail=f"{CHIME} {said}; others at most {other:.3f}")


def _samples(recording: Path) -> NDArray[np.float64]:
    """Of the first channel."""
    with wave.open(str(recording)) as file:
        data = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        return data.reshape(-1, file.getnchannels())[:, 0].astype(np.float64)


def _judge_picture(picture: Path, frames: list[UInt8Array]) -> Step:
    """Whether the picture that was kept is one of those that were shown."""
    started = time.monotonic()
    name = "The picture that is kept of the visit is one that the camera has shown"
    read = cv2.imread(str(picture), cv2.IMREAD_GRAYSCALE) if picture.exists() else None
    if read is None:
        return _step(name, started, passed=False, detail="there is none")
    if read.shape != frames[0].shape:
        return _step(name, started, passed=False, detail=f"it has {read.shape}")
    alike = [float(np.corrcoef(read.ravel(), each.ravel())[0, 1]) for each in frames]
    best = int(np.argmax(alike))
    detail = f"correlation {alike[best]:.4f} with picture {best} of {len(frames)}"
    return _step(name, started, passed=alike[best] >= SHOWN, detail=detail)


def _step(name: str, started: float, *, passed: bool, detail: str) -> Step:
    seconds = round(time.monotonic() - started, 1)
    return {"name": name, "seconds": seconds, "passed": passed, "detail": detail}


def write_report(steps: list[Step], reports: Path = REPORTS) -> Path:
    """Write what was tried, as JSON."""
    commit = subprocess.run(
        ["git", "-C", CHECKOUT, "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    processors = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("model name\t: ")
    report = {
        "part": "kernel",
        "machine": f"QEMU on {os.cpu_count()} cores of {processors[-1].splitlines()[0]}",
        "date": datetime.now(timezone.utc).date().isoformat(),
        "commit": commit,
        "steps": steps,
    }
    reports.mkdir(parents=True, exist_ok=True)
    path = reports / "kernel.json"
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return path


def main() -> int:
    """Run it, print what was found; 1 where a step failed, 3 where it cannot run here."""
    try:
        steps = run(CHECKOUT / "models" / "built")
    except CannotMakeError as cause:
        sys.stderr.write(f"machines.kernel: {cause}\n")
        return 3
    for step in steps:
        verdict = "passed" if step["passed"] else "FAILED"
        sys.stdout.write(f"{verdict} {step['seconds']:7.1f} s  {step['name']} {step['detail']}\n")
    sys.stdout.write(f"{write_report(steps)}\n")
    return 0 if all(step["passed"] for step in steps) else 1


if __name__ == "__main__":
    raise SystemExit(main())
