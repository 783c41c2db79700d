"""What is tried inside the virtual machine of ``machines.kernel``; runs there as root.

Each step is written to ``/kept/steps.jsonl`` as soon as it has ended; what was seen and heard lies
beside it.
"""

from __future__ import annotations

import grp
import itertools
import json
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from machines.disk import FRONT_DOOR, PERSON, SPARE
from machines.emulated_door import HEIGHT, WIDTH, Door, Journal, output, same_process, service
from machines.simulated_chip import BUTTON, RELAY, SimulatedChip
from machines.step import StepFailedError

KEPT = Path("/kept")
PICTURE_BYTES = 2 * WIDTH * HEIGHT
CONFIGURATION = Path("/etc/doorbell/doorbell.toml")
PICTURES = Path("/var/lib/doorbell/.local/share/doorbell/pictures")
SERVICE_GROUP = Path("/sys/fs/cgroup/system.slice/doorbell.service/cgroup.procs")
# What the service may open, and what is there for others: disk, kernel's messages, console, memory.
ALLOWED = ("/dev/null", f"/dev/video{FRONT_DOOR}", "/dev/snd/controlC0", "/dev/gpiochip{gpio}")
REFUSED = ("/dev/vda", "/dev/kmsg", "/dev/ttyS0", "/dev/mem")
# Opens for reading, without waiting for a terminal's carrier; 1 is "not permitted".
OPEN = "import os, sys; os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK)"
READ_JOURNAL = ["journalctl", "--boot", "--follow", "--no-tail", "--output=short-precise"]
# The other end of the card that the daemon plays on.
RECORD = ["arecord", "--quiet", "--device=hw:Loopback,1,0", "--format=S16_LE", "--rate=44100"]
RECORD += ["--channels=2", "--buffer-time=2000000"]
MINUTES = 60.0
# What the daemon says of its camera.
LOST, BACK = r"camera lost: ", r"the camera is back after (\S+) s"


def starts(_: Door) -> str:
    """The system comes up: systemd is process 1 of a real kernel."""
    if Path("/proc/1/comm").read_text().strip() != "systemd":
        raise StepFailedError("process 1 is no systemd")
    state = output("systemctl", "is-system-running", "--wait", allowed=(0, 1)).strip()
    failed = output("systemctl", "--failed", "--no-legend", "--plain").split("\n")
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    if state != "running":
        raise StepFailedError(f"the system is {state}: {failed}")
    systemd = output("systemctl", "--version").split("\n")[0]
    return f"Linux {os.uname().release}, {systemd}, running {uptime:.0f} s after the kernel's start"


