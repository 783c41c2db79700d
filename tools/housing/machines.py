"""The machines of the building as the one who plays knows them: started, begun, stopped, read."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from doorbell.testbed.waiting import eventually
from housing.machine import Spec
from housing.records import Records, read_records

TOOLS = Path(__file__).parents[1]
STOP_SECONDS = 60.0


class Machine:
    """A machine, which runs from ``start`` to ``stop``.

    Args:
        name: by which the server knows it, where this is root.
        spec: what it is to do.
        enter: a command that leads into its network.

    Attributes:
        name, spec: as given.
    """

    def __init__(self, name: str, spec: Spec, enter: Sequence[str] = ()) -> None:
        self.name = name
        self.spec = spec
        self._enter = tuple(enter)
        self._process: subprocess.Popen[str] | None = None

    @property
    def folder(self) -> Path:
        """Of its files."""
        return Path(self.spec.folder)

    @property
    def copy_path(self) -> Path:
        """Of its copy of the gallery."""
        return self.folder / "state" / "copy.sqlite"

    @property
    def status(self) -> dict[str, Any]:
        """How it was half a second ago; empty before it is ready."""
        try:
            return dict(json.loads((self.folder / "status.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {}

    @property
    def pid(self) -> int:
        """Of its process."""
        return -1 if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it, without waiting."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [*self._enter, sys.executable, "-m", "housing.machine", str(self.spec.write())]
        if os.geteuid() == 0:
            named = f'hostname "{self.name}"; exec "$@"'
            command = ["unshare", "--uts", "sh", "-c", named, "sh", *command]
        paths = [str(TOOLS), os.environ.get("PYTHONPATH", str(TOOLS.parent))]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            )

    def wait_ready(self, seconds: float) -> None:
        """Wait until it watches its doors.

        Raises:
            RuntimeError: it does not.
        """
        if not eventually(lambda: bool(self.status) or self.has_ended, seconds):
            raise RuntimeError(f"{self.name} does not start:\n{self._log_end()}")
        self.require_running()

    def require_running(self) -> None:
        """Go on only if it runs.

        Raises:
            RuntimeError: it does not.
        """
        if self.has_ended:
            raise RuntimeError(f"{self.name} has ended:\n{self._log_end()}")

    def begin(self, part: int, at: float) -> None:
        """Let a part of its script begin at a wall time."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(f"{part} {at}\n")
            self._process.stdin.flush()

    def stop(self) -> Records:
        """Stop it in order; what it has noted.

        Raises:
            RuntimeError: it does not stop, or leaves nothing.
        """
        if self._process is None:
            raise RuntimeError(f"{self.name} does not run")
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(STOP_SECONDS)
        self._process = None
        if code:
            raise RuntimeError(f"{self.name} ended with {code}:\n{self._log_end()}")
        return read_records(self.folder / "records.json")

    def kill(self) -> None:
        """End it at once; idempotent."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def delete_copy(self) -> None:
        """As if it were installed anew; it may not run."""
        for path in self.copy_path.parent.glob("copy.sqlite*"):
            path.unlink()
        (self.folder / "status.json").unlink(missing_ok=True)
        shutil.move(self.folder / "records.json", self.folder / "records-before.json")

    def asked(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What its copy says."""
        with closing(sqlite3.connect(f"file:{self.copy_path}?mode=ro", uri=True)) as copy:
            return copy.execute(sql, parameters).fetchall()

    @property
    def has_ended(self) -> bool:
        """Whether it does not run."""
        return self._process is None or self._process.poll() is not None

    def _log_end(self) -> str:
        return "\n".join((self.folder / "log").read_text(encoding="utf-8").splitlines()[-8:])
