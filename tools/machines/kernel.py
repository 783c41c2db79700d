"""The doorbell as a service on a real kernel: ``python -m machines.kernel``.

A whole Debian system, in which ``tools/install-jetson`` has installed the doorbell, is booted in
QEMU by Debian's kernel with systemd. Its camera is a v4l2loopback device that shows a visitor, then
the kernel's virtual one (vivid); its sound card is snd-aloop, its button and relay are lines of
gpio-sim. What is tried there, step by step, is in ``kernel_steps.py``. Leaves a picture,
a sound, a log and the report in ``build/metal``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Sequence
from pathlib import Path

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
from machines.emulated_door import FRAMES_PER_SECOND, HEIGHT, WIDTH
from machines.qemu import (
    build_initramfs,
    emulator,
    fetch_emulator,
    fetch_kernel,
    modules_in_order,
    shared_folder,
)
from machines.report import WORK, Report, say
from machines.step import Step

WHAT = "the service on a real kernel, with cameras, sound card, button and relay of its making"
HOW = "Debian 12 with Linux 6.1, booted in QEMU"
MEGABYTES = 3584
LONGEST_SECONDS = 90 * 60.0
SCENE_SECONDS = 120.0
# The chime is heard from this correlation on, and the picture is one of those that were shown.
HEARD, SHOWN = 0.9, 0.98
# The last step that is done inside.
LAST = "The service stops in its own time"
OTHERS = ("westminster", "alert", "ding-dong")
# What the disk is reached by.
MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")
SCRIPT = """\
mount -t ext4 /dev/vda /machine
exec switch_root /machine /lib/systemd/systemd
"""


def run(report: Report, models_directory: Path) -> None:
    """Make what is missing, boot, and judge what was left.

    Args:
        report: gets the steps.
        models_directory: where the models were built, with the portraits.

    Raises:
        CannotMakeError: this machine cannot make such a one.
    """
    fetch_emulator()
    kernel = fetch_kernel()
    started = time.monotonic()
    disk = make_disk(kernel, models_directory)
    report.steps.append(_step("The installer has made a whole system", started, seen=disk.name))
    kept = WORK / report.part
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
            counted=True,
            append="quiet rw",
            options=[
                *("-drive", f"file={disk},format=raw,if=virtio,snapshot=on"),
                *shared_folder("tools", CHECKOUT / "tools"),
                *shared_folder("kept", kept, read_only=False),
            ],
        )
        _boot(machine, kept / "console.log")
    told = kept / "steps.jsonl"
    if told.exists():
        lines = told.read_text(encoding="utf-8").splitlines()
        report.steps += [Step(**json.loads(line)) for line in lines]
    if len(report.steps) < 2 or report.steps[-1].title != LAST:
        report.steps.append(Step("The machine comes to its end", seen="see console.log"))
    report.steps += [_judge_sound(kept / "chime.wav"), _judge_picture(kept / "visit.jpg", frames)]
    shutil.rmtree(kept / "frames")


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
    folder.mkdir(parents=True)
    drawn: list[UInt8Array] = []
    for name, who in (("porch", ()), ("visit", (comes,))):
        section = CameraSection(
            uri="simulated:",
            width=WIDTH,
            height=HEIGHT,
            frames_per_second=FRAMES_PER_SECOND,
            realtime=False,
        )
        camera = SimulatedCamera(section, SceneScript(who, SCENE_SECONDS))
        with (folder / f"{name}.yuyv").open("wb") as file:
            for _ in range(round(SCENE_SECONDS * FRAMES_PER_SECOND)):
                pixels = camera.read().pixels
                file.write(cv2.cvtColor(pixels, cv2.COLOR_RGB2YUV_YUYV).tobytes())
                if who:
                    drawn.append(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8))
    return drawn


def _judge_sound(recording: Path) -> Step:
    """Whether the visitor's own chime is in what came out of the sound card, twice."""
    started = time.monotonic()
    name = "The visitor's chime is recorded at the card's other end, for the visit and the button"
    if not recording.exists():
        return _step(name, started, passed=False, seen="there is no recording")
    samples = _samples(recording)
    chime = synthesize(CHIME).samples[:, 0]
    if len(samples) < 2 * len(chime):
        seen = f"the recording has {len(samples) / SAMPLE_RATE:.1f} s"
        return _step(name, started, passed=False, seen=seen)
    found = []
    for _ in range(2):
        alike, at = likeness(samples, chime)
        found.append((at / SAMPLE_RATE, alike))
        samples[at : at + len(chime)] = 0
    other = max(likeness(_samples(recording), synthesize(each).samples[:, 0])[0] for each in OTHERS)
    said = ", ".join(f"at {at:.1f} s ({alike:.3f})" for at, alike in sorted(found))
    passed = all(alike >= HEARD for _, alike in found)
    return _step(name, started, passed=passed, seen=f"{CHIME} {said}; others at most {other:.3f}")


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
        return _step(name, started, passed=False, seen="there is none")
    if read.shape != frames[0].shape:
        return _step(name, started, passed=False, seen=f"it has {read.shape}")
    alike = [float(np.corrcoef(read.ravel(), each.ravel())[0, 1]) for each in frames]
    best = int(np.argmax(alike))
    seen = f"correlation {alike[best]:.4f} with picture {best} of {len(frames)}"
    return _step(name, started, passed=alike[best] >= SHOWN, seen=seen)


def _step(title: str, started: float, *, seen: str, passed: bool = True) -> Step:
    return Step(title, round(time.monotonic() - started, 1), passed, seen)


def main(arguments: Sequence[str]) -> int:
    """Run it; 1 where a step failed, 3 where it cannot run here."""
    argparse.ArgumentParser(prog="metal.py kernel", description=__doc__).parse_args(arguments)
    report = Report("kernel", WHAT, HOW)
    try:
        run(report, CHECKOUT / "models" / "built")
    except CannotMakeError as cause:
        sys.stderr.write(f"metal.py kernel: {cause}\n")
        return 3
    for step in report.steps:
        verdict = "passed" if step.passed else "FAILED"
        say(f"{verdict} {step.seconds:7.1f} s  {step.title}: {step.seen}")
    say(f"the report is {report.write()}")
    return 0 if report.passed else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
