"""The daemon that is measured: configured as asked for, before a scene and with a broker."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from doorbell.camera.simulated.script import SceneScript
from doorbell.config import Config
from doorbell.errors import DoorbellError
from doorbell.testbed.daemon_process import DaemonProcess, run_command
from doorbell.testbed.scenes import write_scene
from doorbell.testbed.service_manager import ServiceManager

START_SECONDS = 30.0
# Whatever of the configuration the daemon's speed depends on.
SECTIONS = ("inference", "detection", "tracking", "recognition", "attention")
# What the service and the container give it (systemd/doorbell.service): one heap for all threads.
SERVICE_ENVIRONMENT = {"MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1"}
BEGAN = re.compile(r"the scene began at ([\d.]+)")


@dataclass(frozen=True, slots=True)
class MeasuredDaemon:
    """A running daemon.

    Attributes:
        process: it.
        manager: whom it tells that it is ready.
    """

    process: DaemonProcess
    manager: ServiceManager

    def wait_ready(self) -> float:
        """Wait for the first frame to have been processed; the wall time at which that was said.

        Raises:
            DoorbellError: the daemon never said so.
        """
        ready_at = self.manager.ready_at(START_SECONDS)
        if ready_at is None:
            raise DoorbellError(
                f"the daemon was not ready after {START_SECONDS:.0f} s; "
                f"its log ends:\n{self.process.log_end}"
            )
        return ready_at

    def scene_began_at(self) -> float:
        """Wall time of the scene's first frame.

        Raises:
            DoorbellError: there was none yet.
        """
        began = BEGAN.search(self.process.log)
        if began is None:
            raise DoorbellError(
                f"the daemon has seen no frame; its log ends:\n{self.process.log_end}"
            )
        return float(began[1])


@contextmanager
def open_daemon(
    config: Config, script: SceneScript, port: int, folder: Path
) -> Iterator[MeasuredDaemon]:
    """Start a daemon before a scene; it has ended when the block has.

    Args:
        config: of the product; what its speed depends on is taken over.
        script: the scene.
        port: of a broker on this machine.
        folder: with the gallery; gets everything else.
    """
    uri = write_scene(folder / "scene.toml", script)
    camera = [f"camera.uri={uri}", "camera.frames_per_second=30"]
    with _running(run_command(*camera, *_settings(config, port, folder)), folder) as daemon:
        yield daemon


@contextmanager
def open_doors(
    config: Config, uris: Sequence[str], port: int, folder: Path
) -> Iterator[MeasuredDaemon]:
    """Start a daemon that watches a door for each camera, as the service does.

    Args:
        config: of the product; what its speed depends on is taken over.
        uris: of the cameras; the doors are called by ``door_id``.
        port: of a broker on this machine.
        folder: with the gallery; gets everything else.
    """
    doors = folder / "doorbell.toml"
    doors.write_text(
        "".join(
            f'[[door]]\nid = "{door_id(number)}"\nname = "Door {number}"\ncamera.uri = "{uri}"\n'
            for number, uri in enumerate(uris)
        )
    )
    command = run_command(*_settings(config, port, folder), config=doors)
    with _running(command, folder, SERVICE_ENVIRONMENT) as daemon:
        yield daemon


def door_id(number: int) -> str:
    """What a door of ``open_doors`` is called, counted from 0."""
    return f"door-{number}"


def _settings(config: Config, port: int, folder: Path) -> list[str]:
    """All but the cameras."""
    return [
        f"storage.directory={folder}",
        "chime.enabled=false",
        "mqtt.enabled=true",
        "mqtt.host=127.0.0.1",
        f"mqtt.port={port}",
        "visits.absence_seconds=1",
        "visits.cooldown_seconds=0",
        *overrides(config),
    ]


@contextmanager
def _running(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[MeasuredDaemon]:
    with (
        ServiceManager(folder) as manager,
        DaemonProcess(
            [*command, "--verbose"],
            folder / "log",
            environment={**environment, **manager.environment},
        ) as process,
    ):
        yield MeasuredDaemon(process, manager)


def overrides(config: Config) -> list[str]:
    """What the daemon's speed depends on, as ``--set`` takes it."""
    return [
        f"{name}.{key}={json.dumps(value)}"
        for name in SECTIONS
        for key, value in getattr(config, name).model_dump(mode="json", exclude_none=True).items()
    ]
