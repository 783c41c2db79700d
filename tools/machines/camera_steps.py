"""What the installed service must do with the cameras of two doors, where systemd is process 1.

Each is read by a process of its own (``doorbell.camera.process``), under what the unit allows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from doorbell.testbed.network_camera import NetworkCamera
from machines.booted import BootedSystem
from machines.service import START_SECONDS, UNIT, Service
from machines.step import StepFailedError

DOORS = ("front", "garden")
# What starts the cameras' processes, and these.
PROCESSES = {"cameras", *(f"camera {door}" for door in DOORS)}
# What a process says of how it is confined (proc_pid_status(5)), beside its control group.
CONFINEMENT = ("Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "CapEff", "CapBnd")
RETURN_SECONDS = 30.0


def cameras_of_two_doors(service: Service) -> str:
    """They are as confined as the daemon, come back whatever ends one, and end with it."""
    with (
        network_cameras(service.system) as uris,
        service.configured(lambda text: text + doors(uris)),
    ):
        service.run("systemctl", "restart", UNIT)
        service.wait("two live cameras", lambda: live(service) == len(DOORS), START_SECONDS)
        daemon, found = int(service.show()["MainPID"]), processes(service)
        if found.keys() != PROCESSES:
            raise StepFailedError(f"the processes of cameras are {', '.join(found) or 'none'}")
        confined = confinement(service, daemon)
        for name, pid in found.items():
            if confinement(service, pid) != confined:
                raise StepFailedError(f"{name}: {confinement(service, pid)}, and not {confined}")
        for signal, name, said in (
            ("KILL", "camera front", "camera lost: the camera's process ended by SIGKILL"),
            ("STOP", "camera garden", "the camera hangs: its driver has not answered"),
            ("KILL", "cameras", "what starts the cameras' processes is gone; started anew"),
        ):
            comes_back(service, signal, name, said)
        if int(service.show()["MainPID"]) != daemon:
            raise StepFailedError("the service was started anew")
        service.run("systemctl", "stop", UNIT)
        if left := processes(service):
            raise StepFailedError(f"there are still {', '.join(left)}")
    service.run("systemctl", "start", UNIT)
    return "confined as the service is; killed, or hanging, each came back beside the other"


def comes_back(service: Service, signal: str, name: str, said: str) -> None:
    """Let a signal hit a process, and wait until it is said, and both cameras are live again."""
    here, before = service.here(), processes(service)
    service.run("sh", "-c", f"kill -{signal} {before[name]}")
    service.wait(
        f"{name} is missed",
        lambda: any(said in line for line in service.said_since(here)),
        RETURN_SECONDS,
    )

    def is_back() -> bool:
        now = processes(service)
        is_new = now.keys() == PROCESSES and now[name] != before[name]
        return is_new and live(service) == len(DOORS)

    service.wait(f"{name} is back", is_back, RETURN_SECONDS)
    now = processes(service)
    others = PROCESSES - {name} if name != "cameras" else ()  # they end with it
    if changed := [other for other in others if now[other] != before[other]]:
        raise StepFailedError(f"with {name} went {', '.join(changed)}")


def doors(uris: dict[str, str]) -> str:
    """Sections for the end of a configuration, with cameras that are not waited for long."""
    return "".join(
        f"""
[[door]]
id = "{door}"
name = "{door.title()} door"
camera.uri = "{uri}"
camera.timeout_seconds = 1.0
camera.stuck_seconds = 0.2
camera.reopen_max_seconds = 0.2
"""
        for door, uri in uris.items()
    )


def live(service: Service) -> int:
    """How many cameras give frames."""
    return service.as_user("status").count("camera: live")


def processes(service: Service) -> dict[str, int]:
    """The processes of cameras, by what they are called."""
    listed = service.system.run("sh", "-c", "grep -s . /proc/[0-9]*/comm").stdout
    told = (line.removeprefix("/proc/").partition("/comm:") for line in listed.splitlines())
    return {name: int(pid) for pid, _, name in told if name.startswith("camera")}


def confinement(service: Service, pid: int) -> tuple[str, ...]:
    """How a process is confined, and its control groups."""
    status = service.run("cat", f"/proc/{pid}/status").splitlines()
    lines = [line for line in status if line.partition(":")[0] in CONFINEMENT]
    return (*lines, *service.run("cat", f"/proc/{pid}/cgroup").splitlines())


@contextmanager
def network_cameras(system: BootedSystem) -> Iterator[dict[str, str]]:
    """A camera for each door, in the network of a booted system; where each is read."""
    with tempfile.TemporaryDirectory(prefix="doorbell-cameras-") as folder, ExitStack() as stack:
        uris = {}
        for door in DOORS:
            place = Path(folder, door)
            place.mkdir()
            camera = NetworkCamera(place, within=system.enter("--net"))
            stack.callback(camera.unplug)
            camera.plug()
            uris[door] = camera.uri
        yield uris