def service_waits_for_camera(_: Door) -> str:
    """The service is ready though its camera shows nothing yet."""
    output("systemctl", "start", "doorbell")  # ends when it is active
    properties = service("ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    began, ready = (int(each) / 1e6 for each in properties)
    return f"active {ready - began:.0f} s after its start"


def has_devices(door: Door) -> str:
    """v4l2loopback, vivid, snd-aloop and gpio-sim are there, each by its own driver."""
    cameras = output("v4l2-ctl", "--list-devices", allowed=(0, 1))
    cards = Path("/proc/asound/cards").read_text()
    wanted = {"Front-door": cameras, "vivid": cameras, "Loopback": cards}
    if missing := [name for name, text in wanted.items() if name not in text]:
        raise StepFailedError(f"no {missing} in {cameras}{cards}")
    return f"Front-door, vivid, Loopback, {door.chip.chip_name}"


def groups_are_given(door: Door) -> str:
    """The udev rule gives the chip to the group gpio; video and audio have theirs from Debian."""
    wanted = {
        f"/dev/{door.chip.chip_name}": "gpio",
        f"/dev/video{FRONT_DOOR}": "video",
        f"/dev/video{SPARE}": "video",
        "/dev/snd/controlC0": "audio",
    }
    found = {}
    for path in wanted:
        status = Path(path).stat()
        found[path] = f"{grp.getgrgid(status.st_gid).gr_name} {stat.S_IMODE(status.st_mode):o}"
    if found != {path: f"{group} 660" for path, group in wanted.items()}:
        raise StepFailedError(f"{found}")
    return ", ".join(f"{path} {said}" for path, said in found.items())


def runs_as_its_user(_: Door) -> str:
    """The daemon is the user doorbell, in these groups, with no capability left."""
    [pid] = service("MainPID")
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    told = dict(line.split(":\t", 1) for line in lines)
    user = pwd.getpwuid(int(told["Uid"].split()[0])).pw_name
    groups = {grp.getgrgid(int(each)).gr_name for each in told["Groups"].split()}
    confined = {key: told[key] for key in ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp")}
    wanted = {"CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}
    if user != "doorbell" or confined != wanted:
        raise StepFailedError(f"{user} {confined}")
    if missing := {"video", "audio", "render", "gpio", "doorbell-control"} - groups:
        raise StepFailedError(f"not in {missing}")
    return f"{user} in {', '.join(sorted(groups))}; no capability, seccomp's filter on"


def devices_are_refused(door: Door) -> str:
    """Root itself, put into the service's control group, may open its devices and no others."""
    number = door.chip.chip_name.removeprefix("gpiochip")
    allowed = [each.format(gpio=number) for each in ALLOWED]
    outside = {path: _opens(path) for path in (*allowed, *REFUSED)}
    inside = {path: _opens(path, inside=True) for path in (*allowed, *REFUSED)}
    if wrong := [path for path, said in outside.items() if said]:
        raise StepFailedError(f"outside of the service too: {wrong}")
    expected = dict.fromkeys(allowed, "") | dict.fromkeys(REFUSED, "Operation not permitted")
    if inside != expected:
        raise StepFailedError(f"{inside}")
    return f"opened {', '.join(allowed)}; refused {', '.join(REFUSED)}"


def _opens(path: str, *, inside: bool = False) -> str:
    """Try to open a device; the error, empty where there is none."""
    enter = f"echo $$ >{SERVICE_GROUP} && " if inside else ""
    command = f'{enter}exec {sys.executable} -c "$1" "$2"'
    tried = subprocess.run(
        ["sh", "-c", command, "sh", OPEN, path], capture_output=True, text=True, check=False
    )
    last = (tried.stderr.splitlines() or [""])[-1]
    found = re.search(r"\] (.*?)(:|$)", last)
    return found[1] if found else last


def sees_the_porch(door: Door) -> str:
    """The camera begins to show the door, and the daemon finds it."""
    journal = Journal()
    started = time.monotonic()
    door.plug_in((WIDTH, HEIGHT, "YUYV"), _scene("porch"))
    found = journal.wait(r"watching the door, (\d+ x \d+)", 5 * MINUTES)
    return f"{found[1]} pixels, {time.monotonic() - started:.0f} s after the first picture"


def names_the_visitor(door: Door) -> str:
    """A face that is shown through v4l2loopback is named, and rings."""
    door.recorder = subprocess.Popen([*RECORD, str(KEPT / "chime.wav")])
    journal = Journal()
    started = time.monotonic()
    assert door.camera is not None  # noqa: S101
    door.camera.show(_scene("visit"))
    found = journal.wait(rf"ring visit=\S+ visitor={PERSON} (similarity=\S+)", 5 * MINUTES)
    return f"{PERSON}, {found[1]}, {time.monotonic() - started:.0f} s after coming into sight"


def button_rings(door: Door) -> str:
    """A press on gpio-sim's line rings with the visitor's name, and the relay's line is pulsed."""
    time.sleep(6)  # the chime of the visit, and its relay
    if door.chip.is_high(RELAY):
        raise StepFailedError("the relay is on before anybody pressed")
    journal = Journal()
    pressed = time.monotonic()
    door.chip.pull(BUTTON, up=False)
    pulse = _pulse(door.chip, 30.0)
    door.chip.pull(BUTTON, up=True)
    journal.wait(rf"ring visit=\S+ visitor={PERSON} similarity=", MINUTES)
    rose, fell = (each - pressed for each in pulse)
    time.sleep(6)
    return f"{PERSON}; the relay on for {fell - rose:.2f} s, {rose:.2f} s after the press"


def _pulse(chip: SimulatedChip, seconds: float) -> tuple[float, float]:
    """When the relay goes on, and when it goes off again; monotonic."""
    end = time.monotonic() + seconds
    rose = None
    while time.monotonic() < end:
        high = chip.is_high(RELAY)
        if high and rose is None:
            rose = time.monotonic()
        if not high and rose is not None:
            return rose, time.monotonic()
        time.sleep(0.005)
    raise StepFailedError("the relay stays on" if rose else "the relay never goes on")


def keeps_the_picture(door: Door) -> str:
    """The visitor goes, and the visit's picture is kept."""
    journal = Journal()
    assert door.camera is not None  # noqa: S101
    door.camera.show(_scene("porch"))
    journal.wait(rf"left visit=\S+ visitor={PERSON}", 3 * MINUTES)
    if door.recorder is not None:
        door.recorder.terminate()
        door.recorder.wait()
    time.sleep(2)
    newest = max(PICTURES.rglob("*.jpg"), key=lambda each: each.stat().st_mtime)
    shutil.copy(newest, KEPT / "visit.jpg")
    return f"left; {newest.stat().st_size / 1000:.0f} kB"


def changes_format(door: Door) -> str:
    """The camera is pulled out, and another one with another format is in its place."""
    journal = Journal()
    door.unplug()
    journal.wait(LOST, 2 * MINUTES)
    back = Journal()
    grey = bytes([96, 128, 160, 128] * (320 * 240 // 2))
    door.plug_in((320, 240, "YUYV"), itertools.cycle((grey, grey[::-1])))
    found = back.wait(BACK, 3 * MINUTES)
    same_process()
    return f"said to be lost; back after {found[1]} s, with 320 x 240"


def takes_the_spare(door: Door) -> str:
    """The kernel's virtual camera (vivid) is in its place, at a size that is not its first."""
    door.unplug()
    text = CONFIGURATION.read_text()
    text = text.replace(f'"/dev/video{FRONT_DOOR}"', f'"/dev/video{SPARE}"')
    text = text.replace("\nwidth = 0\nheight = 0\n", "\nwidth = 320\nheight = 180\n")
    CONFIGURATION.write_text(text)
    journal = Journal()
    output("systemctl", "restart", "doorbell")
    found = journal.wait(r"watching the door, (\d+ x \d+) pixels", 4 * MINUTES)
    if found[1] != "320 x 180":
        raise StepFailedError(f"320 x 180 was asked for: {found[0]}")
    return found[0]


def survives_stream_errors(_: Door) -> str:
    """Errors that are injected into the stream end it, and the daemon opens it anew."""
    said = []
    for control in ("inject_fatal_streaming_error", "inject_vidioc_streamon_error"):
        journal = Journal()
        output("v4l2-ctl", "-d", f"/dev/video{SPARE}", "-c", f"{control}=1")
        if control == "inject_vidioc_streamon_error":  # seen at the next start only
            output("v4l2-ctl", "-d", f"/dev/video{SPARE}", "-c", "inject_fatal_streaming_error=1")
        journal.wait(LOST, MINUTES)
        found = journal.wait(BACK, 3 * MINUTES)
        said.append(f"{control}: back after {found[1]} s")
    same_process()
    return f"said to be lost each time; {', '.join(said)}"


def survives_rebinding(_: Door) -> str:
    """The driver is unbound, so that the device is gone, and bound again."""
    driver = Path("/sys/bus/platform/drivers/vivid")
    [name] = [each.name for each in driver.glob("vivid.*")]
    journal = Journal()
    (driver / "unbind").write_text(name)
    journal.wait(LOST, MINUTES)
    time.sleep(5)
    if Path(f"/dev/video{SPARE}").exists():
        raise StepFailedError("the device is still there")
    back = Journal()
    (driver / "bind").write_text(name)
    found = back.wait(BACK, 3 * MINUTES)
    same_process()
    return f"said to be lost; back after {found[1]} s"


def stops(_: Door) -> str:
    """The service stops in its own time."""
    started = time.monotonic()
    output("systemctl", "stop", "doorbell")
    [result] = service("Result")
    if result != "success":
        raise StepFailedError(f"its result is {result}")
    return f"{time.monotonic() - started:.1f} s"


STEPS: Sequence[Callable[[Door], str]] = (
    starts,
    service_waits_for_camera,
    has_devices,
    groups_are_given,
    runs_as_its_user,
    devices_are_refused,
    sees_the_porch,
    names_the_visitor,
    button_rings,
    keeps_the_picture,
    changes_format,
    takes_the_spare,
    survives_stream_errors,
    survives_rebinding,
    stops,
)


def _scene(name: str) -> Iterator[bytes]:
    """The pictures of one that was drawn outside, over and over."""
    with (KEPT / "frames" / f"{name}.yuyv").open("rb") as file:
        while True:
            file.seek(0)
            while picture := file.read(PICTURE_BYTES):
                yield picture


def main() -> None:
    """Do the steps, in order; one that fails keeps no other from being done."""
    door = Door()
    with (KEPT / "journal.log").open("wb") as written:
        log = subprocess.Popen(READ_JOURNAL, stdout=written)
    with (KEPT / "steps.jsonl").open("a", encoding="utf-8") as report:
        for step in STEPS:
            started = time.monotonic()
            passed, seen = True, ""
            try:
                seen = step(door)
            except (StepFailedError, OSError, ValueError, AssertionError) as exc:
                passed, seen = False, f"{type(exc).__name__}: {exc}"
            title = " ".join((step.__doc__ or "").split()).rstrip(".")
            seconds = round(time.monotonic() - started, 1)
            line = {"title": title, "seconds": seconds, "passed": passed, "seen": seen}
            report.write(json.dumps(line) + "\n")
            report.flush()
            sys.stdout.write(f"{'passed' if passed else 'FAILED'}: {title}: {seen}\n")
            sys.stdout.flush()
    time.sleep(2)
    log.terminate()
    log.wait()
    os.sync()


if __name__ == "__main__":
    main()
